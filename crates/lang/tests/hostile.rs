//! Queries that are long, deep or garbage: parsing always returns, soon, on a small stack, with spans inside the text.

use std::time::{Duration, Instant};

use backsight_lang::span::Span;
use backsight_lang::{Parsed, format, parse};

const MEGABYTE: usize = 1 << 20;

/// The stack of a thread; an unoptimised build has to do with it.
const STACK: usize = 2 << 20;

/// Parses, formats and drops in a thread with a small stack.
fn survive(name: &str, text: String) {
    let run = move || {
        let start = Instant::now();
        let parsed = parse(&text);
        check_spans(&parsed, &text);
        if parsed.is_ok() {
            let formatted = format(&parsed.query, &text);
            assert!(parse(&formatted).query.same(&parsed.query));
        }
        drop(parsed);
        start.elapsed()
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(run).expect("a thread starts");
    let time = thread.join().unwrap_or_else(|_| panic!("{name} panicked"));
    // Quadratic time would be hours; the clock also runs while other processes do.
    assert!(time < Duration::from_secs(240), "{name} took {time:?}");
    eprintln!("{name}: {time:?}");
}

fn check_spans(parsed: &Parsed, text: &str) {
    let check = |span: Span| assert!(text.get(span.start..span.end).is_some(), "{span:?} of {} bytes", text.len());
    parsed.diagnostics.iter().for_each(|d| check(d.span));
    for stage in &parsed.query.stages {
        check(stage.span);
        check(stage.word);
    }
}

fn fill(prefix: &str, part: &str, bytes: usize) -> String {
    format!("{prefix}{}", part.repeat(bytes / part.len()))
}

#[test]
fn a_megabyte_of_the_same() {
    let parts = [
        "(",
        ")",
        "[",
        "]",
        "|",
        "||",
        ",",
        ".",
        "-",
        "!",
        "- ",
        "not ",
        "2^",
        "a^",
        "1+",
        "a.",
        "a[",
        "a[0]",
        "f(",
        "f(a,",
        "a in (",
        "a in (fields b | ",
        "a in [",
        "a and ",
        "a or ",
        "(a and ",
        "(a or b and c = d + e * f ^ ",
        "a and b or ",
        "a = ",
        "a like ",
        "a like /x",
        "\"",
        "'",
        "`",
        "/",
        "\\",
        "#",
        "# \n",
        "$",
        "$a ",
        "@",
        "@`",
        ";",
        ":",
        "*",
        "{",
        "é",
        "\u{feff}",
        "\0",
        "1",
        "1e",
        "1.",
        "5m",
        "5x ",
        "=",
        "== ",
        "a == ",
        "case when ",
        "exists ",
        "is null ",
        "\r",
        "\n",
        "“",
        "union (",
        "x,",
        "if(a,",
        "`a`.",
        "[(",
        "])",
        "a | ",
        "fields a | ",
        "limit 5 | ",
        "let a = 1\n",
        "table a from 'x';",
    ];
    for prefix in
        ["", "filter ", "fields a | filter b in (fields c | stats ", "parse ", "sequence by a within 5m [ x: "]
    {
        for part in parts {
            survive(&format!("{prefix:?} {part:?}"), fill(prefix, part, MEGABYTE / 128));
        }
    }
    for part in ["(", "not ", "- ", "2^", "a in (fields b | filter ", "[", "a and ", "a | "] {
        survive(part, fill("filter ", part, MEGABYTE));
    }
}

#[test]
fn long_queries_that_are_right() {
    let chain = |op: &str, n: usize| {
        let terms: Vec<String> = (0..n).map(|at| format!("a{at} = {at}")).collect();
        format!("filter {}", terms.join(op))
    };
    let list: Vec<String> = (0..50_000).map(|at| format!("\"10.0.0.{at}\"")).collect();
    let stages: Vec<String> = (0..20_000).map(|at| format!("filter a{at} = {at}")).collect();
    let items: Vec<String> = (0..20_000).map(|at| format!("f(a{at}) as b{at}")).collect();
    let cases = [
        ("and", chain(" and ", 20_000)),
        ("or", chain(" or ", 20_000)),
        ("mixed", chain(" and b or not ", 20_000)),
        ("list", format!("filter ip in [{}]", list.join(", "))),
        ("stages", stages.join("\n| ")),
        ("items", format!("fields {}", items.join(", "))),
        ("nested", format!("filter {}a{}", "(".repeat(60), ")".repeat(60))),
        ("calls", format!("fields {}a{}", "f(".repeat(50), ")".repeat(50))),
        ("sum", format!("fields {}1 as a", "1 + ".repeat(100))),
        ("path", format!("fields a{} as b", ".b".repeat(20_000))),
    ];
    for (name, text) in cases {
        let parsed = parse(&text);
        assert!(parsed.is_ok(), "{name}: {:?}", parsed.diagnostics);
        survive(name, text);
    }
}

#[test]
fn too_deep_is_an_error_with_a_place() {
    let cases = [
        format!("filter {}a{}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("filter {}a", "not ".repeat(10_000)),
        format!("fields {}a", "-".repeat(10_000)),
        format!("fields {}2", "2^".repeat(10_000)),
        format!("fields {}2", "2+".repeat(10_000)),
        format!("fields {}2{}", "(2+2+".repeat(90), ")".repeat(90)),
        format!("fields {}a{}", "f(".repeat(10_000), ")".repeat(10_000)),
        format!("{}fields a{}", "union (".repeat(1_000), ")".repeat(1_000)),
        format!("filter {}fields a{}", "a in (filter ".repeat(1_000), ")".repeat(1_000)),
    ];
    for text in cases {
        let parsed = parse(&text);
        let found = parsed.errors().next().unwrap_or_else(|| panic!("no error: {}", &text[..40]));
        assert_eq!(found.code, "E002", "{found:?}");
        assert!(found.message.contains("levels of nesting"), "{found:?}");
        survive(&found.message, text);
    }
}

/// A small generator of numbers that is the same everywhere (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

/// Pieces of the language, so that random texts get far into the parser.
const PIECES: &[&str] = &[
    "fields",
    "filter",
    "where",
    "stats",
    "sort",
    "limit",
    "dedup",
    "parse",
    "display",
    "json",
    "pattern",
    "diff",
    "unnest",
    "expand",
    "lookup",
    "cidrlookup",
    "join",
    "source",
    "filterIndex",
    "unmask",
    "addtotals",
    "accum",
    "autoregress",
    "filldown",
    "fillmissing",
    "sessionize",
    "countFrequent",
    "outlier",
    "appendcols",
    "logcompare",
    "relevantfields",
    "estimate",
    "burst",
    "sequence",
    "firstseen",
    "union",
    "let",
    "table",
    "order",
    "|",
    "|",
    "|",
    "|",
    ",",
    ",",
    "(",
    "(",
    ")",
    ")",
    "[",
    "]",
    ";",
    ":",
    ".",
    "=",
    "!=",
    "<",
    ">=",
    "=~",
    "==",
    "~=",
    "!~",
    "<>",
    "&&",
    "||",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "!",
    "and",
    "or",
    "not",
    "in",
    "like",
    "as",
    "by",
    "true",
    "null",
    "asc",
    "desc",
    "any",
    "multi",
    "logfmt",
    "csv",
    "into",
    "output",
    "outputnew",
    "where",
    "type",
    "left",
    "right",
    "start",
    "end",
    "within",
    "at",
    "least",
    "after",
    "with",
    "for",
    "maxspan",
    "timeshift",
    "offset",
    "from",
    "field",
    "p",
    "case",
    "when",
    "then",
    "else",
    "exists",
    "is",
    "a",
    "b.c",
    "@message",
    "`x y`",
    "@`z`",
    "$p",
    "1",
    "2.5",
    "5m",
    "0s",
    "7x",
    "\"t*\"",
    "'u'",
    "\"open",
    "/re/",
    "/re/i",
    "/open",
    "#c\n",
    "\n",
    "count(*)",
    "count",
    "f(",
    "é",
    "“",
    "\0",
    "\u{a0}",
    "logGroups",
    "namePrefix",
    "1e9",
    "now",
    "last-7d",
    "table",
    "cpu*",
];

#[test]
fn random_pieces() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut right = 0;
    for _ in 0..20_000 {
        let length = dice.roll(24);
        let mut text = dice.pick(&PIECES[..40]).to_string();
        for _ in 0..length {
            text.push_str(["", " ", " "][dice.roll(3)]);
            text.push_str(dice.pick(PIECES));
        }
        let parsed = parse(&text);
        check_spans(&parsed, &text);
        let formatted = format(&parsed.query, &text);
        if parsed.is_ok() {
            right += 1;
            let again = parse(&formatted);
            assert!(again.is_ok(), "{text:?} became {formatted:?}: {:?}", again.diagnostics);
            assert_eq!(again.query.shape(), parsed.query.shape(), "{text:?} became {formatted:?}");
            assert_eq!(format(&again.query, &formatted), formatted, "{text:?}");
        }
    }
    assert!(right > 300, "only {right} random texts were queries");
}

#[test]
fn random_bytes() {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..dice.roll(60)).map(|_| dice.roll(256) as u8).collect();
        let text = String::from_utf8_lossy(&bytes);
        check_spans(&parse(&text), &text);
        let ascii: String = (0..dice.roll(60)).map(|_| char::from(32 + dice.roll(95) as u8)).collect();
        check_spans(&parse(&ascii), &ascii);
    }
}

/// Every prefix of a query parses without a panic, and so does the query with any byte left out.
#[test]
fn cut_queries() {
    let text = "let a = [1, 'x']\ntable b from \"f\";# c\nsource 'l' start=-1d | fields @`x y`, f(a, /r\\/e/i)[0].b as c.d, \
                not x like \"é\\u00e9\" and y in (union (fields z)) | parse @message \"a=* \\* b=*\" as q, r | stats \
                pct(x, 95.5) by bin(5m) as t offset 1h | sequence by k within 5m [ s: a = -1 at least 3 ; u: not b ]";
    assert_eq!(parse(text).errors().next(), None);
    for (at, c) in text.char_indices() {
        for cut in
            [text[..at].to_string(), text[at..].to_string(), format!("{}{}", &text[..at], &text[at + c.len_utf8()..])]
        {
            check_spans(&parse(&cut), &cut);
        }
    }
}
