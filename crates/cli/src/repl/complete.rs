//! What can stand at the cursor: commands, functions, fields and values seen in the data, tables, parameters.

use super::seen::Seen;
use crate::escape;
use crate::reference;
use backsight_engine::{agg, func};
use backsight_lang::Class;
use backsight_lang::commands::{self, COMMANDS};
use backsight_lang::span::Span;

/// Candidates that are offered.
const MOST: usize = 100;

/// Fields that every event has.
const SYSTEM_FIELDS: &[&str] = &["@timestamp", "@message", "@logStream", "@log", "@ingestionTime", "@ptr"];

/// The words a session knows beside those of the language.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    /// Fields and values.
    pub(crate) seen: Seen,
    /// Parameters, without `$`.
    pub(crate) params: Vec<String>,
    /// Tables.
    pub(crate) tables: Vec<String>,
    /// Sources a query may name.
    pub(crate) sources: Vec<String>,
    /// Names of saved queries, and of rules.
    pub(crate) queries: Vec<String>,
}

/// One thing that can stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// As listed: safe to show, functions with their arguments.
    pub(crate) shown: String,
    /// As inserted.
    pub(crate) text: String,
}

impl Candidate {
    /// A candidate that is shown as it is inserted.
    pub(crate) fn plain(text: impl Into<String>) -> Candidate {
        let text = text.into();
        Candidate { shown: crate::chart::cut(&escape::visible(&text), 60), text }
    }
}

impl rustyline::completion::Candidate for Candidate {
    fn display(&self) -> &str {
        &self.shown
    }

    fn replacement(&self) -> &str {
        &self.text
    }
}

/// The candidates for the query text before the cursor, and where the word they replace begins.
pub(crate) fn query(before: &str, words: &Words) -> (usize, Vec<Candidate>) {
    let tokens = backsight_lang::tokens(before);
    let last = tokens.last().filter(|(span, _)| span.end == before.len());
    if last.is_some_and(|(_, class)| *class == Class::Comment) {
        return (before.len(), Vec::new());
    }
    if let Some(open) = last.filter(|(span, _)| is_open_string(span.text(before))) {
        let start = open.0.start;
        let earlier = &tokens[..tokens.len() - 1];
        let values = field_of(before, earlier).map_or_else(Vec::new, |field| values(&field, &before[start..], words));
        return (start, values);
    }
    let start = word_start(before);
    let word = &before[start..];
    let earlier: Vec<(Span, Class)> = tokens.iter().copied().filter(|(span, _)| span.end <= start).collect();
    if let Some(name) = word.strip_prefix('$') {
        let names = words.params.iter().cloned().chain(declared(before)).map(|p| format!("${p}"));
        return (start, matching(names.map(Candidate::plain), &format!("${name}")));
    }
    let text_of = |back: usize| earlier.iter().rev().nth(back).map_or("", |(span, _)| span.text(before));
    if begins_stage(&earlier, before) {
        let names = COMMANDS.iter().filter(|c| c.tier > 0).map(|c| c.name);
        return (start, matching(names.map(|name| Candidate::plain(format!("{name} "))), word));
    }
    let is = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
    if is(text_of(0), "table") && is(text_of(1), "in") || is(text_of(0), "lookup") || is(text_of(0), "cidrlookup") {
        return (start, matching(words.tables.iter().map(Candidate::plain), word));
    }
    if is(text_of(0), "source") {
        return (start, matching(words.sources.iter().map(Candidate::plain), word));
    }
    let mut found = field_of(before, &earlier).map_or_else(Vec::new, |field| values(&field, word, words));
    if found.is_empty() {
        found = names(word, &earlier, before, words);
    }
    found.truncate(MOST);
    (start, found)
}

