//! Formats that keep whole columns, as queues of morsels.

use crate::archive::Tap;
use crate::codec::Finding;
use crate::formats::{self, Format, Pass, Queue};
use crate::parquet::{Origin, ParquetFile, Stretch};
use crate::records::finding;
use crate::{layouts, partitions, system};
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Flow, Morsel, Scan, Weight};
use backsight_engine::value::column::Batch;
use backsight_lang::ast::Segment;
use bytes::Bytes;
use std::sync::Arc;

/// Opens a Parquet file.
pub(crate) fn parquet<'a>(pass: Pass<'a>, data: Bytes) -> Result<Box<dyn Queue<'a> + 'a>, Error> {
    let size = data.len() as u64;
    let origin = Origin {
        file: pass.input.shown.clone(),
        number: pass.input.number,
        log_stream: pass.input.stream.clone(),
        log: pass.input.log.clone(),
        pointer: system::pointer(&pass),
    };
    let mut file = ParquetFile::open(data, origin)?;
    if file.archive().is_some() {
        file.count_from(pass.input.family);
    }
    let stretches = file.stretches();
    // Which pages a query touches is not known here; by and by all of the file counts as consumed.
    let share = size / (stretches.len() as u64).max(1);
    if let Some((said, there)) = file.missing_rows() {
        let why = format!("the footer says {said} rows, the groups it lists have {there}");
        finding(&pass, &Finding { weight: Weight::Damage, offset: size, message: why, lost: 0 })?;
    }
    let format = formats::with_fields(file.names());
    if let Some(format) = format {
        pass.counters.taken_for(format.name, Some(layouts::parquet::FORMAT.name));
    }
    let times = system::times(pass.options, format.map_or(&[], |f| f.times)).into();
    let filled = file.archive().is_none().then(|| pass.clone());
    let queue = Box::new(Stretches { file: Arc::new(file), pass, times, rest: stretches.into_iter(), share });
    // The folders of an archive are ours and say nothing that its records do not.
    Ok(match filled {
        Some(pass) => partitions::fill(&pass, queue),
        None => queue,
    })
}

impl Piece<'_> {
    /// Gives the rows to a tap.
    fn tapped(&self, tap: &dyn Tap, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let pass = &self.pass;
        if self.file.archive().is_some() {
            if self.stretch.is_first() {
                let what = "skipped: it is of an archive already, which can be queried, or restored and converted anew";
                pass.note(Weight::Damage, None, what);
            }
            return Ok(Flow::More);
        }
        let format =
            formats::with_fields(self.file.names()).filter(|f| !f.times.is_empty()).map_or("ndjson", |f| f.name);
        self.file.read_whole(&self.stretch, pass.scan, &self.times, &pass.counters, &mut |batch| match tap
            .rows(pass, format, &batch)?
        {
            Flow::Enough => Ok(Flow::Enough),
            Flow::More => out(batch),
        })
    }
}

/// The format whose records a Parquet file holds, if its columns are plainly those of one.
pub(crate) fn format(data: Bytes) -> Option<&'static Format> {
    let nowhere = Origin {
        file: String::new(),
        number: 0,
        log_stream: String::new(),
        log: String::new(),
        pointer: String::new(),
    };
    let file = ParquetFile::open(data, nowhere).ok()?;
    match file.archive() {
        Some(archive) => formats::named(archive.format()),
        None => formats::with_fields(file.names()),
    }
}

struct Stretches<'a> {
    file: Arc<ParquetFile>,
    pass: Pass<'a>,
    times: Arc<[Vec<Segment>]>,
    rest: std::vec::IntoIter<Stretch>,
    share: u64,
}

struct Piece<'a> {
    file: Arc<ParquetFile>,
    pass: Pass<'a>,
    times: Arc<[Vec<Segment>]>,
    stretch: Stretch,
    share: u64,
}

impl<'a> Queue<'a> for Stretches<'a> {
    fn next(&mut self) -> Option<Box<dyn Morsel + 'a>> {
        let stretch = self.rest.next()?;
        let (file, pass, times) = (Arc::clone(&self.file), self.pass.clone(), Arc::clone(&self.times));
        Some(Box::new(Piece { file, pass, times, stretch, share: self.share }))
    }
}

impl Morsel for Piece<'_> {
    fn read(self: Box<Self>, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        Counters::add(&self.pass.counters.input_bytes, self.share);
        Counters::add(&self.pass.counters.columnar_bytes, self.share);
        if let Some(tap) = self.pass.tap {
            return self.tapped(tap, out);
        }
        if let Some(archive) = self.file.archive() {
            return self.file.read_archive(archive, &self.stretch, &self.pass, out);
        }
        let pass = &self.pass;
        if partitions::fills(pass) {
            let scan = Scan { equals: Vec::new(), filter: None, top: None, ..pass.scan.clone() };
            return self.file.read(&self.stretch, &scan, &self.times, &pass.counters, out);
        }
        self.file.read(&self.stretch, pass.scan, &self.times, &pass.counters, out)
    }
}
