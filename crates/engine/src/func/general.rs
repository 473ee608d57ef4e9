//! Functions on values of any type: presence, choice, the query's clock.

use super::{Args, Eval, Function, ROW, Status, Type};
use crate::value::column::{Column, ColumnBuilder};
use crate::value::{Value, compare};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "ispresent",
        params: &[("x", Type::Any)],
        result: Type::Predicate,
        about: "1 where `x` is not null. An empty string, a map and a list are present.",
        examples: &[("ispresent(missing)", "0"), (r#"ispresent("")"#, "1"), ("ispresent(m)", "1")],
        eval: Eval::Predicate(|args| args.present(0)),
        ..ROW
    },
    Function {
        name: "coalesce",
        params: &[("x", Type::Any)],
        variadic: true,
        about: "The first argument that is not null. An empty string is not null.",
        examples: &[(r#"coalesce(missing, "", "z")"#, ""), (r#"coalesce(missing, n)"#, "-7.5")],
        eval: Eval::Values(coalesce),
        ..ROW
    },
    Function {
        name: "if",
        params: &[("condition", Type::Predicate), ("then", Type::Any), ("otherwise", Type::Any)],
        about: "`then` where the condition is true, else `otherwise`. A null condition is false.",
        examples: &[(r#"if(1 = 2, "a", "b")"#, "b"), (r#"if(n < 0, "below", "above")"#, "below")],
        eval: Eval::Values(|args| choose(args, |row| if truth(args, 0, row) { 1 } else { 2 })),
        ..ROW
    },
    Function {
        name: "case",
        params: &[("condition", Type::Predicate), ("value", Type::Any), ("more", Type::Any)],
        optional: 1,
        variadic: true,
        about: "The value behind the first true condition; else the last argument if it stands alone; else null.",
        examples: &[
            (r#"case(n > 0, "pos", n < 0, "neg", "zero")"#, "neg"),
            (r#"case(n > 0, "pos", n = 0, "zero")"#, ""),
        ],
        eval: Eval::Values(|args| choose(args, |row| case(args, row))),
        ..ROW
    },
    Function {
        name: "unmask",
        params: &[("x", Type::Any)],
        about: "`x` unchanged: nothing is masked in a file.",
        examples: &[(r#"unmask("secret")"#, "secret")],
        eval: Eval::Values(|args| choose(args, |_| 0)),
        ..ROW
    },
    Function {
        name: "maskPattern",
        params: &[("s", Type::Text)],
        result: Type::Text,
        status: Status::Extension,
        about: "`s` with times, addresses, ids and numbers replaced by numbered tokens: what `pattern` groups by.",
        examples: &[(r#"maskPattern("took 12.5 ms from 10.1.2.3")"#, "took <Number-1> ms from <IP-2>")],
        eval: Eval::Values(|args| {
            args.map(|row| match args.text(0, row) {
                Some(text) => Value::string(super::pattern::mask(&text)),
                None => Value::Null,
            })
        }),
        ..ROW
    },
    Function {
        name: "queryStartTime",
        result: Type::Number,
        about: "Start of the query's time range, epoch milliseconds, inclusive; without one, of the first event.",
        examples: &[("queryStartTime()", "1714521600000")],
        eval: Eval::Values(|args| clock(args, args.clock.start)),
        ..ROW
    },
    Function {
        name: "queryEndTime",
        result: Type::Number,
        about: "End of the query's time range, epoch milliseconds, exclusive; without one, just behind the last event.",
        examples: &[("queryEndTime()", "1714608000000")],
        eval: Eval::Values(|args| clock(args, args.clock.end)),
        ..ROW
    },
    Function {
        name: "queryTimeRange",
        result: Type::Number,
        about: "Length of the query's time range in milliseconds.",
        examples: &[("queryTimeRange()", "86400000")],
        eval: Eval::Values(|args| {
            let length = args.clock.start.zip(args.clock.end).and_then(|(start, end)| end.checked_sub(start));
            clock(args, length)
        }),
        ..ROW
    },
    Function {
        name: "now",
        result: Type::Number,
        about: "Epoch seconds at the start of the query.",
        examples: &[("now()", "1714564800")],
        eval: Eval::Values(|args| clock(args, Some(args.clock.now.div_euclid(1000)))),
        ..ROW
    },
];

fn clock(args: &Args<'_>, time: Option<i64>) -> Column {
    Column::Const(time.map_or(Value::Null, Value::Int), args.rows)
}

fn truth(args: &Args<'_>, arg: usize, row: usize) -> bool {
    compare::truth(args.get(arg, row))
}

/// The argument that `case` gives; one past the last where it gives null.
fn case(args: &Args<'_>, row: usize) -> usize {
    let pairs = args.len() / 2;
    let otherwise = pairs * 2;
    (0..pairs).map(|pair| pair * 2).find(|arg| truth(args, *arg, row)).map_or(otherwise, |arg| arg + 1)
}

fn coalesce(args: &Args<'_>) -> Column {
    choose(args, |row| (0..args.len()).find(|arg| !args.get(*arg, row).is_null()).unwrap_or(args.len()))
}

/// A column that takes each cell from the argument `pick` names for its row, null where there is no such argument.
///
/// Where all rows pick the same argument its column is shared, not copied.
fn choose(args: &Args<'_>, pick: impl Fn(usize) -> usize) -> Column {
    let picked: Vec<usize> = (0..args.rows).map(pick).collect();
    let first = picked.first().copied().unwrap_or(0);
    if picked.iter().all(|arg| *arg == first) {
        return args.columns.get(first).cloned().unwrap_or_else(|| Column::null(args.rows));
    }
    let cells = picked.iter().enumerate().map(|(row, arg)| args.get(*arg, row));
    cells.collect::<ColumnBuilder>().finish()
}

#[cfg(test)]
mod tests {
    use crate::func::tests::check;

    #[test]
    fn choices() {
        check(&[
            ("coalesce(missing, missing)", ""),
            ("coalesce(missing, l, n)", r#"["p","q"]"#),
            ("coalesce(missing, @timestamp)", "2024-05-01 10:37:12.345"),
            ("coalesce(toNumber(\"x\"), 5)", "5"),
            ("if(missing, 1, 2)", "2"),
            ("if(l, 1, 2)", "2"),
            ("if(\"TRUE\", 1, 2)", "1"),
            ("if(\"yes\", 1, 2)", "2"),
            ("if(0.5, 1, 2)", "1"),
            ("if(true, missing, 2)", ""),
            ("if(latin = latin, m, 2)", r#"{"k":1}"#),
            ("case(missing, 1, true, 2, 3)", "2"),
            ("case(false, 1, 3)", "3"),
            ("case(true, missing, 3)", ""),
            ("case(false, 1)", ""),
            ("ispresent(latin)", "1"),
            ("ispresent(l)", "1"),
            ("unmask(missing)", ""),
            ("unmask(m)", r#"{"k":1}"#),
        ]);
    }
}
