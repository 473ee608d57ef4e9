//! Which keys become columns of which type.
//!
//! A column is typed only where kind and spelling of every value come back from it; everything else is text. The types
//! are settled by a look at the first records. A later value that does not fit its column, and one of a key without a
//! column, goes to `@extra` as spelled, where look-ups by name find it: see [`super::columns`].

use super::block::{Block, Row};
use super::slot::Slot;
use ::parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::{SchemaDescriptor, Type as ParquetType};
use arrow::datatypes::{DataType, Field as ArrowField, Schema as ArrowSchema, SchemaRef, TimeUnit as ArrowUnit};
use backsight_engine::value::json::{self, Shape};
use backsight_engine::value::number;
use foldhash::fast::{FixedState, RandomState};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Type {
    /// Strings.
    Text,
    /// Integers, as an `i64` is printed; also those that are tokens of lines, where they are text.
    Int,
    /// Floats, as an `f64` is printed.
    Float,
    /// `true` and `false`.
    Bool,
    /// Strings that are UUIDs in small letters: sixteen bytes.
    Uuid,
    /// Lists and maps, as spelled.
    Json,
    /// Values of several kinds: text, with the kinds in a column beside it.
    Mixed,
}

/// A key and its column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Field {
    /// The key in the record.
    pub key: Box<str>,
    /// The column's name: the key, with one more `@` before it if it starts with one.
    pub name: String,
    pub ty: Type,
    /// Values are many and looked for one by one.
    pub bloom: bool,
    /// Hardly any two records have the same.
    pub id: bool,
}

/// The columns that every archive has, before those of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum System {
    Timestamp,
    Log,
    LogStream,
    Input,
    Seq,
    Gap,
    Direct,
    Layout,
    Text,
    Bytes,
    Extra,
    Lead,
    Before,
    Preamble,
    Pointer,
}

impl System {
    /// All of them, in the order of the columns.
    pub(crate) const ALL: [System; 15] = [
        System::Timestamp,
        System::Log,
        System::LogStream,
        System::Input,
        System::Seq,
        System::Gap,
        System::Direct,
        System::Layout,
        System::Text,
        System::Bytes,
        System::Extra,
        System::Lead,
        System::Before,
        System::Preamble,
        System::Pointer,
    ];

    /// Number of them.
    pub(crate) const COUNT: usize = System::ALL.len();

    /// Name of the column.
    pub(crate) fn name(self) -> &'static str {
        match self {
            System::Timestamp => "@timestamp",
            System::Log => "@log",
            System::LogStream => "@logStream",
            System::Input => "@input",
            System::Seq => "@seq",
            System::Gap => "@gap",
            System::Direct => "@direct",
            System::Layout => "@layout",
            System::Text => "@text",
            System::Bytes => "@bytes",
            System::Extra => "@extra",
            System::Lead => "@lead",
            System::Before => "@before",
            System::Preamble => "@preamble",
            System::Pointer => "@pointer",
        }
    }

    /// Its form.
    fn leaf(self) -> Leaf {
        let number = Leaf { data: DataType::Int64, physical: Physical::INT64, logical: None, required: true };
        let bytes = Leaf { data: DataType::BinaryView, physical: Physical::BYTE_ARRAY, logical: None, required: false };
        match self {
            System::Timestamp => Leaf {
                data: DataType::Timestamp(ArrowUnit::Millisecond, Some("UTC".into())),
                logical: Some(LogicalType::timestamp(true, TimeUnit::MILLIS)),
                required: false,
                ..number
            },
            System::Log | System::LogStream => Leaf { logical: Some(LogicalType::String), required: true, ..bytes },
            System::Input => Leaf { data: DataType::Int32, physical: Physical::INT32, ..number },
            System::Seq | System::Gap => number,
            System::Direct => Leaf { data: DataType::Boolean, physical: Physical::BOOLEAN, ..number },
            System::Layout | System::Text | System::Before | System::Pointer => {
                Leaf { logical: Some(LogicalType::String), ..bytes }
            }
            System::Extra => Leaf { logical: Some(LogicalType::Json), ..bytes },
            System::Bytes | System::Lead | System::Preamble => bytes,
        }
    }
}

