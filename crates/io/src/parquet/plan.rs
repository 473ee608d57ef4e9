//! What a scan wants of one file: the leaf columns to read, and how each slot comes of them.

use super::paths::{self, Access};
use super::schema::{Node, Shape};
use super::{Origin, ParquetFile, text, times, values};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_array};
use arrow::buffer::NullBuffer;
use backsight_engine::source::{Field, Scan};
use backsight_engine::value::column::{Column, ColumnBuilder, TextBuilder};
use backsight_engine::value::{Value, ValueRef};
use backsight_lang::ast::Segment;
use std::fmt::Write;

/// How the rows of a file become batches.
pub(super) struct Plan<'f> {
    columns: &'f [Node],
    origin: &'f Origin,
    /// Which leaf columns are read.
    pub(super) leaves: Vec<bool>,
    slots: Vec<Slot>,
}

enum Slot {
    /// The first of these that is not null.
    Column(Vec<Access>),
    /// The first of these that is not null, read as a time.
    Time(Vec<Access>),
    /// The whole row as JSON.
    Row,
    /// `@ptr`
    Pointer,
    /// The same in all rows.
    Const(Value),
}

impl<'f> Plan<'f> {
    /// `times`: the fields that may hold the time of an event, where no column is named `@timestamp`.
    pub(super) fn new(file: &'f ParquetFile, scan: &Scan, times: &[Vec<Segment>]) -> Plan<'f> {
        let columns = &file.columns[..];
        let mut leaves = vec![false; file.schema.num_columns()];
        let system = |name: &str, other: Slot| match paths::named(columns, name) {
            Some(column) => Slot::Column(vec![column]),
            None => other,
        };
        let mut slots: Vec<Slot> = scan
            .want
            .iter()
            .map(|field| match field {
                Field::Timestamp => Slot::Time(match paths::named(columns, "@timestamp") {
                    Some(column) => vec![column],
                    None => times.iter().flat_map(|path| paths::find(columns, path)).collect(),
                }),
                Field::Message => system("@message", Slot::Row),
                Field::LogStream => system("@logStream", Slot::Const(Value::string(&file.origin.log_stream))),
                Field::Log => system("@log", Slot::Const(Value::string(&file.origin.log))),
                Field::IngestionTime => match paths::named(columns, "@ingestionTime") {
                    Some(column) => Slot::Time(vec![column]),
                    None => Slot::Const(Value::Null),
                },
                Field::Ptr => system("@ptr", Slot::Pointer),
                Field::Path(path) => Slot::Column(paths::find(columns, path)),
            })
            .collect();
        for slot in &mut slots {
            match slot {
                Slot::Column(ways) | Slot::Time(ways) => {
                    // What comes behind a column without nulls is never looked at.
                    if let Some(last) = ways.iter().position(|way| file.is_never_null(way)) {
                        ways.truncate(last + 1);
                    }
                    ways.iter().for_each(|way| leaves[way.leaves.clone()].fill(true));
                }
                Slot::Row => leaves.fill(true),
                Slot::Pointer | Slot::Const(_) => {}
            }
        }
        for slot in &mut slots {
            if let Slot::Column(ways) | Slot::Time(ways) = slot {
                ways.iter_mut().for_each(|way| way.steps = settled(columns, &way.steps, &leaves));
            }
        }
        Plan { columns, origin: &file.origin, leaves, slots }
    }

    /// The columns of a batch: one a slot. `first` is the number of its first row in the file, `decoded` holds the
    /// leaves of the plan; `None` if there are none. Second: rows without a time, where one was wanted.
    pub(super) fn columns(&self, decoded: Option<&RecordBatch>, first: u64, rows: usize) -> (Vec<Column>, usize) {
        let mut without_time = 0;
        let columns = self.slots.iter().map(|slot| match slot {
            Slot::Const(value) => Column::Const(value.clone(), rows),
            Slot::Pointer => self.pointers(first, rows),
            Slot::Row => {
                let arrays = decoded.map(|d| d.columns()).unwrap_or_default();
                let parts = self.columns.iter().zip(arrays).map(|(n, a)| (n.name.as_str(), a, &n.shape));
                text::rows(parts, rows)
            }
            Slot::Column(ways) => self.first_of(ways, decoded, rows),
            Slot::Time(ways) => {
                let times = times::read(self.first_of(ways, decoded, rows));
                without_time += match &times {
                    Column::Time(times) => times.null_count(),
                    _ => rows,
                };
                times
            }
        });
        (columns.collect(), without_time)
    }

    fn first_of(&self, ways: &[Access], decoded: Option<&RecordBatch>, rows: usize) -> Column {
        let Some(decoded) = decoded else { return Column::null(rows) };
        let mut found: Option<Column> = None;
        for way in ways {
            let next = self.fetch(way, decoded);
            let merged = match found {
                None => next,
                Some(before) => merge(&before, &next),
            };
            let whole = null_count(&merged) == 0;
            found = Some(merged);
            if whole {
                break;
            }
        }
        found.unwrap_or_else(|| Column::null(rows))
    }

    fn fetch(&self, way: &Access, decoded: &RecordBatch) -> Column {
        let (mut array, mut nodes) = (decoded.column(way.steps[0]).clone(), self.columns);
        let mut included = included(nodes, &self.leaves, way.steps[0]);
        for step in &way.steps[1..] {
            let Shape::Struct(members) = &included.shape else { return Column::null(decoded.num_rows()) };
            nodes = members;
            included = self::included(nodes, &self.leaves, *step);
            array = member(&array, *step);
        }
        let column = values::column(&array, &included.shape);
        match &way.rest {
            None => column,
            Some(route) => {
                let mut out = TextBuilder::default();
                for cell in column.iter() {
                    let text = cell.text();
                    match text.as_deref().and_then(|text| route.get(text)) {
                        Some((kind, text)) => out.push_text(kind, &text),
                        None => out.push(ValueRef::Null),
                    }
                }
                out.finish()
            }
        }
    }

    fn pointers(&self, first: u64, rows: usize) -> Column {
        let mut out = TextBuilder::default();
        let mut text = self.origin.pointer.clone();
        let prefix = text.len();
        for row in first..first + rows as u64 {
            text.truncate(prefix);
            // Writing to a string cannot fail.
            let _ = write!(text, "{row}");
            out.push(ValueRef::string(&text));
        }
        out.finish()
    }
}

/// The same steps, counted among the columns and members that are read.
fn settled(columns: &[Node], steps: &[usize], leaves: &[bool]) -> Vec<usize> {
    let mut nodes = columns;
    let mut out = Vec::with_capacity(steps.len());
    for step in steps {
        out.push(nodes[..*step].iter().filter(|n| leaves[n.leaves.clone()].contains(&true)).count());
        if let Shape::Struct(members) = &nodes[*step].shape {
            nodes = members;
        }
    }
    out
}

/// The node at a settled step.
fn included<'n>(nodes: &'n [Node], leaves: &[bool], step: usize) -> &'n Node {
    nodes
        .iter()
        .filter(|n| leaves[n.leaves.clone()].contains(&true))
        .nth(step)
        .expect("settled among the columns that are read")
}

