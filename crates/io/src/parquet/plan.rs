//! What a scan wants of one file: the leaf columns to read, and how each slot comes of them.

use super::paths::{self, Access};
use super::schema::{Meaning, Node, Shape};
use super::{Origin, ParquetFile, text, times, values};
use arrow::array::{Array, ArrayRef, AsArray, make_array};
use arrow::buffer::NullBuffer;
use backsight_engine::source::{Field, Scan};
use backsight_engine::value::column::{Column, ColumnBuilder, OFFSET_BITS, Positions, TextBuilder};
use backsight_engine::value::{Value, ValueRef};
use backsight_lang::ast::Segment;
use std::fmt::Write;
use std::ops::Range;

/// How the rows of a file become batches.
pub(super) struct Plan<'f> {
    columns: &'f [Node],
    origin: &'f Origin,
    /// Which leaf columns are read.
    pub(super) leaves: Vec<bool>,
    /// Which of the columns that cannot be decoded are asked for.
    pub(super) unsupported: Vec<usize>,
    /// Which columns make up the row as a whole.
    row: Vec<bool>,
    slots: Vec<Slot>,
    /// Columns of texts are read by [`super::texts`].
    pub(super) words: bool,
}

/// A column of the outermost level, as it was read.
#[derive(Clone)]
pub(super) enum Cells {
    Array(ArrayRef),
    /// Texts.
    Column(Column),
}

/// A column of batches: of the columns of the file the first that is not null, else what is usual.
struct Slot {
    ways: Vec<Access>,
    usual: Usual,
}

