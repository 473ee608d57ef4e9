//! What the planner finds wrong, or worth a word: code and place of each, and that one error does not hide another.

use backsight_engine::compile;
use backsight_engine::error::Error;
use backsight_engine::plan::CompileSettings;
use backsight_lang::diag::Diagnostic;
use std::time::Instant;

fn settings() -> CompileSettings {
    CompileSettings { tables: vec![("bad".into(), "bad.csv".into())], ..CompileSettings::default() }
}

/// Code and text of every error.
fn errors(query: &str) -> Vec<(&'static str, String)> {
    match compile(query, &settings()) {
        Ok(_) => Vec::new(),
        Err(Error::Query(found)) => places(&found, query),
        Err(other) => panic!("{query}: {other}"),
    }
}

fn places(found: &[Diagnostic], query: &str) -> Vec<(&'static str, String)> {
    found.iter().map(|d| (d.code, d.span.text(query).to_string())).collect()
}

#[test]
fn one_error_each() {
    let cases = [
        ("filter strlenn(a) > 1", "E010", "strlenn"),
        ("fields strlen(a, b)", "E011", "strlen(a, b)"),
        ("fields strlen()", "E011", "strlen()"),
        ("stats pct(a) by b", "E011", "pct(a)"),
        ("stats sum(*)", "E011", "sum(*)"),
        ("filter count(*) > 1", "E012", "count(*)"),
        ("stats count(*), a by b", "E013", "a"),
        ("stats count(*) by a | filter b = 1", "E014", "b"),
        ("stats count(*) by a | filter b", "E080", "b"),
        ("stats count(*) as n by a | parse '*x' as y", "E014", "'*x'"),
        ("stats count(*) by a | sessionize a", "E014", "sessionize"),
        ("stats count(*) by a | diff", "E014", "diff"),
        ("stats max(count(*)) by a", "E015", "count(*)"),
        ("filter a like /(/", "E020", "/(/"),
        ("filter a like /(?=x)/", "E020", "/(?=x)/"),
        ("filter a =~ \"[\"", "E020", "\"[\""),
        ("fields regexReplace(a, \"(\", \"\") as b", "E020", "\"(\""),
        ("filter a like /(x{1000}){1000}/", "E020", "/(x{1000}){1000}/"),
        ("parse a /(x)(y)/ as b", "E021", "/(x)(y)/"),
        ("parse a /x/", "E022", "/x/"),
        ("parse a /(x)/", "E022", "/(x)/"),
        ("let n = 1.5 limit $n", "E030", "$n"),
        ("stats topk(0, a)", "E030", "0"),
        ("stats values(a, 1.5)", "E030", "1.5"),
        ("autoregress a p=0-2", "E030", "0-2"),
        ("stats pct(a, 101)", "E032", "101"),
        ("stats pct(a, b)", "E032", "b"),
        ("filter isIpInSubnet(a, \"10.0.0.0/33\")", "E033", "\"10.0.0.0/33\""),
        ("filter isIpInSubnet(a, \"10.0.0.1\")", "E033", "\"10.0.0.1\""),
        ("stats count(*) by bin(5)", "E034", "5"),
        ("stats count(*) by bin()", "E034", "bin()"),
        ("filter a > 1mo", "E034", "1mo"),
        ("let w = 5 burst by a within $w count > 1", "E034", "$w"),
        ("firstseen a history 1mo", "E034", "1mo"),
        ("filter a = $b", "E050", "$b"),
        ("let x = 1 filter a like /$y/", "E050", "/$y/"),
        ("filter a in $b", "E050", "$b"),
        ("filter a in table worse", "E051", "worse"),
        ("lookup worse a output b", "E051", "worse"),
        ("cidrlookup worse a output b", "E051", "worse"),
        ("filter a in (fields b, c)", "E053", "fields b, c"),
        ("filter a in (stats count(*) by b)", "E053", "stats count(*) by b"),
        ("stats a by b", "E060", "a"),
        ("stats 1 + 1", "E060", "1 + 1"),
        ("stats count(*) as n, sum(a) as n", "E062", "n"),
        ("stats count(*) as b by b", "E062", "b"),
        ("anomaly", "E080", "anomaly"),
        ("pattern @message | anomaly", "E080", "anomaly"),
        ("filter a = 1 | source 'x'", "E002", "source"),
        ("firstseen a after soon", "E002", "soon"),
        ("fillmissing", "E002", "fillmissing"),
        ("outlier param=x a", "E002", "x"),
        ("estimate | limit 1", "E002", "estimate"),
    ];
    for (query, code, text) in cases {
        let found = errors(query);
        assert_eq!(found.first().map(|(c, t)| (*c, t.as_str().trim())), Some((code, text)), "{query}: {found:?}");
    }
}

