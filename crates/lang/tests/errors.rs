//! Queries that are wrong: which error, at which text, and that one error does not hide another.

use backsight_lang::parse;

/// Code and text of every error of `query`.
fn errors(query: &str) -> Vec<(&'static str, String)> {
    parse(query).errors().map(|e| (e.code, e.span.text(query).to_string())).collect()
}

#[test]
fn one_error_each() {
    let cases = [
        ("fields a | filtr a = 1", "E001", "filtr"),
        ("| count(*) as n", "E001", "count"),
        // E002: the unexpected token, or the last one.
        ("fields a b", "E002", "b"),
        ("fields a, | limit 1", "E002", "|"),
        ("fields", "E002", "fields"),
        ("fields a as", "E002", "as"),
        ("fields a as in", "E002", "in"),
        ("sort a as desc", "E002", "desc"),
        ("filter a ==1", "E080", "=="),
        ("filter a && b", "E002", "&&"),
        ("filter a || b", "E002", "||"),
        ("filter a <> b", "E002", "<>"),
        ("filter a = not b", "E002", "not"),
        ("filter and", "E002", "and"),
        ("filter ip = 10.0.0.1", "E002", "."),
        ("filter (a = 1", "E002", "1"),
        ("filter a = 1)", "E002", ")"),
        ("fields a[-1]", "E002", "-"),
        ("fields a[1.5]", "E002", "1.5"),
        ("fields a['b']", "E002", "'b'"),
        ("fields a.", "E002", "."),
        ("fields [1]", "E002", "["),
        ("filter a in b", "E002", "b"),
        ("filter a in [1", "E002", "1"),
        ("filter a in [1,]", "E002", "]"),
        ("filter a /b/", "E002", "/"),
        ("filter a like /x/g", "E002", "g"),
        ("parse a as b", "E002", "as"),
        ("parse /(a)/ as", "E002", "as"),
        ("limit 5 6", "E002", "6"),
        ("diff yesterday", "E002", "yesterday"),
        ("unnest a b", "E002", "b"),
        ("lookup t a b", "E002", "b"),
        ("join tpe=left where a=b (limit 1)", "E002", "tpe"),
        ("join type=outer where a=b (limit 1)", "E002", "outer"),
        ("join where a > b (limit 1)", "E002", ">"),
        ("fields a | source b", "E002", "source"),
        ("source start=now", "E002", "start"),
        ("source a start=", "E002", "="),
        ("fields a | let b = 1", "E002", "let"),
        ("let a = b\nfields c", "E002", "b"),
        ("let a = [b] fields c", "E002", "b"),
        ("table a\nfields c", "E002", "fields"),
        ("fields a; b", "E002", "b"),
        ("fields a\nfilter b", "E002", "filter"),
        ("filterIndex a > 1", "E002", "a > 1"),
        ("burst within 5m count > 1", "E002", "within"),
        ("burst by a within 5m count", "E002", "count"),
        ("sequence by a within 5m [ ]", "E002", "]"),
        ("sequence by a within 5m [ x: b at least 0 ]", "E002", "0"),
        ("union fields a", "E002", "fields"),
        ("union ()", "E002", ")"),
        ("estimate now", "E002", "now"),
        ("", "E002", ""),
        ("   # nothing\n", "E002", ""),
        ("( limit 1 )", "E002", "("),
        // Lexical errors; what follows from them is not reported.
        ("filter a = \"x | limit 5\n| limit 1", "E003", "\"x | limit 5"),
        ("filter f(a, 'x)\n| limit 1", "E003", "'x)"),
        ("filter a like /x | limit", "E004", "/x | limit"),
        ("fields `a, b", "E005", "`a, b"),
        ("filter a = “x” and b", "E006", "“"),
        ("fields a ? b", "E006", "?"),
        ("limit 100\n}", "E006", "}"),
        ("fields a | | limit 1", "E007", "|"),
        ("fields a |", "E007", "|"),
        ("| | fields a", "E007", "|"),
        ("filter a in (fields b |)", "E007", "|"),
        ("parse 'a*b*' as c", "E021", "'a*b*'"),
        ("parse 'a**' as c, d", "E021", "'a**'"),
        ("parse 'a' as c, d", "E021", "'a'"),
        ("limit", "E030", "limit"),
        ("limit any", "E030", "limit"),
        ("limit -1", "E030", "-1"),
        ("limit 2.5", "E030", "2.5"),
        ("limit 'x'", "E030", "'x'"),
        ("limit ten", "E030", "ten"),
        ("limit 99999999999999999999", "E030", "99999999999999999999"),
        ("fields bin(5x)", "E031", "5x"),
        ("fields bin(5m30s)", "E031", "5m30s"),
        ("fields bin(0m)", "E034", "0m"),
        ("fields bin(1.5h)", "E034", "1.5h"),
        ("stats count(*) by bin(1h) offset 5", "E034", "5"),
        ("burst by a within 'x' count > 1", "E034", "'x'"),
        ("sessionize a maxspan", "E034", "maxspan"),
        ("logcompare timeshift | limit 1", "E034", "timeshift"),
        ("filter a = null", "E040", "a = null"),
        ("filter b and null != a + 1", "E040", "null != a + 1"),
        ("filter a in [1, null]", "E040", "a in [1, null]"),
        ("filter a not like null", "E040", "a not like null"),
        ("filter a in []", "E041", "[]"),
        ("filter 1 < a <= 5", "E043", "<="),
        ("filter a = b not in [1]", "E043", "not in"),
        ("filter a = \"x\" or \"y\"", "E044", "\"y\""),
        ("filter 'x'", "E044", "'x'"),
        ("filter not 'x'", "E044", "'x'"),
        ("filter !'x'", "E044", "'x'"),
        ("relevantfields where 'x'", "E044", "'x'"),
        ("fields a + 'b'", "E045", "'b'"),
        ("fields -'b'", "E045", "'b'"),
        ("fields 'b' ^ 2", "E045", "'b'"),
        ("stats", "E060", "stats"),
        ("stats by a", "E060", "stats"),
        ("parse a xml as b", "E080", "xml"),
    ];
    for (query, code, span) in cases {
        assert_eq!(errors(query), [(code, span.to_string())], "{query}");
    }
}

