//! Several plans in one pass over their source. The scan reads what any of them wants; conditions and columns that plans
//! have in common are found out once a batch ([`shared`](super::shared)); each plan has sinks of its own.

mod job;

use super::group::GroupTable;
use super::group::sieve::Sieve;
use super::shared::{Answers, Front};
use super::{Cx, Sink, context, is_sink, merge, next, opened, steps};
use crate::error::Error;
use crate::exec::rows::Rows;
use crate::exec::{Ctl, Outcome};
use crate::func::Clock;
use crate::plan::ordered::Ordered;
use crate::plan::{Op, Plan, Slot};
use crate::source::{Catalog, Counters, Field, Flow, Scan, Source};
use crate::value::column::Batch;
use crate::when::When;
use job::Job;
use std::sync::atomic::Ordering;

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
        let answers = match lead.estimate {
            // Nothing is read for an estimate.
            true => jobs.iter().map(|(plan, cx)| Ok((super::rows(plan, cx)?, plan.ops.len()))).collect(),
            false => scan(&jobs, catalog)?,
        };
        for (i, answer) in members.iter().zip(answers) {
            let mut given = 0;
            let mut refused = None;
            let answered = answer.and_then(|(mut rows, done)| {
                for (at, op) in plans[*i].ops.iter().enumerate().skip(done) {
                    rows = steps::whole(op, plans[*i].ops.get(at + 1), rows, &contexts[*i])?;
                }
                for batch in rows.stream() {
                    let batch = batch?;
                    let columns = plans[*i].shown.iter().map(|(_, slot)| super::column(&batch, *slot)).collect();
                    given += batch.rows as u64;
                    match out(*i, Batch { columns, ..batch }) {
                        Ok(Flow::More) => {}
                        Ok(Flow::Enough) => break,
                        Err(error) => {
                            refused = Some(error);
                            break;
                        }
                    }
                }
                Ok(Outcome { rows: given, partial: ctl.cancelled(), ..Outcome::default() })
            });
            if let Some(error) = refused {
                return Err(error);
            }
            outcomes[*i] = answered;
        }
        left = others;
    }
    Ok(outcomes)
}

