//! Functions on JSON text, lists and maps.

use super::{Args, Eval, Function, ROW, Type};
use crate::value::column::{Column, TextBuilder};
use crate::value::json::{self, Shape};
use crate::value::{Kind, Value, ValueRef};
use arrow::buffer::BooleanBuffer;
use std::borrow::Cow;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "jsonParse",
        params: &[("s", Type::Text)],
        result: Type::Nested,
        about: "The map or list that `s` spells in JSON, reached into with `.` and `[]`; null for anything else.",
        examples: &[("jsonParse(js).a[1]", "2"), (r#"jsonParse("42")"#, "")],
        eval: Eval::Values(parse),
        ..ROW
    },
    Function {
        name: "jsonStringify",
        params: &[("x", Type::Nested)],
        result: Type::Text,
        about: "The list or map as compact JSON text; null for anything else.",
        examples: &[("jsonStringify(m)", r#"{"k":1}"#), (r#"jsonStringify("a")"#, "")],
        eval: Eval::Values(|args| {
            args.strings(|row, out| {
                let ValueRef::Text(Kind::List | Kind::Map, text) = args.get(0, row) else { return None };
                out.extend_from_slice(text);
                Some(())
            })
        }),
        ..ROW
    },
    Function {
        name: "jsonArraySize",
        params: &[("x", Type::Any)],
        result: Type::Number,
        about: "Number of elements of a list, or of a string that holds a JSON array; null for anything else.",
        examples: &[("jsonArraySize(l)", "2"), (r#"jsonArraySize("[1, [2]]")"#, "2")],
        eval: Eval::Values(|args| {
            args.map(|row| list(args.get(0, row)).map_or(Value::Null, |l| Value::Int(json::elements(l).count() as i64)))
        }),
        ..ROW
    },
    Function {
        name: "jsonArrayContains",
        params: &[("x", Type::Any), ("v", Type::Any)],
        result: Type::Predicate,
        about: "1 where an element of the list, or of the JSON array a string holds, has the text of `v`; case matters.",
        examples: &[(r#"jsonArrayContains(l, "Q")"#, "0"), (r#"jsonArrayContains(l, "q")"#, "1")],
        eval: Eval::Predicate(contains),
        ..ROW
    },
];

fn parse(args: &Args<'_>) -> Column {
    if args.is_constant() {
        let text = args.bytes(0, 0);
        let parsed = parsed(text.as_deref());
        return Column::Const(parsed.map_or(Value::Null, |(kind, text)| Value::Text(kind, text.into())), args.rows);
    }
    let mut out = TextBuilder::default();
    for row in 0..args.rows {
        match parsed(args.bytes(0, row).as_deref()) {
            Some((kind, text)) => out.push_text(kind, &text),
            None => out.push(ValueRef::Null),
        }
    }
    out.finish()
}

/// Kind and compact text of the list or map that `text` spells.
fn parsed(text: Option<&[u8]>) -> Option<(Kind, Cow<'_, [u8]>)> {
    let text = text?.trim_ascii_start();
    // Scalars, and most text that is no JSON at all, show in the first byte.
    matches!(text.first(), Some(b'{' | b'[')).then(|| json::kind_and_text(text)).flatten()
}

/// The text of a list, or of a string that holds nothing but a JSON array.
fn list(x: ValueRef<'_>) -> Option<&[u8]> {
    match x {
        ValueRef::Text(Kind::List, text) => Some(text),
        ValueRef::Text(Kind::String, text) => {
            let raw = json::whole(text).ok()?;
            matches!(raw.shape, Shape::List { .. }).then_some(raw.text)
        }
        _ => None,
    }
}

fn contains(args: &Args<'_>) -> BooleanBuffer {
    args.test(|row| match (list(args.get(0, row)), args.bytes(1, row)) {
        (Some(list), Some(v)) => json::elements(list).flatten().any(|(_, text)| text == v),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use crate::func::tests::check;

    #[test]
    fn parsing() {
        check(&[
            (r#"jsonParse(" { \"b\" : [ 1.0 , \"\\u00e9\" ], \"a\":null } ")"#, r#"{"b":[1.0,"é"],"a":null}"#),
            (r#"jsonParse("[]")"#, "[]"),
            (r#"jsonParse("{\"a\":1} x")"#, ""),
            (r#"jsonParse("{\"a\":1")"#, ""),
            (r#"jsonParse("\"text\"")"#, ""),
            (r#"jsonParse("null")"#, ""),
            (r#"jsonParse("")"#, ""),
            ("jsonParse(42)", ""),
            ("jsonParse(missing)", ""),
            ("jsonParse(m)", ""),
            (r#"jsonParse("{\"a.b\":{\"c\":7}}").a.b.c"#, "7"),
            (r#"jsonParse("{\"a\":1,\"a\":2}").a"#, "2"),
            (r#"jsonParse("[1,2]")[2]"#, ""),
            (r#"isempty(jsonParse("[1"))"#, "1"),
        ]);
    }

    #[test]
    fn lists() {
        check(&[
            ("jsonStringify(l)", r#"["p","q"]"#),
            ("jsonStringify(missing)", ""),
            ("jsonStringify(n)", ""),
            (r#"strlen(jsonStringify(m))"#, "7"),
            (r#"jsonArraySize("[]")"#, "0"),
            (r#"jsonArraySize(" [1,null] ")"#, "2"),
            (r#"jsonArraySize("[1,")"#, ""),
            (r#"jsonArraySize("plain")"#, ""),
            ("jsonArraySize(js)", ""),
            ("jsonArraySize(m)", ""),
            ("jsonArraySize(5)", ""),
            ("jsonArraySize(missing)", ""),
            (r#"jsonArrayContains("[\"admin\",\"dev\"]", "admin")"#, "1"),
            (r#"jsonArrayContains("[\"admin\"]", "Admin")"#, "0"),
            (r#"jsonArrayContains("[404, 1.0, true]", 404)"#, "1"),
            (r#"jsonArrayContains("[404, 1.0, true]", "true")"#, "1"),
            (r#"jsonArrayContains("[404, 1.0, true]", 1)"#, "0"),
            (r#"jsonArrayContains("[[1, 2]]", "[1,2]")"#, "1"),
            (r#"jsonArrayContains("[\"\\u0041\"]", "A")"#, "1"),
            (r#"jsonArrayContains("[null]", missing)"#, "0"),
            (r#"jsonArrayContains("[null]", "")"#, "0"),
            (r#"jsonArrayContains("[\"a\"", "a")"#, "0"),
            (r#"jsonArrayContains(missing, "a")"#, "0"),
        ]);
    }
}
