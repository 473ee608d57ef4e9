//! Step mode: a query up to one of its stages.

/// A query cut behind a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The query up to the end of the stage.
    pub(crate) text: String,
    /// The stage, counted from one.
    pub(crate) number: usize,
    /// Stages of the whole query.
    pub(crate) of: usize,
    /// The text of the stage alone.
    pub(crate) stage: String,
}

/// Cuts behind the stage that the cursor is in; between two stages, behind the one before it.
pub(crate) fn at(text: &str, cursor: usize) -> Option<Step> {
    let parsed = backsight_lang::parse(text);
    let spans: Vec<_> = parsed.query.stages.iter().map(|stage| stage.span).collect();
    let place = spans.iter().rposition(|span| span.start <= cursor).unwrap_or(0);
    cut(text, place)
}

/// Cuts behind the stage of that number, counted from one.
pub(crate) fn nth(text: &str, number: usize) -> Option<Step> {
    cut(text, number.checked_sub(1)?)
}

/// The stages of a query, each as it is written.
pub(crate) fn stages(text: &str) -> Vec<String> {
    let parsed = backsight_lang::parse(text);
    parsed.query.stages.iter().map(|stage| stage.span.text(text).trim().to_string()).collect()
}

fn cut(text: &str, place: usize) -> Option<Step> {
    let parsed = backsight_lang::parse(text);
    let stages = &parsed.query.stages;
    let span = stages.get(place)?.span;
    let stage = span.text(text).trim().to_string();
    Some(Step { text: text.get(..span.end)?.to_string(), number: place + 1, of: stages.len(), stage })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_under_the_cursor() {
        let text = "let n = 3\nfields ip, status\n| filter status = 401 # why\n| limit $n";
        for (under, number, end) in [
            ("let", 1, "ip, status"),
            ("fields", 1, "ip, status"),
            ("status\n", 1, "ip, status"),
            ("filter", 2, "status = 401"),
            ("# why", 2, "status = 401"),
            ("limit", 3, "limit $n"),
        ] {
            let step = at(text, text.find(under).expect("is there")).expect("a stage");
            assert_eq!((step.number, step.of), (number, 3), "{under}");
            assert!(step.text.starts_with("let n") && step.text.ends_with(end), "{under}: {}", step.text);
        }
        assert_eq!(at(text, text.len()).map(|s| s.number), Some(3));
        assert_eq!(at("", 0), None);
    }

    #[test]
    fn stages_by_number() {
        let text = "fields a | filter a in (source 'b' | fields a) | limit 1";
        assert_eq!(stages(text), ["fields a", "filter a in (source 'b' | fields a)", "limit 1"]);
        assert_eq!(nth(text, 2).map(|s| s.stage), Some("filter a in (source 'b' | fields a)".into()));
        assert_eq!((nth(text, 0), nth(text, 4)), (None, None));
    }
}
