//! Several plans in one pass over their source. The scan reads what any of them wants; conditions and columns that plans
//! have in common are found out once a batch ([`shared`](super::shared)); each plan has sinks of its own.

use super::shared::{Answers, Cond, Front, Rows as Chosen};
use super::{Cx, Shared, Sink, context, is_sink, merge, next, opened, steps};
use crate::error::Error;
use crate::exec::rows::Rows;
use crate::exec::{Ctl, Outcome};
use crate::func::Clock;
use crate::plan::{Expr, Op, Plan, Slot};
use crate::source::{Catalog, Field, Flow, Scan};
use crate::value::column::{Batch, Column};
use std::collections::{BTreeSet, HashMap};
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

/// A plan's part of the pass.
struct Job<'a> {
    plan: &'a Plan,
    cx: &'a Cx<'a>,
    sink_at: usize,
    /// Columns of the scan the plan still reads once its rows are chosen: number, slot.
    columns: Vec<(usize, Slot)>,
    /// What the rows must fulfil.
    chosen: Vec<Cond>,
    /// The column of times whose first and last the plan wants to know.
    edges: Option<usize>,
    /// What is left to do with them before the sink.
    steps: Vec<Step<'a>>,
    shared: Shared,
    /// `limit any`.
    any: Option<u64>,
}