#[test]
fn errors_of_one_phase_come_together() {
    let cases: [(&str, &[(&str, &str)]); 5] = [
        // Names and arity, in every stage; what stage checks would say waits.
        (
            "filter foo(a) = $x | stats count(*) by strlen() | fields bar(b) | filter c in table t",
            &[("E010", "foo"), ("E050", "$x"), ("E011", "strlen()"), ("E010", "bar"), ("E051", "t")],
        ),
        (
            "filter a like /(/ | stats pct(b, 101), max(sum(c)) by d | filter e = 1",
            &[("E020", "/(/"), ("E032", "101"), ("E015", "sum(c)"), ("E014", "e")],
        ),
        ("stats a, count(*) as n, b as n by c", &[("E013", "a"), ("E013", "b"), ("E062", "n")]),
        // Parsing comes before names.
        ("filter foo(a) = = 1 | filtr b | limit x", &[("E002", "="), ("E001", "filtr"), ("E030", "x")]),
        ("fields a | union ( filter foo(b) = 1 ) | filter c in ( fields bar(d) )", &[("E010", "foo"), ("E010", "bar")]),
    ];
    for (query, wanted) in cases {
        let mut found = errors(query);
        found.sort();
        let mut wanted: Vec<(&str, String)> = wanted.iter().map(|(c, t)| (*c, (*t).to_string())).collect();
        wanted.sort();
        assert_eq!(found, wanted, "{query}");
    }
}

#[test]
fn warnings_and_notes() {
    let cases = [
        ("stats count(*) by bin(300s)", "W002", "300s"),
        ("stats count(*) by bin(1500ms)", "W002", "1500ms"),
        ("stats count(*) by bin(36h)", "W002", "36h"),
        ("filter a like \"x%\"", "W003", "\"x%\""),
        ("unmask a", "W004", "unmask"),
        ("fields unmask(a)", "W004", "unmask(a)"),
        ("filter isIpInSubnet(a, \"10.0.0.1/8\")", "W005", "\"10.0.0.1/8\""),
        ("source logGroups(namePrefix: ['a'], class: 'STANDARD') | limit 1", "W006", "class"),
        ("stats count(*) by a | sort @timestamp", "W008", "@timestamp"),
        ("stats count(*) as n by a | sort nn, a", "W008", "nn"),
        ("stats count(*) by bin(@timestamp, 1h)", "N020", "bin(@timestamp, 1h)"),
        ("stats count(*) by a | sort count", "N021", "count"),
        ("stats count(*) by bin(5m) as t | sort bin(5m)", "N022", "bin(5m)"),
        ("stats count(*) by a.b as k | sort a.b", "N022", "a.b"),
        ("stats percentile(a, 99)", "N023", "percentile"),
        ("filter a like /$b/", "N024", "/$b/"),
    ];
    for (query, code, text) in cases {
        let compiled = compile(query, &settings()).unwrap_or_else(|e| panic!("{query}: {e}"));
        assert_eq!(places(&compiled.warnings, query), [(code, text.to_string())], "{query}");
    }
    for query in ["stats count(*) by bin(60s), bin(60m), bin(24h), bin(1000ms), bin(7d)", "filter a like /x%/"] {
        assert!(compile(query, &settings()).is_ok_and(|c| c.warnings.is_empty()), "{query}");
    }
}

/// What parses but is far too much: planned or refused, soon.
#[test]
fn hostile_queries() {
    let many = |part: &str, n: usize, between: &str| vec![part; n].join(between);
    let queries = [
        many("filter a = 1", 10_000, " | "),
        many("fields a + 1 as a", 10_000, " | "),
        many("sort a", 1_000, " | "),
        many("limit 5", 10_000, " | "),
        format!("stats {} by b", (0..1_000).map(|i| format!("sum(a{i}) as s{i}")).collect::<Vec<_>>().join(", ")),
        format!("fields {}", (0..2_000).map(|i| format!("a{i}")).collect::<Vec<_>>().join(", ")),
        format!("filter a in [{}]", many("\"abcdefgh\"", 80_000, ", ")),
        format!("filter {}", many("a = 1", 30_000, " or ")),
        format!("fields {}a{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("filter a like /{}/", "(x{1000}){1000}"),
        format!("filter a like /{}/", many("abc|", 30_000, "")),
        format!("parse a \"{}\" as b", many("x*y", 300_000, "")),
        format!("{}fields a{}", "fields a | union ( ".repeat(2_000), " )".repeat(2_000)),
        format!("let p = /a/ filter b like /{}/", "$p".repeat(20_000)),
        format!("fields {}", many("strlen(", 50_000, "")),
    ];
    for query in &queries {
        let name: String = query.chars().take(40).collect();
        let start = Instant::now();
        let ended = compile(query, &CompileSettings { pushdown: true, ..settings() });
        let time = start.elapsed();
        eprintln!("{name:40}… {} bytes: {time:?}, {}", query.len(), ended.is_ok());
        // Quadratic time would be hours; the clock also runs while other processes do.
        assert!(time.as_secs() < 240, "{name}… took {time:?}");
    }
}
