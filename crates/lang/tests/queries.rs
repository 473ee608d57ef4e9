//! Queries that are right: what tree they give, and what they look like in canonical form.

use backsight_lang::ast::{Query, StageKind};
use backsight_lang::{format, parse};

fn tree(text: &str) -> Query {
    let parsed = parse(text);
    assert_eq!(parsed.errors().collect::<Vec<_>>(), Vec::<&backsight_lang::diag::Diagnostic>::new(), "{text}");
    parsed.query
}

/// The shape of the one condition of `filter …`.
fn condition(text: &str) -> String {
    let query = tree(&format!("filter {text}"));
    match query.stages.first().map(|stage| &stage.kind) {
        Some(StageKind::Filter(condition)) => condition.shape(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn expressions() {
    let cases = [
        // Precedence and associativity.
        ("a or b and c", "(or a (and b c))"),
        ("a and b or c", "(or (and a b) c)"),
        ("(a or b) and c", "(and (or a b) c)"),
        ("not a = b", "(not (= a b))"),
        ("!a = b", "(= (not a) b)"),
        ("not not a and b", "(and (not (not a)) b)"),
        ("2^3^2", "(^ 2 (^ 3 2))"),
        ("-2^2", "(neg (^ 2 2))"),
        ("2^-2", "(^ 2 (neg 2))"),
        ("a - b - c", "(- (- a b) c)"),
        ("a - (b - c)", "(- a (- b c))"),
        ("a + b * c % d", "(+ a (% (* b c) d))"),
        ("a / b / c > 1 + 2", "(> (/ (/ a b) c) (+ 1 2))"),
        ("- -a", "(neg (neg a))"),
        ("foo-bar", "(- foo bar)"),
        // Names and paths.
        ("a.b.0.c", "a.b.0.c"),
        ("a[0].b", "a.0.b"),
        ("tags.1.0", "tags.1.0"),
        ("detail.in.Like", "detail.in.Like"),
        ("stats.24h", "stats.24h"),
        ("`foo-bar`.`x y`", "\"foo-bar\".\"x y\""),
        ("@`aws.tag:x`", "\"@aws.tag:x\""),
        ("sort = limit", "(= sort limit)"),
        ("größe > 1", "(> größe 1)"),
        ("jsonParse(m).a[1]", "(member (call jsonParse m) a.1)"),
        ("(a).b", "(member a b)"),
        ("$p.x", "(member $p x)"),
        // Literals.
        ("TRUE = x or x = False", "(or (= true x) (= x false))"),
        ("f(null)", "(call f null)"),
        ("a > 1.50 and b = 2E-3", "(and (> a 1.50) (= b 2E-3))"),
        ("t > 5minutes", "(> t 5m)"),
        (r#"a = "x\"\u0041\d" and b = 'it"s'"#, r#"(and (= a "x\"A\\d") (= b "it\"s"))"#),
        (r"a = '\d\n'", r#"(= a "\\d\n")"#),
        // Calls.
        ("count (*) > 1", "(> (call count *) 1)"),
        ("now() > 0", "(> (call now) 0)"),
        ("f(/a\\/b/i, 5m, -x)", "(call f /\"a/b\"/i 5m (neg x))"),
        // Comparisons by word.
        ("a like 'x' and b not like /y/", "(and (like a \"x\") (not-like b /\"y\"/))"),
        ("a =~ /x/ or b not =~ concat(c)", "(or (=~ a /\"x\"/) (not-=~ b (call concat c)))"),
        ("a IN [1, -2, \"c\", $d]", "(in a (list 1 (neg 2) \"c\" $d))"),
        ("a not in $list", "(not-in a $list)"),
        ("a in table bad.`the column`", "(in a (table \"bad\" (column \"the column\")))"),
        ("a + 1 in [2]", "(in (+ a 1) (list 2))"),
        ("not a in [1] and b", "(and (not (in a (list 1))) b)"),
        // Forms of other languages.
        ("a ~= /x/", "(=~ a /\"x\"/)"),
        ("a !~ /x/", "(not-=~ a /\"x\"/)"),
        ("a exists and b not exists", "(and (call ispresent a) (not (call ispresent b)))"),
        ("exists a.b or not exists(c)", "(or (call ispresent a.b) (not (call ispresent c)))"),
        ("exists = 1", "(= exists 1)"),
        ("a is null or b is not null", "(or (not (call ispresent a)) (call ispresent b))"),
        ("case when a then 1 when b then 2 else 3 end > 1", "(> (call case a 1 b 2 3) 1)"),
        ("a in ('x', 'y')", "(in a (list \"x\" \"y\"))"),
        ("a in (b, c)", "(in a (list b c))"),
    ];
    for (text, shape) in cases {
        assert_eq!(condition(text), shape, "{text}");
    }
}

#[test]
fn canonical_form() {
    let cases = [
        ("FIELDS  a ,b", "fields a, b"),
        ("| fields a;", "fields a"),
        ("fields `a` AS `b c`, concat( x,y )as z.w", "fields `a` as `b c`, concat(x, y) as z.w"),
        ("fields avg ( x )", "fields avg ( x )"),
        ("fields a as `in`, b as `x-y`, c as `z.1`", "fields a as `in`, b as `x-y`, c as z.1"),
        ("where ((a = 1)) and (b or (c))", "filter a = 1 and (b or c)"),
        ("filter not (a) and !(b = c)", "filter not a and not b = c"),
        ("filter (not a) = b", "filter !a = b"),
        ("filter (-a)^2 > -a^2", "filter (-a) ^ 2 > -a ^ 2"),
        ("filter a - (b - c) > (a - b) - c", "filter a - (b - c) > a - b - c"),
        ("filter a and (b and c)", "filter a and (b and c)"),
        ("filter (a.b).c = (1).d", "filter (a.b).c = (1).d"),
        (
            "filter a = 'x' and b = 'say \"hi\"' and c = '\\'\"'",
            "filter a = \"x\" and b = 'say \"hi\"' and c = \"'\\\"\"",
        ),
        (r#"filter a = "\d\\\n\/\u0001""#, r#"filter a = "\d\\\n/\u0001""#),
        (r"filter a like /x\/[/]\\/i", r"filter a like /x\/[\/]\\/i"),
        ("filter a in (SOURCE 'x' | fields b)", "filter a in (\n    source \"x\"\n    | fields b\n)"),
        ("filter d > 90seconds", "filter d > 90s"),
        (
            "stats count(*)  as n,sum( x )/2 by bin( 5m ) as t,ip offset 1hour",
            "stats count(*) as n, sum( x )/2 by bin(5m) as t, ip offset 1h",
        ),
        ("stats count by x", "stats count by x"),
        ("sort a ASC, b+1 desc, c as d", "sort a asc, b+1 desc, c as d"),
        ("order by a desc", "sort a desc"),
        ("head 5 | limit ANY $n", "limit 5\n| limit any $n"),
        ("dedup a,b.c", "dedup a, b.c"),
        ("parse '* b' as a", "parse \"* b\" as a"),
        ("parse @message '\"id\":\"*\"' as id", "parse @message '\"id\":\"*\"' as id"),
        (r#"parse m "\"*\\* \*" as a, b"#, r#"parse m "\"*\\* \*" as a, b"#),
        ("parse a.b 'x*' @c", "parse a.b \"x*\" as @c"),
        ("parse /(?<a>x)/", "parse /(?<a>x)/"),
        ("parse m /(x)(y)/ as a, b multi", "parse m /(x)(y)/ multi as a, b"),
        ("parse m logfmt as f | parse csv as a,b", "parse m logfmt as f\n| parse csv as a, b"),
        ("json field = a.b 'c.d' as e", "json field=a.b \"c.d\" as e"),
        ("unnest f(a) into b | expand c[0]", "unnest f(a) into b\n| expand c.0"),
        ("source 'a' b.c start = -1d end='2024-01-01'", "source \"a\" b.c start=-1d end=\"2024-01-01\""),
        (
            "source logGroups(namePrefix:['a','b'],class:'X')",
            "source logGroups(namePrefix: [\"a\", \"b\"], class: [\"X\"])",
        ),
        ("source dataSource(['w'])", "source dataSource([\"w\"])"),
        ("source 'a' | source 'b' | limit 1", "source \"a\"\n| source \"b\"\n| limit 1"),
        ("lookup t a as b.c, d OUTPUT e as f, g", "lookup t a as b.c, d output e as f, g"),
        ("cidrlookup t f(ip) as net outputnew x", "cidrlookup t f(ip) as net outputnew x"),
        (
            "join type = left left=a right=b where a.x=b.y (limit 1)",
            "join type=left left=a right=b where a.x = b.y (\n    limit 1\n)",
        ),
        ("filterindex a = 'x' | filterIndex a in [1,2]", "filterIndex a = \"x\"\n| filterIndex a in [1, 2]"),
        ("unmask a as b | diff PREVIOUSday | diff", "unmask a as b\n| diff PREVIOUSday\n| diff"),
        ("addtotals ROW=true fieldname='My Total' a,b", "addtotals row=true fieldname=\"My Total\" a, b"),
        (
            "accum a as b | autoregress a as c p=1-3 | autoregress a p=2",
            "accum a as b\n| autoregress a as c p=1-3\n| autoregress a p=2",
        ),
        ("filldown a b*, *.c `x-*` | filldown", "filldown a, b*, *.c, `x-*`\n| filldown"),
        ("fillmissing with 0 for a, -1 for b.c", "fillmissing with 0 for a, -1 for b.c"),
        ("sessionize a,b maxspan 1hour as s", "sessionize a, b maxspan 1h as s"),
        ("count_frequent a", "countFrequent a"),
        ("outlier action=remove param=3.0 a b,c", "outlier action=remove param=3.0 a, b, c"),
        ("appendcols max=5 ( limit 1 )", "appendcols max=5 (\n    limit 1\n)"),
        ("logcompare timeshift 7days", "logcompare timeshift 7d"),
        (
            "relevantfields where a=1 | relevantfields b where c",
            "relevantfields where a = 1\n| relevantfields b where c",
        ),
        ("burst by a,b within 5m count>=100", "burst by a, b within 5m count >= 100"),
        ("burst by a within $d count_distinct(x) > $n", "burst by a within $d count_distinct(x) > $n"),
        (
            "sequence by ip within 15m [ f: s = 401 at least 10 ; ok: s = 200; ]",
            "sequence by ip within 15m [ f: s = 401 at least 10 ; ok: s = 200 ]",
        ),
        ("firstseen a, b.c AFTER last-7d", "firstseen a, b.c after last-7d"),
        ("union(fields a|union (limit 1))", "union (\n    fields a\n    | union (\n        limit 1\n    )\n)"),
        (
            "let a = -5 let b = ['x',2]; table t from 'f' filter c > $a",
            "let a = -5\nlet b = [\"x\", 2]\ntable t from \"f\"\nfilter c > $a",
        ),
    ];
    for (text, canonical) in cases {
        let query = tree(text);
        let formatted = format(&query, text);
        assert_eq!(formatted, canonical, "{text}");
        assert_eq!(tree(&formatted).shape(), query.shape(), "{text}");
        assert_eq!(format(&tree(&formatted), &formatted), formatted, "{text}");
    }
}

#[test]
fn column_names() {
    let cases = [
        ("count(*)", "count(*)"),
        ("sum(x)\n  /   1024", "sum(x) / 1024"),
        ("concat( `a b`, # c\n c)", "concat( a b, c)"),
        ("`count(*)`", "count(*)"),
        ("a.`b.c`", "a.b.c"),
        ("a as b.c", "b.c"),
        ("a as `b c`.d", "b c.d"),
        ("a as @b", "@b"),
        ("'x  y'", "'x  y'"),
    ];
    for (item, name) in cases {
        match tree(&format!("fields {item}")).stages.first().map(|stage| &stage.kind) {
            Some(StageKind::Fields(items)) => assert_eq!(items.first().map(|item| item.name()), Some(name), "{item}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn comments_keep_their_line() {
    let cases = [
        ("# a\nfields x # b\n# c\n| limit 1\n# d", "# a\nfields x # b\n# c\n| limit 1\n# d"),
        ("# head\n#\n\n# more\n\nfields x", "# head\n#\n\n# more\n\nfields x"),
        ("fields x | # why\n limit 1", "fields x # why\n| limit 1"),
        ("fields a, # one\n  b # two\n| limit 1", "# one\nfields a, b # two\n| limit 1"),
        ("let a = 1 # x\n\n# y\nlimit $a", "let a = 1 # x\n\n# y\nlimit $a"),
        ("union ( # in\n limit 1 # one\n # last\n) # out", "union (\n    # in\n    limit 1 # one\n    # last\n) # out"),
        ("join # j\n where a = b ( limit 1 ) | limit 2", "# j\njoin where a = b (\n    limit 1\n)\n| limit 2"),
        ("fields a;# x", "fields a # x"),
    ];
    for (text, expected) in cases {
        let formatted = format(&tree(text), text);
        assert_eq!(formatted, expected, "{text}");
        assert_eq!(format(&tree(&formatted), &formatted), formatted, "{text}");
    }
}

#[test]
fn accepted_forms_give_notes() {
    let cases = [
        ("order by a", "N003", "order by"),
        ("sort by a", "N004", "by"),
        ("filter a ~= /b/", "N001", "~="),
        ("filter a !~ /b/", "N002", "!~"),
        ("filter a exists", "N005", "exists"),
        ("filter a is not null", "N006", "is not null"),
        ("fields case when a then b end", "N007", "case when a then b end"),
        ("stats count by a", "N008", "count"),
        ("parse 'x*' a", "N009", "a"),
        ("filter a in (1)", "N010", "(1)"),
        ("fields a as 'b'", "N011", "'b'"),
        ("parse 'x' as a", "N012", "'x'"),
        ("filter a like /b/i", "N013", "/b/i"),
        ("parse a /(?<x>b)/im", "N013", "/(?<x>b)/im"),
        ("where a", "N014", "where"),
        ("head 3", "N015", "head"),
    ];
    for (text, code, span) in cases {
        let parsed = parse(text);
        let found: Vec<_> = parsed.diagnostics.iter().map(|d| (d.code, d.span.text(text))).collect();
        assert_eq!(found, [(code, span)], "{text}");
        assert!(parsed.is_ok());
    }
    // The same words where they mean something else.
    for text in
        ["fields where, head", "stats max(a) as count, count + 1 as b", "stats sum(a), count by count", "filter exists"]
    {
        assert_eq!(parse(text).diagnostics, [], "{text}");
    }
}

#[test]
fn spans_cover_what_they_name() {
    let text = "  fields a  |  filter ( a = 1 ) and b  ";
    let query = tree(text);
    let stages: Vec<_> = query.stages.iter().map(|s| (s.word.text(text), s.span.text(text))).collect();
    assert_eq!(stages, [("fields", "fields a"), ("filter", "filter ( a = 1 ) and b")]);
    let text = "filter x in ( source 'a' | fields b )";
    match tree(text).stages.first().map(|stage| &stage.kind) {
        Some(StageKind::Filter(condition)) => assert_eq!(condition.span.text(text), &text[7..]),
        other => panic!("{other:?}"),
    }
}
