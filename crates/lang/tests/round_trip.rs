//! Random queries that are right by construction: formatting keeps their trees, and formatting twice changes nothing.

use backsight_lang::{format, parse};

/// Numbers that are the same everywhere (xorshift).
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

    fn space(&mut self) -> &'static str {
        [" ", " ", "  ", "\n", " # note\n"][self.roll(5)]
    }

    /// Between 1 and `most` of something, with `separator` between.
    fn several(&mut self, most: usize, separator: &str, mut one: impl FnMut(&mut Dice) -> String) -> String {
        let count = 1 + self.roll(most);
        let all: Vec<String> = (0..count).map(|_| one(self)).collect();
        all.join(separator)
    }

    fn path(&mut self) -> String {
        let first =
            self.pick(&["a", "b_1", "@message", "`x y`", "@`t:u`", "limit", "stats", "exists", "case", "größe"]);
        let tail = ["", "", "", ".c", ".0", "[1]", ".in", ".`d.e`", ".24h", ".0.1"];
        format!("{first}{}", self.pick(&tail))
    }

    fn name(&mut self) -> String {
        self.pick(&["n", "`the name`", "a.b", "@x", "`in`", "`desc`", "total_2", "`1st`", "a.0"]).to_string()
    }

    fn string(&mut self) -> String {
        self.pick(&[
            r#""s""#,
            "'q'",
            r#"'say "hi"'"#,
            r#""it's""#,
            r#""\d \\ \" \u0041 \n""#,
            r"'\' \\'",
            "''",
            "\"# | (\"",
        ])
        .to_string()
    }

    fn value(&mut self) -> String {
        match self.roll(5) {
            0 => self.string(),
            1 => self.pick(&["1", "2.50", "1e3", "007"]).to_string(),
            2 => self.pick(&["5m", "90secs", "1y"]).to_string(),
            3 => self.pick(&["true", "FALSE", "$p"]).to_string(),
            _ => self.path(),
        }
    }

    /// An arithmetic expression; strings stay out of it.
    fn number(&mut self, depth: usize) -> String {
        if depth == 0 {
            return if self.roll(2) == 0 {
                self.path()
            } else {
                self.pick(&["1", "2.5", "$p", "f()", "count(*)"]).to_string()
            };
        }
        let (left, right) = (self.number(depth - 1), self.number(depth - 1));
        match self.roll(8) {
            0 => format!("({left})"),
            1 => format!("-{left}"),
            2 => format!("f({left}, {right})"),
            3 => format!("({left}).k[2]"),
            _ => {
                let op = self.pick(&["+", "-", "*", "/", "%", "^"]);
                format!("{left}{}{op}{}{right}", self.space(), self.space())
            }
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.comparison();
        }
        match self.roll(7) {
            0 => format!("({})", self.condition(depth - 1)),
            1 => format!("not {}", self.condition(depth - 1)),
            2 => format!("!({})", self.condition(depth - 1)),
            3 => format!("({}) = f({})", self.condition(depth - 1), self.condition(depth - 1)),
            4 => self.several(40, " and ", |d| d.condition(depth - 1)),
            _ => {
                let op = self.pick(&[" and ", " or ", "\nOR "]);
                self.several(4, op, |d| d.condition(depth - 1))
            }
        }
    }

    fn comparison(&mut self) -> String {
        let left = self.number(1);
        let not = self.pick(&["", "not "]);
        match self.roll(7) {
            0 => format!("{left} {not}like {}", self.string()),
            1 => format!("{left} {not}=~ {}", self.pick(&[r"/x\/y[/]/i", "/$routes/", r"/\\/"])),
            2 => format!("{left} {not}in [{}]", self.several(3, ", ", Dice::value)),
            3 => format!("{left} {not}in table t.`c d`"),
            4 if self.roll(4) == 0 => format!("{left} {not}in ({})", self.query(2)),
            5 => format!("{left} {not}exists"),
            _ => format!("{left} {} {}", self.pick(&["=", "!=", "<", "<=", ">", ">="]), self.value()),
        }
    }

    fn item(&mut self) -> String {
        let expr = if self.roll(3) == 0 { self.condition(1) } else { self.number(2) };
        if self.roll(2) == 0 { format!("{expr}{}as {}", self.space(), self.name()) } else { expr }
    }

    fn stage(&mut self) -> String {
        let items = |dice: &mut Dice| dice.several(3, ", ", Dice::item);
        let paths = |dice: &mut Dice| dice.several(3, ", ", Dice::path);
        match self.roll(24) {
            0..4 => format!("filter {}", self.condition(2)),
            4..6 => format!("FIELDS {}", items(self)),
            6 => format!("stats {} BY {}", items(self), items(self)),
            7 => format!("display {}", items(self)),
            8 => format!("sort {} desc, {}", self.number(1), self.number(1)),
            9 => format!("limit {}", self.pick(&["5", "any 6", "$n"])),
            10 => format!("dedup {}", paths(self)),
            11 => format!("parse {} \"a=* \\* b=*\" as {}, {}", self.path(), self.name(), self.name()),
            12 => format!("parse {} multi", self.pick(&["/(?<a>x)/", "@message /y/i", "`a b` /\\//"])),
            13 => format!("unnest {} into {}", self.number(1), self.name()),
            14 => format!("lookup t `c d` as {} output e as {}", self.path(), self.name()),
            15 => format!("join left=l where {} = {} ({})", self.path(), self.path(), self.query(2)),
            16 => format!("union ({})", self.query(3)),
            17 => format!("accum {} as {}", self.path(), self.name()),
            18 => format!("filldown {} x*", self.path()),
            19 => format!("fillmissing with {} for {}", self.string(), self.path()),
            20 => format!("sessionize {} maxspan 30min", paths(self)),
            21 => format!("burst by {} within 5m f({}) > 3", paths(self), self.number(1)),
            22 => format!(
                "sequence by {} within 1h [ s: {} at least 2 ; t: {} ; ]",
                paths(self),
                self.condition(1),
                self.condition(1)
            ),
            _ => format!("firstseen {} after last-7d", paths(self)),
        }
    }

    fn query(&mut self, most: usize) -> String {
        let separator = ["| ", " | ", "\n| ", " # c\n| ", "|\n# d\n"][self.roll(5)];
        self.several(most, separator, Dice::stage)
    }
}

#[test]
fn random_queries() {
    let mut dice = Dice(0x0123_4567_89ab_cdef);
    let mut too_deep = 0;
    for _ in 0..1_500 {
        let text = dice.query(5);
        let parsed = parse(&text);
        if parsed.errors().any(|e| e.message.contains("levels of nesting")) {
            too_deep += 1;
            continue;
        }
        assert!(parsed.is_ok(), "{text}\n{:?}", parsed.diagnostics);
        let formatted = format(&parsed.query, &text);
        let again = parse(&formatted);
        assert!(again.is_ok(), "{text}\n---\n{formatted}\n{:?}", again.diagnostics);
        assert_eq!(again.query.shape(), parsed.query.shape(), "{text}\n---\n{formatted}");
        assert_eq!(format(&again.query, &formatted), formatted, "{text}");
        assert_eq!(again.query.comments.len(), parsed.query.comments.len(), "{text}\n---\n{formatted}");
    }
    assert!(too_deep < 15, "{too_deep} queries nest too deep to say anything");
}
