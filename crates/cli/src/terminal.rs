//! What the two output streams are connected to.

use crate::args::{Color, Common};
use crate::chart::Choice;
use crate::output::{Format, Look};
use std::io::{IsTerminal, Write};

/// How to write to standard output.
pub(crate) fn look(common: &Common, csv_raw: bool) -> Look {
    let width = std::io::stdout().is_terminal().then(columns);
    Look {
        width,
        color: colored(common.color, &std::io::stdout()),
        csv_raw,
        zone: common.tz.clone().unwrap_or_default(),
        title: String::new(),
        chart: common.terminal_chart.unwrap_or(Choice::Auto),
        crew: None,
    }
}

/// The width of the terminal; of one that does not tell, or says 0, that of the classic one.
fn columns() -> u16 {
    comfy_table::Table::new().width().filter(|width| *width > 0).unwrap_or(80)
}

/// The width for messages on standard error.
pub(crate) fn width() -> usize {
    usize::from(columns())
}

/// Whether messages on standard error are coloured.
pub(crate) fn colored_messages(common: &Common) -> bool {
    colored(common.color, &std::io::stderr())
}

/// Writes to standard error. A reader that went away (`2>&1 | head`) is no reason to fail, as it would be for `eprint!`.
pub(crate) fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn colored(wanted: Color, stream: &impl anstream::stream::RawStream) -> bool {
    match wanted {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
    }
}

impl Look {
    /// The format of an answer nobody chose one for.
    pub(crate) fn default_format(&self) -> Format {
        if self.width.is_some() { Format::Table } else { Format::Csv }
    }
}
