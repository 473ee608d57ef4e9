//! Random events and random valid queries over them. The same seed always gives the same case.

/// A small generator of numbers (SplitMix64): the same on every machine and in every version.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True in so many of a hundred.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// A query in pieces, so that a failing one can be cut down, and its input.
#[derive(Clone, Debug)]
pub struct Sample {
    pub prelude: String,
    pub stages: Vec<Piece>,
    pub lines: Vec<String>,
}

/// A command: word, items, and what stands behind them.
#[derive(Clone, Debug)]
pub struct Piece {
    pub word: String,
    pub items: Vec<String>,
    pub tail: String,
}

impl Sample {
    pub fn new(seed: u64) -> Sample {
        let mut random = Random::new(seed);
        let count = 1 + random.below(24);
        let lines = (0..count).map(|at| line(&mut random, at)).collect();
        let mut writer = Writer::new(&mut random);
        let stages = writer.pipeline();
        let prelude = writer.prelude.clone();
        Sample { prelude, stages, lines }
    }

    pub fn query(&self) -> String {
        let piece = |p: &Piece| format!("{} {}{}", p.word, p.items.join(", "), p.tail);
        format!("{}{}", self.prelude, self.stages.iter().map(piece).collect::<Vec<_>>().join("\n| "))
    }

    pub fn input(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Values of every kind, as JSON. Many are equal in one sense and different in another.
const ANY: &[&str] = &[
    "null",
    "true",
    "false",
    "\"true\"",
    "\"false\"",
    "\"TRUE\"",
    "\"\"",
    "\" \"",
    "0",
    "\"0\"",
    "1",
    "\"1\"",
    "-1",
    "\"-1\"",
    "404",
    "\"404\"",
    "404.0",
    "\"404.0\"",
    "\"0404\"",
    "4.04e2",
    "\"4.04e2\"",
    "7",
    "\"7\"",
    "\"007\"",
    "7.0",
    "-0.0",
    "-0",
    "1e2",
    "1E2",
    "1e+2",
    "100",
    "\"1e2\"",
    "0.1",
    "\"0.1\"",
    "0.30000000000000004",
    "1e-7",
    "1.5e300",
    "-2.5",
    "2.5",
    "\"2.50\"",
    "1e16",
    "123456789012345680000",
    "1e21",
    "12345678901234567890",
    "\"12345678901234567890\"",
    "-12345678901234567890",
    "9007199254740993",
    "\"9007199254740993\"",
    "9007199254740992.0",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "\"a\"",
    "\"A\"",
    "\"b\"",
    "\"a9\"",
    "\"a10\"",
    "\"a010\"",
    "\"x y\"",
    "\"é\"",
    "\"\\u00e9\"",
    "\"😀b\"",
    "\"q\\\"uote\"",
    "\"back\\\\slash\"",
    "\"new\\nline\"",
    "\"\\u0001\"",
    "\"a\\/b\"",
    "\"+1\"",
    "\"1.\"",
    "\".5\"",
    "\" 1\"",
    "\"-\"",
    "\"2024-05-01T10:00:00Z\"",
    "\"2024-05-01 10:00:00.000\"",
    "{}",
    "[]",
    "{\"k\":1}",
    "{\"k\" : \"1\", \"j\":null}",
    "[1,\"1\",null,2.0]",
    "[ {\"x\":1} , {\"x\":\"y\"} ]",
    "[[1],[]]",
    "[\"a\",\"é\"]",
    "\"[1,2]\"",
    "\"{\\\"k\\\":3}\"",
];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "10",
    "-1",
    "-7",
    "0.1",
    "0.2",
    "0.3",
    "2.5",
    "-2.5",
    "3.0",
    "1e3",
    "\"5\"",
    "\"05\"",
    "\"1.5\"",
    "1e16",
    "-1e16",
    "9007199254740993",
    "9223372036854775807",
    "null",
    "\"-\"",
    "true",
    "1.005",
    "1000000",
    "\"12345678901234567890\"",
    "0.7",
    "1e-3",
    "99.5",
];

const TEXTS: &[&str] = &[
    "\"alpha\"",
    "\"Alpha beta\"",
    "\"beta\"",
    "\"\"",
    "\"  pad \"",
    "\"user=bob ip=10.0.0.1\"",
    "\"user= ip=\"",
    "\"[ERROR] disk a failed: no space\"",
    "\"a,b,c\"",
    "\"k=v k=w\"",
    "\"10.0.0.1\"",
    "\"é=ü\"",
    "\"ÀB\"",
    "\"%_*\"",
    "\"a.b.c\"",
    "\"x\\ty\"",
    "\"404\"",
    "\"line1\\nline2\"",
    "null",
    "\"ﬁx ß\"",
    "\"a\\\\b\"",
];

const LISTS: &[&str] = &[
    "[]",
    "[1,2,3]",
    "[\"a\",\"b\"]",
    "[1,\"1\",1.0]",
    "[null]",
    "[{\"x\":1},{\"x\":2}]",
    "[[1,2],[3]]",
    "null",
    "5",
    "\"s\"",
    "{\"x\":9}",
    "\"[7,8]\"",
    "[true, \"true\"]",
];

const MAPS: &[&str] = &[
    "{\"k\":1}",
    "{\"k\":\"1\"}",
    "{\"k\":\"a\",\"j\":[1,{\"z\":2}]}",
    "{\"k\":null}",
    "{}",
    "null",
    "{\"k\":{\"k\":\"deep\"}}",
    "\"text\"",
    "[{\"k\":5}]",
    "{ \"j\" : \"x\" , \"k\" : 2.50 }",
];

const TIMES: &[&str] = &[
    "\"2024-05-01T10:00:00Z\"",
    "\"2024-05-01T10:00:00.000Z\"",
    "\"2024-05-01T10:04:59.999Z\"",
    "\"2024-05-01T12:00:00+02:00\"",
    "\"2024-05-01 10:05:00\"",
    "1714557600000",
    "1714557600",
    "\"2024-05-02T00:00:00Z\"",
    "\"2024-04-30T23:59:59.5Z\"",
    "\"2024-05-01T11:30:00Z\"",
    "\"1714557600001\"",
];

fn line(random: &mut Random, at: usize) -> String {
    if random.percent(2) {
        return random.pick(&["plain text user=eve", "[1,2]", "{\"a\":", "404"]).to_string();
    }
    let mut members = Vec::new();
    if random.percent(85) {
        members.push(format!("\"@timestamp\":{}", random.pick(TIMES)));
    }
    members.push(format!("\"id\":{at}"));
    for (name, values, chance) in [
        ("a", ANY, 85),
        ("b", ANY, 70),
        ("c", &["\"x\"", "\"y\"", "\"z\"", "null", "1", "\"1\""], 90),
        ("s", TEXTS, 85),
        ("n", NUMBERS, 90),
        ("m", MAPS, 75),
        ("l", LISTS, 75),
        ("t", TIMES, 60),
        ("d.x", NUMBERS, 30),
        ("@u", TEXTS, 20),
        ("@message", TEXTS, 8),
    ] {
        if random.percent(chance) {
            let value = random.pick(values);
            // Their own text must be a string or nothing.
            members.push(format!("\"{name}\":{value}"));
        }
    }
    if random.percent(30) {
        let (i, j) = (random.below(members.len()), random.below(members.len()));
        members.swap(i, j);
    }
    let separator = if random.percent(10) { " , " } else { "," };
    format!("{{{}}}", members.join(separator))
}

/// Writes a query, knowing which names exist where.
struct Writer<'r> {
    random: &'r mut Random,
    prelude: String,
    /// What may be named: fields, aliases, and texts of columns without one.
    names: Vec<String>,
    /// A row-reshaping command came before: `@timestamp` and `bin` are gone.
    grouped: bool,
    params: Vec<String>,
    made: usize,
}

