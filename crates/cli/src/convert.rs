//! `backsight convert`: exports to an archive of Parquet, back again, and checked.

use crate::args::{Common, ConvertArgs, PartitionArg};
use crate::escape;
use crate::exit;
use crate::progress::Progress;
use crate::query::Failure;
use crate::summary::Summary;
use crate::{alloc, cancel, run, terminal};
use backsight_engine::Outcome;
use backsight_engine::error::Error;
use backsight_engine::source::Source;
use backsight_io::archive::{self, Check, Converted, Faults, Partition, Restored, Settings};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// `backsight convert`
pub(crate) fn convert(args: &ConvertArgs, common: &Common) -> Result<u8, Failure> {
    if args.verify {
        return verify(args, common);
    }
    let Some(output) = &args.output else { return Err(wrong("-o", "names the folder or file to make").into()) };
    if args.restore { restore(args, output, common) } else { to_archive(args, output.clone(), common) }
}

fn verify(args: &ConvertArgs, common: &Common) -> Result<u8, Failure> {
    let ctl = run::control(&args.reading)?;
    let archive = one(args)?;
    let check = cancel::cancelling(&ctl, || archive::verify(&archive, &ctl))?;
    tell(&check.wrong);
    if !common.quiet {
        let Check { files, records, inputs, wrong } = &check;
        let found =
            if wrong.is_empty() { "all as in the manifest".to_owned() } else { format!("{} wrong", wrong.len()) };
        terminal::say(&format!(
            "{}: {files} files with {records} records, {inputs} inputs compared: {found}\n",
            escape::visible(&archive.display().to_string())
        ));
    }
    Ok(if check.wrong.is_empty() { exit::ANSWERED } else { exit::DAMAGED })
}

fn restore(args: &ConvertArgs, target: &Path, common: &Common) -> Result<u8, Failure> {
    let ctl = run::control(&args.reading)?;
    let archive = one(args)?;
    let made = cancel::cancelling(&ctl, || archive::restore(&archive, target, args.force, &Faults::default(), &ctl))?;
    tell(&made.wrong);
    if !common.quiet {
        let Restored { files, records, bytes, .. } = &made;
        terminal::say(&format!(
            "{}: {files} files with {records} records, {bytes} bytes\n",
            escape::visible(&target.display().to_string())
        ));
    }
    Ok(if made.wrong.is_empty() { exit::ANSWERED } else { exit::DAMAGED })
}

/// The one archive that is named.
fn one(args: &ConvertArgs) -> Result<PathBuf, Error> {
    match args.paths.as_slice() {
        [archive] => Ok(archive.into()),
        _ => Err(wrong("PATH", "must be one archive here")),
    }
}

fn tell(wrong: &[(String, String)]) {
    for (place, what) in wrong {
        terminal::say(&format!("damaged: {}: {}\n", escape::visible(place), escape::visible(what)));
    }
}

fn to_archive(args: &ConvertArgs, target: PathBuf, common: &Common) -> Result<u8, Failure> {
    let started = Instant::now();
    alloc::for_large_pieces();
    let reading = &args.reading;
    let files = run::files(&args.paths, reading)?;
    let ctl = run::control(reading)?;
    let defaults = Settings::default();
    let memory = reading.memory_limit.unwrap_or(defaults.memory);
    backsight_io::codec::set_room(memory / 2);
    let settings = Settings {
        target,
        partition: match args.partition {
            PartitionArg::None => Partition::None,
            PartitionArg::Hour => Partition::Hour,
            PartitionArg::Day => Partition::Day,
            PartitionArg::Month => Partition::Month,
        },
        force: args.force,
        resume: args.resume,
        part_bytes: args.part_size.unwrap_or(defaults.part_bytes),
        memory,
        threads: ctl.threads(),
        command: std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect(),
        ..defaults
    };
    let size = files.size();
    let progress = Progress::watch(&ctl, move || size, !common.quiet);
    let done = cancel::cancelling(&ctl, || archive::convert(&files, &settings, &ctl))?;
    drop(progress);
    let outcome = Outcome { rows: done.manifest.records, partial: false, ..Outcome::default() };
    let summary = Summary::new(&ctl.counters, files.notes(), outcome, started.elapsed());
    let status = if summary.damaged() && !reading.lenient { exit::DAMAGED } else { exit::ANSWERED };
    if args.stats.is_some() {
        terminal::say(&format!("{}\n", summary.json(status, &[])));
    } else if !common.quiet {
        terminal::say(&(summary.text(u64::MAX) + &made(&done, &settings)));
    }
    Ok(status)
}

/// What was made, in one line.
fn made(done: &Converted, settings: &Settings) -> String {
    let bytes: u64 = done.manifest.files.iter().map(|f| f.bytes).sum();
    let resumed = match done.resumed {
        0 => String::new(),
        n => format!(", {n} inputs taken over from the run before"),
    };
    format!(
        "{}: {} bytes in {} {}{resumed}\n",
        escape::visible(&settings.target.display().to_string()),
        bytes,
        done.manifest.files.len(),
        if done.manifest.files.len() == 1 { "file" } else { "files" },
    )
}

fn wrong(option: &str, why: &str) -> Error {
    Error::Input { file: option.into(), offset: None, why: why.into() }
}