/// One step of a job.
enum Step<'a> {
    /// An op as it is.
    Op(&'a Op),
    /// A filter that may choose rows before everything else; none is left once the job is settled.
    Filter(&'a Op, Cond),
    /// A computed column that other plans want, too: its slot, its number, and how to compute it alone.
    Column(Slot, usize, &'a Expr),
}

/// Columns of the scan by slot, where an expression in terms of them is known.
type Known = HashMap<Slot, Expr>;

impl<'a> Job<'a> {
    fn new(plan: &'a Plan, cx: &'a Cx<'a>, want: &[Field], front: &mut Front) -> Job<'a> {
        let sink_at = plan.ops.iter().position(is_sink).unwrap_or(plan.ops.len());
        let mut known: Known =
            plan.scan.fields.iter().map(|(field, slot)| (*slot, Expr::Slot(number(want, field)))).collect();
        let (mut steps, mut edges) = (Vec::new(), None);
        let mut same_rows = true;
        for op in &plan.ops[..sink_at] {
            match op {
                // The pass sees to the time range, once for all.
                Op::Range { .. } => {}
                // All rows are seen, before any are chosen.
                Op::Edges(time) => edges = known.get(time).and_then(|e| e.slots().first().copied()),
                Op::Filter(e) if same_rows => {
                    let parts = match e {
                        Expr::And(all) => all.as_slice(),
                        one => std::slice::from_ref(one),
                    };
                    let terms: Option<Vec<Expr>> = parts.iter().map(|p| in_terms(p, &known)).collect();
                    match terms {
                        Some(terms) => {
                            let cond = Cond::And(terms.iter().map(|t| front.condition(t)).collect());
                            steps.push(Step::Filter(op, cond));
                        }
                        None => steps.push(Step::Op(op)),
                    }
                }
                Op::Extend(columns) if same_rows => {
                    for (slot, e) in columns {
                        match in_terms(e, &known) {
                            Some(term) => {
                                steps.push(Step::Column(*slot, front.column(&term), e));
                                known.insert(*slot, term);
                            }
                            None => {
                                steps.push(Step::Op(op));
                                columns.iter().for_each(|(slot, _)| {
                                    known.remove(slot);
                                });
                                break;
                            }
                        }
                    }
                }
                _ => {
                    same_rows &= keeps_rows(op);
                    steps.push(Step::Op(op));
                }
            }
        }
        let any = match plan.ops.get(sink_at) {
            Some(Op::Limit { rows, any: true }) => Some(*rows),
            _ => None,
        };
        Job { plan, cx, sink_at, columns: Vec::new(), chosen: Vec::new(), edges, steps, shared: Shared::default(), any }
    }

    /// All jobs are there: says which filters choose rows, and which columns are then read. A condition that costs more
    /// than look-ups, and that nobody else asks for, is left to the rows that the others leave.
    fn settle(&mut self, want: &[Field], front: &Front) {
        let is_cheap = |step: &Step<'_>| matches!(step, Step::Filter(_, cond) if !front.is_costly(cond));
        let any_cheap = self.steps.iter().any(is_cheap);
        let mut steps = Vec::new();
        for step in std::mem::take(&mut self.steps) {
            match step {
                Step::Filter(op, cond) if any_cheap && front.is_costly(&cond) => steps.push(Step::Op(op)),
                Step::Filter(_, cond) => self.chosen.push(cond),
                other => steps.push(other),
            }
        }
        self.steps = steps;
        let read = self.reads();
        let fields = self.plan.scan.fields.iter().filter(|(_, slot)| read.contains(slot));
        self.columns = fields.map(|(field, slot)| (number(want, field), *slot)).collect();
    }

    /// The slots read behind the choice of rows.
    fn reads(&self) -> BTreeSet<Slot> {
        let mut read = BTreeSet::new();
        for step in &self.steps {
            match step {
                Step::Op(op) | Step::Filter(op, _) => read.extend(op.reads()),
                Step::Column(_, _, e) => read.extend(e.slots()),
            }
        }
        for op in &self.plan.ops[self.sink_at..] {
            read.extend(op.reads());
            if matches!(op, Op::Group { .. }) {
                return read;
            }
        }
        read.extend(self.plan.shown.iter().map(|(_, slot)| *slot));
        read
    }

    /// The plan's rows of a batch of the scan; nothing if there are none.
    fn rows(&self, batch: &Batch, answers: &mut Answers<'_>, front: &Front) -> Option<Batch> {
        if let Some(times) = self.edges.and_then(|at| batch.columns.get(at)) {
            self.cx.edges.see(times);
        }
        let mut chosen = Chosen::All;
        for cond in &self.chosen {
            chosen = match chosen {
                Chosen::None => return None,
                rows => rows.and(answers.rows(cond, batch, self.cx)),
            };
        }
        let kept = match chosen {
            Chosen::None => return None,
            Chosen::All => None,
            Chosen::Some(mask) => Some(crate::value::column::selected(&mask)),
        };
        let rows = kept.as_ref().map_or(batch.rows, Vec::len);
        let mut columns = vec![Column::null(rows); self.plan.scan.slots];
        for (number, slot) in &self.columns {
            let column = &batch.columns[*number];
            columns[*slot] = kept.as_ref().map_or_else(|| column.clone(), |kept| column.take(kept));
        }
        let positions = kept.as_ref().map_or_else(|| batch.positions.clone(), |kept| batch.positions.take(kept));
        let mut mine = Batch { columns, rows, positions };
        for (i, step) in self.steps.iter().enumerate() {
            if mine.rows == 0 {
                return None;
            }
            match step {
                Step::Op(op) | Step::Filter(op, _) => {
                    let next = match self.steps.get(i + 1) {
                        Some(Step::Op(next)) => Some(*next),
                        _ => None,
                    };
                    mine = steps::map(op, next, mine, self.cx);
                }
                // All rows are still there, or enough of them that one computation serves several plans.
                Step::Column(slot, number, _)
                    if mine.rows == rows && rows * 4 > batch.rows && front.is_wanted_twice(*number) =>
                {
                    let column = answers.column(*number, batch, self.cx);
                    let column = kept.as_ref().map_or_else(|| column.clone(), |kept| column.take(kept));
                    steps::put(&mut mine, *slot, column);
                }
                Step::Column(slot, _, e) => {
                    let column = super::eval::eval(e, &mine, self.cx);
                    steps::put(&mut mine, *slot, column);
                }
            }
        }
        (mine.rows > 0).then_some(mine)
    }
}

fn number(want: &[Field], field: &Field) -> usize {
    want.iter().position(|f| f == field).unwrap_or(usize::MAX)
}

/// Whether an op leaves the rows as they are, so that what is known of them holds behind it.
fn keeps_rows(op: &Op) -> bool {
    match op {
        Op::Parse { pattern, .. } => !matches!(pattern, crate::plan::ParsePattern::Regex { multi: true, .. }),
        Op::Unnest { .. } => false,
        _ => true,
    }
}

/// An expression in terms of the scan's columns; nothing if it reads others, or the answer of a sub-query.
fn in_terms(e: &Expr, known: &Known) -> Option<Expr> {
    let mut possible = true;
    e.visit(&mut |e| match e {
        Expr::Slot(slot) => possible &= known.contains_key(slot),
        Expr::InQuery(..) => possible = false,
        _ => {}
    });
    possible.then(|| e.map_slots(&mut |slot| known[&slot].clone()))
}

/// The source's rows through all jobs up to their sinks: rows and number of the next op of each.
#[allow(clippy::type_complexity)]
fn scan<'a>(
    plans: &[(&'a Plan, &'a Cx<'a>)],
    catalog: &dyn Catalog,
) -> Result<Vec<Result<(Rows<'a>, usize), Error>>, Error> {
    let Some((plan, cx)) = plans.first() else { return Ok(Vec::new()) };
    let source = opened(&plan.scan, catalog)?;
    let ctl = cx.ctl;
    let mut want: Vec<Field> = Vec::new();
    for (field, _) in plans.iter().flat_map(|(plan, _)| &plan.scan.fields) {
        if !want.contains(field) {
            want.push(field.clone());
        }
    }
    let range = plan.scan.range;
    let mut front = Front::default();
    let mut jobs: Vec<Job<'a>> = plans.iter().map(|(plan, cx)| Job::new(plan, cx, &want, &mut front)).collect();
    front.settle();
    jobs.iter_mut().for_each(|job| job.settle(&want, &front));
    let front = &front;
    let in_range = plans.iter().flat_map(|(plan, _)| &plan.ops).find_map(|op| match op {
        Op::Range { start, end, .. } => {
            let time = want.iter().position(|f| *f == Field::Timestamp)?;
            Some(Op::Range { time, start: *start, end: *end })
        }
        _ => None,
    });
    let scan = Scan { needles: needles(plans), want, range, ..Scan::default() };
    let morsels = source.open(&scan, &ctl.counters)?;
    let worker = || -> Result<Vec<Sink<'a>>, Error> {
        let mut sinks: Vec<Sink<'a>> =
            jobs.iter().map(|job| Sink::for_op(job.plan.ops.get(job.sink_at), &job.shared, ctl)).collect();
        let mut answers = Answers::new(front);
        let mut flow = Flow::More;
        while flow == Flow::More && !jobs.iter().all(Job::has_enough) {
            let Some(morsel) = next(&*morsels, ctl) else { break };
            flow = morsel.read(&mut |batch| {
                if ctl.cancelled() {
                    return Ok(Flow::Enough);
                }
                let batch = match &in_range {
                    Some(range) => steps::map(range, None, batch, jobs[0].cx),
                    None => batch,
                };
                answers.next();
                for (job, sink) in jobs.iter().zip(&mut sinks) {
                    if job.has_enough() || batch.rows == 0 {
                        continue;
                    }
                    if let Some(rows) = job.rows(&batch, &mut answers, front) {
                        job.shared.found.fetch_add(rows.rows as u64, Ordering::Relaxed);
                        sink.push(rows)?;
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
    Ok(jobs.iter().zip(by_job).map(|(job, sinks)| merge(sinks, job.sink_at, job.plan, job.cx)).collect())
}

impl Job<'_> {
    fn has_enough(&self) -> bool {
        self.any.is_some_and(|n| self.shared.found.load(Ordering::Relaxed) >= n)
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
