//! Events in memory as a [`Source`]: what tests of rules run over. One JSON object an event.

use backsight_engine::error::Error;
use backsight_engine::source::{BATCH_ROWS, Counters, Field, Flow, Morsel, Morsels, Scan, Source, Table};
use backsight_engine::value::column::{Batch, Column, Positions};
use backsight_engine::value::json::Route;
use backsight_engine::value::{Kind, Value, time};
use backsight_lang::ast::Segment;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Fields that hold the time of an event, the first that is present counts.
const TIMES: &[&str] =
    &["@timestamp", "timestamp", "time", "eventTime", "requestTimeEpoch", "requestTime", "ts", "start", "updatedAt"];

/// Some events.
#[derive(Clone, Debug, Default)]
pub struct Events {
    lines: Vec<String>,
}

impl Events {
    /// Events given as JSON texts.
    pub fn new(lines: Vec<String>) -> Events {
        Events { lines }
    }

    /// The text of an event by its position.
    pub fn get(&self, position: u64) -> Option<&str> {
        self.lines.get(position as usize).map(String::as_str)
    }

    fn column(&self, field: &Field, first: usize, rows: usize) -> Column {
        let lines = &self.lines[first..first + rows];
        // A key of a system field sets it, as it does in a file (language reference, "Events and system fields").
        let own = |name: &str, otherwise: &dyn Fn(&String) -> Value| -> Column {
            let route = Route::new(&[Segment::Name { text: name.into(), quoted: true }]);
            let cell = |line: &String| match route.get(line.as_bytes()) {
                Some((Kind::String, text)) => Value::Text(Kind::String, text.as_ref().into()),
                _ => otherwise(line),
            };
            lines.iter().map(cell).collect()
        };
        match field {
            Field::Path(segments) => {
                let route = Route::new(segments);
                let cell = |line: &String| match route.get(line.as_bytes()) {
                    Some((kind, text)) => Value::Text(kind, text.as_ref().into()),
                    None => Value::Null,
                };
                lines.iter().map(cell).collect()
            }
            Field::Timestamp => {
                let routes: Vec<Route> = TIMES
                    .iter()
                    .map(|name| Route::new(&[Segment::Name { text: (*name).into(), quoted: true }]))
                    .collect();
                let of = |line: &String| {
                    let (kind, text) = routes.iter().find_map(|r| r.get(line.as_bytes()))?;
                    match kind {
                        Kind::Number | Kind::String => time::parse(&text),
                        _ => None,
                    }
                };
                lines.iter().map(|line| of(line).map_or(Value::Null, Value::Time)).collect()
            }
            Field::Message => own("@message", &|line| Value::string(line)),
            Field::Ptr => (first..first + rows).map(|i| Value::string(format!("events#{i}"))).collect(),
            Field::Log => own("@log", &|_| Value::string("events")),
            Field::LogStream => own("@logStream", &|_| Value::string("events")),
            Field::IngestionTime => Column::null(rows),
        }
    }
}

impl Source for Events {
    fn open<'a>(&'a self, scan: &'a Scan<'a>, counters: &'a Counters) -> Result<Box<dyn Morsels + 'a>, Error> {
        Ok(Box::new(Queue { events: self, scan, counters, next: AtomicUsize::new(0) }))
    }
}

struct Queue<'a> {
    events: &'a Events,
    scan: &'a Scan<'a>,
    counters: &'a Counters,
    next: AtomicUsize,
}

impl Morsels for Queue<'_> {
    fn next(&self) -> Option<Box<dyn Morsel + '_>> {
        let first = self.next.fetch_add(BATCH_ROWS, Ordering::Relaxed);
        (first < self.events.lines.len()).then(|| Box::new(Rows { queue: self, first }) as Box<dyn Morsel>)
    }
}

struct Rows<'a> {
    queue: &'a Queue<'a>,
    first: usize,
}

impl Morsel for Rows<'_> {
    fn read(self: Box<Self>, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let Queue { events, scan, counters, .. } = self.queue;
        let rows = BATCH_ROWS.min(events.lines.len() - self.first);
        Counters::add(&counters.records, rows as u64);
        let columns = scan.want.iter().map(|field| events.column(field, self.first, rows)).collect();
        out(Batch { columns, rows, positions: Positions::sequence(self.first as u64, rows) })
    }
}

/// Lists that rules look things up in, by name.
#[derive(Clone, Debug, Default)]
pub struct Lists(pub BTreeMap<String, Table>);

impl Lists {
    /// Lists of entries, as tests give them. One whose first entry holds a comma is a table under that heading.
    pub fn of(entries: &BTreeMap<String, Vec<String>>) -> Lists {
        let table = |(name, entries): (&String, &Vec<String>)| (name.clone(), table(name, entries));
        Lists(entries.iter().map(table).collect())
    }

    /// The table of a list.
    ///
    /// # Errors
    /// [`Error::Input`] where there is none of that name.
    pub fn table(&self, name: &str) -> Result<Table, Error> {
        let missing = || Error::Input { file: name.to_owned(), offset: None, why: "no such list".to_owned() };
        self.0.get(name).cloned().ok_or_else(missing)
    }
}

/// The table of a list's entries.
pub fn table(name: &str, entries: &[String]) -> Table {
    let (names, rows): (Vec<&str>, &[String]) = match entries.split_first() {
        Some((head, rest)) if head.contains(',') => (head.split(',').map(str::trim).collect(), rest),
        _ => (vec![name], entries),
    };
    let column = |at: usize| {
        let cell = |entry: &String| match names.len() {
            1 => Value::string(entry.trim()),
            _ => entry.split(',').nth(at).map_or(Value::Null, |c| Value::string(c.trim())),
        };
        rows.iter().map(cell).collect::<Column>()
    };
    let columns = names.iter().enumerate().map(|(at, name)| ((*name).to_owned(), column(at))).collect();
    Table { columns, rows: rows.len() }
}
