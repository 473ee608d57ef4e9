//! Tables of several workers become one, and its groups rows.

use super::key::{Entry, Part};
use super::kinds::GroupKinds;
use super::{GroupTable, fresh};
use crate::agg::Accumulator;
use crate::error::Error;
use crate::exec::ctl::Ctl;
use crate::exec::rows::Rows;
use crate::value::column::{Batch, Column, Positions};
use hashbrown::HashTable;
use rayon::prelude::*;

impl<'a> GroupTable<'a> {
    /// The rows of all groups of several tables of the same op and hasher: keys, then aggregates, at least `slots`
    /// columns; in no order.
    pub fn finish(tables: Vec<GroupTable<'a>>, slots: usize, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
        if tables.iter().any(|t| t.sorter.is_some()) {
            return GroupTable::merge_spilled(tables, ctl);
        }
        let batches = ctl.install(|| GroupTable::merge(tables, ctl)?.finish(slots, ctl))?;
        Ok(Rows::held(batches, ctl))
    }

    /// All groups of several tables that are in memory.
    fn merge(mut tables: Vec<GroupTable<'a>>, ctl: &Ctl) -> Result<Groups, Error> {
        let total: usize = tables.iter().map(GroupTable::len).sum();
        if tables.len() > 1 && total > FEW {
            return merge_parts(tables, ctl);
        }
        // The largest takes in the others.
        tables.sort_by_key(|t| std::cmp::Reverse(t.len()));
        let mut tables = tables.into_iter();
        let mut all = tables.next().expect("a run has at least one worker");
        let mut others: Vec<States> = all.states.iter().map(|_| Vec::new()).collect();
        let mut kinds = vec![(std::mem::take(&mut all.kinds), (0..all.len() as u32).collect::<Vec<u32>>())];
        for table in tables {
            let map: Vec<u32> = (0..table.len()).map(|g| all.intern_key(table.found.key(g), table.hashes[g])).collect();
            for (k, state) in table.states.into_iter().enumerate() {
                others[k].push((state, map.clone()));
            }
            kinds.push((table.kinds, map));
        }
        let n = all.len();
        for (state, others) in all.states.iter_mut().zip(others) {
            ctl.check()?;
            if !others.is_empty() {
                state.merge(others, n);
            }
        }
        Ok(Groups { kinds: merge_kinds(&kinds, n), parts: vec![all.found], states: all.states, n })
    }
}

/// The states of one aggregate in several tables, each with where its groups are in the merged one.
type States = Vec<(Box<dyn Accumulator>, Vec<u32>)>;

/// Groups up to this many are merged into one table.
const FEW: usize = 20_000;

/// Parts that tables are merged in, by the upper bits of the hash.
const PARTS: usize = 64;

/// Merges large tables part by part, so that parts are merged side by side and stay small enough for the cache.
fn merge_parts(tables: Vec<GroupTable<'_>>, ctl: &Ctl) -> Result<Groups, Error> {
    let calls = tables[0].calls;
    // Keys and states part ways: only keys are looked at from several threads.
    let mut keys: Vec<(Part, Vec<u64>)> = Vec::new();
    let mut rest = Vec::new();
    for table in tables {
        keys.push((table.found, table.hashes));
        rest.push((table.kinds, table.states));
    }
    let by_part: Vec<Vec<Vec<u32>>> = keys
        .par_iter()
        .map(|(_, hashes)| {
            let mut parts: Vec<Vec<u32>> = vec![Vec::new(); PARTS];
            for (group, hash) in hashes.iter().enumerate() {
                parts[(hash >> 58) as usize].push(group as u32);
            }
            parts
        })
        .collect();
    let merged: Vec<(Part, Vec<Vec<u32>>)> = (0..PARTS)
        .into_par_iter()
        .map(|p| {
            let mut part = Part::default();
            let mut table: HashTable<Entry> = HashTable::new();
            let mut maps = Vec::with_capacity(keys.len());
            ctl.check()?;
            for ((source, hashes), groups) in keys.iter().zip(&by_part) {
                let intern = |group: &u32| {
                    let (key, hash) = (source.key(*group as usize), hashes[*group as usize]);
                    part.intern(&mut table, key, hash)
                };
                maps.push(groups[p].iter().map(intern).collect());
            }
            Ok((part, maps))
        })
        .collect::<Result<_, Error>>()?;
    let mut maps: Vec<Vec<u32>> = keys.iter().map(|(k, _)| vec![0; k.starts.len()]).collect();
    let (mut parts, mut n) = (Vec::with_capacity(PARTS), 0);
    for (p, (part, local)) in merged.into_iter().enumerate() {
        for (w, local) in local.into_iter().enumerate() {
            by_part[w][p].iter().zip(local).for_each(|(group, to)| maps[w][*group as usize] = n as u32 + to);
        }
        n += part.starts.len();
        parts.push(part);
    }
    let mut states: Vec<States> = calls.iter().map(|_| Vec::new()).collect();
    let mut kinds = Vec::with_capacity(rest.len());
    for ((worker_kinds, worker_states), map) in rest.into_iter().zip(maps) {
        for (k, state) in worker_states.into_iter().enumerate() {
            states[k].push((state, map.clone()));
        }
        kinds.push((worker_kinds, map));
    }
    let states = calls
        .iter()
        .zip(states)
        .map(|(call, workers)| {
            ctl.check()?;
            let mut state = fresh(call, ctl);
            state.merge(workers, n);
            Ok(state)
        })
        .collect::<Result<_, Error>>()?;
    Ok(Groups { parts, kinds: merge_kinds(&kinds, n), states, n })
}

/// The kinds of every key over all tables.
fn merge_kinds(tables: &[(Vec<GroupKinds>, Vec<u32>)], n: usize) -> Vec<GroupKinds> {
    let keys = tables.first().map_or(0, |(kinds, _)| kinds.len());
    let of_key = |k: usize| tables.iter().map(|(kinds, map)| (&kinds[k], map.as_slice())).collect::<Vec<_>>();
    (0..keys).map(|k| GroupKinds::merge(&of_key(k), n)).collect()
}

/// All groups of a run.
struct Groups {
    parts: Vec<Part>,
    kinds: Vec<GroupKinds>,
    states: Vec<Box<dyn Accumulator>>,
    n: usize,
}

impl Groups {
    /// The groups as rows: keys, then aggregates, in batches of `slots` columns; in no order.
    fn finish(self, slots: usize, ctl: &Ctl) -> Result<Vec<Batch>, Error> {
        let n = self.n;
        let finish = |state: Box<dyn Accumulator>| ctl.check().map(|()| state.finish(n));
        let results: Vec<Column> = self.states.into_par_iter().map(finish).collect::<Result<_, _>>()?;
        let kinds = &self.kinds;
        let mut firsts = Vec::with_capacity(self.parts.len());
        let mut first = 0;
        for part in &self.parts {
            firsts.push(first);
            first += part.starts.len();
        }
        let width = slots.max(kinds.len() + results.len());
        let parts: Vec<(Part, usize)> =
            self.parts.into_iter().zip(firsts).filter(|(p, _)| n == 0 || !p.starts.is_empty()).collect();
        parts
            .into_par_iter()
            .map(|(part, first)| {
                ctl.check()?;
                let rows = part.starts.len();
                let mut columns = part.columns(kinds, first);
                columns.extend(results.iter().map(|c| c.slice(first, rows)));
                columns.resize(width, Column::null(rows));
                Ok(Batch { columns, rows, positions: Positions::sequence(first as u64, rows) })
            })
            .collect()
    }
}
