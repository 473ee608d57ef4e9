//! Files of every shape, read as the engine reads them.

mod archives;
mod codecs;
mod damage;
mod events;
mod frames;
mod lines;
mod paths;
mod quine;
mod texts;

use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Field, Flow, Note, Scan, Source, Weight};
use backsight_io::{Files, Options};
use backsight_lang::ast::{Path, Segment};
use backsight_lang::span::Span;
use std::path::PathBuf;

/// All that one pass gave.
#[derive(Debug, Default)]
struct Pass {
    /// Cells as `kind:text`, null as nothing.
    rows: Vec<Vec<String>>,
    positions: Vec<u64>,
    counters: Counters,
    error: Option<Error>,
}

impl Pass {
    fn column(&self, i: usize) -> Vec<&str> {
        self.rows.iter().map(|r| r[i].split_once(':').map_or("", |(_, text)| text)).collect()
    }

    fn notes(&self, weight: Weight) -> Vec<Note> {
        let mut notes = self.counters.notes.lock().expect("no panic").clone();
        notes.retain(|n| n.weight == weight);
        notes.sort();
        notes
    }

    fn records(&self) -> u64 {
        Counters::get(&self.counters.records)
    }
}

/// A field by name: dots divide, digits are positions, a name may stand in backticks as a whole.
fn field(name: &str) -> Field {
    let segments = match name.strip_prefix('`') {
        Some(quoted) => vec![Segment::Name { text: quoted.trim_end_matches('`').into(), quoted: true }],
        None => name
            .split('.')
            .map(|part| match part.parse() {
                Ok(n) => Segment::Index(n),
                Err(_) => Segment::Name { text: part.into(), quoted: false },
            })
            .collect(),
    };
    Field::named(&Path { segments, span: Span::default() })
}

fn scan(want: &[&str]) -> Scan<'static> {
    Scan { want: want.iter().map(|name| field(name)).collect(), ..Scan::default() }
}

/// Reads everything.
fn read(files: &Files, scan: &Scan) -> Pass {
    let mut pass = Pass::default();
    let (mut rows, mut positions) = (Vec::new(), Vec::new());
    let mut out = |batch: backsight_engine::value::column::Batch| {
        assert_eq!(batch.columns.len(), scan.want.len());
        assert!(batch.columns.iter().all(|c| c.len() == batch.rows), "columns of one length");
        for row in 0..batch.rows {
            positions.push(batch.positions.get(row));
            rows.push(
                batch
                    .columns
                    .iter()
                    .map(|c| {
                        let cell = c.get(row);
                        let text = cell.text().map(|t| String::from_utf8_lossy(&t).into_owned());
                        text.map_or(String::new(), |text| format!("{:?}:{text}", cell.kind().expect("no null")))
                    })
                    .collect(),
            );
        }
        Ok(Flow::More)
    };
    let result = Source::open(files, scan, &pass.counters).and_then(|morsels| {
        while let Some(morsel) = morsels.next() {
            morsel.read(&mut out)?;
        }
        Ok(())
    });
    (pass.rows, pass.positions, pass.error) = (rows, positions, result.err());
    pass
}

/// Reads one file with this content.
fn read_bytes(content: &[u8], want: &[&str], options: Options) -> Pass {
    read_scan(content, &scan(want), options)
}

/// Reads one file with this content, with all that a scan may ask for.
fn read_scan(content: &[u8], scan: &Scan, options: Options) -> Pass {
    let dir = tempfile::tempdir().expect("a directory");
    let path: PathBuf = dir.path().join("log");
    std::fs::write(&path, content).expect("written");
    let options = Options { log: Some("log".into()), ..options };
    read(&backsight_io::open(&[path], options).expect("a file"), scan)
}
