//! `backsight fmt` and `backsight lint`: query files.

use crate::args::{FmtArgs, LintArgs, ReadArgs};
use crate::draw::{self, Text};
use crate::exit;
use crate::output::target::{Target, output_error};
use crate::query::{Failure, text_of};
use crate::run;
use backsight_engine::error::Error;
use backsight_engine::func::Clock;
use std::path::{Path, PathBuf};

/// Prints the canonical text of query files, or rewrites or checks them.
pub(crate) fn fmt(args: &FmtArgs) -> Result<u8, Failure> {
    let standard_input = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &standard_input[..] } else { &args.files };
    let mut different = false;
    let mut out = Target::open(None, false)?;
    for file in files {
        let text = text_of(file)?;
        let name = file.display().to_string();
        let parsed = backsight_lang::parse(&text);
        let errors: Vec<_> = parsed.errors().cloned().collect();
        if !errors.is_empty() {
            return Err(Failure::of(Error::Query(errors), Text { name: &name, text: &text }));
        }
        let mut canonical = backsight_lang::format(&parsed.query, &text);
        canonical.push('\n');
        if args.check {
            if canonical != text {
                different = true;
                writeln!(out.writer(), "{}", crate::escape::visible(&name)).map_err(output_error)?;
            }
        } else if args.write && file != Path::new("-") {
            if canonical != text {
                let mut rewritten = Target::open(Some(file), true)?;
                rewritten.writer().write_all(canonical.as_bytes()).map_err(output_error)?;
                rewritten.commit()?;
            }
        } else {
            out.writer().write_all(canonical.as_bytes()).map_err(output_error)?;
        }
    }
    out.commit()?;
    Ok(if different { exit::FOUND } else { exit::ANSWERED })
}

/// Reports all errors, warnings and notes of query files.
pub(crate) fn lint(args: &LintArgs, color: bool) -> Result<u8, Failure> {
    let mut out = Target::open(None, false)?;
    let mut found = false;
    for file in &args.files {
        let text = text_of(file)?;
        let name = file.display().to_string();
        let problems = match run::compile(&text, Clock::default(), &ReadArgs::default()) {
            Ok(compiled) => compiled.warnings,
            Err(Error::Query(errors)) => errors,
            Err(other) => return Err(other.into()),
        };
        found |= !problems.is_empty();
        let drawn = draw::diagnostics(Text { name: &name, text: &text }, &problems, color);
        out.writer().write_all(drawn.as_bytes()).map_err(output_error)?;
    }
    out.commit()?;
    Ok(if found { exit::FOUND } else { exit::ANSWERED })
}
