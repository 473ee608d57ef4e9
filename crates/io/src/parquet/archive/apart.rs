//! Events that are not their record: each record, rebuilt, is read by the reader of its format.
//!
//! What that reader has to know of the file the record was taken from, a header or what its elements are, is in
//! `@preamble`; where it counts as lying is in the columns of system fields. So whatever a format makes of its records, it
//! makes of them here too.

use super::super::Damage;
use super::rows::{Records, Rows, Stop};
use super::slot::Slot;
use crate::archive::{System, integer, text};
use crate::files::Input;
use crate::formats::{self, Chunk, Pass, Reader};
use crate::head::Head;
use crate::tally::Tally;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::Buffer;
use backsight_engine::source::{Counters, Field, Flow};
use backsight_engine::value::column::{Batch, Column, ColumnBuilder};
use std::ops::Range;
use std::sync::Arc;

/// What records have in common that are read in one go.
#[derive(PartialEq)]
struct Home<'b> {
    input: Option<i64>,
    log: &'b [u8],
    stream: &'b [u8],
    preamble: &'b [u8],
}

impl<'b> Home<'b> {
    fn of(batch: &'b RecordBatch, row: usize) -> Home<'b> {
        let text = |column: System| text(batch, column as usize, row).unwrap_or_default();
        Home {
            input: integer(batch, System::Input as usize, row),
            log: text(System::Log),
            stream: text(System::LogStream),
            preamble: text(System::Preamble),
        }
    }
}

impl Rows<'_, '_> {
    /// Fills in the events that are not their record.
    pub(super) fn others(
        &self,
        batch: &RecordBatch,
        records: &Records,
        direct: &BooleanArray,
        columns: Vec<Column>,
    ) -> Result<Vec<Column>, Stop> {
        let mut builders: Vec<ColumnBuilder> = columns.iter().map(|_| ColumnBuilder::default()).collect();
        // One place for all is only good if nobody asks for it.
        let one_by_one = self.pass.scan.want.contains(&Field::Ptr);
        let mut row = 0;
        while row < batch.num_rows() {
            if direct.value(row) {
                builders.iter_mut().zip(&columns).for_each(|(out, column)| out.push(column.get(row)));
                row += 1;
                continue;
            }
            let home = Home::of(batch, row);
            let mut last = row + 1;
            while last < batch.num_rows() && !one_by_one && !direct.value(last) && Home::of(batch, last) == home {
                last += 1;
            }
            let usual = [home.log, b"#", home.stream, b":", records.offsets[row].to_string().as_bytes()].concat();
            for batch in self.apart(&home, records, row..last)? {
                for (slot, (out, column)) in builders.iter_mut().zip(&batch.columns).enumerate() {
                    let is_usual = matches!(self.slots[slot], Slot::Pointer)
                        && column.iter().next().and_then(|cell| cell.text()).is_some_and(|text| *text == *usual);
                    match is_usual {
                        // A record that has a stream of its own lies in a file that is called otherwise.
                        true => out.push(columns[slot].get(row)),
                        false => out.extend(column),
                    }
                }
            }
            row = last;
        }
        let made: Vec<Column> = builders.into_iter().map(ColumnBuilder::finish).collect();
        Ok(made.into_iter().zip(&self.pass.scan.want).map(|(c, field)| self.partitioned(batch, field, c)).collect())
    }

    /// The events of these records: as many as there are records.
    fn apart(&self, home: &Home<'_>, records: &Records, rows: Range<usize>) -> Result<Vec<Batch>, Stop> {
        let found = self.by_their_reader(home, records, rows.clone())?;
        if found.iter().map(|b| b.rows).sum::<usize>() == rows.len() {
            return Ok(found);
        }
        if rows.len() == 1 {
            return Err(Damage::new("a record is not read as it was when it was converted").into());
        }
        // Taken out of their file they run into each other, as after a record that was cut off.
        let mut out = Vec::new();
        for row in rows {
            out.extend(self.apart(home, records, row..row + 1)?);
        }
        Ok(out)
    }

    fn by_their_reader(&self, home: &Home<'_>, records: &Records, rows: Range<usize>) -> Result<Vec<Batch>, Stop> {
        let Some(format) = formats::named(&self.archive.facts.format) else {
            return Err(Damage::new(format!("no such format: {}", self.archive.facts.format)).into());
        };
        let Reader::Records(open) = &format.reader else {
            return Err(Damage::new("not a format of records").into());
        };
        let places = &records.places[rows.clone()];
        let start = places[0].start;
        let end = records.places.get(rows.end).map_or(records.text.len(), |place| place.start);
        let counters = Counters::default();
        let name = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        let input = Arc::new(Input::elsewhere(name(home.log), name(home.stream)));
        let pass = Pass {
            counters: Arc::new(Tally::new(&counters, &input)),
            input,
            scan: &self.plain,
            options: self.pass.options,
            memory: Arc::clone(&self.memory),
            tap: None,
        };
        let reader = open(&pass, &Head::new(home.preamble));
        let mut found = Vec::new();
        let data = Buffer::from(records.text[start..end].to_vec());
        let chunk = Chunk { data, offset: records.offsets[rows.start], context: 0, places: Vec::new() };
        let places: Vec<Range<usize>> = places.iter().map(|place| place.start - start..place.end - start).collect();
        let mut keep = |batch| {
            found.push(batch);
            Ok(Flow::More)
        };
        reader.read_apart(chunk, &places, &mut keep).map_err(Stop::Receiver)?;
        pass.counters.flush();
        for (from, to) in
            [(&counters.not_json, &self.pass.counters.not_json), (&counters.not_utf8, &self.pass.counters.not_utf8)]
        {
            Counters::add(to, Counters::get(from));
        }
        Ok(found)
    }
}
