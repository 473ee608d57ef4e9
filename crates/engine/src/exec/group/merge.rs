//! Tables of several workers become one, and its groups rows.
//!
//! The words of each key first, then the keys made of them, each large enough set of them part by part, so that parts
//! are merged side by side and stay small enough for the cache.

use super::columns::Cells;
use super::kinds::GroupKinds;
use super::tuples::{Tuples, hash};
use super::words::Words;
use super::{GroupTable, fresh};
use crate::agg::Accumulator;
use crate::error::Error;
use crate::exec::ctl::Ctl;
use crate::exec::rows::Rows;
use crate::value::column::{Batch, Column, Positions};
use rayon::prelude::*;

/// What there are up to so many of is merged as a whole.
const FEW: usize = 20_000;

/// Parts of what is more, by the upper bits of the hash.
const PARTS: usize = 64;

impl<'a> GroupTable<'a> {
    /// The rows of all groups of several tables of the same op: keys, then aggregates, at least `slots` columns; in no
    /// order.
    pub fn finish(tables: Vec<GroupTable<'a>>, slots: usize, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
        if tables.iter().any(|t| t.sorter.is_some()) {
            return GroupTable::merge_spilled(tables, ctl);
        }
        let batches = ctl.install(|| merge(tables, ctl)?.finish(slots, ctl))?;
        Ok(Rows::held(batches, ctl))
    }
}

/// The states of one aggregate in several tables, each with where its groups are in the merged one.
type States = Vec<(Box<dyn Accumulator>, Vec<u32>)>;

/// All groups of several tables that are in memory.
fn merge(mut tables: Vec<GroupTable<'_>>, ctl: &Ctl) -> Result<Groups, Error> {
    // The largest takes in the others.
    tables.sort_by_key(|t| std::cmp::Reverse(t.len()));
    let (width, calls) = (tables[0].keys.len(), tables[0].calls);
    let mut words: Vec<Vec<Words>> = (0..width).map(|_| Vec::new()).collect();
    let (mut tuples, mut kinds, mut states) = (Vec::new(), Vec::new(), Vec::new());
    let alone = tables.len() == 1;
    for table in tables {
        words.iter_mut().zip(table.words).for_each(|(all, words)| all.push(words));
        tuples.push(table.tuples);
        kinds.push(table.kinds);
        states.push(table.states);
    }
    let merged: Vec<(Vec<Words>, Vec<Vec<u32>>)> =
        words.into_par_iter().map(|words| merge_words(words, ctl)).collect::<Result<_, Error>>()?;
    let (words, word_maps): (Vec<Vec<Words>>, Vec<Vec<Vec<u32>>>) = merged.into_iter().unzip();
    let (keys, maps) = match width {
        0 => (Keys::None, vec![vec![0]; kinds.len()]),
        1 => (Keys::One, word_maps.into_iter().next().unwrap_or_default()),
        _ => {
            let (tuples, maps) = merge_tuples(tuples, &word_maps, ctl)?;
            (Keys::Several(tuples), maps)
        }
    };
    let n = match &keys {
        Keys::None => 1,
        Keys::One => words[0].iter().map(Words::len).sum(),
        Keys::Several(parts) => parts.iter().map(Tuples::len).sum(),
    };
    let of_key = |k: usize| kinds.iter().map(|kinds| &kinds[k]).zip(maps.iter().map(Vec::as_slice)).collect::<Vec<_>>();
    let kinds: Vec<GroupKinds> = (0..width).map(|k| GroupKinds::merge(&of_key(k), n)).collect();
    let mut by_call: Vec<States> = calls.iter().map(|_| Vec::new()).collect();
    for (states, map) in states.into_iter().zip(maps) {
        by_call.iter_mut().zip(states).for_each(|(all, state)| all.push((state, map.clone())));
    }
    let merge = |(call, mut all): (&crate::plan::AggCall, States)| {
        ctl.check()?;
        if alone && let Some((state, _)) = all.pop() {
            return Ok(state);
        }
        // The first takes in the others where its groups stay where they are.
        let stays = all.first().is_some_and(|(_, map)| map.iter().enumerate().all(|(from, to)| from == *to as usize));
        let mut state = if stays { all.remove(0).0 } else { fresh(call, ctl) };
        state.merge(all, n);
        Ok(state)
    };
    let states = calls.iter().zip(by_call).map(merge).collect::<Result<_, Error>>()?;
    Ok(Groups { words, keys, kinds, states, n })
}

