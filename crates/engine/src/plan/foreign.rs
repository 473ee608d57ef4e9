//! Functions of other languages: what is read as one of ours, and what to write instead of the others.

/// Names that are accepted, with a note.
const ACCEPTED: &[(&str, &str)] = &[("percentile", "pct")];

/// Names that are refused, and the way out.
const INSTEAD: &[(&str, &str)] = &[
    ("ago", "give the time range with `--start`, or compare: `toMillis(@timestamp) >= now() * 1000 - 1h`"),
    ("length", "use `strlen`"),
    ("len", "use `strlen`"),
    ("lower", "use `tolower`"),
    ("lcase", "use `tolower`"),
    ("upper", "use `toupper`"),
    ("ucase", "use `toupper`"),
    ("substring", "use `substr`"),
    ("contains", "use `strcontains`, or `like`"),
    ("match", "use `like /regex/`"),
    ("regexp", "use `like /regex/`"),
    ("extract", "use `parse field /(?<name>…)/`"),
    ("ifnull", "use `coalesce`"),
    ("nvl", "use `coalesce`"),
    ("isnull", "use `not ispresent(x)`"),
    ("isnotnull", "use `ispresent(x)`"),
    ("iff", "use `if`"),
    ("tostring", "use `concat(x)`"),
    ("date_trunc", "use `datefloor(t, 1h)`, or `bin(1h)`"),
    ("dcount", "use `count_distinct`"),
    ("uniq", "use `count_distinct`"),
    ("distinct_count", "use `count_distinct`"),
    ("mean", "use `avg`"),
    ("first", "use `earliest`, or `sortsFirst`"),
    ("last", "use `latest`, or `sortsLast`"),
    ("p50", "use `pct(x, 50)`"),
    ("p90", "use `pct(x, 90)`"),
    ("p95", "use `pct(x, 95)`"),
    ("p99", "use `pct(x, 99)`"),
];

/// The name here of an accepted one.
pub(super) fn accepted(name: &str) -> Option<&'static str> {
    find(ACCEPTED, name)
}

/// What to write instead.
pub(super) fn instead(name: &str) -> Option<&'static str> {
    find(INSTEAD, name)
}

fn find(table: &'static [(&str, &str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(foreign, _)| foreign.eq_ignore_ascii_case(name)).map(|(_, here)| *here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_of_them_is_ours() {
        for (name, _) in INSTEAD {
            assert!(crate::func::find(name).is_none() && crate::agg::find(name).is_none(), "{name}");
        }
        for (name, here) in ACCEPTED {
            assert_eq!(crate::agg::find(name).map(|a| a.name), Some(*here), "{name}");
        }
    }
}
