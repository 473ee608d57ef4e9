//! Kept rows put in the order of their parts: each row is read once and written once, where gathering the rows of one
//! part after another touches most lines of memory once a part (radix partitioning; Manegold, Boncz & Kersten,
//! "Optimizing Main-Memory Join on Modern Hardware", 2002).

use super::form::Form;
use super::kept::Packed;
use super::parted::{AT_ONCE, By, PartOf, Parted};
use crate::exec::ctl::Ctl;
use crate::exec::memory::Share;
use crate::value::column::{Batch, Column, Positions};
use arrow::array::Int64Array;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// All rows by their parts.
pub(super) struct Spread<'p> {
    parted: &'p Parted,
    wanted: Vec<bool>,
    chunks: Vec<Chunk>,
    parts: usize,
    /// Rows of a batch at most.
    at_once: usize,
    _share: Share,
}

/// The rows of some batches that follow each other, by their parts.
struct Chunk {
    /// Where each part begins, and where the last ends.
    starts: Vec<usize>,
    lanes: Vec<Lane>,
    positions: Vec<u64>,
}

/// The cells of a column.
enum Lane {
    /// Not wanted, that of an earlier column, or null everywhere.
    Absent,
    /// Words of a dictionary of no more words than a byte can tell apart.
    Bytes(Vec<u8>),
    /// Of no more than two bytes can.
    Pairs(Vec<u16>),
    Words(Vec<u32>),
    Times(Vec<i64>),
}

