//! The columns of a file as a tree, and the types the decoders are asked for.

use super::Damage;
use super::footer::Footer;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use ::parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use ::parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use std::ops::Range;
use std::sync::Arc;

/// A column, or a part of one.
#[derive(Debug)]
pub(super) struct Node {
    /// As in the file.
    pub name: String,
    /// The leaf columns it is made of.
    pub leaves: Range<usize>,
    /// What it is.
    pub shape: Shape,
}

/// What a [`Node`] is.
#[derive(Debug)]
pub(super) enum Shape {
    /// A leaf column.
    Leaf(Meaning),
    /// Named members.
    Struct(Vec<Node>),
    /// Elements of one type.
    List(Box<Node>),
    /// Keys and values.
    Map(Box<Node>, Box<Node>),
}

/// What the bytes of a leaf mean beyond its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing more.
    Plain,
    /// They are JSON text.
    Json,
    /// They are the sixteen bytes of a UUID.
    Uuid,
}

/// Settles the types to decode to, and gives the tree of the columns.
pub(super) fn columns(footer: &Footer) -> Result<(ArrowReaderMetadata, Vec<Node>), Damage> {
    let metadata = &footer.metadata;
    // Arrow writers store their own schema too, which tells seconds from mere integers, say. A damaged one is no loss.
    let stated = ArrowReaderMetadata::try_new(Arc::clone(metadata), ArrowReaderOptions::new()).or_else(|_| {
        ArrowReaderMetadata::try_new(Arc::clone(metadata), ArrowReaderOptions::new().with_skip_arrow_metadata(true))
    })?;
    let mut walk = Walk { schema: &footer.schema, leaf: 0 };
    let (mut fields, mut nodes) = (Vec::new(), Vec::new());
    for field in stated.schema().fields() {
        let (field, node) = walk.field(field);
        fields.push(field);
        nodes.push(node);
    }
    if walk.leaf != footer.schema.num_columns() {
        return Err(Damage::new("the schema cannot be understood"));
    }
    let wanted = Arc::new(Schema::new_with_metadata(fields, stated.schema().metadata().clone()));
    let options = ArrowReaderOptions::new().with_schema(wanted);
    Ok((ArrowReaderMetadata::try_new(Arc::clone(metadata), options)?, nodes))
}

struct Walk<'a> {
    schema: &'a SchemaDescriptor,
    /// The next leaf column.
    leaf: usize,
}

impl Walk<'_> {
    fn field(&mut self, field: &FieldRef) -> (FieldRef, Node) {
        let first = self.leaf;
        let (data_type, shape) = self.data_type(field.data_type());
        let node = Node { name: field.name().clone(), leaves: first..self.leaf, shape };
        (Arc::new(Field::clone(field).with_data_type(data_type)), node)
    }

    fn data_type(&mut self, data_type: &DataType) -> (DataType, Shape) {
        let mut list = |element: &FieldRef, make: &dyn Fn(FieldRef) -> DataType| {
            let (field, node) = self.field(element);
            (make(field), Shape::List(Box::new(node)))
        };
        match data_type {
            DataType::Struct(members) => {
                let (fields, nodes): (Vec<_>, Vec<_>) = members.iter().map(|f| self.field(f)).unzip();
                (DataType::Struct(Fields::from(fields)), Shape::Struct(nodes))
            }
            DataType::List(f) => list(f, &DataType::List),
            DataType::LargeList(f) => list(f, &DataType::LargeList),
            DataType::ListView(f) => list(f, &DataType::ListView),
            DataType::LargeListView(f) => list(f, &DataType::LargeListView),
            DataType::FixedSizeList(f, n) => list(f, &|f| DataType::FixedSizeList(f, *n)),
            DataType::Map(entries, sorted) => {
                let (field, node) = self.field(entries);
                match node.shape {
                    Shape::Struct(mut pair) if pair.len() == 2 => {
                        let value = pair.pop().expect("there are two");
                        let key = pair.pop().expect("there are two");
                        (DataType::Map(field, *sorted), Shape::Map(Box::new(key), Box::new(value)))
                    }
                    other => (DataType::Map(field, *sorted), other),
                }
            }
            leaf => {
                let column = (self.leaf < self.schema.num_columns()).then(|| self.schema.column(self.leaf));
                self.leaf += 1;
                let meaning = column.as_deref().map_or(Meaning::Plain, meaning);
                (decoded(leaf, column.as_deref()), Shape::Leaf(meaning))
            }
        }
    }
}

/// The type to decode a leaf to, given the one its writer had in mind.
fn decoded(stated: &DataType, column: Option<&ColumnDescriptor>) -> DataType {
    match stated {
        DataType::Dictionary(_, value) => decoded(value, column),
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView => DataType::BinaryView,
        // The nanoseconds of 64 bits end in 2262; the days of an INT96 do not.
        DataType::Timestamp(..) if column.is_some_and(|c| c.physical_type() == Physical::INT96) => {
            DataType::Timestamp(TimeUnit::Millisecond, None)
        }
        other => other.clone(),
    }
}

fn meaning(column: &ColumnDescriptor) -> Meaning {
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Json), _) | (None, ConvertedType::JSON) => Meaning::Json,
        (Some(LogicalType::Uuid), _) => Meaning::Uuid,
        _ => Meaning::Plain,
    }
}