/// The words of several tables as one set, in parts, and which of them each table's words are, counted through all parts.
fn merge_words(mut words: Vec<Words>, ctl: &Ctl) -> Result<(Vec<Words>, Vec<Vec<u32>>), Error> {
    let sizes: Vec<usize> = words.iter().map(Words::len).collect();
    if words.len() == 1 || sizes.iter().sum::<usize>() <= FEW {
        let mut all = words.remove(0);
        let mut maps = vec![(0..all.len() as u32).collect::<Vec<u32>>()];
        maps.extend(words.iter().map(|words| all.take_in(words, 0..words.len() as u32)));
        return Ok((vec![all], maps));
    }
    let upper = |words: &Words| parts((0..words.len() as u32).map(|word| words.hash(word)));
    let by_part: Vec<Vec<Vec<u32>>> = words.par_iter().map(upper).collect();
    let merged: Vec<(Words, Vec<Vec<u32>>)> = (0..PARTS)
        .into_par_iter()
        .map(|p| {
            let mut part = Words::default();
            let mut maps = Vec::with_capacity(words.len());
            for (words, by_part) in words.iter().zip(&by_part) {
                ctl.check()?;
                maps.push(part.take_in(words, by_part[p].iter().copied()));
            }
            Ok((part, maps))
        })
        .collect::<Result<_, Error>>()?;
    let (parts, locals): (Vec<Words>, Vec<Vec<Vec<u32>>>) = merged.into_iter().unzip();
    let maps = through(&sizes, &by_part, locals, parts.iter().map(Words::len));
    Ok((parts, maps))
}

/// The same for keys of several words, of which `maps` says, a key and a table, what they have become.
fn merge_tuples(
    mut tables: Vec<Tuples>,
    maps: &[Vec<Vec<u32>>],
    ctl: &Ctl,
) -> Result<(Vec<Tuples>, Vec<Vec<u32>>), Error> {
    let width = maps.len();
    if let [one] = tables.as_mut_slice() {
        one.close();
        let map = (0..one.len() as u32).collect();
        return Ok((tables, vec![map]));
    }
    tables.par_iter_mut().enumerate().for_each(|(t, table)| {
        table.close();
        for cells in table.cells_mut() {
            cells.iter_mut().zip(maps).for_each(|(cell, maps)| *cell = maps[t][*cell as usize]);
        }
    });
    let sizes: Vec<usize> = tables.iter().map(Tuples::len).collect();
    let by_part: Vec<Vec<Vec<u32>>> = match sizes.iter().sum::<usize>() <= FEW {
        true => sizes.iter().map(|n| vec![(0..*n as u32).collect()]).collect(),
        false => tables.par_iter().map(|t| parts((0..t.len()).map(|group| hash(t.get(group))))).collect(),
    };
    let merged: Vec<(Tuples, Vec<Vec<u32>>)> = (0..by_part[0].len())
        .into_par_iter()
        .map(|p| {
            let mut part = Tuples::new(width);
            let mut maps = Vec::with_capacity(tables.len());
            for (table, by_part) in tables.iter().zip(&by_part) {
                ctl.check()?;
                maps.push(by_part[p].iter().map(|group| part.intern(table.get(*group as usize))).collect());
            }
            part.close();
            Ok((part, maps))
        })
        .collect::<Result<_, Error>>()?;
    let (parts, locals): (Vec<Tuples>, Vec<Vec<Vec<u32>>>) = merged.into_iter().unzip();
    let maps = through(&sizes, &by_part, locals, parts.iter().map(Tuples::len));
    Ok((parts, maps))
}

