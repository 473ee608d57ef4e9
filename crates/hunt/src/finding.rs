//! What a rule found: its answer's rows, one finding an entity.

use crate::query::OUTCOME;
use crate::rule::{Level, Rule};
use backsight_engine::agg::trace::Trace;
use backsight_engine::plan::TRACE;
use backsight_engine::value::column::Batch;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// One entity that a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// What it is about; `None` where the events do not say.
    pub entity: Option<String>,
    /// `success` or `attempt`, for rules that tell them apart.
    pub outcome: Option<String>,
    /// The events behind it.
    pub trace: Trace,
    /// Rows of the rule's answer: windows, say.
    pub rows: u64,
    /// Columns of the row with the most events, beside entity, outcome and level: name and text.
    pub columns: Vec<(String, String)>,
    /// Events behind that row.
    most: u64,
}

/// The findings of a rule: the rows of its answer, put together by entity and outcome.
#[derive(Debug)]
pub struct Findings<'r> {
    rule: &'r Rule,
    names: Vec<String>,
    found: BTreeMap<(Option<String>, Option<String>), Finding>,
}

impl<'r> Findings<'r> {
    /// Of an answer with these columns.
    pub fn new(rule: &'r Rule, names: Vec<String>) -> Findings<'r> {
        Findings { rule, names, found: BTreeMap::new() }
    }

    /// Takes in rows of the answer.
    pub fn add(&mut self, batch: &Batch) {
        let at = |name: &str| self.names.iter().position(|n| n == name);
        let (entity_at, outcome_at, level_at, trace_at) =
            (at(&self.rule.entity.field), at(OUTCOME), at("level"), at(TRACE));
        for row in 0..batch.rows {
            let cell = |at: usize| -> Option<String> {
                let text = batch.columns.get(at)?.get(row).text()?;
                Some(String::from_utf8_lossy(&text).into_owned())
            };
            let (entity, outcome) = (entity_at.and_then(cell), outcome_at.and_then(cell));
            let level = level_at.and_then(cell).and_then(|l| Level::of(&l)).unwrap_or(match outcome.as_deref() {
                Some("attempt") => self.rule.level.lower(),
                _ => self.rule.level,
            });
            let trace = trace_at.and_then(|at| batch.columns.get(at)?.get(row).text().map(|t| Trace::read(&t)));
            let trace = trace.unwrap_or_default();
            let shown = |at: &usize| ![entity_at, outcome_at, level_at, trace_at].contains(&Some(*at));
            let shown = (0..self.names.len()).filter(shown);
            let columns = || shown.filter_map(|at| Some((self.names[at].clone(), cell(at)?))).collect();
            let most = trace.events;
            match self.found.entry((entity, outcome)) {
                Entry::Vacant(place) => {
                    let (entity, outcome) = place.key().clone();
                    place.insert(Finding { level, entity, outcome, trace, rows: 1, columns: columns(), most });
                }
                Entry::Occupied(mut place) => place.get_mut().add((level, &trace, 1), (most, columns)),
            }
        }
    }

    /// The findings, by entity, then outcome.
    pub fn finish(self) -> Vec<Finding> {
        self.found.into_values().collect()
    }
}

impl Finding {
    /// Takes in another of the same rule, entity and outcome.
    pub fn join(&mut self, other: Finding) {
        let Finding { level, trace, rows, columns, most, .. } = other;
        self.add((level, &trace, rows), (most, || columns));
    }

    /// Takes in more rows, and the columns of that with the most events.
    fn add(
        &mut self,
        (level, trace, rows): (Level, &Trace, u64),
        (most, columns): (u64, impl FnOnce() -> Vec<(String, String)>),
    ) {
        self.level = self.level.max(level);
        self.trace.add(trace);
        self.rows += rows;
        if most > self.most {
            (self.columns, self.most) = (columns(), most);
        }
    }
}
