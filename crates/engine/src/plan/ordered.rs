//! Commands that look at rows in their order: those in `past`, and `filldown`, `sessionize`, `addtotals`,
//! `fillmissing`, `outlier`, `burst`, `sequence`. Not preceded by `sort` or `stats`, they work in ascending time and
//! leave the rows so (language reference, §5).

use super::{AggCall, CompareOp, Slot};
use crate::value::Value;
use crate::when::When;
use backsight_lang::ast::Duration;

/// What an [`Op::Ordered`] does over all rows, in their order.
#[derive(Clone, Debug)]
pub enum Ordered {
    /// The running sum of a column.
    Accum {
        /// Whose: rows with the same texts here add up; without keys, all do.
        keys: Vec<Slot>,
        /// What is summed.
        input: Slot,
        /// Where the sum goes.
        output: Slot,
    },
    /// Values some rows before.
    Autoregress {
        /// Whose: only rows with the same texts here count.
        keys: Vec<Slot>,
        /// Whose values.
        input: Slot,
        /// How many rows before, and where that goes.
        outputs: Vec<(usize, Slot)>,
    },
    /// What the earlier rows of a key say of a column.
    Baseline {
        /// Whose.
        keys: Vec<Slot>,
        /// The column.
        input: Slot,
        /// Where the median, the median distance from it, and the number of values go.
        outputs: [Slot; 3],
    },
    /// Combinations of values first seen at or after a time.
    New {
        /// The column of first times.
        first: Slot,
        /// The time; without one, all are kept.
        after: Option<When>,
        /// The keys the values belong to, and where the number of values goes that a key had before.
        known: Option<(Vec<Slot>, Slot)>,
    },
    /// Nulls replaced by the last value above: from, to.
    FillDown(Vec<(Slot, Slot)>),
    /// Session numbers.
    Sessionize {
        /// Who.
        keys: Vec<Slot>,
        /// When.
        time: Slot,
        /// A longer pause, in milliseconds, starts a session.
        gap: i64,
        /// Where the number goes.
        output: Slot,
    },
    /// Totals of rows and of columns.
    Totals {
        /// The columns added up.
        inputs: Vec<Slot>,
        /// Only those that hold numbers (no list was given).
        numbers_only: bool,
        /// Where a row's total goes.
        row: Option<Slot>,
        /// Whether a row of column totals is added.
        column: bool,
    },
    /// Rows for the bins that are missing between the first and the last, per combination of the other keys.
    FillMissing {
        /// The column of bins.
        bin: Slot,
        /// The period.
        period: Duration,
        /// The other keys.
        keys: Vec<Slot>,
        /// Constant cells of the new rows; all others are null.
        with: Vec<(Slot, Value)>,
        /// The query's time range, where it has one: bins are added over all of it.
        range: (Option<i64>, Option<i64>),
    },
    /// Values far outside the middle half.
    Outlier {
        /// From, to, and the slot of the mark.
        columns: Vec<(Slot, Slot, Option<Slot>)>,
        /// Distance from the quartiles, in ranges between them.
        param: f64,
        /// Look below, too.
        lower: bool,
        /// Drop the rows instead of clamping the values.
        remove: bool,
    },
    /// What `pattern` says of its groups beside their count.
    Patterns {
        /// The masked text.
        pattern: Slot,
        /// Rows with it.
        count: Slot,
        /// Where its share of all rows goes.
        ratio: Slot,
        /// Where its severity goes.
        severity: Slot,
    },
    /// Fields by how differently their values are distributed where a condition holds; replaces the rows.
    Relevant {
        /// The column that is 1 where the condition holds.
        holds: Slot,
        /// Names and columns of the fields.
        fields: Vec<(String, Slot)>,
        /// The events' text, whose own fields are looked at, too.
        message: Option<Slot>,
        /// Fields of the text that are left out.
        without: Vec<String>,
    },
    /// Windows of time in which a key reaches a bound; replaces the rows.
    Burst {
        /// Who.
        keys: Vec<Slot>,
        /// When.
        time: Slot,
        /// Length of the window, milliseconds.
        within: i64,
        /// What is measured in a window.
        value: AggCall,
        /// How it is compared.
        op: CompareOp,
        /// With what.
        bound: Value,
        /// The column of traces, to be joined for the rows of a burst.
        trace: Option<Slot>,
    },
    /// Steps that follow each other; replaces the rows.
    Sequence {
        /// Who.
        keys: Vec<Slot>,
        /// When.
        time: Slot,
        /// All steps within this many milliseconds.
        within: i64,
        /// The column that is 1 where the step's condition holds, and how many such events it takes.
        steps: Vec<(Slot, u64)>,
        /// The column of traces, to be joined for the rows of a match.
        trace: Option<Slot>,
    },
}