/// What a slot holds where no column has a value.
enum Usual {
    /// Nothing; what was found is a time, and where there is none this is counted if `counted`.
    Time { counted: bool },
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
        Plan::made(file, scan, times, false)
    }

    /// A plan for which `@message` is the whole row, whatever its columns are called.
    pub(super) fn whole(file: &'f ParquetFile, scan: &Scan, times: &[Vec<Segment>]) -> Plan<'f> {
        Plan::made(file, scan, times, true)
    }

    fn made(file: &'f ParquetFile, scan: &Scan, times: &[Vec<Segment>], whole: bool) -> Plan<'f> {
        let columns = &file.columns[..];
        let mut leaves = vec![false; file.schema.num_columns()];
        let own = |name: &str| paths::named(columns, name).into_iter().collect::<Vec<_>>();
        let text = |text: &str| Usual::Const(Value::string(text));
        let mut slots: Vec<Slot> = scan
            .want
            .iter()
            .map(|field| match field {
                Field::Timestamp => {
                    let mut ways = own("@timestamp");
                    ways.extend(times.iter().flat_map(|path| paths::find(columns, path)));
                    Slot { ways, usual: Usual::Time { counted: true } }
                }
                Field::IngestionTime => Slot { ways: own("@ingestionTime"), usual: Usual::Time { counted: false } },
                Field::Message if whole => Slot { ways: Vec::new(), usual: Usual::Row },
                Field::Message => Slot { ways: own("@message"), usual: Usual::Row },
                Field::LogStream => Slot { ways: own("@logStream"), usual: text(&file.origin.log_stream) },
                Field::Log => Slot { ways: own("@log"), usual: text(&file.origin.log) },
                Field::Ptr => Slot { ways: own("@ptr"), usual: Usual::Pointer },
                Field::Path(path) => Slot { ways: paths::find(columns, path), usual: Usual::Const(Value::Null) },
            })
            .collect();
        let met = |leaves: &Range<usize>| -> Vec<usize> {
            (0..file.unsupported.len()).filter(|at| file.unsupported[*at].meets(leaves)).collect()
        };
        let row: Vec<bool> = columns.iter().map(|column| met(&column.leaves).is_empty()).collect();
        let mut unsupported = Vec::new();
        let mut words = scan.words;
        for Slot { ways, usual } in &mut slots {
            ways.retain(|way| {
                let met = met(&way.leaves);
                unsupported.extend_from_slice(&met);
                met.is_empty()
            });
            // What comes behind a column without nulls is never looked at.
            let last = ways.iter().position(|way| file.is_never_null(way));
            ways.truncate(last.map_or(ways.len(), |last| last + 1));
            ways.iter().for_each(|way| leaves[way.leaves.clone()].fill(true));
            if let Usual::Row = usual
                && last.is_none()
            {
                // Rows are made of arrays.
                words = false;
                for (column, is_whole) in columns.iter().zip(&row) {
                    match is_whole {
                        true => leaves[column.leaves.clone()].fill(true),
                        false => unsupported.extend(met(&column.leaves)),
                    }
                }
            }
        }
        for way in slots.iter_mut().flat_map(|slot| &mut slot.ways) {
            way.steps = settled(columns, &way.steps, &leaves);
        }
        Plan { columns, origin: &file.origin, leaves, unsupported, row, slots, words }
    }

    /// The columns of the outermost level that are read, wholly or in part, by their numbers.
    pub(super) fn read(&self) -> impl Iterator<Item = (usize, &'f Node)> {
        let nodes = self.columns.iter().enumerate();
        nodes.filter(|(_, node)| self.leaves[node.leaves.clone()].contains(&true))
    }

    /// The columns of a batch: one a slot. `decoded` holds the columns that are [`read`](Plan::read). Second: rows
    /// without a time, where one was wanted.
    pub(super) fn columns(&self, decoded: &[Cells], positions: &Positions) -> (Vec<Column>, usize) {
        let rows = positions.len();
        let mut without_time = 0;
        let columns = self.slots.iter().map(|Slot { ways, usual }| {
            let said = self.first_of(ways, decoded, rows);
            if let Usual::Time { counted } = usual {
                let times = times::read(said);
                without_time += if *counted { times.null_count() } else { 0 };
                return times;
            }
            if said.null_count() == 0 {
                return said;
            }
            let other = match usual {
                Usual::Time { .. } | Usual::Const(Value::Null) => return said,
                Usual::Const(value) => Column::Const(value.clone(), rows),
                Usual::Pointer => self.pointers(positions),
                Usual::Row => {
                    let parts = self.read().zip(decoded).filter_map(|((at, node), cells)| match cells {
                        Cells::Array(array) if self.row[at] => Some((node.name.as_str(), array, &node.shape)),
                        _ => None,
                    });
                    text::rows(parts, rows)
                }
            };
            merge(&said, &other)
        });
        (columns.collect(), without_time)
    }

    fn first_of(&self, ways: &[Access], decoded: &[Cells], rows: usize) -> Column {
        let mut found = Column::null(rows);
        for way in ways {
            found = merge(&found, &self.fetch(way, decoded));
            if found.null_count() == 0 {
                break;
            }
        }
        found
    }

    fn fetch(&self, way: &Access, decoded: &[Cells]) -> Column {
        let mut nodes = self.columns;
        let mut included = included(nodes, &self.leaves, way.steps[0]);
        let column = match &decoded[way.steps[0]] {
            Cells::Column(column) => column.clone(),
            Cells::Array(array) => {
                let mut array = array.clone();
                for step in &way.steps[1..] {
                    let Shape::Struct(members) = &included.shape else { return Column::null(array.len()) };
                    nodes = members;
                    included = self::included(nodes, &self.leaves, *step);
                    array = member(&array, *step);
                }
                values::column(&array, &included.shape)
            }
        };
        match &way.rest {
            None => column,
            Some(route) => {
                let mut out = TextBuilder::default();
                // Text that merely looks like a list is none, except for the text of whole events.
                let events = matches!(included.shape, Shape::Leaf(Meaning::Plain));
                for cell in column.iter() {
                    let text = cell.text().filter(|_| events || cell.is_nested());
                    match text.as_deref().and_then(|text| route.get(text)) {
                        Some((kind, text)) => out.push_text(kind, &text),
                        None => out.push(ValueRef::Null),
                    }
                }
                out.finish()
            }
        }
    }

    fn pointers(&self, positions: &Positions) -> Column {
        let mut out = TextBuilder::default();
        let mut text = self.origin.pointer.clone();
        let prefix = text.len();
        for row in positions.iter().map(|position| position & ((1 << OFFSET_BITS) - 1)) {
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

/// The first where it is not null, else the second.
pub(super) fn merge(first: &Column, second: &Column) -> Column {
    if first.null_count() == first.len() {
        return second.clone();
    }
    if second.null_count() == second.len() {
        return first.clone();
    }
    let cells = first.iter().zip(second.iter()).map(|(a, b)| if a.is_null() { b } else { a });
    cells.collect::<ColumnBuilder>().finish()
}
