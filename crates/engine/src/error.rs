//! The one error type of the program.

use backsight_lang::diag::Diagnostic;

/// Why a run did not give a (whole) answer.
#[derive(Debug)]
pub enum Error {
    /// The query is wrong; one entry a finding, the first decides.
    Query(Vec<Diagnostic>),
    /// An input cannot be read at all, or is damaged under `--strict`.
    Input {
        /// The file.
        file: String,
        /// Byte offset in the file, where one is known.
        offset: Option<u64>,
        /// What is wrong.
        why: String,
    },
    /// The operating system refused something.
    Io {
        /// The file, or what was being done.
        what: String,
        /// Its reason.
        source: std::io::Error,
    },
    /// A limit was reached: memory, expansion.
    Limit(String),
    /// The receiver of the answer went away (a closed pipe).
    Closed,
    /// The run was cancelled.
    Cancelled,
    /// Our own mistake; please report.
    Bug(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Query(diagnostics) => match diagnostics.first() {
                Some(first) => write!(f, "{}: {}", first.code, first.message),
                None => write!(f, "invalid query"),
            },
            Error::Input { file, offset: Some(at), why } => write!(f, "{file}: {why} at byte {at}"),
            Error::Input { file, offset: None, why } => write!(f, "{file}: {why}"),
            Error::Io { what, source } => write!(f, "{what}: {source}"),
            Error::Limit(what) => write!(f, "{what}"),
            Error::Closed => write!(f, "output closed"),
            Error::Cancelled => write!(f, "interrupted"),
            Error::Bug(what) => write!(f, "internal error: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Diagnostic> for Error {
    fn from(d: Diagnostic) -> Error {
        Error::Query(vec![d])
    }
}