impl Ordered {
    /// The slots read.
    pub fn reads(&self) -> Vec<Slot> {
        match self {
            Ordered::Accum { keys, input, .. }
            | Ordered::Autoregress { keys, input, .. }
            | Ordered::Baseline { keys, input, .. } => keys.iter().copied().chain([*input]).collect(),
            Ordered::New { first, known, .. } => {
                known.iter().flat_map(|(keys, _)| keys.iter().copied()).chain([*first]).collect()
            }
            Ordered::FillDown(columns) => columns.iter().map(|(from, _)| *from).collect(),
            Ordered::Sessionize { keys, time, .. } => keys.iter().copied().chain([*time]).collect(),
            Ordered::Totals { inputs, .. } => inputs.clone(),
            Ordered::Patterns { pattern, count, .. } => vec![*pattern, *count],
            Ordered::FillMissing { bin, keys, with, .. } => {
                keys.iter().copied().chain([*bin]).chain(with.iter().map(|(s, _)| *s)).collect()
            }
            Ordered::Outlier { columns, .. } => columns.iter().map(|(from, ..)| *from).collect(),
            Ordered::Relevant { holds, fields, message, .. } => {
                fields.iter().map(|(_, s)| *s).chain(*message).chain([*holds]).collect()
            }
            Ordered::Burst { keys, time, value, trace, .. } => {
                let read = keys.iter().copied().chain([*time]).chain(value.args.iter().copied());
                read.chain(value.time).chain(*trace).collect()
            }
            Ordered::Sequence { keys, time, steps, trace, .. } => {
                keys.iter().copied().chain([*time]).chain(steps.iter().map(|(s, _)| *s)).chain(*trace).collect()
            }
        }
    }

    /// The slots written.
    pub fn writes(&self) -> Vec<Slot> {
        match self {
            Ordered::Accum { output, .. } | Ordered::Sessionize { output, .. } => vec![*output],
            Ordered::Autoregress { outputs, .. } => outputs.iter().map(|(_, s)| *s).collect(),
            Ordered::Baseline { outputs, .. } => outputs.to_vec(),
            Ordered::New { known, .. } => known.iter().map(|(_, s)| *s).collect(),
            Ordered::FillDown(columns) => columns.iter().map(|(_, to)| *to).collect(),
            Ordered::Totals { row, .. } => row.iter().copied().collect(),
            Ordered::Patterns { ratio, severity, .. } => vec![*ratio, *severity],
            Ordered::Outlier { columns, .. } => {
                columns.iter().flat_map(|(_, to, mark)| [Some(*to), *mark]).flatten().collect()
            }
            Ordered::FillMissing { .. }
            | Ordered::Burst { .. }
            | Ordered::Sequence { .. }
            | Ordered::Relevant { .. } => Vec::new(),
        }
    }

    /// True where the op's rows are new ones with a numbering of their own.
    pub fn renumbers(&self) -> bool {
        matches!(self, Ordered::Burst { .. } | Ordered::Sequence { .. } | Ordered::Relevant { .. })
    }
}
