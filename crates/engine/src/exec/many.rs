//! Several plans in one pass over their source. The scan reads what any of them wants; conditions and columns that plans
//! have in common are found out once a batch ([`shared`](super::shared)); each plan has sinks of its own.

mod form;
mod job;
mod joined;
mod kept;
mod look;
mod part;
mod parted;
mod periods;
mod spread;

use super::group::GroupTable;
use super::group::sieve::{OfBatch, Sieve};
use super::rows::Rows;
use super::shared::{Answers, Front};
use super::{Cx, Sink, context, is_sink, merge, next, opened, steps};
use crate::error::Error;
use crate::exec::{Ctl, Outcome};
use crate::func::Clock;
use crate::plan::{Op, Plan};
use crate::source::{Catalog, Counters, Field, Flow, Scan, Source};
use crate::value::column::Batch;
use job::Job;
use joined::Joined;
use kept::{Kept, Packed};
use part::{Part, is_new_wanted, new_after};
use parted::Parted;
use rayon::prelude::*;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

/// Runs several plans, those of one source in one pass over it, and gives their answers to `out`, one plan after another,
/// each with its number, until that says [`Flow::Enough`] for the plan. A plan that fails once its rows are read, as for
/// want of memory, has an error in its place, and the others their answers.
///
/// Column `i` of a plan's batches is `plan.shown[i]`. The answers are those of [`run`](super::run).
///
/// # Errors
/// What the source or the receiver reports.
pub fn run_all(
    plans: &[&Plan],
    catalog: &dyn Catalog,
    clock: &Clock,
    ctl: &Ctl,
    out: &mut dyn FnMut(usize, Batch) -> Result<Flow, Error>,
) -> Result<Vec<Result<Outcome, Error>>, Error> {
    let contexts: Vec<Cx<'_>> =
        plans.iter().map(|plan| context(plan, catalog, clock, ctl)).collect::<Result<_, Error>>()?;
    let mut outcomes: Vec<Result<Outcome, Error>> = plans.iter().map(|_| Ok(Outcome::default())).collect();
    let mut left: Vec<usize> = (0..plans.len()).collect();
    while let Some(first) = left.first() {
        let lead = plans[*first];
        let of_this_pass = |plan: &Plan| {
            plan.scan.sources == lead.scan.sources
                && plan.scan.range == lead.scan.range
                && plan.estimate == lead.estimate
        };
        let (members, others): (Vec<usize>, Vec<usize>) = left.iter().partition(|i| of_this_pass(plans[**i]));
        let jobs: Vec<(&Plan, &Cx<'_>)> = members.iter().map(|i| (plans[*i], &contexts[*i])).collect();
        let gathered: Vec<Gathered<'_>> = match lead.estimate {
            true => jobs.iter().map(|_| Gathered::Nothing).collect(),
            false => scan(&jobs, catalog)?,
        };
        let answers: Vec<Result<Rows<'_>, Error>> = ctl.install(|| {
            gathered.into_par_iter().zip(&jobs).map(|(gathered, (plan, cx))| answer(gathered, plan, cx)).collect()
        });
        for (i, answer) in members.iter().zip(answers) {
            let give = |batch: Batch| {
                let columns = plans[*i].shown.iter().map(|(_, slot)| super::column(&batch, *slot)).collect();
                out(*i, Batch { columns, ..batch })
            };
            outcomes[*i] = match answer {
                Ok(rows) => given(rows, give, ctl)?,
                Err(error) => Err(error),
            };
        }
        left = others;
    }
    Ok(outcomes)
}

/// The rows of a plan's answer.
fn answer<'a>(gathered: Gathered<'a>, plan: &'a Plan, cx: &'a Cx<'a>) -> Result<Rows<'a>, Error> {
    let (mut rows, done) = match gathered {
        Gathered::Rows(rows) => rows?,
        Gathered::Sinks(sinks) => merge(sinks, sink_at(plan), plan, cx)?,
        Gathered::Nothing => (super::rows(plan, cx)?, plan.ops.len()),
    };
    for (at, op) in plan.ops.iter().enumerate().skip(done) {
        rows = steps::whole(op, plan.ops.get(at + 1), rows, cx)?;
    }
    Ok(rows)
}

