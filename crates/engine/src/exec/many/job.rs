//! A plan's part of a pass: which rows it wants, and what is done with them on the way to its sink.

use super::{Part, new_after, sink_at};
use crate::error::Error;
use crate::exec::ctl::Ctl;
use crate::exec::eval::eval;
use crate::exec::group::sieve::OfBatch;
use crate::exec::memory::keep;
use crate::exec::shared::{Answers, Cond, Front, Rows as Chosen, present_column};
use crate::exec::{Cx, Shared, Sink, is_sink, merge, parse, steps};
use crate::func::{Grid, Prepared};
use crate::plan::ordered::Ordered;
use crate::plan::reach::{ceiling, demand, of_events};
use crate::plan::{Expr, Op, Plan, Slot};
use crate::source::Field;
use crate::value::column::{Batch, Column, selected};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;

/// A plan's part of the pass.
pub(super) struct Job<'a> {
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
    pub shared: Shared,
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
    pub fn new(plan: &'a Plan, cx: &'a Cx<'a>, want: &[Field], front: &mut Front) -> Job<'a> {
        let sink_at = sink_at(plan);
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
        let (columns, chosen) = (Vec::new(), Vec::new());
        Job { plan, cx, sink_at, columns, chosen, edges, steps, shared: Shared::default(), any }
    }

    /// `limit any` has what it asked for.
    pub fn has_enough(&self) -> bool {
        self.any.is_some_and(|n| self.shared.found.load(Ordering::Relaxed) >= n)
    }

    /// Where a worker gathers what it sees.
    pub fn sink(&self, part: Part<'_>, ctl: &'a Ctl) -> Sink<'a> {
        let mut sink = Sink::for_op(self.plan.ops.get(self.sink_at), ctl);
        if let Sink::Group(table) = &mut sink {
            if let (Part::First | Part::Later, Some(demand)) = (part, demand(&self.plan.ops, self.sink_at)) {
                table.demand(demand);
            }
            if let Some(ceiling) = ceiling(&self.plan.ops, self.sink_at) {
                table.limit(ceiling);
            }
        }
        sink
    }

    /// Whether the rows may have to be looked at later.
    pub fn may_come_again(&self, part: Part<'_>) -> bool {
        match part {
            Part::First => demand(&self.plan.ops, self.sink_at).is_some(),
            Part::Edges => new_after(self.plan).is_some(),
            Part::Later => true,
            Part::Second(_) | Part::Whole(_) => false,
        }
    }

    /// The columns of the scan of which each value's rows can be looked at apart from all others; see [`Job::part`].
    pub fn parted_by(&self, want: &[Field]) -> Vec<usize> {
        let Some((keys, _)) = self.parted() else { return Vec::new() };
        let of_key = |slot: &Slot| {
            let (field, _) = self.plan.scan.fields.iter().find(|(_, of)| of == slot)?;
            Some(number(want, field))
        };
        keys.iter().filter_map(of_key).collect()
    }

    /// Whether its rows are put in order before they are looked at.
    pub fn is_ordered(&self) -> bool {
        self.parted().is_some_and(|(_, at)| matches!(self.plan.ops[at], Op::Ordered(_)))
    }

    /// The column of times of the scan, and the milliseconds of a period, where rows of different periods are never in one
    /// group; see [`Job::part`].
    pub fn period(&self, want: &[Field]) -> Option<(usize, i64)> {
        let (keys, at) = self.parted()?;
        let Op::Group { .. } = &self.plan.ops[at] else { return None };
        let computed = self.plan.ops[..at].iter().filter_map(|op| match op {
            Op::Extend(columns) => Some(columns),
            _ => None,
        });
        computed.flatten().filter(|(slot, _)| keys.contains(slot)).find_map(|(_, e)| {
            let (time, grid) = floor_of(e)?;
            let (field, _) = self.plan.scan.fields.iter().find(|(_, slot)| *slot == time)?;
            match grid {
                Grid::Even { width, origin: 0 } => Some((number(want, field), width)),
                _ => None,
            }
        })
    }

    /// The keys whose rows the first op to look at more than one row tells apart, and the number of that op.
    fn parted(&self) -> Option<(&'a [Slot], usize)> {
        let next = |from: usize| self.plan.ops[from..].iter().position(is_sink).map(|n| from + n);
        let at = self.sink_at;
        match self.plan.ops.get(at)? {
            Op::Group { keys, .. } => Some((keys, at)),
            // Its rows are put in order by what follows.
            Op::Sort { limit: None, .. } => {
                let then = next(at + 1)?;
                let Op::Ordered(Ordered::Sequence { keys, .. } | Ordered::Burst { keys, .. }) = &self.plan.ops[then]
                else {
                    return None;
                };
                let Op::Sort { .. } = &self.plan.ops[next(then + 1)?] else { return None };
                Some((keys, then))
            }
            _ => None,
        }
    }

    /// What leaves out rows of a batch that holds all rows of its groups.
    pub fn of_batch(&self, ctl: &Ctl) -> Option<OfBatch<'a>> {
        let (keys, at) = self.parted()?;
        let demand = match &self.plan.ops[at] {
            Op::Ordered(op) => of_events(op),
            _ => demand(&self.plan.ops, at),
        };
        Some(OfBatch::new(keys, &demand?, ctl.part_rows()))
    }

    /// What has come of the rows of some values, which is all there is of them, and the number of the next op. The sink
    /// begins anew.
    pub fn part(&self, sink: &mut Sink<'a>, ctl: &'a Ctl) -> Result<(Vec<Batch>, usize), Error> {
        let full = std::mem::replace(sink, self.sink(Part::Second(None), ctl));
        let (mut rows, done) = merge(vec![full], self.sink_at, self.plan, self.cx)?;
        let ops = &self.plan.ops;
        let then = self.parted().map_or(done, |(_, then)| then + 1);
        let end = ops[then..].iter().position(is_sink).map_or(ops.len(), |n| then + n);
        for at in done..end {
            rows = steps::whole(&ops[at], ops.get(at + 1), rows, self.cx)?;
        }
        let batches = rows.stream().map(|batch| batch.map(keep)).collect::<Result<_, _>>()?;
        Ok((batches, end))
    }

    /// The keys of the groups.
    pub fn keys(&self) -> &'a [Slot] {
        match self.plan.ops.get(self.sink_at) {
            Some(Op::Group { keys, .. }) => keys,
            _ => &[],
        }
    }

    /// All jobs are there: says which filters choose rows, and which columns are then read. A condition that costs more
    /// than look-ups, and that nobody else asks for, is left to the rows that the others leave.
    pub fn settle(&mut self, want: &[Field], front: &Front) {
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
    pub fn rows(
        &self,
        (job, part): (usize, Part<'_>),
        batch: &Batch,
        answers: &mut Answers<'_>,
        front: &Front,
    ) -> Option<Batch> {
        if let Some(times) = self.edges.and_then(|at| batch.columns.get(at)) {
            self.cx.edges.see(times);
        }
        if let Part::Edges = part {
            return None;
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
            Chosen::Some(mask) => Some(selected(&mask)),
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
            let cx = self.cx;
            match step {
                Step::Op(Op::Extend(columns)) => {
                    for (k, (slot, e)) in columns.iter().enumerate() {
                        let column = computed(e, (job, i << 16 | k), &mine, answers, cx);
                        steps::put(&mut mine, *slot, column);
                    }
                }
                Step::Op(Op::Parse { input, pattern, outputs }) if !pattern.repeats_rows() => {
                    let compute = |batch: &Batch| parse::columns(&eval(input, batch, cx), pattern, outputs.len());
                    let made = answers.derive((job, i << 16), || input.slots(), &mine, cx, &compute);
                    outputs.iter().zip(made).for_each(|(slot, column)| steps::put(&mut mine, *slot, column));
                }
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
                    let column = computed(e, (job, i << 16), &mine, answers, cx);
                    steps::put(&mut mine, *slot, column);
                }
            }
        }
        (mine.rows > 0).then_some(mine)
    }
}