/// The source's rows through all jobs up to their sinks: rows and number of the next op of each.
///
/// Groups that are many and mostly too small to be kept are only counted, and the source is read once more for those that
/// may be kept; so it is for what is new after a time that is known at the end only.
#[allow(clippy::type_complexity)]
fn scan<'a>(
    plans: &[(&'a Plan, &'a Cx<'a>)],
    catalog: &dyn Catalog,
) -> Result<Vec<Result<(Rows<'a>, usize), Error>>, Error> {
    let Some((plan, cx)) = plans.first() else { return Ok(Vec::new()) };
    let (source, ctl) = (opened(&plan.scan, catalog)?, cx.ctl);
    let first = |(plan, cx): &(&'a Plan, &'a Cx<'a>)| {
        let part = if new_after(plan).is_some() { Part::Edges } else { Part::First };
        Member { plan, cx, part }
    };
    let members: Vec<Member<'a, '_>> = plans.iter().map(first).collect();
    let mut gathered = pass(&members, &*source, &ctl.counters)?;
    let sieves: Vec<Option<Sieve>> = gathered.iter_mut().map(|sinks| sieve(sinks, ctl)).collect();
    let again: Vec<usize> = (0..plans.len()).filter(|i| sieves[*i].is_some() || members[*i].is_wanted()).collect();
    if !again.is_empty() && !ctl.cancelled() {
        let mut share = ctl.memory().share();
        share.set(sieves.iter().flatten().map(Sieve::bytes).sum());
        let member = |i: &usize| Member { part: Part::Second(sieves[*i].as_ref()), ..members[*i] };
        // What the source holds was counted the first time.
        let second = pass(&again.iter().map(member).collect::<Vec<_>>(), &*source, &Counters::default())?;
        again.iter().zip(second).for_each(|(i, sinks)| gathered[*i] = sinks);
    }
    let answer = |((plan, cx), sinks): (&(&'a Plan, &'a Cx<'a>), _)| merge(sinks, sink_at(plan), plan, cx);
    Ok(plans.iter().zip(gathered).map(answer).collect())
}

/// A plan that takes part in a pass.
#[derive(Clone, Copy)]
struct Member<'a, 's> {
    plan: &'a Plan,
    cx: &'a Cx<'a>,
    part: Part<'s>,
}

/// What part a plan takes in a pass.
#[derive(Clone, Copy)]
enum Part<'s> {
    /// It sees all rows, and may find that only a second pass answers it.
    First,
    /// It wants to know the first and the last time, without which it cannot tell whether any row matters.
    Edges,
    /// Its second pass; it sees the rows that the sieve lets pass.
    Second(Option<&'s Sieve>),
}

impl Member<'_, '_> {
    /// Now that the first and last time are known: whether there can be something new so late.
    fn is_wanted(&self) -> bool {
        let (Part::Edges, Some(when)) = (self.part, new_after(self.plan)) else { return false };
        let edges = self.cx.edges.edges();
        when.resolve(self.cx.clock.now, edges).zip(edges).is_some_and(|(after, (_, last))| after <= last)
    }
}

/// The time from which on values count as new, where it depends on the first or last event: often all are before it.
fn new_after(plan: &Plan) -> Option<When> {
    let at = sink_at(plan);
    let is_read = |slot: &Slot| plan.scan.fields.iter().any(|(_, s)| s == slot);
    let sees = plan.ops[..at].iter().any(|op| matches!(op, Op::Edges(time) if is_read(time)));
    match plan.ops.get(at..at + 2) {
        Some([Op::Group { .. }, Op::Ordered(Ordered::New { after: Some(when), .. })]) if sees && when.needs_edges() => {
            Some(*when)
        }
        _ => None,
    }
}

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

/// One pass over the source: the workers' sinks of each member.
fn pass<'a>(members: &[Member<'a, '_>], source: &dyn Source, counters: &Counters) -> Result<Vec<Vec<Sink<'a>>>, Error> {
    let Some(Member { plan, cx, part }) = members.first() else { return Ok(Vec::new()) };
    let (ctl, again) = (cx.ctl, matches!(part, Part::Second(_)));
    let mut want: Vec<Field> = Vec::new();
    for (field, _) in members.iter().flat_map(|m| &m.plan.scan.fields) {
        if !want.contains(field) {
            want.push(field.clone());
        }
    }
    let range = plan.scan.range;
    let mut front = Front::default();
    let mut jobs: Vec<Job<'a, '_>> = members.iter().map(|member| Job::new(*member, &want, &mut front)).collect();
    front.settle();
    jobs.iter_mut().for_each(|job| job.settle(&want, &front));
    let front = &front;
    let in_range = members.iter().flat_map(|m| &m.plan.ops).find_map(|op| match op {
        Op::Range { start, end, .. } => {
            let time = want.iter().position(|f| *f == Field::Timestamp)?;
            Some(Op::Range { time, start: *start, end: *end })
        }
        _ => None,
    });
    let scan = Scan { needles: needles(members), want, range, ..Scan::default() };
    let morsels = source.open(&scan, counters)?;
    let worker = || -> Result<Vec<Sink<'a>>, Error> {
        let mut sinks: Vec<Sink<'a>> = jobs.iter().map(|job| job.sink(ctl)).collect();
        let mut answers = Answers::new(front, ctl);
        let mut flow = Flow::More;
        while flow == Flow::More && !jobs.iter().all(Job::has_enough) {
            let Some(morsel) = next(&*morsels, ctl) else { break };
            flow = morsel.read(&mut |batch| {
                if ctl.cancelled() {
                    return Ok(Flow::Enough);
                }
                let batch = match &in_range {
                    Some(range) if again => {
                        let keep = steps::passing(std::iter::once(range), &batch, jobs[0].cx);
                        batch.filter(&keep)
                    }
                    Some(range) => steps::map(range, None, batch, jobs[0].cx),
                    None => batch,
                };
                let batch = answers.next(batch, ctl);
                for ((number, job), sink) in jobs.iter().enumerate().zip(&mut sinks) {
                    if job.has_enough() || batch.rows == 0 {
                        continue;
                    }
                    let Some(mut rows) = job.rows(number, &batch, &mut answers, front) else { continue };
                    if let Part::Second(Some(sieve)) = job.part {
                        let keep = sieve.passing(&rows, job.keys(), &mut answers.hashes);
                        rows = rows.filter(&keep);
                    }
                    if rows.rows > 0 {
                        job.shared.found.fetch_add(rows.rows as u64, Ordering::Relaxed);
                        sink.push(rows, &mut answers.hashes)?;
                    }
                }
                Ok(if jobs.iter().all(Job::has_enough) { Flow::Enough } else { Flow::More })
            })?;
        }
        Ok(sinks)
    };
    let mut by_job: Vec<Vec<Sink<'a>>> = jobs.iter().map(|_| Vec::new()).collect();
    for sinks in ctl.broadcast(worker) {
        by_job.iter_mut().zip(sinks?).for_each(|(all, sink)| all.push(sink));
    }
    Ok(by_job)
}

/// What a record must hold one of so that any plan can want it: of each plan the first of its entries. Nothing if a plan
/// takes all records.
fn needles(members: &[Member<'_, '_>]) -> Vec<Vec<Vec<u8>>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for Member { plan, .. } in members {
        let Some(entry) = plan.scan.needles.first() else { return Vec::new() };
        all.extend(entry.iter().filter(|n| !all.contains(n)).cloned().collect::<Vec<_>>());
    }
    vec![all]
}
