//! Runs cases: in this process through the libraries, and through the binary.

use super::answer::Answer;
use super::case::{Case, Expected};
use super::check::{Ended, diff};
use backsight_engine::error::Error;
use backsight_engine::plan::{CompileSettings, SourceRef};
use backsight_engine::source::{Catalog, Flow, Source};
use backsight_engine::value::column::Batch;
use backsight_engine::{Ctl, compile, compile_over, run, run_all};
use backsight_io::head::{Framing, Head};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One way to run a case. The answer must be the same in all of them.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// As printed with a failure.
    pub name: &'static str,
    /// Threads of the run.
    threads: usize,
    /// Bytes of a piece of work.
    morsel: usize,
    /// Literals of filters reach the source.
    pushdown: bool,
    /// How the input lies on the disk.
    form: Form,
    /// What can be kept in temporary files is.
    spill: bool,
    /// The query runs twice, beside others, in one pass.
    among: bool,
    /// Groups that a worker keeps before it counts them first.
    groups: usize,
    /// Bytes of rows that a worker keeps for later looks at them; if they are more, the source is read again.
    keep: usize,
    /// Rows of a part of those that are kept.
    part: Option<usize>,
}

/// How the input of a case lies on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As the case spells it.
    Plain,
    /// One gzip member a file, under the same name.
    Gzip,
    /// Two gzip members a file, cut in the middle of the bytes.
    GzipMembers,
    /// Parquet, where it can say what the lines do; else as the case spells it.
    Parquet,
    /// An archive made of the files.
    Archive,
}

const PLAIN: Setup = Setup {
    name: "1 thread, plain",
    threads: 1,
    morsel: 4 << 20,
    pushdown: true,
    form: Form::Plain,
    spill: false,
    among: false,
    groups: usize::MAX,
    keep: usize::MAX,
    part: None,
};

const AMONG: Setup = Setup { name: "among other queries", threads: 2, morsel: 64, among: true, ..PLAIN };

/// All ways to run a case. The first is what blessing writes down.
pub const SETUPS: &[Setup] = &[
    PLAIN,
    Setup { name: "1 thread, morsels of 64 bytes", morsel: 64, ..PLAIN },
    Setup { name: "3 threads, morsels of 64 bytes", threads: 3, morsel: 64, ..PLAIN },
    Setup { name: "3 threads, gzip", threads: 3, form: Form::Gzip, ..PLAIN },
    Setup { name: "2 gzip members, morsels of 64 bytes", threads: 2, morsel: 64, form: Form::GzipMembers, ..PLAIN },
    Setup { name: "push-down off", pushdown: false, ..PLAIN },
    Setup { name: "8 threads, morsels of 64 MiB", threads: 8, morsel: 64 << 20, ..PLAIN },
    Setup { name: "3 threads, rows in pieces of 2", threads: 3, part: Some(2), ..PLAIN },
    Setup { name: "1 thread, spilling", spill: true, ..PLAIN },
    Setup { name: "2 threads, morsels of 64 bytes, spilling", threads: 2, morsel: 64, spill: true, ..PLAIN },
    Setup { name: "1 thread, among other queries", among: true, ..PLAIN },
    Setup { name: "1 thread, among other queries, all read again", among: true, groups: 0, keep: 0, ..PLAIN },
    Setup { name: "among other queries, in parts of one row", part: Some(1), ..AMONG },
    Setup {
        name: "among other queries, in parts of few rows, groups counted first",
        part: Some(5),
        groups: 0,
        ..AMONG
    },
    Setup { name: "among other queries, nothing kept, groups counted first", groups: 0, keep: 0, ..AMONG },
    Setup { name: "among other queries, little kept", keep: 300, ..AMONG },
    Setup { name: "2 threads, Parquet", threads: 2, form: Form::Parquet, ..PLAIN },
    Setup { name: "2 threads, archive", threads: 2, form: Form::Archive, ..PLAIN },
];

