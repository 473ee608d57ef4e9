//! The report of a hunt, form by form.

mod csv;
mod html;
mod json;
mod markdown;
mod sarif;
mod text;

use crate::output::Look;
use backsight_engine::error::Error;
use backsight_hunt::report::Report;
use clap::ValueEnum;
use std::io::{self, Write};
use std::path::Path;

/// The forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For the terminal
    Text,
    /// One self-contained page
    Html,
    /// Markdown
    #[value(alias = "markdown")]
    Md,
    /// The whole report as one object
    Json,
    /// A finding a line
    Jsonl,
    /// A finding a line, in the columns of Timesketch
    Csv,
    /// SARIF 2.1.0
    Sarif,
    /// An event a line, for Timesketch
    Timesketch,
}

/// Extensions of files and the forms that they mean.
const EXTENSIONS: &[(&str, Form)] = &[
    ("html", Form::Html),
    ("htm", Form::Html),
    ("md", Form::Md),
    ("json", Form::Json),
    ("jsonl", Form::Jsonl),
    ("ndjson", Form::Jsonl),
    ("csv", Form::Csv),
    ("sarif", Form::Sarif),
    ("txt", Form::Text),
];

impl Form {
    /// The form asked for, by name or by the extension of the file.
    ///
    /// # Errors
    /// [`Error::Input`] for an extension that means none.
    pub(crate) fn of(named: Option<Form>, file: Option<&Path>) -> Result<Form, Error> {
        match (named, file) {
            (Some(form), _) => Ok(form),
            (None, Some(path)) if path != Path::new("-") => {
                let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
                let found = EXTENSIONS.iter().find(|(e, _)| extension.as_deref() == Some(e));
                found.map(|(_, form)| *form).ok_or_else(|| Error::Input {
                    file: path.display().to_string(),
                    offset: None,
                    why: "no report has this extension; --report names one".into(),
                })
            }
            (None, _) => Ok(Form::Text),
        }
    }

    /// Writes a report.
    pub(crate) fn write(self, report: &Report, look: Look, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Form::Text => text::write(report, &look, out),
            Form::Html => html::write(report, out),
            Form::Md => markdown::write(report, out),
            Form::Json => json::whole(report, out),
            Form::Jsonl => json::lines(report, out),
            Form::Csv => csv::write(report, out),
            Form::Sarif => sarif::write(report, out),
            Form::Timesketch => json::timesketch(report, out),
        }
    }
}

/// One line for a finding.
fn message(row: &backsight_hunt::report::Row) -> String {
    let outcome = row.outcome.as_ref().map_or(String::new(), |o| format!(" ({o})"));
    format!("{}: {}{outcome}: {} {}", row.rule.alias, row.title, row.entity.r#type, row.who())
}
