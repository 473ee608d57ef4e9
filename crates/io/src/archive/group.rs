//! A row group: its columns, encoded by whoever is free.

use super::block::Block;
use super::chunk::{self, Encoded, Zstd};
use super::columns::{self, Made, Run};
use super::encode::Encoder;
use ::parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use ::parquet::errors::ParquetError;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A row group, encoded.
pub(crate) struct Group {
    pub chunks: Vec<Chunk>,
    pub rows: u64,
    /// Number of its first record in the archive.
    pub first: u64,
    pub partitions: Partitions,
    pub lines: Lines,
    /// Of each column of ids, its number and the filters of its pages.
    pub filters: Vec<(usize, Vec<u8>)>,
}

/// Lines whose tokens are columns.
#[derive(Clone, Default)]
pub(crate) struct Lines {
    /// What files start with whose lines are divided like them.
    pub preambles: BTreeSet<Arc<[u8]>>,
    /// There are objects, too, whose keys are columns.
    pub objects: bool,
}

impl Lines {
    pub(crate) fn add(&mut self, block: &Block) {
        let (lines, others): (Vec<_>, Vec<_>) = block.layouts.iter().partition(|layout| layout.is_line);
        if !lines.is_empty() {
            self.preambles.insert(Arc::clone(&block.preamble));
        }
        self.objects |= others.iter().any(|layout| !layout.is_text);
    }

    pub(crate) fn merge(&mut self, other: Lines) {
        self.preambles.extend(other.preambles);
        self.objects |= other.objects;
    }
}

/// A column of it.
pub(crate) enum Chunk {
    Own(Encoded),
    Library(ArrowColumnChunk),
}

/// By number of the input: fields that its folders give.
pub(crate) type Partitions = BTreeMap<u32, Vec<(String, String)>>;

/// The columns of a row group while they are encoded.
pub(crate) struct Columns {
    encoder: Arc<Encoder>,
    rows: u64,
    first: u64,
    partitions: Partitions,
    lines: Lines,
    state: Mutex<State>,
    /// Told when a column is done.
    done: Condvar,
}

struct State {
    /// Columns that nobody has begun, with their numbers.
    waiting: VecDeque<(usize, Made, ArrowColumnWriter)>,
    /// How many are being encoded.
    begun: usize,
    /// Those that are done, and the filters of their pages.
    encoded: BTreeMap<usize, Result<Filtered, ParquetError>>,
}

type Filtered = (Chunk, Option<Vec<u8>>);

/// A column that was begun. Nobody shall wait for it, whatever becomes of it.
struct Begun<'c>(&'c Columns);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.state().begun -= 1;
        self.0.done.notify_all();
    }
}

impl Columns {
    /// Columns for rows.
    pub(crate) fn new(encoder: Arc<Encoder>, runs: Vec<Run>, partitions: Partitions) -> Result<Columns, ParquetError> {
        let mut lines = Lines::default();
        for run in &runs {
            lines.add(&run.block);
        }
        let first = runs.first().map_or(0, |run| run.seq + run.rows.start as u64);
        let rows = columns::rows(&runs) as u64;
        let made = columns::build(&encoder.schema, runs, &encoder.sizes);
        let writers = encoder.factory.create_column_writers(0)?;
        let waiting = made.into_iter().zip(writers).enumerate().map(|(number, (made, writer))| (number, made, writer));
        let state = State { waiting: waiting.collect(), begun: 0, encoded: BTreeMap::new() };
        Ok(Columns { encoder, rows, first, partitions, lines, state: Mutex::new(state), done: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if there are columns that nobody has begun.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// Encodes columns until all have been begun.
    pub(crate) fn work(&self) {
        let mut zstd = Zstd::new();
        loop {
            let mut state = self.state();
            let Some((number, made, writer)) = state.waiting.pop_front() else { break };
            state.begun += 1;
            drop(state);
            let _begun = Begun(self);
            // A column is let go as soon as it is encoded.
            let encoded = self.encode(number, made, writer, &mut zstd);
            self.state().encoded.insert(number, encoded);
        }
    }

    fn encode(
        &self,
        number: usize,
        made: Made,
        mut writer: ArrowColumnWriter,
        zstd: &mut Zstd,
    ) -> Result<Filtered, ParquetError> {
        let Encoder { schema, .. } = &*self.encoder;
        let (column, keep, is_id) = (schema.parquet.column(number), self.encoder.keep(number), schema.is_id(number));
        Ok(match made {
            Made::Words(words) => {
                let filters = is_id.then(|| chunk::filters_of_words(&words));
                (Chunk::Own(chunk::words(&words, column, keep, zstd)?), filters)
            }
            Made::Ids(ids) => {
                let (encoded, filters) = chunk::ids(&ids, column, keep, zstd)?;
                (Chunk::Own(encoded), is_id.then_some(filters))
            }
            Made::Ints(ints) => (Chunk::Own(chunk::ints(&ints, column, keep, zstd)?), None),
            Made::Array(array) => {
                for leaf in compute_leaves(schema.arrow.field(number), &array)? {
                    writer.write(&leaf)?;
                }
                (Chunk::Library(writer.close()?), None)
            }
        })
    }

    /// The row group, encoded by this worker and by those who help.
    pub(crate) fn group(&self) -> Result<Group, ParquetError> {
        self.work();
        let mut state = self.state();
        while state.begun > 0 {
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut chunks, mut filters) = (Vec::new(), Vec::new());
        for (number, encoded) in std::mem::take(&mut state.encoded) {
            let (chunk, of_pages) = encoded?;
            if number != chunks.len() {
                break;
            }
            chunks.push(chunk);
            filters.extend(of_pages.map(|of_pages| (number, of_pages)));
        }
        if chunks.len() < self.encoder.schema.parquet.num_columns() {
            return Err(ParquetError::General(format!("column {} was not encoded", chunks.len())));
        }
        let (partitions, lines) = (self.partitions.clone(), self.lines.clone());
        Ok(Group { chunks, rows: self.rows, first: self.first, partitions, lines, filters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::schema::Schema;

    #[test]
    fn nobody_waits_for_a_column_that_is_lost() {
        let schema = Schema::new(Vec::new()).expect("a schema");
        let encoder = Arc::new(Encoder::new(schema).expect("an encoder"));
        let columns = || Columns::new(Arc::clone(&encoder), Vec::new(), Partitions::new()).expect("columns");
        let helped = columns();
        let chunks = std::thread::scope(|scope| {
            (0..3).for_each(|_| drop(scope.spawn(|| helped.work())));
            helped.group().expect("all columns").chunks.len()
        });
        assert_eq!(chunks, encoder.schema.parquet.num_columns());
        let lost = columns();
        let mut state = lost.state();
        assert!(state.waiting.pop_front().is_some());
        state.begun += 1;
        drop(state);
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lost.group().err());
            drop(Begun(&lost));
            waiting.join().expect("no panic")
        });
        assert!(waiting.is_some_and(|e| e.to_string().contains("column 0 was not encoded")));
    }
}