/// Runs a case through the libraries.
pub fn in_process(case: &Case, setup: &Setup) -> Ended {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths = write_input(case, folder.path(), setup.form);
    let options = backsight_io::Options { morsel: setup.morsel, ..backsight_io::Options::default() };
    let caught = catch_unwind(AssertUnwindSafe(|| answer(case, setup, Paths { paths, options })));
    match caught {
        Ok(Ok(answer)) => Ended::Answered(answer),
        Ok(Err(Error::Query(diagnostics))) => match diagnostics.first() {
            Some(first) => Ended::Refused {
                message: first.message.clone(),
                span: case.query.get(first.span.start..first.span.end).unwrap_or("(not in the query)").into(),
            },
            None => Ended::Failed("refused without a diagnostic".into()),
        },
        Ok(Err(error)) => Ended::Failed(error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Ended::Failed(format!("panicked: {}", text.unwrap_or_else(|| "(message above)".into())))
        }
    }
}

fn answer(case: &Case, setup: &Setup, catalog: Paths) -> Result<Answer, Error> {
    let settings = CompileSettings { pushdown: setup.pushdown, ..CompileSettings::default() };
    let mut ctl = Ctl::new(setup.threads).expect("threads").with_groups_kept(setup.groups).with_rows_kept(setup.keep);
    if let Some(rows) = setup.part {
        ctl = ctl.with_parts_of(rows);
    }
    if setup.spill {
        ctl = ctl.with_eager_spill(Box::new(backsight_io::TemporaryFiles));
    }
    let compiled = compile_over(&case.query, &settings, &catalog, &ctl)?;
    let columns: Vec<String> = compiled.plan.columns().iter().map(|c| c.to_string()).collect();
    let mut rows = Vec::new();
    if setup.among {
        let others = ["stats count(*) by @logStream", "filter strlen(@message) > 100 | limit 1"];
        let others = others.map(|text| compile(text, &settings).expect("a query").plan);
        let plans = [&others[0], &compiled.plan, &others[1], &compiled.plan];
        let mut again = Vec::new();
        let outcomes = run_all(&plans, &catalog, &settings.clock, &ctl, &mut |number, batch| {
            match number {
                1 => add(&batch, &mut rows),
                3 => add(&batch, &mut again),
                _ => {}
            }
            Ok(Flow::More)
        })?;
        for outcome in outcomes {
            outcome?;
        }
        assert_eq!(rows, again, "the same query in the same pass has the same answer");
        return Ok(Answer { columns, rows });
    }
    let outcome = run(&compiled.plan, &catalog, &settings.clock, &ctl, &mut |batch| {
        add(&batch, &mut rows);
        Ok(Flow::More)
    })?;
    assert_eq!(outcome.rows, rows.len() as u64, "the outcome counts the rows that were given");
    Ok(Answer { columns, rows })
}

fn add(batch: &Batch, rows: &mut Vec<Vec<String>>) {
    let text = |cell: Option<std::borrow::Cow<'_, [u8]>>| String::from_utf8_lossy(&cell.unwrap_or_default()).into();
    rows.extend((0..batch.rows).map(|row| batch.columns.iter().map(|c| text(c.get(row).text())).collect()));
}

/// The files of a case as the default source; a `source` command names files beside them.
struct Paths {
    paths: Vec<PathBuf>,
    options: backsight_io::Options,
}

impl Catalog for Paths {
    fn open(&self, wanted: &[SourceRef]) -> Result<Arc<dyn Source + Send>, Error> {
        let beside = |name: &String| self.paths.first().and_then(|p| p.parent()).map_or(name.into(), |f| f.join(name));
        let named: Vec<PathBuf> = wanted
            .iter()
            .map(|source| match source {
                SourceRef::Name(name) | SourceRef::Prefix(name) | SourceRef::Format(name) => beside(name),
            })
            .collect();
        let paths = if wanted.is_empty() { &self.paths } else { &named };
        Ok(Arc::new(backsight_io::open(paths, self.options.clone())?))
    }
}

