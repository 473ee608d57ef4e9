//! A column in parts, of which cells are picked in any order: words stay words of their dictionary, and texts stay where
//! they lie, as long as that is in few places.

use super::column::{Column, ColumnBuilder, Kinds};
use super::dictionary::Dictionary;
use super::{Kind, Value, ValueRef};
use arrow::array::{Array, BinaryViewArray, Int64Array};
use arrow::buffer::{Buffer, NullBuffer};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The parts, and what they have in common.
pub(crate) struct Parts<'c> {
    parts: Vec<Option<Cow<'c, Column>>>,
    form: Form,
}

/// What all parts are, or nulls.
enum Form {
    Nulls,
    Words(Arc<Dictionary>),
    /// The buffers of all parts, and for each part which of them its own are; the kind of all texts, if it is one.
    Texts(Arc<[Buffer]>, Vec<Vec<u32>>, Option<Kind>),
    /// None of them null.
    Ints,
    Times,
    Cells,
}

/// Buffers that texts may lie in, to stay there: who gets the column looks at each of them.
const MOST: usize = 1 << 12;

/// Longest text that stands in its view.
const INLINE: u32 = 12;

impl<'c> Parts<'c> {
    /// A part that is nothing has a null wherever a cell is picked of it.
    pub fn new(parts: Vec<Option<&'c Column>>) -> Parts<'c> {
        let mut parts: Vec<Option<Cow<'c, Column>>> = parts.into_iter().map(|part| part.map(Cow::Borrowed)).collect();
        if parts.iter().flatten().any(|part| matches!(**part, Column::Text(..))) {
            // The first texts of a column may be words, before it was seen that they do not repeat.
            for part in parts.iter_mut().flatten().filter(|part| matches!(***part, Column::Dict(..))) {
                *part = Cow::Owned(part.iter().collect::<ColumnBuilder>().finish());
            }
        }
        let form = Form::of(&parts.iter().map(Option::as_deref).collect::<Vec<_>>());
        Parts { parts, form }
    }

    /// All cells, of parts of so many rows.
    pub fn all(&self, rows: impl Iterator<Item = usize> + Clone) -> Column {
        let of_part = |(part, rows): (usize, usize)| (0..rows).map(move |at| (part, at));
        self.pick(rows.clone().sum(), rows.enumerate().flat_map(of_part))
    }

    /// So many cells, named by part and place.
    pub fn pick(&self, count: usize, cells: impl Iterator<Item = (usize, usize)> + Clone) -> Column {
        match &self.form {
            Form::Nulls => Column::null(count),
            Form::Words(dictionary) => {
                let word = |(part, at): (usize, usize)| match self.part(part) {
                    Some(Column::Dict(words, _)) => words[at],
                    _ => Dictionary::NULL,
                };
                Column::Dict(cells.map(word).collect(), Arc::clone(dictionary))
            }
            Form::Texts(buffers, numbers, kind) => self.texts(cells, buffers, numbers, *kind),
            Form::Ints => Column::Int(self.longs(cells)),
            Form::Times => Column::Time(self.longs(cells)),
            Form::Cells => {
                let mut out = ColumnBuilder::with_capacity(count);
                let cell = |(part, at): (usize, usize)| self.part(part).map_or(ValueRef::Null, |part| part.get(at));
                cells.for_each(|place| out.push(cell(place)));
                out.finish()
            }
        }
    }

    #[inline]
    fn part(&self, part: usize) -> Option<&Column> {
        self.parts[part].as_deref()
    }

    fn longs(&self, cells: impl Iterator<Item = (usize, usize)>) -> Int64Array {
        let long = |(part, at): (usize, usize)| match self.part(part) {
            Some(Column::Int(longs) | Column::Time(longs)) => longs.values()[at],
            _ => 0,
        };
        cells.map(long).collect::<Vec<i64>>().into()
    }

    fn texts(
        &self,
        cells: impl Iterator<Item = (usize, usize)> + Clone,
        buffers: &Arc<[Buffer]>,
        numbers: &[Vec<u32>],
        kind: Option<Kind>,
    ) -> Column {
        let text = |part: usize, at: usize| match self.part(part) {
            Some(Column::Text(array, kinds)) if array.is_valid(at) => Some((array.views()[at], kinds)),
            _ => None,
        };
        let view = |(part, at): (usize, usize)| match text(part, at) {
            Some((view, _)) if view as u32 > INLINE => {
                let number = numbers[part][(view >> 64) as u32 as usize];
                view & !(u128::from(u32::MAX) << 64) | u128::from(number) << 64
            }
            Some((view, _)) => view,
            None => 0,
        };
        let views: Vec<u128> = cells.clone().map(view).collect();
        let nulls: NullBuffer = cells.clone().map(|(part, at)| text(part, at).is_some()).collect();
        let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
        let of = |(part, at): (usize, usize)| text(part, at).map_or(Kind::String, |(_, kinds)| kinds.get(at));
        let kinds = kind.map_or_else(|| Kinds::Each(cells.map(of).collect()), Kinds::All);
        // SAFETY: a view is that of a valid array, short, or with the number that `of_texts` gave the same buffer among
        // `buffers` in place of its number there; place and length are as they were. A null's is that of an empty text.
        let array = unsafe { BinaryViewArray::new_unchecked(views.into(), Arc::clone(buffers), nulls) };
        Column::Text(array, kinds)
    }
}

impl Form {
    fn of(parts: &[Option<&Column>]) -> Form {
        let there = || parts.iter().flatten().filter(|part| !matches!(part, Column::Const(Value::Null, _)));
        let all_there = there().count() == parts.len();
        match there().next() {
            None => Form::Nulls,
            Some(Column::Dict(_, dictionary)) => {
                let is_it = |part: &&Column| matches!(part, Column::Dict(_, other) if other.id() == dictionary.id());
                if there().all(is_it) { Form::Words(Arc::clone(dictionary)) } else { Form::Cells }
            }
            Some(Column::Text(..)) => Form::of_texts(parts).unwrap_or(Form::Cells),
            Some(Column::Int(_)) if all_there && there().all(is_plain_int) => Form::Ints,
            Some(Column::Time(_)) if all_there && there().all(is_plain_time) => Form::Times,
            Some(_) => Form::Cells,
        }
    }