/// Fields, functions and words of the command at hand.
fn names(word: &str, earlier: &[(Span, Class)], text: &str, words: &Words) -> Vec<Candidate> {
    let command = earlier
        .iter()
        .rev()
        .find(|(_, class)| *class == Class::Command)
        .and_then(|(span, _)| commands::find(span.text(text)));
    let keywords = command.map_or(&[][..], |c| c.keywords).iter().map(|k| Candidate::plain(*k));
    let known = words.seen.fields.keys().map(String::as_str).chain(SYSTEM_FIELDS.iter().copied());
    let mut fields: Vec<&str> = known.filter(|name| starts_with(name, word)).collect();
    if fields.is_empty() && word.len() > 1 {
        // The last part of a long name is what people remember.
        let inside = |name: &&str| name.split('.').any(|part| starts_with(part, word));
        fields = words.seen.fields.keys().map(String::as_str).filter(inside).collect();
    }
    let count = |name: &str| words.seen.fields.get(name).map_or(0, |field| field.count);
    fields.sort_by(|a, b| count(b).cmp(&count(a)).then(a.cmp(b)));
    fields.dedup();
    fields.truncate(MOST);
    fields.sort_unstable();
    let aliases = declared_names(earlier, text);
    let aggregates = command.is_some_and(|c| c.name == "stats");
    let functions = func::functions()
        .map(|f| (f.name, reference::form(f.name, f.params, f.optional, f.variadic)))
        .chain(
            agg::aggregates()
                .filter(|_| aggregates)
                .map(|a| (a.name, reference::form(a.name, a.params, a.optional, false))),
        )
        .map(|(name, shown)| Candidate { shown, text: format!("{name}(") });
    let mut found: Vec<Candidate> = fields.into_iter().map(Candidate::plain).collect();
    for alias in aliases {
        if starts_with(&alias, word) && !found.iter().any(|c| c.text == alias) {
            found.push(Candidate::plain(alias));
        }
    }
    // Without a letter to go by, fields are what is asked for.
    if !word.is_empty() {
        let mut more = matching(functions, word);
        more.sort_by(|a, b| a.text.cmp(&b.text));
        found.extend(more);
    }
    found.extend(matching(keywords, word));
    found
}

/// The values of a field that begin as typed; `typed` may begin with a quote.
fn values(field: &str, typed: &str, words: &Words) -> Vec<Candidate> {
    let Some(seen) = words.seen.fields.get(field) else { return Vec::new() };
    let quote = typed.chars().next().filter(|c| matches!(c, '"' | '\''));
    let begun = typed.trim_start_matches(['"', '\'']);
    let mut found: Vec<(&String, &u64)> = seen.values.iter().filter(|(value, _)| starts_with(value, begun)).collect();
    found.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let candidate = |value: &String| match (quote, seen.numbers && is_literal(value)) {
        (None, true) => Candidate::plain(value),
        (quote, _) => Candidate::plain(quoted(value, quote.unwrap_or('"'))),
    };
    found.into_iter().take(MOST).map(|(value, _)| candidate(value)).collect()
}

fn is_literal(value: &str) -> bool {
    matches!(value, "true" | "false") || backsight_engine::value::number::numeric(value.as_bytes()).is_some()
}

/// A text as a string of the language.
pub(crate) fn quoted(text: &str, quote: char) -> String {
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if escape::needs_json_escape(c) => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// The field that a value at the cursor is compared with: left of `=`, `in [ … ,`, `like` and their kind.
fn field_of(text: &str, earlier: &[(Span, Class)]) -> Option<String> {
    let at = |i: usize| earlier.get(i).map_or("", |(span, _)| span.text(text));
    let mut i = earlier.len().checked_sub(1)?;
    let mut in_list = false;
    while matches!(at(i), ",") || in_list && at(i) != "[" {
        in_list = true;
        i = i.checked_sub(1)?;
        if earlier.get(i).is_some_and(|(_, class)| *class == Class::Command) {
            return None;
        }
    }
    if at(i) == "[" {
        i = i.checked_sub(1)?;
    } else if in_list {
        return None;
    }
    let word = at(i).to_ascii_lowercase();
    if !matches!(word.as_str(), "=" | "!=" | "<>" | "==" | "in" | "like" | "<" | ">" | "<=" | ">=") {
        return None;
    }
    i = i.checked_sub(1)?;
    if at(i).eq_ignore_ascii_case("not") {
        i = i.checked_sub(1)?;
    }
    let end = earlier.get(i)?.0.end;
    let mut start = earlier.get(i)?.0.start;
    while i > 0 && earlier[i - 1].0.end == start && (at(i - 1) == "." || at(i) == ".") {
        i -= 1;
        start = earlier[i].0.start;
    }
    Some(text[start..end].to_string())
}

/// Whether the next word is a command: at the start, behind `|`, behind the parenthesis of a nested query.
fn begins_stage(earlier: &[(Span, Class)], text: &str) -> bool {
    let mut back = earlier.iter().rev().filter(|(_, class)| *class != Class::Comment).map(|(span, _)| span.text(text));
    match back.next() {
        None | Some("|") => true,
        Some("(") => back.next().is_some_and(|w| ["in", "union", "join"].iter().any(|n| w.eq_ignore_ascii_case(n))),
        Some(_) => false,
    }
}

/// Names that `as` and `into` gave earlier in the query.
fn declared_names(earlier: &[(Span, Class)], text: &str) -> Vec<String> {
    let mut names: Vec<String> = earlier
        .windows(2)
        .filter(|pair| ["as", "into"].iter().any(|word| pair[0].0.text(text).eq_ignore_ascii_case(word)))
        .map(|pair| pair[1].0.text(text).to_string())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The parameters that the query declares itself.
fn declared(text: &str) -> Vec<String> {
    backsight_lang::parse(text).query.lets.into_iter().map(|l| l.name.text).collect()
}

fn is_open_string(token: &str) -> bool {
    let Some(quote) = token.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return false };
    token.len() == 1 || !token.ends_with(quote) || token.ends_with(&format!("\\{quote}"))
}

/// Where the word that ends the text begins.
fn word_start(text: &str) -> usize {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '$' | '`');
    text.char_indices().rev().take_while(|(_, c)| part(*c)).last().map_or(text.len(), |(at, _)| at)
}