#[test]
fn numbers_in_quotes_can_be_computed_with() {
    assert_eq!(errors("fields '5' + 1 as a, -'-2.5' as b"), []);
    assert_eq!(errors("fields '5.' + 1 as a"), [("E045", "'5.'".to_string())]);
}

#[test]
fn independent_errors_are_all_reported() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("fields a b | filtr c | limit -1", &[("E002", "b"), ("E001", "filtr"), ("E030", "-1")]),
        ("fields a | | limit x |", &[("E007", "|"), ("E030", "x"), ("E007", "|")]),
        ("filter a == 1 and b == 2 | limt 1", &[("E080", "=="), ("E080", "=="), ("E001", "limt")]),
        ("filter a = null or b = null or 'c'", &[("E040", "a = null"), ("E040", "b = null"), ("E044", "'c'")]),
        ("filter (a = 1 | limit x", &[("E002", "|"), ("E030", "x")]),
        ("filter a in (fields b | filtr c | limit x) | limit y", &[("E001", "filtr"), ("E030", "x"), ("E030", "y")]),
        ("join oops=1 where a=b (fields c | fields d) | limit x", &[("E002", "oops"), ("E030", "x")]),
        ("filter f(a, b] | limit x", &[("E002", "]"), ("E030", "x")]),
        ("let a =\nlet b = 1\nfields $b c", &[("E002", "let"), ("E002", "c")]),
        ("union (fields a | filter (b | limit x) | limit y", &[("E002", "|"), ("E030", "x"), ("E030", "y")]),
        // Lexical errors come first.
        ("limit x | fields ? | filter 'a\n| limit y", &[("E006", "?"), ("E003", "'a"), ("E030", "x"), ("E030", "y")]),
    ];
    for (query, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(code, text)| (*code, text.to_string())).collect();
        assert_eq!(errors(query), expected, "{query}");
    }
}

#[test]
fn messages_and_help() {
    let cases = [
        ("fields a b", "expected an operator, `as`, `,` or `|`, found `b`", "a comma is missing"),
        ("fields a\nsort b", "expected an operator, `as`, `,` or `|`, found `sort`", "a `|` is missing before `sort`"),
        ("fields a, | limit 1", "expected an expression, found `|`", "remove the comma before it"),
        ("filter (a = 1 | limit 5", "expected an operator or `)`, found `|`", "a `)` is missing"),
        ("filter a in [1, 2", "expected an operator, `,` or `]`, found the end of the query", "a `]` is missing"),
        ("filter a == 1", "`==` is not supported: expected `=`", "use `=`"),
        ("filter a && b", "expected `and`, found `&&`", "use `and`"),
        ("filter a || b", "expected `or`, found `||`", "use `or`"),
        ("filter a <> b", "expected `!=`, found `<>`", "use `!=`"),
        ("filter ip = 10.0.0.1", "expected an operator or `|`, found `.`", "an address or a version needs quotes"),
        (
            "stats count(*) by in",
            "expected an expression, found `in`",
            "`in` is a reserved word; a field of this name needs backticks",
        ),
        ("filter a = “x”", "unexpected character `“`", "use `\"`"),
        ("limit 5x", "unknown time unit `x`", "units are ms, s, m, h, d, w, mo, q, y"),
        ("filter a = null", "comparison with null is never true", "use `not ispresent(a)`"),
        ("filter a.b != null", "comparison with null is never true", "use `ispresent(a.b)`"),
        ("filter 1 < a < 5", "comparisons cannot be chained", "use `1 < a and a < 5`"),
        (
            "filter status = \"401\" or \"403\"",
            "a string is not a condition",
            "repeat the comparison: `status = \"401\" or status = \"403\"`",
        ),
        ("filter 'x'", "a string is not a condition", "compare it, or search for it: `@message like 'x'`"),
        ("fields a + 'b'", "cannot do arithmetic on a string", "join texts with `concat`"),
        ("tail 5", "unknown command `tail`", "use `sort @timestamp desc | limit 20`"),
    ];
    for (query, message, help) in cases {
        let parsed = parse(query);
        let found = parsed.errors().next().map(|e| (e.message.as_str(), e.help.as_deref()));
        assert_eq!(found, Some((message, Some(help))), "{query}");
    }
    let cases = [
        ("filter", "expected an expression, found the end of the query"),
        ("parse 'a*b*' as c", "pattern has 2 wildcards but 1 name"),
        ("parse 'a*' as c, d", "pattern has 1 wildcard but 2 names"),
        ("parse 'a**' as c, d", "pattern has adjacent wildcards"),
        ("source", "expected a source, found the end of the query"),
        ("join tpe=left where a=b (limit 1)", "expected `type`, `left` or `right`, found `tpe`"),
    ];
    for (query, message) in cases {
        assert_eq!(parse(query).errors().next().map(|e| e.message.as_str()), Some(message), "{query}");
    }
}

#[test]
fn many_errors_are_cut_off_but_never_forgotten() {
    let text = "sort by a | ".repeat(500) + "limit x";
    assert!(!parse(&text).is_ok());
    let text = "filtr a | ".repeat(500);
    assert_eq!(parse(&text).diagnostics.len(), 100);
}
