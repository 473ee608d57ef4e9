//! Warnings that only the data can give, once a query has run: fields that no event has (W001), events without a time where
//! the query needs one (W007).

use crate::repl::seen;
use crate::run::Input;
use crate::summary::{Summary, counted};
use backsight_engine::error::Error;
use backsight_engine::plan::Plan;
use backsight_engine::source::Field;
use backsight_engine::{Ctl, absent};
use backsight_lang::diag::{Diagnostic, nearest};
use backsight_lang::span::Span;

/// What there is to say of a run of `plan` that is over. Reads the input again, no further than it must, where the run
/// itself did not see enough of it to tell.
///
/// # Errors
/// What the source reports.
pub(crate) fn warnings(plan: &Plan, summary: &Summary, input: &Input, ctl: &Ctl) -> Result<Vec<Diagnostic>, Error> {
    let mut found = Vec::new();
    let untimed = summary.count("no_timestamp");
    if let (Some((span, without)), 1..) = (plan.scan.timed, untimed) {
        let message = format!("{} without `@timestamp`: such a row {without}", counted(untimed, "row"));
        found.push(Diagnostic::warning("W007", span, message));
    }
    if summary.partial || summary.records == 0 {
        return Ok(found);
    }
    let unmet: Vec<(Field, Span)> = summary.absent.iter().filter_map(|i| named(plan, *i)).collect();
    let missing = match unmet.is_empty() || plan.reads_all() {
        true => unmet,
        false => {
            let fields: Vec<Field> = unmet.iter().map(|(field, _)| field.clone()).collect();
            let still = absent(plan, &fields, input, ctl)?.unwrap_or_default();
            unmet.into_iter().filter(|(field, _)| still.contains(field)).collect()
        }
    };
    if missing.is_empty() {
        return Ok(found);
    }
    let known = seen::names(input);
    found.extend(missing.iter().map(|(field, span)| never(&field.name(), *span, &known)));
    found.sort_by_key(|d| d.span.start);
    Ok(found)
}

/// The field of a scan by its number, and where the query names it; `None` for those of the system.
fn named(plan: &Plan, number: usize) -> Option<(Field, Span)> {
    let (field, _) = plan.scan.fields.get(number)?;
    plan.scan.places.iter().find(|(named, _)| named == field && matches!(field, Field::Path(_))).cloned()
}

fn never(name: &str, span: Span, known: &[String]) -> Diagnostic {
    let warning = Diagnostic::warning("W001", span, format!("no event has the field `{name}`"));
    let known = || known.iter().map(String::as_str);
    let other_case = known().find(|other| other.eq_ignore_ascii_case(name));
    // The last part alone: `errorcode` for `detail.errorCode`.
    let inner = || known().find(|other| other.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case(name)));
    match other_case.or_else(|| nearest(name, known())).or_else(inner) {
        Some(near) => warning.help(format!("did you mean `{near}`?")),
        None => warning.help("`backsight fields` lists what is there"),
    }
}
