//! Commands that hold a row against earlier ones, of all rows or of one key: `accum`, `autoregress`, `baseline`,
//! `firstseen`.

use super::lower::{Lowering, TRACE};
use super::ordered::Ordered;
use super::{AggCall, Op, Slot};
use crate::agg;
use crate::source::Field;
use crate::when::When;
use backsight_lang::ast::{self, Duration, Name, Path, Text};
use backsight_lang::span::Span;

impl Lowering<'_> {
    pub(super) fn accum(&mut self, field: &Path, alias: Option<&Name>, by: &[Path]) {
        let (input, keys) = (self.path_slot(field), self.path_slots(by));
        self.settle_ascending();
        let output = self.scope.slot();
        self.ops.push(Op::Ordered(Ordered::Accum { keys, input, output }));
        let name = alias.map_or_else(|| format!("accum_{}", field.text()), |a| a.text.clone());
        self.append(&name, output);
    }

    pub(super) fn autoregress(
        &mut self,
        field: &Path,
        alias: Option<&Name>,
        lags: Option<(u64, u64)>,
        span: Span,
        by: &[Path],
    ) {
        let (first, last) = lags.unwrap_or((1, 1));
        if first == 0 || last < first || last > 10_000 {
            return self.error("E030", span, "expected lags of at least 1, such as `p=1-3`");
        }
        let (input, keys) = (self.path_slot(field), self.path_slots(by));
        self.settle_ascending();
        let outputs: Vec<(usize, Slot)> = (first..=last).map(|k| (k as usize, self.scope.slot())).collect();
        self.ops.push(Op::Ordered(Ordered::Autoregress { keys, input, outputs: outputs.clone() }));
        for (k, slot) in outputs {
            let name = match alias {
                Some(a) if first == last => a.text.clone(),
                Some(a) => format!("{}_p{k}", a.text),
                None => format!("{}_p{k}", field.text()),
            };
            self.append(&name, slot);
        }
    }

    /// `baseline f [as n] [by k, …]`: `n_median`, `n_mad` and `n_past` of the key's earlier rows.
    pub(super) fn baseline(&mut self, field: &Path, alias: Option<&Name>, by: &[Path]) {
        let (input, keys) = (self.path_slot(field), self.path_slots(by));
        self.settle_ascending();
        let outputs = [(); 3].map(|()| self.scope.slot());
        self.ops.push(Op::Ordered(Ordered::Baseline { keys, input, outputs }));
        let name = alias.map_or_else(|| field.text(), |a| a.text.clone());
        for (what, slot) in ["median", "mad", "past"].into_iter().zip(outputs) {
            self.append(&format!("{name}_{what}"), slot);
        }
    }

    /// `firstseen f, … [by k, …] [history d|after t]`: groups of keys and values, of which the new ones stay.
    pub(super) fn firstseen(
        &mut self,
        fields: &[Path],
        by: &[Path],
        history: Option<&ast::Expr>,
        after: Option<&Text>,
        word: Span,
    ) {
        let after = match (history, after) {
            (Some(e), _) => match self.period(e).and_then(Duration::millis) {
                Some(span) => Some(When::first(span)),
                None => return self.error("E034", e.span, "expected a period such as 5m"),
            },
            (None, Some(text)) => match When::parse(&text.text) {
                Ok(when) => Some(when),
                Err(_) => return self.no_time(text),
            },
            (None, None) => None,
        };
        let Some(time) = self.scope.system(Field::Timestamp) else {
            return self.error("E014", word, "`@timestamp` is not available after `stats`");
        };
        let names: Vec<String> = by.iter().chain(fields).map(Path::text).collect();
        let keys: Vec<Slot> = by.iter().chain(fields).map(|p| self.path_slot(p)).collect();
        let n = keys.len();
        let call = |name: &str, args: Vec<Slot>, star| AggCall {
            aggregate: agg::find(name).expect("an aggregate of the table"),
            args,
            time: None,
            settings: agg::Settings { star, ..Default::default() },
        };
        let mut aggs =
            vec![call("min", vec![time], false), call("max", vec![time], false), call("count", Vec::new(), true)];
        let trace = self.trace_call();
        let mut columns = vec!["first_time", "last_time", "events"];
        columns.extend(trace.is_some().then_some(TRACE));
        aggs.extend(trace);
        let computed = n + aggs.len();
        let known = (!by.is_empty()).then(|| ((0..by.len()).collect(), computed));
        let slots = computed + usize::from(known.is_some());
        self.ops.push(Op::Group { keys, aggs, slots });
        columns.extend(known.is_some().then_some("known"));
        self.events_of(names, &columns);
        self.needs_edges |= after.is_some_and(When::needs_edges);
        self.ops.push(Op::Ordered(Ordered::New { first: n, after, known }));
    }
}