/// The numbers of some hashes by the part they belong to.
fn parts(hashes: impl Iterator<Item = u64>) -> Vec<Vec<u32>> {
    let mut parts: Vec<Vec<u32>> = vec![Vec::new(); PARTS];
    hashes.enumerate().for_each(|(number, hash)| parts[(hash >> 58) as usize].push(number as u32));
    parts
}

/// Counts through all parts: where each table's entries are among all.
fn through(
    sizes: &[usize],
    by_part: &[Vec<Vec<u32>>],
    locals: Vec<Vec<Vec<u32>>>,
    lengths: impl Iterator<Item = usize>,
) -> Vec<Vec<u32>> {
    let mut maps: Vec<Vec<u32>> = sizes.iter().map(|n| vec![0; *n]).collect();
    let mut first = 0;
    for ((p, locals), length) in locals.into_iter().enumerate().zip(lengths) {
        for (table, local) in locals.into_iter().enumerate() {
            by_part[table][p].iter().zip(local).for_each(|(from, to)| maps[table][*from as usize] = first + to);
        }
        first += length as u32;
    }
    maps
}

/// What the groups are.
enum Keys {
    /// One, without a key.
    None,
    /// The words of the one key.
    One,
    /// Keys of several words, in parts.
    Several(Vec<Tuples>),
}

/// All groups of a run.
struct Groups {
    /// The words of each key, in parts.
    words: Vec<Vec<Words>>,
    keys: Keys,
    kinds: Vec<GroupKinds>,
    states: Vec<Box<dyn Accumulator>>,
    n: usize,
}

impl Groups {
    /// The groups as rows: keys, then aggregates, in batches of `slots` columns; in no order.
    fn finish(self, slots: usize, ctl: &Ctl) -> Result<Vec<Batch>, Error> {
        let Groups { words, keys, kinds, states, n } = self;
        let finish = |state: Box<dyn Accumulator>| ctl.check().map(|()| state.finish(n));
        let results: Vec<Column> = states.into_par_iter().map(finish).collect::<Result<_, _>>()?;
        let width = slots.max(kinds.len() + results.len());
        let batch = |mut columns: Vec<Column>, first: usize, rows: usize| {
            ctl.check()?;
            columns.extend(results.iter().map(|c| c.slice(first, rows)));
            columns.resize(width, Column::null(rows));
            Ok(Batch { columns, rows, positions: Positions::sequence(first as u64, rows) })
        };
        match keys {
            Keys::None => Ok(vec![batch(Vec::new(), 0, 1)?]),
            Keys::One => {
                let words = words.into_iter().next().unwrap_or_default();
                let firsts = firsts(words.iter().map(Words::len));
                let parts: Vec<(Words, usize)> =
                    words.into_iter().zip(firsts).filter(|(part, _)| n == 0 || part.len() > 0).collect();
                let rows = |(part, first): (Words, usize)| {
                    let rows = part.len();
                    batch(vec![Cells::new(vec![part], &kinds[0], rows).all(rows, &kinds[0], first)], first, rows)
                };
                parts.into_par_iter().map(rows).collect()
            }
            Keys::Several(parts) => {
                let cells: Vec<Cells> =
                    words.into_par_iter().zip(&kinds).map(|(words, kinds)| Cells::new(words, kinds, n)).collect();
                let firsts = firsts(parts.iter().map(Tuples::len));
                let parts: Vec<(Tuples, usize)> =
                    parts.into_iter().zip(firsts).filter(|(part, _)| n == 0 || part.len() > 0).collect();
                let rows = |(part, first): (Tuples, usize)| {
                    let rows = part.len();
                    let key = |k: usize| {
                        let words: Vec<u32> = (0..rows).map(|group| part.get(group)[k]).collect();
                        cells[k].of(&words, &kinds[k], first)
                    };
                    batch((0..cells.len()).map(key).collect(), first, rows)
                };
                parts.into_par_iter().map(rows).collect()
            }
        }
    }
}

/// The number of the first entry of each part.
fn firsts(lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut next = 0;
    let mut first = |length: usize| {
        next += length;
        next - length
    };
    lengths.map(&mut first).collect()
}
