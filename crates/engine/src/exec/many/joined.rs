//! Batches of a scan put together before the plans look at them: what a plan does once a batch, however few of its rows
//! it wants, it then does less often.

use crate::exec::hashes::is_same;
use crate::value::Value;
use crate::value::column::{Batch, Column, Kinds, Positions};
use crate::value::dictionary::Dictionary;
use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{Float64Type, Int64Type};
use std::sync::Arc;

/// Batches to be joined, in order.
#[derive(Default)]
pub(super) struct Joined {
    parts: Vec<Batch>,
    rows: usize,
}

/// Rows after which a batch is large enough.
const ROWS: usize = 16 << 10;

/// Batches joined at most: each may keep a piece of the input alive, however few of its rows are left.
const PARTS: usize = 32;

impl Joined {
    /// Takes a batch, and gives those before it if it cannot be joined to them, or they are enough.
    pub fn add(&mut self, batch: Batch) -> Option<Batch> {
        if batch.rows == 0 {
            return None;
        }
        let room = self.rows < ROWS && self.parts.len() < PARTS;
        let goes_on = room && self.parts.iter().all(|part| may_join(part, &batch));
        let before = if goes_on { None } else { self.finish() };
        self.rows += batch.rows;
        self.parts.push(batch);
        before
    }

    /// All that is left, if there is anything.
    pub fn finish(&mut self) -> Option<Batch> {
        let (parts, rows) = (std::mem::take(&mut self.parts), std::mem::take(&mut self.rows));
        let [first, _, ..] = parts.as_slice() else { return parts.into_iter().next() };
        let mut columns: Vec<Column> = Vec::with_capacity(first.columns.len());
        for at in 0..first.columns.len() {
            // One field often has several names.
            let is_it = |before: &usize| parts.iter().all(|part| is_same(&part.columns[*before], &part.columns[at]));
            columns.push(match (0..at).find(is_it) {
                Some(before) => columns[before].clone(),
                None => join(&parts.iter().map(|part| &part.columns[at]).collect::<Vec<_>>(), rows),
            });
        }
        let positions = parts.iter().flat_map(|part| part.positions.iter());
        Some(Batch { columns, rows, positions: Positions::Far(positions.collect()) })
    }
}

/// Whether a batch can stand behind another in one.
fn may_join(before: &Batch, behind: &Batch) -> bool {
    before.columns.len() == behind.columns.len()
        && before.columns.iter().zip(&behind.columns).all(|(a, b)| match (a, b) {
            (Column::Const(a, _), Column::Const(b, _)) => {
                let (a, b) = (a.as_ref(), b.as_ref());
                a.kind() == b.kind() && a.text() == b.text()
            }
            (Column::Const(Value::Null, _), _) | (_, Column::Const(Value::Null, _)) => true,
            (Column::Dict(_, a), Column::Dict(_, b)) => a.id() == b.id(),
            (Column::Text(..), Column::Text(..))
            | (Column::Int(_), Column::Int(_))
            | (Column::Float(_), Column::Float(_))
            | (Column::Bool(_), Column::Bool(_))
            | (Column::Time(_), Column::Time(_)) => true,
            _ => false,
        })
}

/// Columns of one field, of `rows` rows, one after another.
fn join(parts: &[&Column], rows: usize) -> Column {
    let Some(filled) = parts.iter().find(|part| !matches!(part, Column::Const(Value::Null, _))) else {
        return Column::null(rows);
    };
    match filled {
        Column::Const(value, _) => Column::Const(value.clone(), rows),
        Column::Dict(_, dictionary) => {
            let mut words = Vec::with_capacity(rows);
            for part in parts {
                match part {
                    Column::Dict(of, _) => words.extend_from_slice(of),
                    nulls => words.resize(words.len() + nulls.len(), Dictionary::NULL),
                }
            }
            Column::Dict(words.into(), Arc::clone(dictionary))
        }
        Column::Int(_) => Column::Int(arrays(parts, filled).as_primitive::<Int64Type>().clone()),
        Column::Time(_) => Column::Time(arrays(parts, filled).as_primitive::<Int64Type>().clone()),
        Column::Float(_) => Column::Float(arrays(parts, filled).as_primitive::<Float64Type>().clone()),
        Column::Bool(_) => Column::Bool(arrays(parts, filled).as_boolean().clone()),
        Column::Text(_, kinds) => {
            let same = parts.iter().all(|part| !matches!(part, Column::Text(_, of) if of != kinds));
            let kinds = match kinds {
                Kinds::All(kind) if same => Kinds::All(*kind),
                one => {
                    let first = one.get(0);
                    Kinds::Each(
                        parts
                            .iter()
                            .flat_map(|part| {
                                (0..part.len()).map(move |i| match part {
                                    Column::Text(_, kinds) => kinds.get(i),
                                    _ => first,
                                })
                            })
                            .collect(),
                    )
                }
            };
            Column::Text(arrays(parts, filled).as_binary_view().clone(), kinds)
        }
    }
}

