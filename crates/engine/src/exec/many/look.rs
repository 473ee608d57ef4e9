//! Looks at the rows that were kept ([`Parted`]): which plans look at them by the values of which column, and what comes of it.

use super::job;
use super::part::Part;
use super::parted::Parted;
use super::{Gathered, Pass};
use crate::error::Error;
use crate::exec::Sink;
use crate::exec::group::sieve::OfBatch;
use crate::exec::rows::Rows;
use crate::exec::shared::Answers;
use crate::value::column::{Batch, Positions};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What workers hold for a job, and the rows made of whole parts before.
type Found<'a> = (Vec<Sink<'a>>, Vec<Batch>);

impl<'a> Pass<'_, 'a> {
    /// The jobs by the column whose values part their rows: the one that parts those of the most jobs, as long as there
    /// are any.
    pub fn columns(&self, parted: &Parted, jobs: impl Iterator<Item = usize>) -> Vec<(Option<usize>, Vec<usize>)> {
        let by = |job: usize| -> Vec<usize> {
            let columns = self.jobs[job].parted_by(&self.want).into_iter().map(|column| parted.original(column));
            columns.filter(|column| parted.is_parted_by(*column, self.ctl)).collect()
        };
        let mut left: Vec<(usize, Vec<usize>)> = jobs.map(|job| (job, by(job))).collect();
        let mut out = Vec::new();
        loop {
            let uses = |column: usize| left.iter().filter(|(_, by)| by.contains(&column)).count();
            let Some(best) = self.most_used(uses) else { break };
            let (mine, others) = left.into_iter().partition(|(_, by)| by.contains(&best));
            left = others;
            let mine: Vec<(usize, Vec<usize>)> = mine;
            out.push((Some(best), mine.into_iter().map(|(job, _)| job).collect()));
        }
        if !left.is_empty() {
            out.push((None, left.into_iter().map(|(job, _)| job).collect()));
        }
        out
    }

    /// The column of the scan that is used most, the first of several; nothing if none is.
    pub fn most_used(&self, uses: impl Fn(usize) -> usize) -> Option<usize> {
        (0..self.want.len()).rev().max_by_key(|column| uses(*column)).filter(|column| uses(*column) > 0)
    }

    /// Looks at the rows that were kept, for the jobs named: by the values of a column, or as they come. What workers know
    /// of values lies on `desks`.
    pub fn look<'f>(
        &'f self,
        parted: &Parted,
        by: Option<usize>,
        jobs: &[(usize, Part<'_>)],
        desks: &Mutex<Vec<Answers<'f>>>,
    ) -> Result<Vec<Gathered<'a>>, Error> {
        let ctl = self.ctl;
        let mut parts = parted.parts(by, ctl);
        // The largest first, so that nobody waits for one of them in the end.
        parts.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
        let mut wanted = vec![false; self.want.len()];
        for (number, _) in jobs {
            let (plan, _) = self.plans[*number];
            plan.scan.fields.iter().for_each(|(field, _)| wanted[job::number(&self.want, field)] = true);
        }
        let as_whole: Vec<(usize, Part<'_>)> =
            jobs.iter().enumerate().map(|(which, (number, _))| (*number, Part::Whole(which))).collect();
        let jobs = if by.is_some() { &as_whole } else { jobs };
        // Not all rows of their groups.
        let as_more: Vec<(usize, Part<'_>)> = jobs.iter().map(|(number, _)| (*number, Part::Second(None))).collect();
        let at = AtomicUsize::new(0);
        let worker = || -> Result<(Vec<Sink<'a>>, Vec<Vec<Batch>>), Error> {
            let mut sinks = self.sinks(jobs);
            let mut sieves: Vec<Option<OfBatch<'a>>> =
                jobs.iter().map(|(number, _)| self.jobs[*number].of_batch(ctl)).collect();
            let mut found: Vec<Vec<Batch>> = jobs.iter().map(|_| Vec::new()).collect();
            let free = || desks.lock().unwrap_or_else(PoisonError::into_inner);
            let left = free().pop();
            let mut answers = left.unwrap_or_else(|| Answers::new(&self.front, ctl));
            while let Some(rows) = parts.get(at.fetch_add(1, Ordering::Relaxed)) {
                let batches = parted.batches(rows, &wanted, ctl);
                let as_they_are = if by.is_some() && batches.len() > 1 { &as_more } else { jobs };
                for batch in batches {
                    ctl.check()?;
                    answers.begin();
                    self.push(&batch, as_they_are, &mut sinks, &mut answers, &mut sieves)?;
                }
                if by.is_some() {
                    for (((number, _), sink), found) in jobs.iter().zip(&mut sinks).zip(&mut found) {
                        if is_much(sink) {
                            found.extend(self.jobs[*number].part(sink, ctl)?.0);
                        }
                    }
                }
            }
            free().push(answers);
            Ok((sinks, found))
        };
        let mut all: Vec<Found<'a>> = jobs.iter().map(|_| (Vec::new(), Vec::new())).collect();
        for looked in ctl.broadcast(worker) {
            let (sinks, found) = looked?;
            all.iter_mut().zip(sinks.into_iter().zip(found)).for_each(|(all, (sink, found))| {
                all.0.push(sink);
                all.1.extend(found);
            });
        }
        if by.is_none() {
            return Ok(all.into_iter().map(|(sinks, _)| Gathered::Sinks(sinks)).collect());
        }
        let rows = |((number, _), (sinks, mut found)): (&(usize, Part<'_>), Found<'a>)| {
            let mut then = 0;
            for mut sink in sinks {
                let (last, end) = self.jobs[*number].part(&mut sink, ctl)?;
                found.extend(last);
                then = end;
            }
            Ok((Rows::held(numbered(found), ctl), then))
        };
        let rows = ctl.install(|| jobs.par_iter().zip(all).map(rows).collect::<Vec<_>>());
        Ok(rows.into_iter().map(Gathered::Rows).collect())
    }
}

/// Whether a sink holds so much that what it has of whole parts is better made rows.
fn is_much(sink: &Sink<'_>) -> bool {
    const MANY: usize = 1 << 14;
    match sink {
        Sink::Group(table) => table.len() > MANY,
        Sink::Collect(_) | Sink::Top(_) => true,
    }
}

/// Batches of rows, those that have any, numbered from 0; one at least.
fn numbered(mut batches: Vec<Batch>) -> Vec<Batch> {
    let empty = batches.first().cloned();
    batches.retain(|batch| batch.rows > 0);
    if batches.is_empty() {
        batches.extend(empty);
    }
    let mut first = 0;
    for batch in &mut batches {
        batch.positions = Positions::sequence(first, batch.rows);
        first += batch.rows as u64;
    }
    batches
}
