//! Rule files: front matter in `#` comments, then the query; several rules a file.
//!
//! Every line of a rule file is a comment or a part of a query, so the file as a whole stays what Logs Insights takes.

use super::Rule;
use super::spec::BesideTest;
use rayon::prelude::*;

/// What is wrong with a rule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1 on; 0 for the file as a whole.
    pub line: usize,
    /// The rule, where it is known.
    pub rule: String,
    /// What is wrong, for people.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Problem { file, line, rule, message } = self;
        match (line, rule.as_str()) {
            (0, "") => write!(f, "{file}: {message}"),
            (0, rule) => write!(f, "{file}: {rule}: {message}"),
            (line, "") => write!(f, "{file}:{line}: {message}"),
            (line, rule) => write!(f, "{file}:{line}: {rule}: {message}"),
        }
    }
}

/// Where the front matter of a rule begins.
const OPEN: &str = "#--- rule";
/// Where it ends.
const CLOSE: &str = "#---";

/// Reads rules from files given as names and texts: `*.bsq`, and `*.tests.jsonl` beside them. A file without front
/// matter is a plain query and gives no rule.
pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Vec<Rule>, Vec<Problem>) {
    let files: Vec<(&str, &str)> = files.into_iter().collect();
    let of_file = |(name, text): &(&str, &str)| match name.ends_with(".bsq") {
        true => rules_of(name, text),
        false => (Vec::new(), Vec::new()),
    };
    let read: Vec<(Vec<Rule>, Vec<Problem>)> = files.par_iter().map(of_file).collect();
    let (rules, problems): (Vec<Vec<Rule>>, Vec<Vec<Problem>>) = read.into_iter().unzip();
    let (mut rules, mut problems) = (rules.concat(), problems.concat());
    for (name, text) in files {
        if let Some(stem) = name.strip_suffix(".tests.jsonl") {
            tests_beside(name, &format!("{stem}.bsq"), text, &mut rules, &mut problems);
        }
    }
    (rules, problems)
}

fn rules_of(name: &str, text: &str) -> (Vec<Rule>, Vec<Problem>) {
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    let lines: Vec<&str> = text.lines().collect();
    let mut at = lines.iter().position(|l| l.trim_end() == OPEN);
    while let Some(open) = at {
        let next = lines.iter().skip(open + 1).position(|l| l.trim_end() == OPEN).map(|n| n + open + 1);
        let part = &lines[open + 1..next.unwrap_or(lines.len())];
        let fail = |line: usize, message: String| Problem { file: name.into(), line, rule: String::new(), message };
        match part.iter().position(|l| l.trim_end() == CLOSE) {
            None => problems.push(fail(open + 1, format!("`{OPEN}` without the `{CLOSE}` that ends it"))),
            Some(close) => match front(&part[..close]) {
                Ok(mut rule) => {
                    rule.query = part[close + 1..].join("\n").trim_end().to_owned();
                    rule.file = name.to_owned();
                    rule.line = open + close + 3;
                    rules.push(rule);
                }
                Err((line, message)) => problems.push(fail(open + 1 + line, message)),
            },
        }
        at = next;
    }
    (rules, problems)
}

/// The front matter without its `#`, read. A problem comes with its line, from 1 on, 0 if there is none.
fn front(lines: &[&str]) -> Result<Rule, (usize, String)> {
    let mut yaml = String::new();
    for (i, line) in lines.iter().enumerate() {
        let Some(rest) = line.strip_prefix('#') else {
            return Err((i + 1, "a line of the front matter must begin with `#`".into()));
        };
        yaml.push_str(rest.strip_prefix(' ').unwrap_or(rest));
        yaml.push('\n');
    }
    // Only `true` and `false`: `no` and `on` are texts.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(&yaml, options).map_err(|e| {
        let line = e.location().map_or(0, |l| l.line() as usize);
        (line, first_line(&e.without_snippet().to_string()))
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn tests_beside(name: &str, of: &str, text: &str, rules: &mut [Rule], problems: &mut Vec<Problem>) {
    let mut fail = |line: usize, message: String| {
        problems.push(Problem { file: name.into(), line, rule: String::new(), message });
    };
    let mut here: Vec<&mut Rule> = rules.iter_mut().filter(|r| r.file == of).collect();
    if here.is_empty() {
        return fail(0, format!("tests of `{of}`, which has no rules"));
    }
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let BesideTest { rule, test } = match serde_json::from_str(line) {
            Ok(test) => test,
            Err(e) => {
                fail(i + 1, e.to_string());
                continue;
            }
        };
        let only = here.len() == 1;
        match here.iter_mut().find(|r| rule.as_ref().map_or(only, |name| r.is_called(name))) {
            Some(rule) => rule.tests.push(test),
            None => fail(i + 1, "which rule of the file this tests is not clear: give `rule`".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Level;

    const TWO: &str = r#"# A file of two rules.
#--- rule
# title: No answer
# id: bs.test.one
# level: info
# logsource: { category: access }
# entity: ip
# params:
#   threshold: { default: 20, type: int, why: "people stop sooner" }
# tests:
#   - { name: none, event: { ip: 1.2.3.4, status: no }, expect: { findings: 0 } }
#---
stats count(*) as n by ip
| filter n >= $threshold
#--- rule
# title: Another
# id: bs.test.two
# alias: T-2
# level: high
# logsource: { category: waf }
# entity: { type: rule, field: terminatingRuleId }
#---
filter action = "BLOCK"
"#;

    #[test]
    fn several_rules_a_file() {
        let (rules, problems) = read([
            ("a/two.bsq", TWO),
            ("a/plain.bsq", "# a comment\nfields ip"),
            (
                "a/two.tests.jsonl",
                r#"{"rule":"t-2","name":"beside","events":[{"action":"BLOCK"}],"expect":{"findings":1}}"#,
            ),
        ]);
        assert_eq!(problems, []);
        let [one, two] = rules.as_slice() else { panic!("two rules") };
        assert_eq!((one.level, one.entity.field.as_str(), one.line), (Level::Informational, "ip", 13));
        assert_eq!(one.query, "stats count(*) as n by ip\n| filter n >= $threshold");
        assert_eq!(one.tests[0].event.as_ref().map(|e| e["status"].clone()), Some("no".into()));
        assert_eq!((two.short(), two.entity.kind.as_str(), two.tests.len()), ("T-2", "rule", 1));
    }

    #[test]
    fn problems_have_their_line() {
        let wrong = TWO.replace("level: high", "level: awful");
        let (rules, problems) = read([("two.bsq", wrong.as_str())]);
        assert_eq!((rules.len(), problems.len()), (1, 1));
        assert_eq!(problems[0].line, 19, "{}", problems[0]);
        let (_, problems) = read([("x.bsq", "#--- rule\n# title: a\nfields ip")]);
        assert!(problems[0].message.contains("#---"), "{}", problems[0]);
        let (_, problems) = read([("x.bsq", "#--- rule\n# title: a\nb: c\n#---\nfields ip")]);
        assert_eq!(problems[0].line, 3, "{}", problems[0]);
    }
}
