//! What is wrong with a query, as data. Drawing it is the caller's job.

use crate::span::Span;

/// Most errors, and most notes, kept of one query; a megabyte of `|` need not become a megabyte of errors.
pub(crate) const MOST_DIAGNOSTICS: usize = 100;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// An accepted form that is not Logs Insights; the message names the Logs Insights form.
    Note,
    /// Something that is probably not meant; never changes the answer.
    Warning,
    /// The query cannot run.
    Error,
}

/// One finding about a query: a code of the language reference, a message, the text it is about, and at most one help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// `E…` for errors, `W…` for warnings, `N…` for notes (language reference, "Errors").
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The fact, lower case, without a full stop.
    pub message: String,
    /// The text to underline.
    pub span: Span,
    /// One way out, if there is a likely one.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with a code such as `E010`.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { code, severity: Severity::Error, message: message.into(), span, help: None }
    }

    /// A warning with a code such as `W003`.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }

    /// A note with a code such as `N001`.
    pub fn note(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Note, ..Diagnostic::error(code, span, message) }
    }

    /// Adds the help line.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Adds ``did you mean `x`?`` if one of `known` is near `name` (case-insensitive edit distance of at most 2).
    pub fn help_nearest<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Diagnostic {
        match nearest(name, known) {
            Some(best) => self.help(format!("did you mean `{best}`?")),
            None => self,
        }
    }
}

/// The entry of `known` nearest to `name`, if its edit distance (ignoring case) is at most 2 and below the length of `name`.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&name, &k.to_lowercase()), k))
        .filter(|(d, _)| *d <= 2 && *d < name.chars().count())
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}