/// A leaf column.
struct Leaf {
    data: DataType,
    physical: Physical,
    logical: Option<LogicalType>,
    required: bool,
}

/// What stands before the name in that of a column of kinds.
pub(crate) const KIND: &str = "@kind.";

/// The columns of an archive's files.
#[derive(Debug)]
pub(crate) struct Schema {
    pub fields: Vec<Field>,
    /// The field of a key.
    by_key: HashMap<Box<[u8]>, usize>,
    pub arrow: SchemaRef,
    pub parquet: Arc<SchemaDescriptor>,
}

/// Columns of keys, at most. Keys beyond are in `@extra`.
const MAX_FIELDS: usize = 1000;

/// Values of a key looked at to settle its type.
const SEEN: usize = 100_000;

impl Schema {
    /// The schema for records like these, with the fields known before.
    pub(crate) fn of<'b>(
        known: &[Field],
        records: impl Iterator<Item = (&'b Block, &'b Row)>,
    ) -> Result<Schema, ParquetError> {
        let mut keys = Keys::default();
        let mut rows = 0usize;
        for (block, row) in records {
            keys.add(block, row);
            rows += 1;
        }
        let mut fields = known.to_vec();
        let mut new: Vec<(usize, Box<[u8]>, Seen)> =
            keys.order.into_iter().filter(|(_, key, _)| !known.iter().any(|f| f.key.as_bytes() == &**key)).collect();
        // Few records having a key is no reason against a column, many keys are: the most frequent come first.
        new.sort_by_key(|(_, _, seen)| usize::MAX - seen.count);
        new.truncate(MAX_FIELDS.saturating_sub(fields.len()));
        // A column in ten thousand records, or that is one of few, is worth its place.
        new.retain(|(_, _, seen)| seen.count * 10_000 >= rows);
        new.sort_by_key(|(place, ..)| *place);
        fields.extend(new.into_iter().filter_map(|(_, key, seen)| seen.field(key)));
        Schema::new(fields)
    }

    /// The schema of these fields.
    pub(crate) fn new(fields: Vec<Field>) -> Result<Schema, ParquetError> {
        let mut arrow = Vec::new();
        let mut parquet = Vec::new();
        let mut add = |name: &str, data: DataType, physical, logical, required: bool, length| {
            arrow.push(ArrowField::new(name, data, !required));
            let repetition = if required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
            let made = ParquetType::primitive_type_builder(name, physical)
                .with_logical_type(logical)
                .with_repetition(repetition)
                .with_length(length)
                .build()?;
            parquet.push(Arc::new(made));
            Ok::<_, ParquetError>(())
        };
        for column in System::ALL {
            let leaf = column.leaf();
            add(column.name(), leaf.data, leaf.physical, leaf.logical, leaf.required, 0)?;
        }
        for field in &fields {
            let (data, physical, logical, length) = match field.ty {
                Type::Text | Type::Mixed => (DataType::BinaryView, Physical::BYTE_ARRAY, Some(LogicalType::String), 0),
                Type::Json => (DataType::BinaryView, Physical::BYTE_ARRAY, Some(LogicalType::Json), 0),
                Type::Int => (DataType::Int64, Physical::INT64, None, 0),
                Type::Float => (DataType::Float64, Physical::DOUBLE, None, 0),
                Type::Bool => (DataType::Boolean, Physical::BOOLEAN, None, 0),
                Type::Uuid => {
                    (DataType::FixedSizeBinary(16), Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid), 16)
                }
            };
            add(&field.name, data, physical, logical, false, length)?;
        }
        for field in fields.iter().filter(|f| f.ty == Type::Mixed) {
            let name = format!("{KIND}{}", field.name);
            add(&name, DataType::Int32, Physical::INT32, None, false, 0)?;
        }
        let root = ParquetType::group_type_builder("events").with_fields(parquet).build()?;
        let by_key = fields.iter().enumerate().map(|(i, f)| (Box::from(f.key.as_bytes()), i)).collect();
        Ok(Schema {
            fields,
            by_key,
            arrow: Arc::new(ArrowSchema::new(arrow)),
            parquet: Arc::new(SchemaDescriptor::new(Arc::new(root))),
        })
    }

    /// True for a column of ids.
    pub(crate) fn is_id(&self, column: usize) -> bool {
        column.checked_sub(System::COUNT).and_then(|n| self.fields.get(n)).is_some_and(|field| field.id)
    }

    /// True for a key without a column that could have one.
    pub(crate) fn is_stranger(&self, key: &[u8]) -> bool {
        self.fields.len() < MAX_FIELDS && self.field(key).is_none() && column_name(key).is_some()
    }

    /// The field of a key.
    pub(crate) fn field(&self, key: &[u8]) -> Option<usize> {
        self.by_key.get(key).copied()
    }
}