/// Gives rows away until nobody wants more. The first error is that of whoever takes them, the second that of the rows.
fn given(
    rows: Rows<'_>,
    mut give: impl FnMut(Batch) -> Result<Flow, Error>,
    ctl: &Ctl,
) -> Result<Result<Outcome, Error>, Error> {
    let mut given = 0;
    for batch in rows.stream() {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return Ok(Err(error)),
        };
        given += batch.rows as u64;
        if give(batch)? == Flow::Enough {
            break;
        }
    }
    Ok(Ok(Outcome { rows: given, partial: ctl.cancelled(), ..Outcome::default() }))
}

/// What came of a plan's look at the rows.
enum Gathered<'a> {
    /// It did not look.
    Nothing,
    /// One sink a worker.
    Sinks(Vec<Sink<'a>>),
    /// The rows made of them, and the number of the next op.
    Rows(Result<(Rows<'a>, usize), Error>),
}

/// The source's rows through all jobs.
///
/// Most plans wait: their rows are [`Kept`] while the source is read, and looked at part by part ([`Parted`]). Where there
/// is no room for that, they look at the rows as these are read. Groups that are then many and mostly too small to be kept
/// are only counted, and the rows are looked at once more for those that may be kept; so it is for what is new after a
/// time that is known at the end only.
fn scan<'a>(plans: &[(&'a Plan, &'a Cx<'a>)], catalog: &dyn Catalog) -> Result<Vec<Gathered<'a>>, Error> {
    let Some((plan, cx)) = plans.first() else { return Ok(Vec::new()) };
    let (source, ctl) = (opened(&plan.scan, catalog)?, cx.ctl);
    let pass = Pass::new(plans);
    let first = |(i, (plan, _)): (usize, &(&'a Plan, &'a Cx<'a>))| match new_after(plan) {
        Some(_) => (i, Part::Edges),
        None if pass.jobs[i].parted_by(&pass.want).is_empty() => (i, Part::First),
        None => (i, Part::Later),
    };
    let parts: Vec<(usize, Part<'_>)> = plans.iter().enumerate().map(first).collect();
    let (mut sinks, workers) = pass.read(&parts, &*source, &ctl.counters)?;
    let is_kept = |i: usize| workers.iter().all(|kept| kept.is_whole(i));
    let kept: Vec<bool> = (0..plans.len()).map(is_kept).collect();
    let is_wanted = |i: &usize| !matches!(parts[*i].1, Part::Edges) || is_new_wanted(plans[*i]);
    let mut gathered: Vec<Gathered<'a>> = plans.iter().map(|_| Gathered::Nothing).collect();
    let mut left: Vec<usize> = (0..plans.len()).collect();
    let parted = kept.contains(&true).then(|| Parted::new(workers, ctl));
    let desks = Mutex::new(parted.as_ref().map_or_else(Vec::new, |parted| pass.desks(parted)));
    if let Some(parted) = &parted {
        let waiting = |i: &usize| kept[*i] && matches!(parts[*i].1, Part::Edges | Part::Later) && is_wanted(i);
        let as_they_come = |i: usize| parts[i].1.again();
        let some = parted.sample(SAMPLE, &vec![true; pass.want.len()]);
        let is_wide = |i: usize| {
            let desk = &mut desks.lock().unwrap_or_else(PoisonError::into_inner)[0];
            some.as_ref().is_some_and(|some| pass.is_wide(i, some, desk))
        };
        for (by, jobs) in pass.looks(parted, (0..plans.len()).filter(waiting), as_they_come, is_wide) {
            let looked = pass.look(parted, by.as_ref(), &jobs, &desks)?;
            for ((i, _), looked) in jobs.into_iter().zip(looked) {
                match looked {
                    Gathered::Sinks(of) => sinks[i] = of,
                    rows => {
                        left.retain(|other| *other != i);
                        gathered[i] = rows;
                    }
                }
            }
        }
    }
    let sieves: Vec<Option<Sieve>> = sinks.iter_mut().map(|sinks| sieve(sinks, ctl)).collect();
    let is_again = |i: &usize| {
        let unseen = matches!(parts[*i].1, Part::Edges) && !kept[*i] && is_wanted(i);
        sieves[*i].as_ref().is_some_and(Sieve::is_passed) || unseen
    };
    let again: Vec<usize> = left.iter().copied().filter(is_again).collect();
    left.into_iter().for_each(|i| gathered[i] = Gathered::Sinks(std::mem::take(&mut sinks[i])));
    if again.is_empty() || ctl.cancelled() {
        // To give back so much memory takes a while.
        ctl.install(|| rayon::join(|| drop(parted), || drop(desks)));
        return Ok(gathered);
    }
    // Groups that are whole are rows from now on, which take less memory than they do.
    let whole = |(i, (gathered, (plan, cx))): (usize, (&mut Gathered<'a>, &(&'a Plan, &'a Cx<'a>)))| {
        if let (Gathered::Sinks(sinks), false) = (&mut *gathered, again.contains(&i)) {
            *gathered = Gathered::Rows(merge(std::mem::take(sinks), sink_at(plan), plan, cx));
        }
    };
    ctl.install(|| gathered.par_iter_mut().zip(plans).enumerate().for_each(whole));
    let mut share = ctl.memory().share();
    share.set(sieves.iter().flatten().map(Sieve::bytes).sum());
    let second = |i: &usize| Part::Second(sieves[*i].as_ref());
    let (here, there): (Vec<usize>, Vec<usize>) = again.iter().partition(|i| kept[**i]);
    if let (Some(parted), false) = (&parted, here.is_empty()) {
        let those: Vec<(usize, Part<'_>)> = here.iter().map(|i| (*i, second(i))).collect();
        here.iter().zip(pass.look(parted, None, &those, &desks)?).for_each(|(i, looked)| gathered[*i] = looked);
    }
    if !there.is_empty() {
        let those: Vec<(&Plan, &Cx<'_>)> = there.iter().map(|i| plans[*i]).collect();
        let parts: Vec<(usize, Part<'_>)> = there.iter().map(second).enumerate().collect();
        // What the source holds was counted the first time.
        let (sinks, _) = Pass::new(&those).read(&parts, &*source, &Counters::default())?;
        there.iter().zip(sinks).for_each(|(i, sinks)| gathered[*i] = Gathered::Sinks(sinks));
    }
    Ok(gathered)
}

/// Rows that tell whether a plan wants many.
const SAMPLE: usize = 4096;

fn sink_at(plan: &Plan) -> usize {
    plan.ops.iter().position(is_sink).unwrap_or(plan.ops.len())
}

/// What the workers of a plan counted of its groups, if one of them had too many.
fn sieve(sinks: &mut [Sink<'_>], ctl: &Ctl) -> Option<Sieve> {
    let mut tables: Vec<&mut GroupTable<'_>> = Vec::new();
    for sink in sinks {
        let Sink::Group(table) = sink else { return None };
        tables.push(table);
    }
    GroupTable::sieve(tables, ctl)
}

/// The workers' sinks of each plan.
type Sinks<'a> = Vec<Vec<Sink<'a>>>;

/// Plans that look at the rows of a source together.
struct Pass<'p, 'a> {
    plans: &'p [(&'a Plan, &'a Cx<'a>)],
    ctl: &'a Ctl,
    jobs: Vec<Job<'a>>,
    front: Front,
    want: Vec<Field>,
    /// The time range, which all have in common.
    in_range: Option<Op>,
}

impl<'p, 'a> Pass<'p, 'a> {
    /// Of one plan at least.
    fn new(plans: &'p [(&'a Plan, &'a Cx<'a>)]) -> Pass<'p, 'a> {
        let mut want: Vec<Field> = Vec::new();
        for (field, _) in plans.iter().flat_map(|(plan, _)| &plan.scan.fields) {
            if !want.contains(field) {
                want.push(field.clone());
            }
        }
        let mut front = Front::default();
        let mut jobs: Vec<Job<'a>> = plans.iter().map(|(plan, cx)| Job::new(plan, cx, &want, &mut front)).collect();
        front.settle();
        jobs.iter_mut().for_each(|job| job.settle(&want, &front));
        let in_range = plans.iter().flat_map(|(plan, _)| &plan.ops).find_map(|op| match op {
            Op::Range { start, end, .. } => {
                let time = want.iter().position(|f| *f == Field::Timestamp)?;
                Some(Op::Range { time, start: *start, end: *end })
            }
            _ => None,
        });
        Pass { plans, ctl: plans[0].1.ctl, jobs, front, want, in_range }
    }

    /// Reads the source for the jobs named. Those that wait see the rows here if these cannot all be kept.
    fn read(
        &self,
        parts: &[(usize, Part<'_>)],
        source: &dyn Source,
        counters: &Counters,
    ) -> Result<(Sinks<'a>, Vec<Kept>), Error> {
        let Pass { ctl, jobs, .. } = self;
        let (cx, range) = (self.plans[0].1, self.plans[0].0.scan.range);
        let again = parts.iter().any(|(_, part)| matches!(part, Part::Second(_)));
        let scan = Scan { needles: needles(self.plans), want: self.want.clone(), range, ..Scan::default() };
        let morsels = source.open(&scan, counters)?;
        let waits = |at: usize| matches!(parts[at].1, Part::Later);
        let worker = || -> Result<(Vec<Sink<'a>>, Kept), Error> {
            let mut sinks = self.sinks(parts);
            let mut answers = Answers::new(&self.front, ctl);
            let mut kept = Kept::new(self.wanted_again(parts), ctl);
            let mut joined = Joined::default();
            let mut look = |batch: &Batch, answers: &mut Answers<'_>| {
                let before = kept.batches().len();
                let lost = kept.add(batch);
                if !lost.is_empty() {
                    let those = |at: usize| waits(at) && lost.contains(&at);
                    self.catch_up(&kept.batches()[..before], parts, &mut sinks, answers, those)?;
                    kept.forget();
                }
                answers.begin();
                self.push(batch, parts, &mut sinks, answers, &mut [], |at| !waits(at) || !kept.is_whole(at))
            };
            let mut flow = Flow::More;
            while flow == Flow::More && !jobs.iter().all(Job::has_enough) {
                let Some(morsel) = next(&*morsels, ctl) else { break };
                flow = morsel.read(&mut |batch| {
                    if ctl.cancelled() {
                        return Ok(Flow::Enough);
                    }
                    let batch = match &self.in_range {
                        Some(range) if again => {
                            let keep = steps::passing(std::iter::once(range), &batch, cx);
                            batch.filter(&keep)
                        }
                        Some(range) => steps::map(range, None, batch, cx),
                        None => batch,
                    };
                    let batch = answers.code(batch, ctl);
                    if let Some(batch) = joined.add(batch) {
                        look(&batch, &mut answers)?;
                    }
                    Ok(if jobs.iter().all(Job::has_enough) { Flow::Enough } else { Flow::More })
                })?;
            }
            if let Some(batch) = joined.finish() {
                look(&batch, &mut answers)?;
            }
            Ok((sinks, kept))
        };
        let mut workers = ctl.broadcast(worker).into_iter().collect::<Result<Vec<_>, Error>>()?;
        // Who waited for all rows, and does not get those of one worker, waits no longer for those of the others.
        let lost: Vec<bool> =
            (0..parts.len()).map(|at| waits(at) && !workers.iter().all(|(_, kept)| kept.is_whole(at))).collect();
        let catch_up = |(sinks, kept): &mut (Vec<Sink<'a>>, Kept)| {
            let mut answers = Answers::new(&self.front, ctl);
            self.catch_up(kept.batches(), parts, sinks, &mut answers, |at| lost[at] && kept.is_whole(at))
        };
        if lost.contains(&true) {
            ctl.install(|| workers.par_iter_mut().try_for_each(catch_up))?;
        }
        let mut by_job: Sinks<'a> = parts.iter().map(|_| Vec::new()).collect();
        let mut all_kept = Vec::new();
        for (sinks, kept) in workers {
            by_job.iter_mut().zip(sinks).for_each(|(all, sink)| all.push(sink));
            all_kept.push(kept);
        }
        Ok((by_job, all_kept))
    }

    /// Rows that were kept, for those of the jobs that wait no longer.
    fn catch_up(
        &self,
        before: &[Packed],
        parts: &[(usize, Part<'_>)],
        sinks: &mut [Sink<'a>],
        answers: &mut Answers<'_>,
        those: impl Fn(usize) -> bool,
    ) -> Result<(), Error> {
        if !(0..parts.len()).any(&those) {
            return Ok(());
        }
        for before in before {
            answers.begin();
            self.push(&before.batch(), parts, sinks, answers, &mut [], &those)?;
        }
        Ok(())
    }

    fn sinks(&self, parts: &[(usize, Part<'_>)]) -> Vec<Sink<'a>> {
        parts.iter().map(|(number, part)| self.jobs[*number].sink(*part, self.ctl)).collect()
    }

    /// The columns of the scan that each job may have to look at once more.
    fn wanted_again(&self, parts: &[(usize, Part<'_>)]) -> Vec<Vec<bool>> {
        let wanted = |(number, part): &(usize, Part<'_>)| {
            let mut wanted = vec![false; self.want.len()];
            if self.jobs[*number].may_come_again(*part) {
                let (plan, _) = self.plans[*number];
                plan.scan.fields.iter().for_each(|(field, _)| wanted[job::number(&self.want, field)] = true);
            }
            wanted
        };
        parts.iter().map(wanted).collect()
    }

    /// The rows of a batch through those of the jobs named that `which` says, by their places.
    fn push(
        &self,
        batch: &Batch,
        parts: &[(usize, Part<'_>)],
        sinks: &mut [Sink<'a>],
        answers: &mut Answers<'_>,
        sieves: &mut [Option<OfBatch<'a>>],
        which: impl Fn(usize) -> bool,
    ) -> Result<(), Error> {
        for (_, ((number, part), sink)) in parts.iter().zip(sinks).enumerate().filter(|(at, _)| which(*at)) {
            let job = &self.jobs[*number];
            if job.has_enough() || batch.rows == 0 {
                continue;
            }
            if let Sink::Group(table) = sink {
                table.scanned(batch.rows);
            }
            let Some(mut rows) = job.rows((*number, *part), batch, answers, &self.front) else { continue };
            let keep = match part {
                Part::Second(Some(sieve)) => Some(sieve.passing(&rows, job.keys(), &mut answers.hashes)),
                Part::Whole(which) => {
                    let sieve = sieves.get_mut(*which).and_then(Option::as_mut);
                    sieve.map(|sieve| sieve.passing(&rows, &mut answers.hashes))
                }
                _ => None,
            };
            if let Some(keep) = keep {
                rows = rows.filter(&keep);
            }
            if rows.rows > 0 {
                job.shared.found.fetch_add(rows.rows as u64, Ordering::Relaxed);
                sink.push(rows, &mut answers.hashes)?;
            }
        }
        Ok(())
    }
}

/// What a record must hold one of so that any plan can want it: of each plan the first of its entries. Nothing if a plan
/// takes all records.
fn needles(plans: &[(&Plan, &Cx<'_>)]) -> Vec<Vec<Vec<u8>>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for (plan, _) in plans {
        let Some(entry) = plan.scan.needles.first() else { return Vec::new() };
        all.extend(entry.iter().filter(|n| !all.contains(n)).cloned().collect::<Vec<_>>());
    }
    vec![all]
}
