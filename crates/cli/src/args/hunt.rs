//! The command line of `hunt` and `rule`.

use super::{ReadArgs, name_and_value};
use crate::output::Format;
use crate::report::Form;
use backsight_hunt::rule::Level;
use clap::{Args, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct HuntArgs {
    /// Files, directories, globs, or `-` for standard input
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<OsString>,
    /// Rules to run: files and folders instead of the built-in ones; ids, aliases, tags and log sources choose among them
    #[arg(long, value_name = "RULES")]
    pub(crate) rules: Vec<String>,
    /// Leave out findings below this level
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub(crate) level: Option<Level>,
    /// Give a list or table that rules look things up in, such as `tor_exits`, `bad_ips`, `allow_ips`
    #[arg(long, value_name = "NAME=FILE", value_parser = name_and_value)]
    pub(crate) lookup: Vec<(String, String)>,
    /// A file that adds log sources and places of fields
    #[arg(long, value_name = "FILE")]
    pub(crate) log_sources: Vec<PathBuf>,
    /// Form of the report [default: text, with -o by the file's extension]
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) report: Option<Form>,
    /// Write the report to a file, which appears only when it is whole
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an existing report
    #[arg(long)]
    pub(crate) force: bool,
    /// Write beside the evidence the SHA-256 of its file, for a member of an archive that of the archive; these files are then
    /// read once more
    #[arg(long)]
    pub(crate) hash: bool,
    /// Exit with status 1 if there is a finding of this level or worse
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub(crate) fail_on: Option<Level>,
    /// Say which rules ran on what, and why others did not
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) reading: ReadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RuleArgs {
    #[command(subcommand)]
    pub(crate) action: RuleAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RuleAction {
    /// The rules, the built-in ones unless files or folders are named
    List {
        /// Rule files and folders
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Format of the list [default: table on a terminal, csv on a pipe]
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// One rule: what it says of itself, or its query
    Show {
        /// Id or alias
        #[arg(value_name = "RULE")]
        name: String,
        /// Rule files and folders to look in instead of the built-in rules
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
        /// The query with its parameters filled in: for Logs Insights, or as it is
        #[arg(long = "as", value_enum, value_name = "FORM")]
        form: Option<RuleForm>,
        /// Set a parameter of the rule
        #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
        param: Vec<(String, String)>,
    },
    /// Run the tests of the rules; exit status 1 if one fails
    Test {
        /// Rule files and folders instead of the built-in rules
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// A file that adds log sources and places of fields
        #[arg(long, value_name = "FILE")]
        log_sources: Vec<PathBuf>,
    },
    /// Look for what makes a rule weak; exit status 1 if there is something
    Lint {
        /// Rule files and folders instead of the built-in rules
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// A file that adds log sources and places of fields
        #[arg(long, value_name = "FILE")]
        log_sources: Vec<PathBuf>,
        /// Turn every threshold by one, up and down: a test must notice
        #[arg(long)]
        mutate: bool,
    },
}

/// The forms of a rule's query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuleForm {
    /// As Logs Insights takes it, or why it cannot
    Aws,
    /// As Backsight runs it
    Query,
}

fn level(text: &str) -> Result<Level, String> {
    Level::of(text).ok_or_else(|| "expected informational, low, medium, high or critical".into())
}