const FIELDS: &[&str] = &[
    "a",
    "b",
    "c",
    "s",
    "n",
    "id",
    "t",
    "m.k",
    "m.j",
    "l",
    "m",
    "a",
    "n",
    "s",
    "c",
    "l.0",
    "l[1]",
    "m.j.1.z",
    "d.x",
    "`d.x`",
    "@timestamp",
    "@message",
    "missing",
    "@@u",
    "m.k.k",
    "l.0.x",
];

impl<'r> Writer<'r> {
    fn new(random: &'r mut Random) -> Writer<'r> {
        let names = FIELDS.iter().map(|f| f.to_string()).collect();
        let mut writer = Writer { random, prelude: String::new(), names, grouped: false, params: Vec::new(), made: 0 };
        if writer.random.percent(5) {
            let literal = writer.number();
            writer.prelude = format!("let p = {literal}\n");
            writer.params.push("$p".into());
        }
        writer
    }

    fn pipeline(&mut self) -> Vec<Piece> {
        let count = 1 + self.random.below(5);
        (0..count).map(|_| self.stage()).collect()
    }

    fn stage(&mut self) -> Piece {
        // Some commands take nothing but a path, which a `stats` may have left none of.
        let chance = if self.names.iter().any(|n| !n.contains('(')) { 105 } else { 96 };
        let piece = |word: &str, items: Vec<String>, tail: &str| Piece { word: word.into(), items, tail: tail.into() };
        match self.random.below(chance) {
            0..18 => piece("fields", self.items(), ""),
            18..21 => piece("display", self.items(), ""),
            21..46 => piece("filter", vec![self.condition(3)], ""),
            46..63 => self.stats(),
            63..75 => {
                let keys = (0..1 + self.random.below(2)).map(|_| {
                    let key = if self.random.percent(70) { self.name() } else { self.value(2) };
                    format!("{key}{}", self.random.pick(&["", " asc", " desc"]))
                });
                piece("sort", keys.collect(), "")
            }
            75..81 => piece("limit", vec![self.random.below(12).to_string()], ""),
            81..85 => {
                let fields = (0..1 + self.random.below(2)).map(|_| self.name()).collect();
                piece("dedup", fields, "")
            }
            85..92 => self.parse(),
            92..96 => {
                let (list, alias) = (self.name(), self.alias());
                self.names.push(alias.clone());
                piece("unnest", vec![list], &format!(" into {alias}"))
            }
            96 => self.beside(),
            97 => self.reshaping(),
            98 => {
                let fields: Vec<String> = (0..1 + self.random.below(2)).map(|_| self.plain_name()).collect();
                let mut columns = fields.clone();
                columns.dedup();
                self.names = columns.clone();
                self.names.push("_approxcount".into());
                self.grouped = true;
                piece("countFrequent", columns, "")
            }
            _ => self.ordered(),
        }
    }

    /// Commands that put other things beside the rows.
    fn beside(&mut self) -> Piece {
        let piece = |word: &str, items: Vec<String>, tail: &str| Piece { word: word.into(), items, tail: tail.into() };
        let (first, second) = (self.plain_name(), self.plain_name());
        match self.random.below(if self.grouped { 3 } else { 5 }) {
            0 => {
                let options: String = ["action=remove ", "uselower=true ", "mark=true ", "param=0.5 "]
                    .into_iter()
                    .filter(|_| self.random.percent(40))
                    .collect();
                if options.contains("mark") && is_word(&first) {
                    self.names.push(format!("{first}_outlier"));
                }
                piece(&format!("outlier {options}"), vec![first], "")
            }
            1 => {
                let condition = self.condition(2);
                self.names = ["`@fieldName`", "`@relevanceScore`", "`@share`"].map(String::from).to_vec();
                self.grouped = true;
                piece("relevantfields", vec![first, second], &format!(" where {condition}"))
            }
            2 => {
                let options: String =
                    ["override=true ", "max=2 "].into_iter().filter(|_| self.random.percent(40)).collect();
                let right = *self.random.pick(&[
                    &"fields a, n | limit 4",
                    &"stats count(*) as n, max(n) as m1 by c",
                    &"filter c = \"x\" | fields s, b as a",
                ]);
                if right.contains("m1") {
                    self.names.push("m1".into());
                }
                piece("appendcols", vec![format!("{options}( {right} )")], "")
            }
            3 => {
                let every = self.random.pick(&["5m", "1h", "1d"]);
                let (by, key) = if is_word(&first) && first != "n" && first != "every" {
                    (format!(", {first}"), Some(first))
                } else {
                    (String::new(), None)
                };
                let with = self.random.pick(&["", " with 0 for n", " with \"none\" for n"]);
                self.names = vec!["every".into(), "n".into()];
                self.names.extend(key);
                self.grouped = true;
                let stats = format!("count(*) as n by bin({every}) as every{by}\n| fillmissing{with}");
                piece("stats", vec![stats], "")
            }
            _ => {
                let keys = ["a", "c", "n", "id"];
                let (one, two) = (*self.random.pick(&keys.each_ref()), *self.random.pick(&keys.each_ref()));
                let right = *self.random.pick(&[&"filter n > 1", &"stats count(*) as k by a, c, n, id", &"limit 3"]);
                let there = if right.contains("as k") { "k" } else { "s" };
                let kind = self.random.pick(&["", "type=left "]);
                self.names.extend(["la".into(), "rb".into()]);
                let on = match self.random.percent(50) {
                    true => format!("le.{one} = ri.{two}"),
                    false => format!("ri.{two} = le.{one}"),
                };
                let tail = format!("\n| fields le.{one} as la, ri.{there} as rb");
                piece("join", vec![format!("{kind}left=le right=ri where {on} ( {right} )")], &tail)
            }
        }
    }

    /// Commands that make other rows.
    fn reshaping(&mut self) -> Piece {
        let piece = |word: &str, items: Vec<String>, tail: &str| Piece { word: word.into(), items, tail: tail.into() };
        let (first, second) = (self.plain_name(), self.plain_name());
        let timeless = self.grouped;
        self.grouped = true;
        let named = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<String>>();
        match self.random.below(if timeless { 3 } else { 7 }) {
            0 => {
                let tail = self.random.pick(&["", "", "\n| limit 3"]);
                let text = self.value(1);
                self.names = named(&["`@pattern`", "`@sampleCount`", "`@ratio`"]);
                piece("pattern", vec![text], tail)
            }
            1 => {
                self.grouped = timeless;
                let tail = self.random.pick(&["", " col=true", " row=false col=true", " row=true"]);
                if !tail.contains("row=false") {
                    self.names.push("Total".into());
                }
                let fields = if self.random.percent(50) { format!(" {first}, {second}") } else { String::new() };
                piece("addtotals", vec![format!("{}{fields}", tail.trim_start())], "")
            }
            2 => {
                let right = *self.random.pick(&[
                    &"fields a, n",
                    &"filter c = \"x\" | fields @timestamp, s",
                    &"stats count(*) as n by c",
                    &"fields b as a | limit 2",
                ]);
                let columns: Vec<String> =
                    [first, second].into_iter().filter(|c| is_simple(c) && !c.contains(['.', '`', '['])).collect();
                let shown = if columns.is_empty() { "1 as a".to_string() } else { columns.join(", ") };
                self.names = columns;
                self.names.push(if right.contains("as n") || right.contains(", n") { "n" } else { "a" }.into());
                let seen = self.names.clone();
                self.names.retain(|n| right.contains(&format!(" {n}")) || shown.split(", ").any(|c| c == n));
                if self.names.is_empty() {
                    self.names = seen;
                }
                self.names.sort();
                self.names.dedup();
                piece("display", vec![shown], &format!("\n| union ( {right} )\n| display {}", self.names.join(", ")))
            }
            3 => {
                let word = *self.random.pick(&[&"diff", &"logcompare timeshift 5m", &"logcompare timeshift 1d"]);
                let before = if self.random.percent(60) { format!("pattern {first}\n| ") } else { String::new() };
                self.names = named(&["`@pattern`", "`@sampleCount`", "`@previousCount`", "`@difference`"]);
                piece(&format!("{before}{word}"), vec![String::new()], "")
            }
            4 => {
                let value = self.random.pick(&[
                    "count >= 2",
                    "count > 1",
                    "count_distinct(a) >= 2",
                    "sum(n) > 3",
                    "max(n) >= 2",
                    "values(c) != 5",
                    "min(id) = 0",
                    "count < 2",
                ]);
                let within = self.random.pick(&["1s", "5m", "2h", "1d"]);
                self.names = named(&["burst_start", "burst_end", "events", "peak"]);
                piece("burst by", vec![first], &format!(" within {within} {value}"))
            }
            5 => {
                let within = self.random.pick(&["0s", "1s", "5m", "2h", "1d"]).replace("0s", "1ms");
                let (one, two) = (self.condition_of_fields(), self.condition_of_fields());
                let least = self.random.pick(&["", "", " at least 2"]);
                self.names = named(&["seq_start", "seq_end", "events", "u_time", "v_time"]);
                piece("sequence by", vec![first], &format!(" within {within} [ u: {one}{least} ; v: {two} ]"))
            }
            _ => {
                let by = if self.random.percent(50) { format!(" by {second}") } else { String::new() };
                let after =
                    self.random.pick(&["", " history 1s", " history 5m", " history 1d", " after 2024-05-01T10:05:00Z"]);
                self.names = named(&["first_time", "last_time", "events"]);
                if !by.is_empty() {
                    self.names.push("known".into());
                }
                let same = first == second && !by.is_empty();
                piece("firstseen", vec![if same { "id".into() } else { first }], &format!("{by}{after}"))
            }
        }
    }

    /// A condition over fields of the events.
    fn condition_of_fields(&mut self) -> String {
        self.random
            .pick(&["c = \"x\"", "c = \"y\"", "n > 1", "ispresent(a)", "not (c = \"x\")", "id >= 2", "c in [\"x\", 1]"])
            .into()
    }

    /// Commands that depend on the order of rows, and some rare ones.
    fn ordered(&mut self) -> Piece {
        let piece = |word: &str, items: Vec<String>, tail: &str| Piece { word: word.into(), items, tail: tail.into() };
        let by = if self.random.percent(50) { format!(" by {}", self.plain_name()) } else { String::new() };
        match self.random.below(if self.grouped { 5 } else { 7 }) {
            0 => {
                let (field, alias) = (self.plain_name(), self.alias());
                self.names.push(alias.clone());
                piece("accum", vec![field], &format!(" as {alias}{by}"))
            }
            1 => {
                let (field, alias) = (self.plain_name(), self.alias());
                if self.random.percent(50) {
                    self.names.push(alias.clone());
                    return piece("autoregress", vec![field], &format!(" as {alias}{by}"));
                }
                piece("autoregress", vec![field], &format!(" as {alias} p=1-2{by}"))
            }
            4 => {
                let (field, alias) = (self.plain_name(), self.alias());
                self.names.extend(["median", "mad", "past"].map(|what| format!("{alias}_{what}")));
                piece("baseline", vec![field], &format!(" as {alias}{by}"))
            }
            2 => {
                let fields = (0..1 + self.random.below(2)).map(|_| self.plain_name()).collect();
                piece("filldown", fields, "")
            }
            3 => {
                let field = self.plain_name();
                piece("expand", vec![field], "")
            }
            5 => {
                let (field, alias) = (self.random.pick(&["a", "l", "s", "m.k"]).to_string(), self.alias());
                self.names.push(alias.clone());
                piece("json", vec![format!("field={field} \"k\" as {alias}")], "")
            }
            _ => {
                let (field, alias) = (self.plain_name(), self.alias());
                let span = *self.random.pick(&[&"", &" maxspan 5m", &" maxspan 2h"]);
                self.names.push(alias.clone());
                piece("sessionize", vec![field], &format!("{span} as {alias}"))
            }
        }
    }

    fn items(&mut self) -> Vec<String> {
        let count = 1 + self.random.below(4);
        let mut items = Vec::new();
        for _ in 0..count {
            if self.random.percent(45) {
                items.push(self.name());
                continue;
            }
            let value = self.value(3);
            if self.random.percent(85) {
                let alias =
                    if self.random.percent(10) { self.random.pick(&["a", "n", "s"]).to_string() } else { self.alias() };
                self.names.push(alias.clone());
                items.push(format!("{value} as {alias}"));
            } else {
                items.push(value);
            }
        }
        items
    }

    fn stats(&mut self) -> Piece {
        let (mut columns, mut by, mut items) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.random.below(3) {
            let key = match self.random.below(10) {
                0..6 => self.name(),
                6..8 if !self.grouped => {
                    format!("bin({})", self.random.pick(&["5m", "1h", "1d", "1w", "1mo", "500ms", "7s", "auto"]))
                }
                _ => self.value(1),
            };
            // A computed key needs a name, or its text as one; texts with operators are named.
            if by.contains(&key) || columns.contains(&key) {
                continue;
            }
            if self.random.percent(40) || !is_simple(&key) {
                let alias = self.alias();
                columns.push(alias.clone());
                by.push(format!("{key} as {alias}"));
            } else {
                columns.push(key.clone());
                by.push(key);
            }
        }
        for _ in 0..1 + self.random.below(3) {
            let mut item = self.aggregate();
            if self.random.percent(10) {
                item = format!("{item} {} {}", self.random.pick(&["+", "-", "*", "/"]), self.aggregate());
            }
            if self.random.percent(75) || columns.contains(&item) || !is_simple(&item) {
                let alias = self.alias();
                columns.push(alias.clone());
                items.push(format!("{item} as {alias}"));
            } else {
                columns.push(item.clone());
                items.push(item);
            }
        }
        self.names = columns;
        self.grouped = true;
        let tail = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
        Piece { word: "stats".into(), items, tail }
    }

    fn aggregate(&mut self) -> String {
        let x = if self.random.percent(75) { self.name() } else { self.value(1) };
        match self.random.below(22) {
            0..3 => "count(*)".into(),
            3 => format!("count({x})"),
            4 => format!("count_distinct({x})"),
            5..8 => format!("sum({x})"),
            8 => format!("avg({x})"),
            9 => format!("min({x})"),
            10 => format!("max({x})"),
            11 => format!("pct({x}, {})", self.random.pick(&["50", "95", "99.9", "0", "100", "33.3"])),
            12 => format!("median({x})"),
            13 => format!("variance({x})"),
            14 => format!("stddev({x})"),
            15 if !self.grouped => format!("earliest({x})"),
            16 if !self.grouped => format!("latest({x})"),
            17 => format!("sortsFirst({x})"),
            18 => format!("sortsLast({x})"),
            19 => format!("values({x}{})", self.random.pick(&["", ", 1", ", 3"])),
            20 => format!("topk({}, {x})", 1 + self.random.below(3)),
            _ => format!("countIf({})", self.condition(1)),
        }
    }

    fn parse(&mut self) -> Piece {
        let field = self.random.pick(&["@message", "s", "a", ""]).to_string();
        let known = field.is_empty() || self.names.contains(&field);
        let field = if self.grouped && (!known || field.is_empty()) { self.name() } else { field };
        let (pattern, count, named) = *self.random.pick(&[
            &("\"user=* ip=*\"", 2, false),
            &("\"*=*\"", 2, false),
            &("\"[*] *: *\"", 3, false),
            &("\"*,*\"", 2, false),
            &("\"a*\"", 1, false),
            &("\"*\"", 1, false),
            &("\" * \"", 1, false),
            &(r#""\"s\":\"*\"""#, 1, false),
            &(r"/(?<w>\w+)=(?<v>\w*)/", 0, true),
            &(r"/(\d+)/", 1, false),
            &(r"/([a-z])(x)?/i", 2, false),
            &(r"/(?<w>[a-z]+)/ multi", 0, true),
            &("/^(.*)$/", 1, false),
        ]);
        let names: Vec<String> = (0..count).map(|_| self.alias()).collect();
        self.names.extend(names.iter().cloned());
        if named {
            self.names.extend(["w".to_string()]);
        }
        let tail = if names.is_empty() { String::new() } else { format!(" as {}", names.join(", ")) };
        Piece { word: "parse".into(), items: vec![format!("{field} {pattern}").trim().to_string()], tail }
    }

    fn alias(&mut self) -> String {
        self.made += 1;
        format!("x{}", self.made)
    }

    fn name(&mut self) -> String {
        self.names[self.random.below(self.names.len())].clone()
    }

    /// A name that is a path.
    fn plain_name(&mut self) -> String {
        let names: Vec<String> = self.names.iter().filter(|n| !n.contains('(')).cloned().collect();
        names[self.random.below(names.len())].clone()
    }

    fn number(&mut self) -> String {
        self.random
            .pick(&[
                "0",
                "1",
                "2",
                "3",
                "10",
                "404",
                "404.0",
                "2.5",
                "0.1",
                "100",
                "7",
                "1e3",
                "9007199254740993",
                "1714557600000",
            ])
            .into()
    }

    fn text(&mut self) -> String {
        self.random
            .pick(&[
                "\"a\"",
                "\"404\"",
                "\"0\"",
                "\"1\"",
                "\"true\"",
                "\"7\"",
                "\"x\"",
                "\"\"",
                "\"alpha\"",
                "\"é\"",
                "\"2024-05-01T10:00:00Z\"",
                "\"b\"",
                "\"10\"",
                "\"404.0\"",
                "\"1e2\"",
                "\"user\"",
                "\" \"",
                "\"k\"",
                "\"12345678901234567890\"",
            ])
            .into()
    }

    /// An expression that may stand in arithmetic.
    fn numeric(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.percent(40) {
            return match self.random.below(10) {
                0..6 => self.name(),
                6 if !self.params.is_empty() => self.params[0].clone(),
                _ => self.number(),
            };
        }
        let depth = depth - 1;
        match self.random.below(14) {
            0..5 => {
                let (a, op, b) =
                    (self.numeric(depth), *self.random.pick(&[&"+", &"-", &"*", &"/", &"%"]), self.numeric(depth));
                format!("({a} {op} {b})")
            }
            5 => format!("-({})", self.numeric(depth)),
            6 => format!("strlen({})", self.value(depth)),
            7 => format!("{}({})", self.random.pick(&["abs", "ceil", "floor", "sqrt"]), self.numeric(depth)),
            8 => format!("round({}{})", self.numeric(depth), self.random.pick(&["", ", 1", ", 2", ", 0"])),
            9 => format!(
                "{}({}, {})",
                self.random.pick(&["greatest", "least"]),
                self.numeric(depth),
                self.numeric(depth)
            ),
            10 => format!("{}({})", self.random.pick(&["toNumber", "toInt", "toLong", "toDouble"]), self.value(depth)),
            11 if !self.grouped => format!(
                "(@timestamp {} {})",
                self.random.pick(&["+", "-"]),
                self.random.pick(&["5m", "1000", "@timestamp", "n"])
            ),
            12 => format!("({} ^ {})", self.numeric(depth), self.random.pick(&["2", "0.5", "3", "0"])),
            _ => format!("jsonArraySize({})", self.name()),
        }
    }

    /// Any expression.
    fn value(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.percent(25) {
            return match self.random.below(12) {
                0..9 => self.name(),
                9 => self.number(),
                10 => self.text(),
                _ => self.random.pick(&["true", "false", "null"]).into(),
            };
        }
        let depth = depth - 1;
        match self.random.below(24) {
            0..5 => self.numeric(depth + 1),
            5 => format!(
                "{}({})",
                self.random.pick(&["toupper", "tolower", "trim", "ltrim", "rtrim"]),
                self.value(depth)
            ),
            6 => format!("trim({}, {})", self.value(depth), self.text()),
            7 => format!("concat({}, {})", self.value(depth), self.value(depth)),
            8 => format!(
                "substr({}, {}{})",
                self.value(depth),
                self.random.below(4),
                self.random.pick(&["", ", 2", ", 0", ", -1"])
            ),
            9 => format!("coalesce({}, {})", self.value(depth), self.value(depth)),
            10 => format!("if({}, {}, {})", self.condition(depth), self.value(depth), self.value(depth)),
            11 => format!("case({}, {}, {})", self.condition(depth), self.value(depth), self.value(depth)),
            12 => format!("replace({}, {}, {})", self.value(depth), self.text(), self.text()),
            13 => format!("split({}, {})", self.value(depth), self.random.pick(&["\",\"", "\" \"", "\"=\"", "\"\""])),
            14 => format!("split({}, \",\")[{}]", self.value(depth), self.random.below(3)),
            15 => format!("jsonParse({}){}", self.value(depth), self.random.pick(&["", ".k", "[0]"])),
            16 => format!("jsonStringify({})", self.value(depth)),
            17 => format!(
                "regexReplace({}, {}, {})",
                self.value(depth),
                self.random.pick(&["/[a-z]/", r"/(\d)(x)?/", "\"a\""]),
                self.random.pick(&["\"_\"", "\"<$1>\"", "\"$2$$\""])
            ),
            18 if !self.grouped => format!(
                "{}(@timestamp, {})",
                self.random.pick(&["datefloor", "dateceil"]),
                self.random.pick(&["1h", "5m", "1d", "1mo", "1w"])
            ),
            19 => format!("toMillis({})", self.name()),
            20 => format!("messageSize({})", self.value(depth)),
            21 => format!(
                "{}({})",
                self.random.pick(&["isempty", "isblank", "ispresent", "isNumeric"]),
                self.value(depth)
            ),
            _ => format!("({})", self.condition(depth)),
        }
    }

    /// An expression that may be an operand of `and`, never a bare string literal.
    fn condition(&mut self, depth: usize) -> String {
        if depth > 0 && self.random.percent(30) {
            let depth = depth - 1;
            return match self.random.below(5) {
                0 | 1 => format!("({} and {})", self.condition(depth), self.condition(depth)),
                2 | 3 => format!("({} or {})", self.condition(depth), self.condition(depth)),
                _ => format!("not ({})", self.condition(depth)),
            };
        }
        let depth = depth.saturating_sub(1);
        match self.random.below(24) {
            0..5 => format!("{} {} {}", self.name(), self.comparison(), self.text()),
            5..8 => format!("{} {} {}", self.name(), self.comparison(), self.number()),
            8 => format!("{} {} {}", self.name(), self.comparison(), self.random.pick(&["true", "false"])),
            9 => format!("{} {} {}", self.operand(depth), self.comparison(), self.operand(depth)),
            10 => format!("{} {} {}", self.name(), self.comparison(), self.name()),
            11..13 => {
                let (left, not, count) = (self.operand(0), self.random.pick(&["", "not "]), 1 + self.random.below(3));
                let list: Vec<String> =
                    (0..count).map(|_| if self.random.percent(60) { self.text() } else { self.number() }).collect();
                format!("{left} {not}in [{}]", list.join(", "))
            }
            13..16 => format!("{} {}like {}", self.name(), self.random.pick(&["", "not "]), self.text()),
            16 => format!(
                "{} {} {}",
                self.name(),
                self.random.pick(&["like", "=~", "not like", "not =~"]),
                self.random.pick(&["/a/", "/^4/", r"/\d\d/", "/A/i", r"/\./", "/^$/", "/é|x/"])
            ),
            17 => format!(
                "{}({}, {}{})",
                self.random.pick(&["strcontains", "startsWith", "endsWith"]),
                self.operand(depth),
                self.text(),
                ""
            ),
            18 => format!("strcontains({}, {}, true)", self.operand(depth), self.text()),
            19 => format!(
                "{}({})",
                self.random.pick(&["isempty", "isblank", "ispresent", "isNumeric", "isValidIp"]),
                self.operand(depth)
            ),
            20 => self.name(),
            21 => format!("jsonArrayContains({}, {})", self.name(), self.text()),
            22 if !self.grouped => format!(
                "@timestamp {} {}",
                self.comparison(),
                self.random.pick(&[
                    "\"2024-05-01T10:00:00Z\"",
                    "\"2024-05-01 10:05:00\"",
                    "1714557600000",
                    "t",
                    "\"soon\""
                ])
            ),
            _ => {
                let inner = self.random.pick(&[
                    "fields b",
                    "filter c = \"x\" | fields a",
                    "stats max(n)",
                    "fields s | limit 3",
                ]);
                format!("{} {}in ({inner})", self.name(), self.random.pick(&["", "not "]))
            }
        }
    }

    fn operand(&mut self, depth: usize) -> String {
        if self.random.percent(60) { self.name() } else { self.numeric(depth) }
    }

    fn comparison(&mut self) -> &'static str {
        self.random.pick(&["=", "=", "=", "!=", "<", "<=", ">", ">="])
    }
}

/// A path or call: something that can be named again by its text.
fn is_simple(text: &str) -> bool {
    !text.contains([' ', '-', '"', '[', '$', '/'])
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && !matches!(text, "true" | "false" | "null")
        && !text.starts_with('(')
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric()) && is_simple(text)
}
