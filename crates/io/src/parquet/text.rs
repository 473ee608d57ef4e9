//! Values that have no type of their own in the engine, as text: lists and maps as JSON, dates, times of day, UUIDs.

use super::schema::{Meaning, Shape};
use super::values;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use backsight_engine::value::column::{Column, TextBuilder};
use backsight_engine::value::time::civil_from_days;
use backsight_engine::value::{Kind, ValueRef, json};
use std::io::Write;
use std::ops::Range;

/// `YYYY-MM-DD`, from days since 1970-01-01.
pub(super) fn date(days: i64) -> Vec<u8> {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}").into_bytes()
}

/// `HH:MM:SS` with `digits` digits of a second, the unit that `since` counts from midnight.
pub(super) fn clock(since: i64, digits: u32) -> Vec<u8> {
    let unit = 10i64.pow(digits);
    let (seconds, fraction) = (since.div_euclid(unit), since.rem_euclid(unit));
    let mut out = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if digits > 0 {
        out += &format!(".{fraction:0width$}", width = digits as usize);
    }
    out.into_bytes()
}

/// `8-4-4-4-12` hexadecimal digits; other bytes than sixteen as they are.
pub(crate) fn uuid(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() != 16 {
        return bytes.to_vec();
    }
    let mut out = Vec::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
    out
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A column of lists, maps or structs as JSON text.
pub(super) fn nested(array: &ArrayRef, shape: &Shape) -> Column {
    let kind = if matches!(shape, Shape::List(_)) { Kind::List } else { Kind::Map };
    let cells = Cells::new(array, shape);
    let mut out = TextBuilder::default();
    let mut text = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            out.push(ValueRef::Null);
        } else {
            text.clear();
            cells.write(row, &mut text);
            out.push_text(kind, &text);
        }
    }
    out.finish()
}

/// Whole rows as JSON: the columns in order, without those that are null.
pub(super) fn rows<'a>(columns: impl Iterator<Item = (&'a str, &'a ArrayRef, &'a Shape)>, rows: usize) -> Column {
    let members: Vec<Member> = columns.map(|(name, array, shape)| Member::new(name, array, shape)).collect();
    let mut out = TextBuilder::default();
    let mut text = Vec::new();
    for row in 0..rows {
        text.clear();
        text.push(b'{');
        for member in members.iter().filter(|m| !m.cells.is_null(row)) {
            if text.len() > 1 {
                text.push(b',');
            }
            member.write(row, &mut text);
        }
        text.push(b'}');
        out.push_text(Kind::String, &text);
    }
    out.finish()
}

/// A decoded column, ready to be written as JSON row by row.
enum Cells {
    /// `bare`: text is written without quotes, being that of a number.
    Scalar {
        column: Column,
        bare: bool,
    },
    Json(ArrayRef),
    Struct {
        array: ArrayRef,
        members: Vec<Member>,
    },
    List {
        array: ArrayRef,
        ranges: Vec<Range<usize>>,
        elements: Box<Cells>,
    },
    Map {
        array: ArrayRef,
        ranges: Vec<Range<usize>>,
        keys: Column,
        values: Box<Cells>,
    },
}

struct Member {
    /// With quotes and colon.
    key: Vec<u8>,
    cells: Cells,
}

impl Member {
    fn new(name: &str, array: &ArrayRef, shape: &Shape) -> Member {
        let mut key = Vec::new();
        json::write_bytes(name.as_bytes(), &mut key);
        key.push(b':');
        Member { key, cells: Cells::new(array, shape) }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key);
        self.cells.write(row, out);
    }
}

/// The ranges of the elements of each row.
fn ranges(array: &ArrayRef) -> (Vec<Range<usize>>, ArrayRef) {
    fn offsets<O: Copy + TryInto<usize>>(offsets: &[O]) -> Vec<Range<usize>> {
        // The array has checked that its offsets are not negative.
        let at = |o: O| o.try_into().unwrap_or(0);
        offsets.windows(2).map(|w| at(w[0])..at(w[1])).collect()
    }
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            (offsets(list.value_offsets()), list.values().clone())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            (offsets(list.value_offsets()), list.values().clone())
        }
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            let range = |i| list.value_offset(i) as usize..(list.value_offset(i) + list.value_size(i)) as usize;
            ((0..list.len()).map(range).collect(), list.values().clone())
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            let range = |i| list.value_offset(i) as usize..(list.value_offset(i) + list.value_size(i)) as usize;
            ((0..list.len()).map(range).collect(), list.values().clone())
        }
        DataType::Map(..) => (offsets(array.as_map().value_offsets()), array.as_map().values().clone()),
        _ => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(list.value_length()).unwrap_or(0);
            let range = |i: usize| i * size..(i + 1) * size;
            ((0..list.len()).map(range).collect(), list.values().clone())
        }
    }
}

