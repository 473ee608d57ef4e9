//! From a row of an answer that groups to the events behind it.

use super::complete::quoted;
use backsight_engine::value::{Kind, Value, number, time};
use backsight_lang::ast::{Expr, ExprKind, Item, Query, Stage, StageKind};

/// The query for the events behind a row: the stages before the last `stats` that groups events, and a condition for each
/// of its keys. `cell` gives the row's value in a column.
///
/// # Errors
/// A message for people.
pub(super) fn query(text: &str, cell: impl Fn(&str) -> Option<Value>) -> Result<String, String> {
    let parsed = backsight_lang::parse(text);
    let Some((number, stats)) = first_stats(&parsed.query) else {
        return Err("the last query does not group with `stats`, so its rows are events already".into());
    };
    if stats.by.is_empty() {
        return Err("the last query has one group, all events".into());
    }
    let mut conditions = Vec::new();
    for item in &stats.by {
        let value = cell(item.name()).ok_or_else(|| format!("the answer does not show the key `{}`", item.name()))?;
        conditions.push(condition(item, text, &value));
    }
    let before = match number.checked_sub(1).and_then(|i| parsed.query.stages.get(i)) {
        Some(stage) => format!("{}\n| ", &text[..stage.span.end]),
        None => text[..parsed.query.stages[number].span.start].to_string(),
    };
    Ok(format!("{before}filter {}", conditions.join(" and ")))
}

/// The `stats` that groups events: the first.
fn first_stats(query: &Query) -> Option<(usize, &backsight_lang::ast::Stats)> {
    query.stages.iter().enumerate().find_map(|(i, stage)| match stage {
        Stage { kind: StageKind::Stats(stats), .. } => Some((i, stats)),
        _ => None,
    })
}

/// What is true of the events of a group.
fn condition(item: &Item, text: &str, value: &Value) -> String {
    let expr = item.expr.span.text(text);
    let expr = if matches!(item.expr.kind, ExprKind::Path(_)) { expr.to_string() } else { format!("({expr})") };
    match value.as_ref().timestamp().zip(period(&item.expr)) {
        Some((start, period)) => {
            let at = |millis: i64| quoted(&time::format(millis), '"');
            format!("@timestamp >= {} and @timestamp < {}", at(start), at(start.saturating_add(period)))
        }
        None if value.as_ref().is_null() => format!("not ispresent({expr})"),
        None => format!("{expr} = {}", literal(value)),
    }
}

/// The length of the bins of `bin(5m)`.
fn period(expr: &Expr) -> Option<i64> {
    match &expr.kind {
        ExprKind::Call { name, args, .. } if name.text.eq_ignore_ascii_case("bin") => match args.as_slice() {
            [Expr { kind: ExprKind::Duration(duration), .. }] => duration.millis(),
            _ => None,
        },
        _ => None,
    }
}

fn literal(value: &Value) -> String {
    let bytes = value.as_ref().text().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    match value.as_ref().kind() {
        Some(Kind::Number) if number::numeric(&bytes).is_some() => text.into_owned(),
        Some(Kind::Bool) => text.into_owned(),
        _ => quoted(&text, '"'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lead_to_their_events() {
        let cell = |name: &str| match name {
            "ip" => Some(Value::string("203.0.113.9")),
            "status" => Some(Value::Int(404)),
            "w" => Some(Value::Time(0)),
            "user" => Some(Value::Null),
            "len" => Some(Value::string("a\"b")),
            _ => None,
        };
        for (text, expected) in [
            ("stats count(*) by ip", "filter ip = \"203.0.113.9\""),
            (
                "fields ip | filter a = 1 | stats count(*) as n by ip, status | sort n",
                "fields ip | filter a = 1\n| filter ip = \"203.0.113.9\" and status = 404",
            ),
            (
                "stats count(*) by bin(5m) as w",
                "filter @timestamp >= \"1970-01-01 00:00:00.000\" and @timestamp < \"1970-01-01 00:05:00.000\"",
            ),
            ("stats count(*) by user", "filter not ispresent(user)"),
            ("let a = 3\nstats count(*) by substr(x, 1) as len", "let a = 3\nfilter (substr(x, 1)) = \"a\\\"b\""),
        ] {
            let found = query(text, cell).expect(text);
            assert_eq!(found, expected, "{text}");
            assert!(backsight_lang::parse(&found).is_ok(), "{found}");
        }
        for wrong in ["fields a", "stats count(*)", "stats count(*) by other"] {
            assert!(query(wrong, cell).is_err(), "{wrong}");
        }
    }
}