impl<'p> Spread<'p> {
    /// All rows, of which the columns marked are wanted; nothing if there is no room for them, or a column is neither
    /// words nor times.
    pub fn new(parted: &'p Parted, by: &By, wanted: &[bool], ctl: &Ctl) -> Option<Spread<'p>> {
        let mut is_wanted = vec![false; wanted.len()];
        (0..wanted.len()).filter(|at| wanted[*at]).for_each(|at| is_wanted[parted.original(at)] = true);
        let forms = || parted.columns.iter().zip(&is_wanted).filter(|(_, wanted)| **wanted).map(|(form, _)| form);
        if forms().any(|form| matches!(form, Form::Cells)) {
            return None;
        }
        let each = forms().map(Form::width).sum::<usize>() + size_of::<u64>();
        let mut share = ctl.memory().share();
        if !share.set(each * parted.rows as usize) {
            return None;
        }
        let (parts, part_of) = parted.part_of(by, ctl)?;
        let at_once = parted.batches.len().div_ceil(4 * ctl.threads()).max(1);
        let chunk = |batches: &[Packed]| Chunk::new(parted, batches, (parts, &*part_of), &is_wanted);
        let chunks = ctl.install(|| parted.batches.par_chunks(at_once).map(chunk).collect());
        let at_once = ctl.part_rows().saturating_mul(AT_ONCE);
        Some(Spread { parted, wanted: wanted.to_vec(), chunks, parts, at_once, _share: share })
    }

    /// How many rows each part has.
    pub fn sizes(&self) -> Vec<usize> {
        (0..self.parts).map(|part| self.chunks.iter().map(|chunk| chunk.range(part).len()).sum()).collect()
    }

    /// The rows of a part, in ascending order, in batches.
    pub fn batches(&self, part: usize) -> impl ExactSizeIterator<Item = Batch> {
        let mut pieces: Vec<Vec<(&Chunk, Range<usize>)>> = Vec::new();
        let mut room = 0;
        for chunk in &self.chunks {
            let mut range = chunk.range(part);
            while !range.is_empty() {
                if room == 0 {
                    pieces.push(Vec::new());
                    room = self.at_once;
                }
                let end = range.end.min(range.start + room);
                room -= end - range.start;
                pieces.last_mut().expect("one, as there is room").push((chunk, range.start..end));
                range.start = end;
            }
        }
        pieces.into_iter().map(|piece| self.batch(&piece))
    }

    fn batch(&self, piece: &[(&Chunk, Range<usize>)]) -> Batch {
        let rows = piece.iter().map(|(_, range)| range.len()).sum();
        let mut columns: Vec<Column> = Vec::with_capacity(self.parted.columns.len());
        for at in 0..self.parted.columns.len() {
            let from = self.parted.original(at);
            let lanes = || piece.iter().map(|(chunk, range)| (&chunk.lanes[from], range.clone()));
            columns.push(match &self.parted.columns[from] {
                _ if !self.wanted[at] => Column::null(rows),
                _ if from < at && self.wanted[from] => columns[from].clone(),
                Form::Words(dictionary, _) => {
                    let mut words: Vec<u32> = Vec::with_capacity(rows);
                    for (lane, range) in lanes() {
                        match lane {
                            Lane::Bytes(of) => words.extend(of[range].iter().map(|word| u32::from(*word))),
                            Lane::Pairs(of) => words.extend(of[range].iter().map(|word| u32::from(*word))),
                            Lane::Words(of) => words.extend_from_slice(&of[range]),
                            Lane::Absent | Lane::Times(_) => {}
                        }
                    }
                    Column::Dict(words.into(), Arc::clone(dictionary))
                }
                Form::Times => {
                    let mut times: Vec<i64> = Vec::with_capacity(rows);
                    for (lane, range) in lanes() {
                        if let Lane::Times(of) = lane {
                            times.extend_from_slice(&of[range]);
                        }
                    }
                    Column::Time(Int64Array::new(times.into(), None))
                }
                Form::Null | Form::Same(_) | Form::Cells => Column::null(rows),
            });
        }
        let positions = piece.iter().flat_map(|(chunk, range)| chunk.positions[range.clone()].iter().copied());
        Batch { columns, rows, positions: Positions::Far(positions.collect()) }
    }
}

impl Chunk {
    fn new(parted: &Parted, batches: &[Packed], (parts, part_of): (usize, &PartOf<'_>), wanted: &[bool]) -> Chunk {
        let mut of = Vec::new();
        batches.iter().for_each(|batch| part_of(batch, &mut of));
        let mut starts = vec![0; parts + 1];
        of.iter().for_each(|part| starts[usize::from(*part) + 1] += 1);
        (0..parts).for_each(|part| starts[part + 1] += starts[part]);
        let mut next = starts.clone();
        let place = |part: &u16| {
            let next = &mut next[usize::from(*part)];
            *next += 1;
            *next as u32 - 1
        };
        let places: Vec<u32> = of.iter().map(place).collect();
        let lane = |at: usize| match &parted.columns[at] {
            _ if !wanted[at] => Lane::Absent,
            form @ Form::Words(..) => match form.width() {
                1 => Lane::Bytes(words(parted, batches, at, &places, |word| word as u8)),
                2 => Lane::Pairs(words(parted, batches, at, &places, |word| word as u16)),
                _ => Lane::Words(words(parted, batches, at, &places, |word| word)),
            },
            Form::Times => Lane::Times(placed(batches.iter().flat_map(|batch| batch.cells(at).times()), &places)),
            Form::Null | Form::Same(_) | Form::Cells => Lane::Absent,
        };
        let lanes = (0..parted.columns.len()).map(lane).collect();
        let positions = placed(batches.iter().flat_map(|batch| batch.positions.iter()), &places);
        Chunk { starts, lanes, positions }
    }

    fn range(&self, part: usize) -> Range<usize> {
        self.starts[part]..self.starts[part + 1]
    }
}

/// Cells at their places.
fn placed<T: Copy + Default>(cells: impl Iterator<Item = T>, places: &[u32]) -> Vec<T> {
    let mut out = vec![T::default(); places.len()];
    cells.zip(places).for_each(|(cell, place)| out[*place as usize] = cell);
    out
}

/// The words of a column at their places.
fn words<T: Copy + Default>(
    parted: &Parted,
    batches: &[Packed],
    column: usize,
    places: &[u32],
    narrow: impl Fn(u32) -> T,
) -> Vec<T> {
    let mut out = vec![T::default(); places.len()];
    let (mut words, mut first) = (Vec::new(), 0);
    for batch in batches {
        words.clear();
        parted.words(batch, column, &mut words, 0..batch.rows as u32);
        words.iter().zip(&places[first..]).for_each(|(word, place)| out[*place as usize] = narrow(*word));
        first += batch.rows;
    }
    out
}
