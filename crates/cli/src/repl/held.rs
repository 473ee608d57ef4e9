//! The last answer as a source of its own: `source _`.

use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Field, Flow, Morsel, Morsels, Scan, Source, Table};
use backsight_engine::value::column::{Batch, Column, ColumnBuilder, Positions};
use backsight_engine::value::{Kind, Value, ValueRef, json};
use backsight_lang::ast::Segment;
use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::PoisonError;

/// What a query calls the last answer.
pub(crate) const NAME: &str = "_";

/// The rows of an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// The columns' names.
    pub(crate) columns: Vec<String>,
    /// The rows.
    pub(crate) batches: Vec<Batch>,
}

impl Held {
    /// The rows as a table for `lookup` and `in table`.
    pub(crate) fn table(&self) -> Table {
        let column = |i: usize| -> Column {
            let mut column = ColumnBuilder::default();
            self.batches.iter().flat_map(|b| b.columns[i].iter()).for_each(|cell| column.push(cell));
            column.finish()
        };
        let columns = self.columns.iter().enumerate().map(|(i, name)| (name.clone(), column(i))).collect();
        Table { columns, rows: self.batches.iter().map(|b| b.rows).sum() }
    }

    /// The cells of a field in one batch.
    fn field(&self, field: &Field, batch: &Batch) -> Column {
        let place = |name: &str| self.columns.iter().position(|column| column == name);
        if let Some(column) = place(&field.name()).and_then(|i| batch.columns.get(i)) {
            return column.clone();
        }
        match field {
            Field::Message => (0..batch.rows).map(|row| self.message(batch, row)).collect(),
            Field::Path(segments) => match segments.split_first() {
                Some((Segment::Name { text, .. }, rest)) => match place(text).and_then(|i| batch.columns.get(i)) {
                    Some(column) => column.iter().map(|cell| inside(cell, rest)).collect(),
                    None => Column::null(batch.rows),
                },
                _ => Column::null(batch.rows),
            },
            _ => Column::null(batch.rows),
        }
    }

    /// A row as a JSON object, nulls left out.
    fn message(&self, batch: &Batch, row: usize) -> Value {
        let mut text = b"{".to_vec();
        for (name, column) in self.columns.iter().zip(&batch.columns) {
            let cell = column.get(row);
            let Some(value) = cell.text() else { continue };
            if text.len() > 1 {
                text.push(b',');
            }
            json::write_bytes(name.as_bytes(), &mut text);
            text.push(b':');
            match cell.kind() {
                Some(Kind::String | Kind::Time) | None => json::write_bytes(&value, &mut text),
                Some(_) => text.extend_from_slice(&value),
            }
        }
        text.push(b'}');
        Value::Text(Kind::String, text.into())
    }
}

/// The value at a path inside a list or map.
fn inside(cell: ValueRef<'_>, path: &[Segment]) -> Value {
    let Some((first, rest)) = path.split_first() else { return cell.to_value() };
    let ValueRef::Text(Kind::List | Kind::Map, text) = cell else { return Value::Null };
    let found: Option<(Kind, Cow<'_, [u8]>)> = match first {
        Segment::Name { text: name, .. } => {
            json::entries(text).filter(|(key, _)| key.as_ref() == name.as_bytes()).last().and_then(|(_, value)| value)
        }
        Segment::Index(n) => json::elements(text).nth(*n as usize).flatten(),
    };
    found.map_or(Value::Null, |(kind, text)| inside(ValueRef::Text(kind, &text), rest))
}

impl Source for Held {
    fn open<'a>(&'a self, scan: &'a Scan<'a>, counters: &'a Counters) -> Result<Box<dyn Morsels + 'a>, Error> {
        Ok(Box::new(Pass { held: self, scan, counters, next: Mutex::new((0, 0)) }))
    }

    fn size(&self) -> Option<u64> {
        Some(0)
    }
}

struct Pass<'a> {
    held: &'a Held,
    scan: &'a Scan<'a>,
    counters: &'a Counters,
    /// The next batch, and the number of its first row.
    next: Mutex<(usize, u64)>,
}

struct Piece<'a> {
    pass: &'a Pass<'a>,
    batch: &'a Batch,
    first: u64,
}

impl Morsels for Pass<'_> {
    fn next(&self) -> Option<Box<dyn Morsel + '_>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = self.held.batches.get(next.0)?;
        let first = next.1;
        *next = (next.0 + 1, first + batch.rows as u64);
        Some(Box::new(Piece { pass: self, batch, first }))
    }
}

impl Morsel for Piece<'_> {
    fn read(self: Box<Self>, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let Piece { pass, batch, first } = *self;
        Counters::add(&pass.counters.records, batch.rows as u64);
        let columns = pass.scan.want.iter().map(|field| pass.held.field(field, batch)).collect();
        out(Batch { columns, rows: batch.rows, positions: Positions::sequence(first, batch.rows) })
    }
}
