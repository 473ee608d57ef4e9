//! Values of any kind read as times of events.

use arrow::array::Array;
use backsight_engine::value::column::{Column, Kinds};
use backsight_engine::value::dictionary::Dictionary;
use backsight_engine::value::{Kind, ValueRef, time};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Reads a column as times (language reference, "Events and system fields"); null where that cannot be.
pub(super) fn read(column: Column) -> Column {
    if let Column::Time(_) = column {
        return column;
    }
    if let Column::Dict(words, dictionary) = &column {
        return of_words(words, dictionary);
    }
    // Neighbouring events mostly share their second, and text is dear to read. Where both are one entry of a dictionary
    // even their views are the same.
    let views = match &column {
        Column::Text(array, Kinds::All(Kind::String | Kind::Number)) if array.null_count() == 0 => {
            array.views().clone()
        }
        _ => Vec::new().into(),
    };
    let mut last: (Vec<u8>, Option<i64>) = (Vec::new(), None);
    let times = column.iter().enumerate().map(|(i, value)| match value {
        _ if i > 0 && views.get(i).is_some_and(|view| *view == views[i - 1]) => last.1,
        ValueRef::Time(t) => Some(t),
        ValueRef::Int(n) => Some(time::epoch(n)),
        ValueRef::Float(x) => time::epoch_float(x),
        ValueRef::Text(Kind::String | Kind::Number | Kind::Time, text) => {
            if last.0 != text {
                last.1 = time::parse(text);
                last.0.clear();
                last.0.extend_from_slice(text);
            }
            last.1
        }
        ValueRef::Null | ValueRef::Bool(_) | ValueRef::Text(..) => None,
    });
    Column::Time(times.collect::<Vec<Option<i64>>>().into())
}

/// Each word is read once, if it is in the column at all.
fn of_words(words: &[u32], dictionary: &Dictionary) -> Column {
    let (mut last, mut known) = ((Dictionary::NULL, None), HashMap::with_hasher(FixedState::default()));
    let times = words.iter().map(|word| {
        if *word != last.0 {
            let read = || match dictionary.get(*word) {
                ValueRef::Text(Kind::String | Kind::Number | Kind::Time, text) => time::parse(text),
                _ => None,
            };
            last = (*word, *known.entry(*word).or_insert_with(read));
        }
        last.1
    });
    Column::Time(times.collect::<Vec<Option<i64>>>().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use backsight_engine::value::Value;

    #[test]
    fn equal_neighbours() {
        let texts =
            ["2024-05-01T12:00:00Z", "2024-05-01T12:00:00Z", "2024-05-01T12:00:01Z", "?", "?", "2024-05-01T12:00:00Z"];
        let column: Column = texts.iter().map(Value::string).collect();
        let times: Vec<Option<i64>> = read(column).iter().map(ValueRef::timestamp).collect();
        let alone: Vec<Option<i64>> = texts.iter().map(|t| time::parse(t.as_bytes())).collect();
        assert_eq!(times, alone);
    }

    #[test]
    fn any_kind() {
        let noon = 1_714_564_800_000;
        let column: Column = [
            Value::string("2024-05-01T12:00:00Z"),
            Value::string("2024-05-01T12:00:00Z"),
            Value::Int(1_714_564_800),
            Value::Float(1_714_564_800.5),
            Value::string("01/May/2024:12:00:00 +0000"),
            Value::Null,
            Value::string("soon"),
            Value::Bool(true),
        ]
        .into_iter()
        .collect();
        let times: Vec<Option<i64>> = read(column).iter().map(ValueRef::timestamp).collect();
        // Mixed columns hold text, and a number with a fraction is one of seconds still.
        assert_eq!(times, [Some(noon), Some(noon), Some(noon), Some(noon + 500), Some(noon), None, None, None]);
    }
}