impl Cells {
    fn new(array: &ArrayRef, shape: &Shape) -> Cells {
        match shape {
            Shape::Leaf(Meaning::Json) if *array.data_type() == DataType::BinaryView => Cells::Json(array.clone()),
            Shape::Leaf(_) => {
                Cells::Scalar { column: values::column(array, shape), bare: values::is_number(array.data_type()) }
            }
            Shape::Struct(nodes) => {
                let columns = array.as_struct().columns();
                let members =
                    nodes.iter().zip(columns).map(|(node, column)| Member::new(&node.name, column, &node.shape));
                Cells::Struct { members: members.collect(), array: array.clone() }
            }
            Shape::List(element) => {
                let (ranges, elements) = ranges(array);
                let elements = Box::new(Cells::new(&elements, &element.shape));
                Cells::List { array: array.clone(), ranges, elements }
            }
            Shape::Map(key, value) => {
                let (ranges, values) = ranges(array);
                let keys = values::column(array.as_map().keys(), &key.shape);
                Cells::Map { array: array.clone(), ranges, keys, values: Box::new(Cells::new(&values, &value.shape)) }
            }
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Cells::Scalar { column, .. } => column.get(row).is_null(),
            // The text `null` is no value either.
            Cells::Json(array) => {
                array.is_null(row)
                    || json::whole(array.as_binary_view().value(row)).is_ok_and(|raw| raw.shape == json::Shape::Null)
            }
            Cells::Struct { array, .. } | Cells::List { array, .. } | Cells::Map { array, .. } => array.is_null(row),
        }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match self {
            Cells::Scalar { column, bare } => scalar(column.get(row), *bare, out),
            Cells::Json(array) => {
                let text = array.as_binary_view().value(row);
                match json::whole(text) {
                    Ok(raw) => drop(json::compact(raw.text, out)),
                    Err(_) => json::write_bytes(text, out),
                }
            }
            Cells::Struct { members, .. } => {
                out.push(b'{');
                separated(0..members.len(), out, |i, out| members[i].write(row, out));
                out.push(b'}');
            }
            Cells::List { ranges, elements, .. } => {
                out.push(b'[');
                separated(ranges[row].clone(), out, |i, out| elements.write(i, out));
                out.push(b']');
            }
            Cells::Map { ranges, keys, values, .. } => {
                out.push(b'{');
                separated(ranges[row].clone(), out, |i, out| {
                    json::write_bytes(&keys.get(i).text().unwrap_or_default(), out);
                    out.push(b':');
                    values.write(i, out);
                });
                out.push(b'}');
            }
        }
    }
}

fn separated(range: Range<usize>, out: &mut Vec<u8>, mut write: impl FnMut(usize, &mut Vec<u8>)) {
    let first = range.start;
    for i in range {
        if i > first {
            out.push(b',');
        }
        write(i, out);
    }
}

fn scalar(value: ValueRef<'_>, bare: bool, out: &mut Vec<u8>) {
    match value {
        ValueRef::Text(Kind::String | Kind::Time, text) if !bare => json::write_bytes(text, out),
        ValueRef::Time(_) => json::write_bytes(&value.text().unwrap_or_default(), out),
        // Writing to a vector cannot fail.
        ValueRef::Int(n) => drop(write!(out, "{n}")),
        other => out.extend_from_slice(&other.text().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_clocks() {
        for (days, text) in [(0, "1970-01-01"), (-1, "1969-12-31"), (19_844, "2024-05-01"), (-719_528, "0000-01-01")] {
            assert_eq!(String::from_utf8_lossy(&date(days)), text);
        }
        for (since, digits, text) in
            [(0, 0, "00:00:00"), (3_723_004, 3, "01:02:03.004"), (86_399_999_999, 6, "23:59:59.999999")]
        {
            assert_eq!(String::from_utf8_lossy(&clock(since, digits)), text);
        }
    }

    #[test]
    fn uuids() {
        let bytes: Vec<u8> = (0..16).map(|i| i * 17).collect();
        assert_eq!(uuid(&bytes), b"00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(uuid(b"short"), b"short");
    }
}