/// The value of an expression in every row, found out once a different value of what it depends on.
fn computed(e: &Expr, step: (usize, usize), batch: &Batch, answers: &mut Answers<'_>, cx: &Cx<'_>) -> Column {
    match e {
        Expr::Slot(_) | Expr::Literal(_) => eval(e, batch, cx),
        // Told without looking at values.
        _ if present_column(e).is_some() => eval(e, batch, cx),
        Expr::Not(inner) if present_column(inner).is_some() => eval(e, batch, cx),
        _ => {
            let compute = |batch: &Batch| vec![eval(e, batch, cx)];
            answers.derive(step, || e.slots(), batch, cx, &compute).pop().unwrap_or_else(|| Column::null(batch.rows))
        }
    }
}

/// The slot of the times that an expression rounds down, and to what.
fn floor_of(e: &Expr) -> Option<(Slot, Grid)> {
    let Expr::Call(call) = e else { return None };
    match (call.function.name, call.args.first(), call.prepared.get(1)) {
        ("bin" | "datefloor", Some(Expr::Slot(time)), Some(Some(Prepared::Period(period)))) => {
            Some((*time, Grid::new(*period)?))
        }
        _ => None,
    }
}

/// The number of a field among those of the scan.
pub(super) fn number(want: &[Field], field: &Field) -> usize {
    want.iter().position(|f| f == field).unwrap_or(usize::MAX)
}

/// Whether an op leaves the rows as they are, so that what is known of them holds behind it.
fn keeps_rows(op: &Op) -> bool {
    match op {
        Op::Parse { pattern, .. } => !pattern.repeats_rows(),
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