/// The column a key of the data has, if it may have one.
pub(crate) fn column_name(key: &[u8]) -> Option<String> {
    let name = str::from_utf8(key).ok().filter(|name| !name.is_empty() && !name.contains(char::is_control))?;
    Some(if name.starts_with('@') { format!("@{name}") } else { name.to_owned() })
}

/// The keys of records, in the order in which they were met.
#[derive(Default)]
struct Keys {
    places: HashMap<Box<[u8]>, usize, RandomState>,
    order: Vec<(usize, Box<[u8]>, Seen)>,
}

impl Keys {
    fn add(&mut self, block: &Block, row: &Row) {
        let Some(layout) = block.layout(row).filter(|layout| !layout.is_text) else { return };
        for (value, key) in layout.keys.iter().enumerate() {
            let slot = &block.slot(row, value);
            let place = match self.places.get(key) {
                Some(place) => *place,
                None => {
                    let place = self.order.len();
                    self.places.insert(key.clone(), place);
                    self.order.push((place, key.clone(), Seen::default()));
                    place
                }
            };
            self.order[place].2.add(slot, &block.data);
        }
    }
}

/// What is known of the values of a key.
#[derive(Default)]
struct Seen {
    count: usize,
    strings: usize,
    uuids: usize,
    ints: usize,
    floats: usize,
    numbers: usize,
    bools: usize,
    nested: usize,
    nulls: usize,
    /// Tokens that say that there is no value.
    dashes: usize,
    /// Hashes of strings.
    distinct: HashSet<u64, RandomState>,
    bytes: usize,
}

impl Seen {
    fn add(&mut self, slot: &Slot, data: &[u8]) {
        self.count += 1;
        if self.count > SEEN {
            return;
        }
        let text = slot.text(data);
        match slot.shape {
            Shape::Null => self.nulls += 1,
            Shape::Bool => self.bools += 1,
            Shape::List { .. } | Shape::Map { .. } => self.nested += 1,
            Shape::Number => {
                self.numbers += 1;
                self.ints += usize::from(int(text).is_some());
                self.floats += usize::from(float(text).is_some());
            }
            Shape::String { .. } => {
                self.strings += 1;
                self.bytes += text.len();
                self.uuids += usize::from(uuid(slot.string(data)).is_some());
                self.ints += usize::from(slot.is_token && int(text).is_some());
                self.dashes += usize::from(slot.is_token && text == b"-");
                self.distinct.insert(hash(text));
            }
        }
    }

    fn field(&self, key: Box<[u8]>) -> Option<Field> {
        let seen = self.count.min(SEEN) - self.nulls;
        let ty = match seen {
            // Nothing but nulls so far.
            0 => Type::Text,
            n if self.uuids == n => Type::Uuid,
            n if self.strings == n && self.ints > 0 && self.ints + self.dashes == n && !is_name(&key) => Type::Int,
            n if self.strings == n => Type::Text,
            n if self.ints == n => Type::Int,
            n if self.floats == n => Type::Float,
            n if self.bools == n => Type::Bool,
            n if self.nested == n => Type::Json,
            _ => Type::Mixed,
        };
        // Values that mostly differ, or a good many: ids, addresses, principals.
        let many = self.distinct.len() >= 1000 || self.distinct.len() * 2 > seen;
        let bloom =
            ty == Type::Uuid || ty == Type::Text && many && seen > 100 && self.bytes / self.strings.max(1) <= 200;
        let id = bloom && self.distinct.len() * 10 > seen * 9;
        Some(Field { name: column_name(&key)?, key: str::from_utf8(&key).ok()?.into(), ty, bloom, id })
    }
}