    fn of_texts(parts: &[Option<&Column>]) -> Option<Form> {
        let mut number_of: HashMap<(*const u8, usize), u32> = HashMap::new();
        let (mut buffers, mut numbers) = (Vec::new(), Vec::new());
        let (mut kind, mut same) = (None, true);
        for part in parts {
            let mut of_part = Vec::new();
            match part {
                Some(Column::Text(array, kinds)) => {
                    for buffer in array.data_buffers().iter() {
                        let number = number_of.entry((buffer.as_ptr(), buffer.len())).or_insert_with(|| {
                            buffers.push(buffer.clone());
                            buffers.len() as u32 - 1
                        });
                        of_part.push(*number);
                    }
                    match kinds {
                        Kinds::All(of) => same &= *kind.get_or_insert(*of) == *of,
                        Kinds::Each(_) => same = false,
                    }
                }
                None | Some(Column::Const(Value::Null, _)) => {}
                Some(_) => return None,
            }
            if buffers.len() > MOST {
                return None;
            }
            numbers.push(of_part);
        }
        Some(Form::Texts(buffers.into(), numbers, kind.filter(|_| same)))
    }
}

fn is_plain_int(column: &&Column) -> bool {
    matches!(column, Column::Int(longs) if longs.null_count() == 0)
}

fn is_plain_time(column: &&Column) -> bool {
    matches!(column, Column::Time(longs) if longs.null_count() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[Value]) -> Column {
        texts.iter().cloned().collect()
    }

    #[test]
    fn what_is_picked_is_what_was_there() {
        let words = Arc::new(Dictionary::default());
        ["a", "b", "c"].iter().for_each(|word| {
            words.push(Kind::String, word.as_bytes());
        });
        let other = Dictionary::default();
        other.push(Kind::String, b"z");
        let dict = |of: &[u32]| Column::Dict(of.to_vec().into(), Arc::clone(&words));
        let long = |text: &str| Value::string(format!("{text}, and more than twelve bytes of it"));
        let number = Value::Text(Kind::Number, b"1234567890123456".as_slice().into());
        let many: Vec<Column> = (0..MOST + 2).map(|n| texts(&[long(&n.to_string()), Value::Null])).collect();
        let (nulls, constant) = (Column::null(2), Column::Const(Value::Int(5), 2));
        let sets: [Vec<Column>; 10] = [
            vec![dict(&[1, 0]), nulls.clone(), dict(&[3, 2])],
            vec![dict(&[1, 0]), Column::Dict(vec![0, 1].into(), Arc::new(other))],
            vec![texts(&[long("x"), Value::string("y")]), nulls.clone(), texts(&[Value::Null, long("z")])],
            vec![dict(&[1, 0]), texts(&[long("x"), number.clone()]), nulls.clone()],
            vec![texts(&[long("x"), number.clone()]), texts(&[number.clone(), number])],
            vec![Column::Int(vec![1, 2].into()), Column::Int(vec![3, 4].into())],
            vec![Column::Time(vec![1, 2].into()), Column::Time(vec![Some(3), None].into())],
            vec![Column::Int(vec![1, 2].into()), nulls.clone(), constant],
            vec![nulls.clone(), nulls],
            many,
        ];
        for set in &sets {
            let mut parts: Vec<Option<&Column>> = set.iter().map(Some).collect();
            parts.push(None);
            let places: Vec<(usize, usize)> = (0..parts.len() * 4).map(|n| (n * 7 % parts.len(), n / 3 % 2)).collect();
            let picked = Parts::new(parts.clone()).pick(places.len(), places.iter().copied());
            let expected = places.iter().map(|(part, at)| parts[*part].map_or(ValueRef::Null, |part| part.get(*at)));
            let shown = |cells: Vec<ValueRef<'_>>| cells.iter().map(|cell| format!("{cell:?}")).collect::<Vec<_>>();
            assert_eq!(shown(picked.iter().collect()), shown(expected.collect()));
            if let Column::Text(array, _) = &picked {
                array.to_data().validate_full().expect("sound");
            }
        }
    }
}
