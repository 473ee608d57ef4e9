//! What the targets share: a source of one event in memory, and what readers of files must hold.

pub mod readers;

use backsight_engine::error::Error;
use backsight_engine::plan::{CompileSettings, SourceRef};
use backsight_engine::source::{Catalog, Counters, Field, Flow, Morsel, Morsels, Scan, Source};
use backsight_engine::value::Value;
use backsight_engine::value::column::{Batch, Column, Positions};
use backsight_engine::{Ctl, compile, run};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

/// The answer to a query.
pub enum Answer {
    /// The cells; nulls are `None`.
    Rows(Vec<Vec<Option<String>>>),
    /// The query was refused.
    Refused,
}

/// Asks for a query over one event with this `@message`.
pub fn ask(query: &str, message: &str) -> Answer {
    static CTL: LazyLock<Ctl> = LazyLock::new(|| Ctl::new(1).expect("a thread"));
    let settings = CompileSettings { pushdown: true, ..CompileSettings::default() };
    let Ok(compiled) = compile(query, &settings) else { return Answer::Refused };
    let mut rows = Vec::new();
    let ended = run(&compiled.plan, &One(message.to_owned()), &settings.clock, &CTL, &mut |batch| {
        for row in 0..batch.rows {
            let cell = |c: &Column| c.get(row).text().map(|t| String::from_utf8_lossy(&t).into_owned());
            rows.push(batch.columns.iter().map(cell).collect());
        }
        Ok(Flow::More)
    });
    ended.expect("a source in memory does not fail");
    Answer::Rows(rows)
}

/// A text as a string literal of the language.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out + "\""
}

#[derive(Clone)]
struct One(String);

impl Catalog for One {
    fn open(&self, _: &[SourceRef]) -> Result<Arc<dyn Source + Send>, Error> {
        Ok(Arc::new(self.clone()))
    }
}

impl Source for One {
    fn open<'a>(&'a self, scan: &'a Scan<'a>, _: &'a Counters) -> Result<Box<dyn Morsels + 'a>, Error> {
        Ok(Box::new(Pass { message: &self.0, scan, taken: AtomicBool::new(false) }))
    }
}

struct Pass<'a> {
    message: &'a str,
    scan: &'a Scan<'a>,
    taken: AtomicBool,
}

impl Morsels for Pass<'_> {
    fn next(&self) -> Option<Box<dyn Morsel + '_>> {
        (!self.taken.swap(true, Ordering::Relaxed)).then(|| Box::new(Event(self)) as Box<dyn Morsel>)
    }
}

struct Event<'a>(&'a Pass<'a>);

impl Morsel for Event<'_> {
    fn read(self: Box<Self>, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let message = self.0.message.as_bytes();
        // The prefilter, as a source may use it.
        let holds = |needle: &Vec<u8>| message.windows(needle.len()).any(|w| w == needle.as_slice());
        let passes = self.0.scan.needles.iter().all(|any| any.iter().any(holds)) || message.contains(&b'\\');
        let cell = |field: &Field| match field {
            Field::Message => [Value::string(message)].into_iter().collect(),
            _ => Column::null(1),
        };
        let columns = self.0.scan.want.iter().map(cell).collect();
        if passes { out(Batch { columns, rows: 1, positions: Positions::sequence(0, 1) }) } else { Ok(Flow::More) }
    }
}