/// True for keys of things that are called by digits, of which the first may be zeros.
fn is_name(key: &[u8]) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with(b"id") || memchr::memmem::find(&key, b"account").is_some()
}

fn hash(text: &[u8]) -> u64 {
    FixedState::default().hash_one(text)
}

/// The integer that is printed like this.
pub(crate) fn int(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !plain {
        return None;
    }
    if digits.len() > 18 {
        return str::from_utf8(text).ok()?.parse().ok();
    }
    let n = digits.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0'));
    Some(if digits.len() < text.len() { -n } else { n })
}

/// The float that is printed like this.
pub(crate) fn float(text: &[u8]) -> Option<f64> {
    let x: f64 = str::from_utf8(text).ok()?.parse().ok()?;
    (x.is_finite()
        && number::float_text(x).as_bytes() == text
        && json::number_kind(text) == backsight_engine::value::Kind::Number)
        .then_some(x)
}

/// The bytes of a UUID written as `8-4-4-4-12` small hexadecimal digits.
#[inline]
pub(crate) fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let four = |at: usize| u64::from(u32::from_le_bytes([text[at], text[at + 1], text[at + 2], text[at + 3]]));
    let eight = |first: usize, second: usize| four(first) | four(second) << 32;
    let mut out = [0; 16];
    let mut faults = 0;
    for (bytes, (first, second)) in out.as_chunks_mut().0.iter_mut().zip([(0, 4), (9, 14), (19, 24), (28, 32)]) {
        let (word, others) = hexadecimal(eight(first, second));
        *bytes = word.to_le_bytes();
        faults |= others;
    }
    (faults == 0).then_some(out)
}

/// The four bytes that eight small hexadecimal digits stand for, all digits at once: eight bytes of a word. Beside it bits for
/// all that is none.
#[inline]
fn hexadecimal(text: u64) -> (u32, u64) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let letters = text >> 6 & ONES;
    let digits = (text & (0x0f * ONES)) + 9 * letters;
    // Written again they must be the same: `0` to `9` from 0x30, `a` to `f` from 0x57 + 10.
    let again = digits + 0x30 * ONES + 0x27 * letters;
    let from_ten = (digits + 6 * ONES) >> 4 & ONES;
    let faults = (again ^ text) | (from_ten ^ letters) | digits & (0xf0 * ONES);
    let pairs = (digits << 4 | digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let pairs = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    ((pairs | pairs >> 16) as u32, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_back_is_typed() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("-0", None),
            ("01", None),
            ("1.0", None),
            ("1e3", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(int(text.as_bytes()), expected, "{text}");
        }
        for (text, expected) in
            [("0.5", Some(0.5)), ("0.10", None), ("1e400", None), ("-2.25", Some(-2.25)), ("NaN", None)]
        {
            assert_eq!(float(text.as_bytes()), expected, "{text}");
        }
        let id = "0293ed93-d9da-143e-084f-d80a3f27823b";
        assert_eq!(uuid(id.as_bytes()).map(|b| b[0]), Some(2));
        for bad in [&id.to_uppercase(), &id[1..], &id.replace('-', "_"), &id.replace('9', "g"), ""] {
            assert_eq!(uuid(bad.as_bytes()), None, "{bad}");
        }
        let bytes = [2, 147, 237, 147, 217, 218, 20, 62, 8, 79, 216, 10, 63, 39, 130, 59];
        assert_eq!(uuid(id.as_bytes()), Some(bytes));
        for at in 0..id.len() {
            for byte in 0..=255 {
                let mut text = id.as_bytes().to_vec();
                text[at] = byte;
                let good = if id.as_bytes()[at] == b'-' { byte == b'-' } else { b"0123456789abcdef".contains(&byte) };
                assert_eq!(uuid(&text).is_some(), good, "{at} {byte}");
            }
        }
    }
}
