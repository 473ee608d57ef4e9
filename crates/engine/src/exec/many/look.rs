//! Looks at the rows that were kept ([`Parted`]): which plans look at them in which parts, and what comes of it.

use super::job;
use super::part::Part;
use super::parted::{By, Parted};
use super::periods::Periods;
use super::spread::Spread;
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

/// What parts the rows, and the jobs that look at them.
type Look<'s> = (Option<By>, Vec<(usize, Part<'s>)>);

/// A part is large if it is so many of usual size.
const LARGE: usize = 8;

impl<'a> Pass<'_, 'a> {
    /// The looks that answer some jobs, and what part each takes in its look: that of `as_they_come`, or
    /// [`Part::Whole`] where the rows are in parts of which none has only some of a group's.
    ///
    /// Rows of the same time lie together in most logs, so a look by periods comes first, and plans whose groups are in
    /// several periods look along. But those that want many rows (`is_wide`) for many groups, or put their rows in order,
    /// look by the values of a column: the one that parts those of the most of them, as long as there are any.
    pub fn looks<'s>(
        &self,
        parted: &Parted,
        jobs: impl Iterator<Item = usize>,
        as_they_come: impl Fn(usize) -> Part<'s>,
        mut is_wide: impl FnMut(usize) -> bool,
    ) -> Vec<Look<'s>> {
        let by = |job: usize| -> Vec<usize> {
            let columns = self.jobs[job].parted_by(&self.want).into_iter().map(|column| parted.original(column));
            columns.filter(|column| parted.is_parted_by(*column, self.ctl)).collect()
        };
        let whole = |jobs: Vec<usize>| jobs.into_iter().enumerate().map(|(at, job)| (job, Part::Whole(at))).collect();
        let mut out = Vec::new();
        let mut left: Vec<usize> = jobs.collect();
        if let Some((periods, mine)) = self.periods(parted, &left) {
            let mut is_apart = |job: usize| {
                let keys = self.jobs[job].parted_by(&self.want);
                let groups = keys.iter().fold(1, |n: usize, column| n.saturating_mul(parted.words_of(*column)));
                let is_large = self.jobs[job].is_ordered() || self.ctl.are_many(groups) && is_wide(job);
                is_large && !by(job).is_empty()
            };
            let (along, others): (Vec<usize>, Vec<usize>) =
                left.into_iter().partition(|job| mine.contains(job) || !is_apart(*job));
            left = others;
            let part = |(at, job)| (job, if mine.contains(&job) { Part::Whole(at) } else { as_they_come(job) });
            out.push((Some(By::Periods(periods)), along.into_iter().enumerate().map(part).collect()));
        }
        let mut left: Vec<(usize, Vec<usize>)> = left.into_iter().map(|job| (job, by(job))).collect();
        loop {
            let uses = |column: usize| left.iter().filter(|(_, by)| by.contains(&column)).count();
            let Some(best) = self.most_used(uses) else { break };
            let (mine, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, by)| by.contains(&best));
            left = others;
            out.push((Some(By::Values(best)), whole(mine.into_iter().map(|(job, _)| job).collect())));
        }
        if !left.is_empty() {
            out.push((None, left.into_iter().map(|(job, _)| (job, as_they_come(job))).collect()));
        }
        out
    }

    /// What workers know of values before they look at rows that were kept: all there is to know of single words.
    pub fn desks(&self, parted: &Parted) -> Vec<Answers<'_>> {
        let mut first = Answers::new(&self.front, self.ctl);
        if let Some(row) = parted.sample(1, &vec![true; self.want.len()]) {
            first.judge(&row, self.plans[0].1);
        }
        let others: Vec<Answers<'_>> = (1..self.ctl.threads()).map(|_| first.beside(self.ctl)).collect();
        std::iter::once(first).chain(others).collect()
    }

    /// Whether a job wants many of the rows, going by some of them.
    pub fn is_wide<'f>(&'f self, job: usize, some: &Batch, answers: &mut Answers<'f>) -> bool {
        /// One of so many rows is many.
        const MANY: usize = 4;
        answers.begin();
        let rows = self.jobs[job].rows((job, Part::Second(None)), some, answers, &self.front);
        rows.map_or(0, |rows| rows.rows) > some.rows / MANY
    }

    /// The longest periods that the rows of some jobs can be looked at in, and those jobs.
    fn periods(&self, parted: &Parted, jobs: &[usize]) -> Option<(Periods, Vec<usize>)> {
        let of_jobs = jobs.iter().filter_map(|job| Some((*job, self.jobs[*job].period(&self.want)?)));
        let mut of_jobs: Vec<(usize, (usize, i64))> = of_jobs.collect();
        of_jobs.sort_by_key(|(_, (_, width))| std::cmp::Reverse(*width));
        of_jobs.iter().find_map(|(_, (column, width))| {
            let periods = parted.periods(*column, *width, self.ctl)?;
            let fits = |(_, (time, shorter)): &&(usize, (usize, i64))| time == column && width % shorter == 0;
            Some((periods, of_jobs.iter().filter(fits).map(|(job, _)| *job).collect()))
        })
    }

    /// The column of the scan that is used most, the first of several; nothing if none is.
    fn most_used(&self, uses: impl Fn(usize) -> usize) -> Option<usize> {
        (0..self.want.len()).rev().max_by_key(|column| uses(*column)).filter(|column| uses(*column) > 0)
    }

    /// Looks at the rows that were kept, in parts or as they come, for the jobs named, of which those that are
    /// [`Part::Whole`] say at which place they stand. What workers know of values lies on `desks`.
    pub fn look<'f, 's>(
        &'f self,
        parted: &Parted,
        by: Option<&By>,
        jobs: &[(usize, Part<'s>)],
        desks: &Mutex<Vec<Answers<'f>>>,
    ) -> Result<Vec<Gathered<'a>>, Error> {
        let ctl = self.ctl;
        let mut wanted = vec![false; self.want.len()];
        for (number, _) in jobs {
            let (plan, _) = self.plans[*number];
            plan.scan.fields.iter().for_each(|(field, _)| wanted[job::number(&self.want, field)] = true);
        }
        let spread = match by {
            Some(by @ By::Values(_)) => Spread::new(parted, by, &wanted, ctl),
            _ => None,
        };
        let lists = if spread.is_some() { Vec::new() } else { parted.parts(by, ctl) };
        let sizes = spread.as_ref().map_or_else(|| lists.iter().map(Vec::len).collect(), Spread::sizes);
        // The largest first, so that nobody waits for one of them in the end; those of usual size in their order.
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|part| std::cmp::Reverse(sizes[*part] / ctl.part_rows().saturating_mul(LARGE)));
        let is_whole = |part: &Part<'_>| matches!(part, Part::Whole(_));
        // Where a batch does not hold all rows of their groups.
        let more = |part: &Part<'s>| if is_whole(part) { Part::Second(None) } else { *part };
        let as_more: Vec<(usize, Part<'s>)> = jobs.iter().map(|(number, part)| (*number, more(part))).collect();
        let at = AtomicUsize::new(0);
        let worker = || -> Result<(Vec<Sink<'a>>, Vec<Vec<Batch>>), Error> {
            let mut sinks = self.sinks(jobs);
            let mut sieves: Vec<Option<OfBatch<'a>>> =
                jobs.iter().map(|(number, _)| self.jobs[*number].of_batch(ctl)).collect();
            let mut found: Vec<Vec<Batch>> = jobs.iter().map(|_| Vec::new()).collect();
            let free = || desks.lock().unwrap_or_else(PoisonError::into_inner);
            let left = free().pop();
            let mut answers = left.unwrap_or_else(|| Answers::new(&self.front, ctl));
            while let Some(part) = order.get(at.fetch_add(1, Ordering::Relaxed)) {
                let batches: Box<dyn ExactSizeIterator<Item = Batch>> = match &spread {
                    Some(spread) => Box::new(spread.batches(*part)),
                    None => Box::new(parted.batches(&lists[*part], &wanted, ctl)),
                };
                let as_they_are = if by.is_some() && batches.len() > 1 { &as_more } else { jobs };
                for batch in batches {
                    ctl.check()?;
                    answers.begin();
                    self.push(&batch, as_they_are, &mut sinks, &mut answers, &mut sieves, |_| true)?;
                }
                if by.is_some() {
                    for (((number, part), sink), found) in jobs.iter().zip(&mut sinks).zip(&mut found) {
                        if is_whole(part) && is_much(sink) {
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
        let rows = |(number, (sinks, mut found)): (usize, Found<'a>)| {
            let mut then = 0;
            for mut sink in sinks {
                let (last, end) = self.jobs[number].part(&mut sink, ctl)?;
                found.extend(last);
                then = end;
            }
            Ok((Rows::held(numbered(found), ctl), then))
        };
        let gathered = |((number, part), found): (&(usize, Part<'_>), Found<'a>)| match is_whole(part) {
            true => Gathered::Rows(rows((*number, found))),
            false => Gathered::Sinks(found.0),
        };
        Ok(ctl.install(|| jobs.par_iter().zip(all).map(gathered).collect()))
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
