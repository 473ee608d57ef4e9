//! The command line as data.

mod hunt;

use crate::chart::Choice;
use crate::config::Sources;
use crate::output::Format;
use crate::zone::Zone;
use clap::{Args, Parser, Subcommand, ValueEnum};
pub(crate) use hunt::{HuntArgs, RuleAction, RuleArgs, RuleForm};
use std::ffi::OsString;
use std::path::PathBuf;

/// Logs Insights queries over exported AWS logs, offline and fast.
///
/// The answer goes to standard output, everything else to standard error.
#[derive(Debug, Parser)]
#[command(name = "backsight", version, max_term_width = 100, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) common: Common,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    answered
  1    `lint`, `fmt --check`, `rule test`, `rule lint` or `hunt --fail-on` found something
  2    the query or the arguments are wrong, or no input could be read
  3    answered, but part of the input was damaged
  4    a limit or the disk stopped it
  130  interrupted";

/// What every command understands.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Print only the answer and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Colour; `auto` honours NO_COLOR and looks for a terminal
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Time zone of times in answers for people: `UTC`, a name such as `Europe/Berlin`, or `+02:00` [default: UTC]
    #[arg(long, global = true, value_name = "ZONE", value_parser = Zone::parse, allow_hyphen_values = true)]
    pub(crate) tz: Option<Zone>,
    /// Configuration file [default: backsight/config.toml in the user's folder of configuration]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Take options from this profile of the configuration file
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// What the configuration file says of answers on a terminal.
    #[arg(skip)]
    pub(crate) terminal_format: Option<Format>,
    /// See [`Common::terminal_format`].
    #[arg(skip)]
    pub(crate) terminal_chart: Option<Choice>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one query and print the answer
    #[command(
        override_usage = "backsight query [OPTIONS] 'QUERY' [PATH]...\n       backsight query [OPTIONS] -f FILE.bsq [PATH]..."
    )]
    Query(QueryArgs),
    /// Show how a query would be run: what is read, skipped, and done per stage
    #[command(
        override_usage = "backsight explain [OPTIONS] 'QUERY' [PATH]...\n       backsight explain [OPTIONS] -f FILE.bsq [PATH]..."
    )]
    Explain(ExplainArgs),
    /// Convert exports to Parquet, from which they can be restored byte for byte
    #[command(
        override_usage = "backsight convert [OPTIONS] PATH... -o DIR|FILE.parquet\n       backsight convert ARCHIVE -o DIR --restore\n       backsight convert --verify ARCHIVE"
    )]
    Convert(ConvertArgs),
    /// Ask queries interactively; the same as no command on a terminal
    Repl(ReplArgs),
    /// Run query files and folders of them: one result a query
    #[command(override_usage = "backsight run [OPTIONS] FILE.bsq|DIR... --on PATH... [-o OUTDIR]")]
    Run(RunArgs),
    /// What the files are and which fields their records have: kinds, presence, distinct values, examples
    Fields(FieldsArgs),
    /// Print query files in canonical form
    Fmt(FmtArgs),
    /// Report problems in query files
    Lint(LintArgs),
    /// Look for attacks: run the detection rules over a folder of exports
    Hunt(HuntArgs),
    /// The detection rules: list, show, test, lint
    Rule(RuleArgs),
    /// The commands of the language
    Commands(ListArgs),
    /// The functions and aggregates of the language
    Functions(ListArgs),
    /// The input formats
    Formats(ListArgs),
    /// Print a script that completes the program's options in a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page of the program, or of one command
    Man(ManArgs),
}

/// Where a query comes from and what it runs over.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// Read the query from a file (`-`: standard input); all arguments are then paths
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The query, then files, directories, globs, or `-` for standard input
    #[arg(value_name = "QUERY | PATH", required_unless_present = "file")]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) question: Question,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) question: Question,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// Files, directories, globs, or `-` for standard input; with --restore and --verify an archive
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<OsString>,
    /// The folder or the one `.parquet` file to make; it appears only when it is whole
    #[arg(short, long, value_name = "DIR|FILE.parquet", required_unless_present = "verify")]
    pub(crate) output: Option<PathBuf>,
    /// Make the input files of an archive again
    #[arg(long, conflicts_with_all = ["verify", "resume"])]
    pub(crate) restore: bool,
    /// Check an archive against its manifest, and against its inputs if they are there
    #[arg(long, conflicts_with_all = ["output", "force", "resume"])]
    pub(crate) verify: bool,
    /// Replace what is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Go on where an earlier run to the same target was stopped
    #[arg(long)]
    pub(crate) resume: bool,
    /// Folders by time of the events
    #[arg(long, value_enum, value_name = "BY", default_value_t = PartitionArg::Day)]
    pub(crate) partition: PartitionArg,
    /// Bytes of input after which files are closed and --resume need not go back [default: 512M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) part_size: Option<u64>,
    /// Run statistics as one JSON object on standard error, in place of the summary
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) stats: Option<Stats>,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
}

/// How an archive is divided into folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartitionArg {
    None,
    Hour,
    Day,
    Month,
}