/// The candidates whose text begins as typed, whatever the case.
pub(crate) fn matching(candidates: impl Iterator<Item = Candidate>, typed: &str) -> Vec<Candidate> {
    candidates.filter(|c| starts_with(&c.text, typed)).take(MOST).collect()
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let mut words = Words {
            params: vec!["threshold".into()],
            tables: vec!["bad_ips".into()],
            sources: vec!["_".into()],
            ..Words::default()
        };
        for record in [
            r#"{"ip":"198.51.100.7","status":404,"user":{"arn":"root","name":"eve\u202e"},"path":"/a \"b\""}"#,
            r#"{"ip":"198.51.100.7","status":200,"user":{"arn":"admin"}}"#,
            r#"{"ip":"203.0.113.9","status":404}"#,
        ] {
            words.seen.record(&serde_json::from_str(record).expect("JSON"));
        }
        words
    }

    #[test]
    fn what_can_stand_where() {
        let words = words();
        for (before, expected) in [
            ("", "addtotals "),
            ("fi", "fields "),
            ("FI", "fields "),
            ("fields ip | so", "sort "),
            ("fields i", "ip"),
            ("fields user.", "user.arn"),
            ("fields arn", "user.arn"),
            ("fields @t", "@timestamp"),
            ("filter strl", "strlen("),
            ("stats count_d", "count_distinct("),
            ("stats count(*) by ", "ip"),
            ("stats count(*) as hits by ip | sort hi", "hits"),
            ("filter ip = ", "\"198.51.100.7\""),
            ("filter ip = \"203", "\"203.0.113.9\""),
            ("filter ip = '203", "'203.0.113.9'"),
            ("filter status = ", "404"),
            ("filter status = 2", "200"),
            ("filter user.arn in [\"root\", \"a", "\"admin\""),
            ("filter user.arn not in [", "\"admin\""),
            ("filter user.name like ", "\"eve\\u202e\""),
            ("filter path = ", "\"/a \\\"b\\\"\""),
            ("filter ip in table b", "bad_ips"),
            ("lookup b", "bad_ips"),
            ("source _", "_"),
            ("filter a > $th", "$threshold"),
            ("let mine = 3 filter a > $m", "$mine"),
            ("filter a in (so", "sort "),
        ] {
            let (start, found) = query(before, &words);
            let texts: Vec<&str> = found.iter().map(|c| c.text.as_str()).collect();
            assert!(texts.contains(&expected), "{before}: {texts:?}");
            assert!(start <= before.len() && before.is_char_boundary(start), "{before}");
        }
        let (start, found) = query("filter ip = \"198.51", &words);
        assert_eq!((start, found.len()), (12, 1), "the quote is replaced too");
        for nothing in ["# fi", "fields \"x", "filter ip = \"zzz"] {
            assert_eq!(query(nothing, &words).1, [], "{nothing}");
        }
    }

    #[test]
    fn any_text_can_be_completed() {
        let words = words();
        for text in
            ["fields 日本", "filter a in [1, 2, (", "é | \"", "a.b.c[0].", "| | |", "filter x = '\\", "\u{202e}"]
        {
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                query(&text[..at], &words);
            }
        }
    }

    #[test]
    fn functions_show_their_arguments_and_values_show_no_hidden_characters() {
        let words = words();
        let (_, found) = query("filter strle", &words);
        assert!(found.iter().any(|c| c.shown.starts_with("strlen(") && c.text == "strlen("), "{found:?}");
        let (_, found) = query("filter user.name = ", &words);
        assert!(found.iter().all(|c| !c.shown.contains('\u{202e}') && !c.text.contains('\u{202e}')), "{found:?}");
    }

    #[test]
    fn strings_read_back() {
        for text in ["plain", "it's", "a\"b", "\\d", "tab\t", "\u{202e}\u{e0041}", "日本"] {
            for quote in ['"', '\''] {
                let literal = quoted(text, quote);
                let parsed = backsight_lang::parse(&format!("filter a = {literal}"));
                let shape = format!("{:?}", parsed.query.stages);
                assert!(parsed.is_ok() && shape.contains(&format!("String({text:?})")), "{literal}: {shape}");
            }
        }
    }
}