/// Runs a case through the binary.
pub fn through_binary(case: &Case) -> Ended {
    let output = spawn(case, &["--format", "csv", "--csv-raw", "--quiet"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => match parse_csv(&output.stdout) {
            Ok(answer) => Ended::Answered(answer),
            Err(e) => Ended::Failed(format!("no CSV: {e}")),
        },
        Some(2) if !output.stdout.is_empty() => Ended::Failed("refused, but printed an answer".into()),
        Some(2) => match (&case.expected, stderr.split_once("]: ")) {
            // Text and span are checked in the process; here it counts that the message reaches the terminal.
            (Expected::Error { message, span }, Some((_, text))) => Ended::Refused {
                message: text.lines().next().unwrap_or("").to_string(),
                span: span.clone().filter(|_| text.contains(message.as_str())).unwrap_or_default(),
            },
            _ => Ended::Refused { message: stderr, span: String::new() },
        },
        code => Ended::Failed(format!("exit status {code:?}: {stderr}")),
    }
}

/// What the binary prints about a query it refuses, against what a case expects; nothing if they are the same.
pub fn printed_error(case: &Case, expected: &str) -> Result<(), (String, String)> {
    let output = spawn(case, &["--quiet"]);
    let actual = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(2) && output.stdout.is_empty() && actual == expected {
        return Ok(());
    }
    let status = if output.status.code() == Some(2) { "" } else { "  exit status is not 2\n" };
    Err((actual.clone(), format!("{status}{}", diff(expected, &actual))))
}

fn spawn(case: &Case, args: &[&str]) -> std::process::Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths = write_input(case, folder.path(), Form::Plain);
    let names = paths.iter().map(|p| p.strip_prefix(folder.path()).expect("in the folder"));
    let mut command = assert_cmd::Command::cargo_bin("backsight").expect("the binary is built");
    command.current_dir(folder.path()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command.arg("query").args(args).args(&case.args).arg("--").arg(&case.query).args(names);
    command.output().expect("the binary runs")
}

fn write_input(case: &Case, folder: &Path, form: Form) -> Vec<PathBuf> {
    let write = |(name, text): &(String, String)| {
        let path = folder.join(name);
        let bytes = match form {
            Form::Plain | Form::Archive => text.clone().into_bytes(),
            Form::Gzip => gzip(text.as_bytes()),
            Form::Parquet => {
                let table = is_lines(text).then(|| backsight_io::parquet::testing::from_ndjson(text)).flatten();
                table.unwrap_or_else(|| text.clone().into_bytes())
            }
            Form::GzipMembers => {
                let (first, second) = text.as_bytes().split_at(text.len() / 2);
                [gzip(first), gzip(second)].concat()
            }
        };
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("a temporary folder");
        std::fs::write(&path, bytes).expect("a temporary file");
        path
    };
    let paths = case.input.iter().map(write).collect();
    if form == Form::Archive { vec![archive(paths, folder)] } else { paths }
}

/// Converts files to an archive beside them.
fn archive(paths: Vec<PathBuf>, folder: &Path) -> PathBuf {
    let target = folder.join("archive");
    let settings = backsight_io::archive::Settings {
        target: target.clone(),
        threads: 2,
        ..backsight_io::archive::Settings::default()
    };
    let files = backsight_io::open(&paths, backsight_io::Options::default()).expect("the files are there");
    let ctl = Ctl::new(1).expect("threads");
    backsight_io::archive::convert(&files, &settings, &ctl).expect("an archive");
    target
}

/// True for one object a line that is an event as it stands.
fn is_lines(text: &str) -> bool {
    let head = Head::new(text.as_bytes());
    let lines = head.json().is_none_or(|json| json.framing == Framing::Lines);
    let format = backsight_io::formats::sniff(text.as_bytes());
    lines && (format.name == "ndjson" || !format.times.is_empty() && head.json().is_some())
}

/// A gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn parse_csv(text: &[u8]) -> Result<Answer, csv::Error> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
    let mut lines = reader.byte_records().map(|record| {
        let cells = |r: csv::ByteRecord| r.iter().map(|c| String::from_utf8_lossy(c).into_owned()).collect();
        record.map(cells)
    });
    let columns = lines.next().transpose()?.unwrap_or_default();
    Ok(Answer { columns, rows: lines.collect::<Result<_, _>>()? })
}