#[derive(Debug, Default, Args)]
pub(crate) struct ReplArgs {
    /// Files, directories, globs
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<OsString>,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Query files and folders; a file may hold several queries, each begun by a line `#--- query NAME`
    #[arg(value_name = "FILE.bsq | DIR", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// What they run over: files, directories, globs, or `-` for standard input
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub(crate) on: Vec<OsString>,
    /// Folder for the results, one file a query [default: standard output]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Format of the results [default: csv in files]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Keep results that exist already and run the other queries
    #[arg(long, conflicts_with = "force")]
    pub(crate) resume: bool,
    /// Replace results that exist already
    #[arg(long)]
    pub(crate) force: bool,
    /// CSV and TSV for programs, as in `query`
    #[arg(long)]
    pub(crate) csv_raw: bool,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command; the program itself without one
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
    /// Write the pages of the program and all its commands into a folder
    #[arg(short, long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct FieldsArgs {
    /// Files, directories, globs, or `-` for standard input
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<OsString>,
    /// List only the files: format, compression, records, first and last time
    #[arg(long)]
    pub(crate) files: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
}

/// How the answer is written.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Format of the answer [default: table on a terminal, csv on a pipe, with -o by the file's extension]
    #[arg(long, value_enum, hide_default_value = true)]
    pub(crate) format: Option<Format>,
    /// Write to a file, which appears only when it is whole
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an existing output file
    #[arg(long)]
    pub(crate) force: bool,
    /// CSV and TSV for programs: no `'` before cells a spreadsheet would run as a formula, no escapes for control
    /// characters, bytes as in the data
    #[arg(long)]
    pub(crate) csv_raw: bool,
    /// Draw an answer that is a time series
    #[arg(long, value_enum, default_value_t = Choice::Auto)]
    pub(crate) chart: Choice,
    /// Run statistics as one JSON object on standard error, in place of the summary
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) stats: Option<Stats>,
}

/// The forms of run statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stats {
    Json,
}

/// Options of everything that reads.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct ReadArgs {
    /// Only events from this time on: RFC 3339, a date, epoch, `now`, `-90m`, `first`, `last-1d`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) start: Option<String>,
    /// Only events before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) end: Option<String>,
    /// The time that `now` and relative times mean, for runs that can be repeated
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) now: Option<String>,
    /// Set a parameter that the query declares with `let`
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) param: Vec<(String, String)>,
    /// Name an indicator table for `in table`, `lookup` and `cidrlookup`
    #[arg(long, value_name = "NAME=FILE", value_parser = name_and_value)]
    pub(crate) table: Vec<(String, String)>,
    /// The field that holds the time of an event
    #[arg(long, value_name = "FIELD")]
    pub(crate) timestamp_field: Option<String>,
    /// Take the input for this format instead of looking; see `backsight formats`
    #[arg(long = "as", value_name = "FORMAT")]
    pub(crate) format_as: Option<String>,
    /// Threads to use [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Memory a query may hold, such as 512M or 2G [default: half of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_limit: Option<u64>,
    /// How many times its size a compressed file may expand to [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) max_expansion: Option<u64>,
    /// Damage in the input is an error
    #[arg(long, conflicts_with = "lenient")]
    pub(crate) strict: bool,
    /// Damage in the input is reported but does not change the exit status
    #[arg(long)]
    pub(crate) lenient: bool,
    /// Read everything and filter afterwards (to check that skipping changes nothing)
    #[arg(long)]
    pub(crate) no_pushdown: bool,
    /// Sources that the configuration file names.
    #[arg(skip)]
    pub(crate) sources: Sources,
    /// Parameters of the configuration file, for queries that declare them.
    #[arg(skip)]
    pub(crate) usual: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct FmtArgs {
    /// Query files; standard input without any
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Rewrite the files
    #[arg(short, long)]
    pub(crate) write: bool,
    /// Only name the files that are not in canonical form; exit status 1 if there are any
    #[arg(long, conflicts_with = "write")]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// Query files
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show only this one, with examples
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Format of the list [default: table on a terminal, csv on a pipe]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("expected NAME=VALUE".into()),
    }
}

/// Bytes: digits and an optional K, M, G or T of 1024, as in `512M` or `2GiB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.to_ascii_uppercase();
    let shift = match unit.trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("expected a size such as 512M or 2G".into()),
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift));
    bytes.filter(|n| *n > 0).ok_or_else(|| "expected a size such as 512M or 2G".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1", Some(1)),
            ("512M", Some(512 << 20)),
            ("2g", Some(2 << 30)),
            ("2GiB", Some(2 << 30)),
            ("64kb", Some(64 << 10)),
            ("0", None),
            ("", None),
            ("G", None),
            ("2X", None),
            ("99999999999T", None),
        ] {
            assert_eq!(size(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn times_may_start_with_a_minus() {
        let cli = Cli::try_parse_from(["backsight", "query", "--start", "-1d", "fields a", "x.json"]).expect("valid");
        let Some(Command::Query(query)) = cli.command else { panic!("not a query") };
        assert_eq!(query.reading.start.as_deref(), Some("-1d"));
        assert_eq!(query.question.arguments, ["fields a", "x.json"]);
    }
}