/// A member of a struct, null where the struct is.
fn member(array: &ArrayRef, at: usize) -> ArrayRef {
    let child = array.as_struct().column(at);
    let nulls = NullBuffer::union(array.nulls(), child.nulls());
    if nulls.as_ref().map_or(0, NullBuffer::null_count) == child.null_count() {
        return child.clone();
    }
    // Cannot fail: only nulls are added to an array that is sound. A `Null` array has none to add.
    match child.to_data().into_builder().nulls(nulls).build() {
        Ok(data) => make_array(data),
        Err(_) => child.clone(),
    }
}

fn null_count(column: &Column) -> usize {
    match column {
        Column::Const(Value::Null, rows) => *rows,
        Column::Const(..) => 0,
        Column::Text(a, _) => a.null_count(),
        Column::Int(a) | Column::Time(a) => a.null_count(),
        Column::Float(a) => a.null_count(),
        Column::Bool(a) => a.null_count(),
    }
}

fn merge(first: &Column, second: &Column) -> Column {
    if null_count(first) == first.len() {
        return second.clone();
    }
    if null_count(second) == second.len() {
        return first.clone();
    }
    let cells = first.iter().zip(second.iter()).map(|(a, b)| if a.is_null() { b } else { a });
    cells.collect::<ColumnBuilder>().finish()
}