/// The cells as one array; nulls where a column has no type, else that of `filled`.
fn arrays(parts: &[&Column], filled: &Column) -> ArrayRef {
    let array = |column: &Column| -> Option<ArrayRef> {
        Some(match column {
            Column::Text(a, _) => Arc::new(a.clone()),
            Column::Int(a) | Column::Time(a) => Arc::new(a.clone()),
            Column::Float(a) => Arc::new(a.clone()),
            Column::Bool(a) => Arc::new(a.clone()),
            Column::Const(..) | Column::Dict(..) => return None,
        })
    };
    let like = array(filled).expect("a typed column");
    let arrays: Vec<ArrayRef> =
        parts.iter().map(|part| array(part).unwrap_or_else(|| new_null_array(like.data_type(), part.len()))).collect();
    let arrays: Vec<&dyn Array> = arrays.iter().map(|array| &**array).collect();
    concat(&arrays).expect("columns of one type")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Kind;

    fn batch(columns: Vec<Column>, base: u64) -> Batch {
        let rows = columns[0].len();
        Batch { columns, rows, positions: Positions::sequence(base, rows) }
    }

    fn cells(batches: &[Batch]) -> Vec<String> {
        let row = |batch: &Batch, i: usize| {
            let cells: Vec<_> = batch.columns.iter().map(|column| column.get(i)).collect();
            format!("{} {cells:?}", batch.positions.get(i))
        };
        batches.iter().flat_map(|batch| (0..batch.rows).map(|i| row(batch, i)).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn joined_rows_are_the_rows() {
        let words = Arc::new(Dictionary::default());
        ["a", "b", "c"].iter().for_each(|word| {
            words.push(Kind::String, word.as_bytes());
        });
        let texts = |texts: &[Value]| texts.iter().cloned().collect::<Column>();
        let dict = |numbers: &[u32]| Column::Dict(numbers.to_vec().into(), Arc::clone(&words));
        let number = Value::Text(Kind::Number, b"1".as_slice().into());
        let all = |n: u32| {
            vec![
                dict(&[n, 0]),
                Column::Time(vec![Some(i64::from(n)), None].into()),
                Column::Int(vec![i64::from(n), 1].into()),
                Column::Float(vec![0.5, f64::from(n)].into()),
                Column::Bool(vec![Some(true), None].into()),
                texts(&[Value::string("more than twelve bytes of text"), Value::Null]),
                texts(&[Value::string("x"), number.clone()]),
                Column::Const(number.clone(), 2),
                Column::null(2),
            ]
        };
        let mut nulls = vec![Column::null(2); 9];
        nulls[7] = Column::Const(number.clone(), 2);
        let parts = [batch(nulls.clone(), 5), batch(all(1), 7), batch(all(3), 100), batch(nulls, 1 << 40)];
        let mut joined = Joined::default();
        parts.iter().for_each(|part| assert!(joined.add(part.clone()).is_none()));
        let one = joined.finish().expect("rows");
        assert_eq!(cells(&[one]), cells(&parts));
        assert!(joined.finish().is_none());
    }

    #[test]
    fn no_more_pieces_of_the_input_are_kept_than_a_few() {
        let mut joined = Joined::default();
        let parts: Vec<Batch> = (0..100).map(|i| batch(vec![Column::Int(vec![i].into())], i as u64)).collect();
        let mut out = Vec::new();
        for part in &parts {
            out.extend(joined.add(part.clone()));
            assert!(joined.parts.len() <= PARTS);
        }
        out.extend(joined.finish());
        assert_eq!(cells(&out), cells(&parts));
    }

    #[test]
    fn what_does_not_go_together_stays_apart() {
        let other = Dictionary::default();
        other.push(Kind::String, b"a");
        let dict = |dictionary: Dictionary| Column::Dict(vec![0, 0].into(), dictionary.into());
        let columns = [
            dict(Dictionary::default()),
            dict(other),
            Column::Int(vec![1, 2].into()),
            Column::Time(vec![1, 2].into()),
            Column::Const(Value::string("a"), 2),
            Column::Const(Value::string("b"), 2),
        ];
        let parts: Vec<Batch> = columns.into_iter().map(|column| batch(vec![column], 0)).collect();
        let mut joined = Joined::default();
        let mut out: Vec<Batch> = parts.iter().filter_map(|part| joined.add(part.clone())).collect();
        out.extend(joined.finish());
        assert_eq!(out.len(), parts.len());
        assert_eq!(cells(&out), cells(&parts));
    }
}
