//! How an expression is spelled, where its text names a column.

/// Source text as a column name: white space and comments collapsed to one space, backticks left out.
pub(super) fn column_text(source: &str) -> String {
    let mut words = Vec::new();
    for line in source.lines() {
        words.extend(strip_comment(line).split_whitespace());
    }
    words.join(" ").replace('`', "")
}

/// The text without the parentheses around all of it.
pub(super) fn without_parentheses(text: &str) -> &str {
    let mut inner = text;
    while let Some(stripped) = inner.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        let mut depth = 0i32;
        // `(a) + (b)` starts and ends so, too, but its first parenthesis closes early.
        let closes_early = stripped.chars().any(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth < 0
        });
        if closes_early {
            break;
        }
        inner = stripped.trim();
    }
    inner
}

/// A line without its comment; `#` inside quotes is text.
fn strip_comment(line: &str) -> &str {
    let mut quote = None;
    for (i, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') => return &line[..i],
            (None, '"' | '\'' | '`') => quote = Some(c),
            (Some(q), c) if c == q => quote = None,
            _ => {}
        }
    }
    line
}
