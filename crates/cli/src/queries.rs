//! Query files: one text, one or several queries.
//!
//! A line that starts with `#---` begins a query: `#--- query NAME` gives it that name, `#---` alone none. `#--- rule`
//! begins a detection rule, whose front matter ends at the next `#---`. Text before the first such line is a query too.
//! To the language all these lines are comments, so that a file with one query is a query with or without them.

/// How a query begins.
pub(crate) const MARK: &str = "#---";

/// One query of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Its name, unique in its file.
    pub(crate) name: String,
    /// Its text, at the line it has in the file.
    pub(crate) text: String,
    /// It is a detection rule, whose parameters are declared in its front matter.
    pub(crate) is_rule: bool,
}

/// The queries of a file. `stem`: the name of those that have none.
pub(crate) fn split(stem: &str, text: &str) -> Vec<Saved> {
    let mut found: Vec<Saved> = Vec::new();
    let mut open = Saved { name: String::new(), text: String::new(), is_rule: false };
    let mut in_front_matter = false;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let mark = line.strip_prefix(MARK).map(str::trim);
        match mark {
            Some("") if in_front_matter => in_front_matter = false,
            Some(what) => {
                close(&mut found, open, stem);
                in_front_matter = what == "rule";
                let name = what.strip_prefix("query").map_or(what, str::trim);
                let name = if in_front_matter { "" } else { name };
                open = Saved { name: name.into(), text: "\n".repeat(number), is_rule: in_front_matter };
            }
            None if in_front_matter => {
                if let Some(id) = line.strip_prefix("# id:") {
                    let id = id.split_once(" #").map_or(id, |(id, _)| id);
                    open.name = id.trim().trim_matches(['"', '\'']).into();
                }
            }
            None => {}
        }
        open.text.push_str(line);
    }
    close(&mut found, open, stem);
    found
}

/// Keeps a query unless there is nothing in it.
fn close(found: &mut Vec<Saved>, mut query: Saved, stem: &str) {
    if is_blank(&query.text) {
        return;
    }
    let wanted = if query.name.is_empty() { stem.to_string() } else { query.name };
    let mut name = wanted.clone();
    let mut n = 2;
    while found.iter().any(|other| other.name == name) {
        name = format!("{wanted}-{n}");
        n += 1;
    }
    query.name = name;
    found.push(query);
}

/// Whether a text has nothing but blanks and comments.
pub(crate) fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
}

/// The text with another value for a parameter that it declares.
pub(crate) fn with_value(text: &str, name: &str, value: &str) -> String {
    let parsed = backsight_lang::parse(text);
    let Some(declared) = parsed.query.lets.iter().find(|declared| declared.name.text == name) else {
        return text.to_string();
    };
    let span = declared.span;
    let end = if span.text(text).ends_with(';') { ";" } else { "" };
    format!("{}let {name} = {value}{end}{}", &text[..span.start], &text[span.end..])
}

/// The text that appends a query to a file.
pub(crate) fn entry(name: &str, text: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{MARK} query {}\n{}\n", name.trim(), text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(String, String)> {
        split("file", text).into_iter().map(|q| (q.name, q.text.trim().to_string())).collect()
    }

    #[test]
    fn files_of_one_and_of_several() {
        let pair = |name: &str, text: &str| (name.to_string(), text.to_string());
        assert_eq!(names("fields a\n| limit 1\n"), [pair("file", "fields a\n| limit 1")]);
        assert_eq!(names("# only a comment\n\n"), []);
        assert_eq!(
            names("fields a\n#---\nfields b\n#--- query by ip\nfields c\n#--- by ip\nfields d\n"),
            [
                pair("file", "fields a"),
                pair("file-2", "#---\nfields b"),
                pair("by ip", "#--- query by ip\nfields c"),
                pair("by ip-2", "#--- by ip\nfields d"),
            ]
        );
    }

    #[test]
    fn rules_are_queries_named_by_their_id() {
        let text = "#--- rule\n# title: T\n# id: bs.api.x   # dotted\n#---\nfilter a = 1\n#--- rule\n# id: two\n#---\nfilter b = 2\n";
        let found = split("pack", text);
        let names: Vec<&str> = found.iter().map(|q| q.name.as_str()).collect();
        assert_eq!(names, ["bs.api.x", "two"]);
        assert!(found.iter().all(|q| q.is_rule && backsight_lang::parse(&q.text).is_ok()), "{found:?}");
    }

    #[test]
    fn lines_keep_their_numbers_and_entries_are_found_again() {
        let found = split("f", "fields a\n#--- query two\n\nfiltr b\n");
        let at = found[1].text.find("filtr").map(|at| found[1].text[..at].matches('\n').count() + 1);
        assert_eq!(at, Some(4));
        let again = split("f", &(entry("one\n two", "fields a\n") + &entry("x", "  limit 3")));
        assert_eq!(again[0].name, "one  two");
        assert_eq!(again[1].text.trim_start(), "#--- query x\nlimit 3\n");
    }
}
