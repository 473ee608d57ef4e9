//! Decoded columns as the engine's columns.
//!
//! Text stays where the decoder put it. Types the engine has are passed on; the others become their text.

use super::schema::{Meaning, Shape};
use super::text;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryViewArray, Float64Array, Int64Array};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use backsight_engine::value::column::{Column, ColumnBuilder, Kinds, TextBuilder};
use backsight_engine::value::{Kind, ValueRef, json, number};

/// The cells of a decoded column.
pub(super) fn column(array: &ArrayRef, shape: &Shape) -> Column {
    match shape {
        Shape::Leaf(meaning) => leaf(array, *meaning),
        _ => text::nested(array, shape),
    }
}

fn leaf(array: &ArrayRef, meaning: Meaning) -> Column {
    macro_rules! ints {
        ($type:ty) => {
            ints::<$type>(array, |n| Some(n.into()), Column::Int)
        };
    }
    macro_rules! times {
        ($type:ty, $to:expr) => {
            ints::<$type>(array, $to, Column::Time)
        };
    }
    macro_rules! texts {
        ($type:ty, $to:expr) => {
            texts(array.as_primitive::<$type>().iter(), $to)
        };
    }
    match array.data_type() {
        DataType::Null => Column::null(array.len()),
        _ if array.null_count() == array.len() => Column::null(array.len()),
        DataType::BinaryView if meaning == Meaning::Json => json_text(array.as_binary_view()),
        DataType::BinaryView => Column::Text(array.as_binary_view().clone(), Kinds::All(Kind::String)),
        DataType::FixedSizeBinary(_) => {
            let to = if meaning == Meaning::Uuid { text::uuid } else { <[u8]>::to_vec };
            texts(array.as_fixed_size_binary().iter(), |bytes| Some((Kind::String, to(bytes))))
        }
        DataType::Boolean => Column::Bool(array.as_boolean().clone()),
        DataType::Int8 => ints!(Int8Type),
        DataType::Int16 => ints!(Int16Type),
        DataType::Int32 => ints!(Int32Type),
        DataType::Int64 => Column::Int(array.as_primitive::<Int64Type>().clone()),
        DataType::UInt8 => ints!(UInt8Type),
        DataType::UInt16 => ints!(UInt16Type),
        DataType::UInt32 => ints!(UInt32Type),
        DataType::UInt64 => large(array),
        DataType::Float16 => floats(array.as_primitive::<Float16Type>().iter(), |x| short(x.to_f32())),
        DataType::Float32 => floats(array.as_primitive::<Float32Type>().iter(), short),
        DataType::Float64 => floats(array.as_primitive::<Float64Type>().iter(), |x| x),
        DataType::Timestamp(TimeUnit::Second, _) => times!(TimestampSecondType, |t: i64| t.checked_mul(1000)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => times!(TimestampMillisecondType, Some),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            times!(TimestampMicrosecondType, |t: i64| Some(t.div_euclid(1000)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            times!(TimestampNanosecondType, |t: i64| Some(t.div_euclid(1_000_000)))
        }
        DataType::Date32 => texts!(Date32Type, |days| Some((Kind::String, text::date(days.into())))),
        DataType::Date64 => {
            texts!(Date64Type, |ms: i64| Some((Kind::String, text::date(ms.div_euclid(86_400_000)))))
        }
        DataType::Time32(TimeUnit::Second) => {
            texts!(Time32SecondType, |t| Some((Kind::String, text::clock(t.into(), 0))))
        }
        DataType::Time32(_) => texts!(Time32MillisecondType, |t| Some((Kind::String, text::clock(t.into(), 3)))),
        DataType::Time64(TimeUnit::Microsecond) => {
            texts!(Time64MicrosecondType, |t| Some((Kind::String, text::clock(t, 6))))
        }
        DataType::Time64(_) => texts!(Time64NanosecondType, |t| Some((Kind::String, text::clock(t, 9)))),
        other => displayed(array, other.is_decimal()),
    }
}

/// Whether the text of a column's cells is that of numbers, also where it is kept as a string for its size.
pub(super) fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_floating() || data_type.is_decimal()
}

fn ints<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    to: impl Fn(T::Native) -> Option<i64>,
    make: impl Fn(Int64Array) -> Column,
) -> Column {
    make(array.as_primitive::<T>().unary_opt(to))
}

/// Unsigned integers; those beyond 64 bits with a sign are text, as such numbers are in JSON.
fn large(array: &ArrayRef) -> Column {
    let array = array.as_primitive::<UInt64Type>();
    if array.iter().flatten().all(|n| i64::try_from(n).is_ok()) {
        return Column::Int(array.unary_opt(|n| i64::try_from(n).ok()));
    }
    let mut out = ColumnBuilder::with_capacity(array.len());
    for n in array.iter() {
        match n.map(i64::try_from) {
            None => out.push(ValueRef::Null),
            Some(Ok(n)) => out.push(ValueRef::Int(n)),
            Some(Err(_)) => out.push(ValueRef::string(&n.unwrap_or_default().to_string())),
        }
    }
    out.finish()
}

fn floats<N>(cells: impl Iterator<Item = Option<N>>, to: impl Fn(N) -> f64) -> Column {
    Column::Float(cells.map(|x| x.map(&to).filter(|x| x.is_finite())).collect::<Float64Array>())
}

/// The double whose shortest text is the shortest text of the float: 0.1, not 0.10000000149011612.
fn short(x: f32) -> f64 {
    if x.fract() == 0.0 && x.abs() < 16_777_216.0 {
        return x.into();
    }
    x.to_string().parse().unwrap_or(f64::NAN)
}

fn texts<C>(cells: impl Iterator<Item = Option<C>>, to: impl Fn(C) -> Option<(Kind, Vec<u8>)>) -> Column {
    let mut out = TextBuilder::default();
    for cell in cells {
        match cell.and_then(&to) {
            Some((kind, text)) => out.push_text(kind, &text),
            None => out.push(ValueRef::Null),
        }
    }
    out.finish()
}

/// Columns of JSON text: each cell is the value it spells; text that is not JSON stays a string.
fn json_text(array: &BinaryViewArray) -> Column {
    let mut out = TextBuilder::default();
    for cell in array.iter() {
        match cell.map(|text| (json::whole(text), text)) {
            None => out.push(ValueRef::Null),
            Some((Err(_), text)) => out.push_text(Kind::String, text),
            Some((Ok(raw), _)) => match raw.canonical() {
                Some((kind, text)) => out.push_text(kind, &text),
                None => out.push(ValueRef::Null),
            },
        }
    }
    out.finish()
}

/// Decimals, exactly, and whatever else there is, as Arrow prints it.
fn displayed(array: &ArrayRef, decimal: bool) -> Column {
    let options = FormatOptions::default().with_display_error(true);
    let Ok(formatter) = ArrayFormatter::try_new(array.as_ref(), &options) else { return Column::null(array.len()) };
    let cells = (0..array.len()).map(|i| array.is_valid(i).then_some(i));
    texts(cells, |i| {
        let text = formatter.value(i).to_string().into_bytes();
        let kind = if decimal && number::numeric(&text).is_some() { json::number_kind(&text) } else { Kind::String };
        Some((kind, text))
    })
}
