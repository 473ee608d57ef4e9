//! The command line of Backsight: arguments in, one function per command, an exit status out.

mod afterwards;
mod alloc;
mod args;
mod around;
mod batch;
mod cancel;
mod chart;
mod config;
mod convert;
mod draw;
mod escape;
mod exit;
mod fields;
mod files;
mod hunt;
mod machine;
mod output;
mod progress;
mod queries;
mod query;
mod reference;
mod repl;
mod report;
mod rules;
mod run;
mod summary;
mod tables;
mod terminal;
mod zone;

use args::{Cli, Command, Common};
use backsight_engine::error::Error;
use clap::{CommandFactory, Parser};
use query::Failure;
use std::io::IsTerminal;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: alloc::OrExit = alloc::OrExit;

fn main() -> ExitCode {
    let mut cli = Cli::parse();
    if cli.command.is_none() && std::io::stdin().is_terminal() {
        cli.command = Some(Command::Repl(args::ReplArgs::default()));
    }
    cancel::listen();
    let configured = config::apply(&mut cli).map_err(Failure::from);
    let status = match configured.and_then(|()| dispatch(cli.command, &cli.common)) {
        Ok(status) => status,
        Err(failure) => report(failure, &cli.common),
    };
    ExitCode::from(status)
}

fn dispatch(command: Option<Command>, common: &Common) -> Result<u8, Failure> {
    let look = || terminal::look(common, false);
    match command {
        Some(Command::Query(args)) => query::query(args, common),
        Some(Command::Explain(args)) => query::explain(args),
        Some(Command::Convert(args)) => convert::convert(&args, common),
        Some(Command::Repl(args)) => repl::repl(&args.paths, &args.reading, common),
        Some(Command::Run(args)) => batch::run(&args, common),
        Some(Command::Fields(args)) => Ok(fields::fields(&args, common)?),
        Some(Command::Fmt(args)) => files::fmt(&args),
        Some(Command::Lint(args)) => files::lint(&args, look().color),
        Some(Command::Hunt(args)) => Ok(hunt::hunt(&args, common)?),
        Some(Command::Rule(args)) => Ok(rules::rule(&args, common)?),
        Some(Command::Commands(args)) => Ok(reference::commands(&args, look()).map(|()| exit::ANSWERED)?),
        Some(Command::Functions(args)) => Ok(reference::functions(&args, look()).map(|()| exit::ANSWERED)?),
        Some(Command::Formats(args)) => Ok(reference::formats(&args, look()).map(|()| exit::ANSWERED)?),
        Some(Command::Completions { shell }) => Ok(around::completions(shell).map(|()| exit::ANSWERED)?),
        Some(Command::Man(args)) => Ok(around::man(&args).map(|()| exit::ANSWERED)?),
        None => {
            terminal::say(&Cli::command().render_help().to_string());
            Ok(exit::WRONG)
        }
    }
}

/// Says what went wrong; returns the exit status. A reader that went away is told nothing.
fn report(failure: Failure, common: &Common) -> u8 {
    let Failure { error, query } = failure;
    match (&error, query) {
        (Error::Closed, _) => {}
        (Error::Query(diagnostics), Some((name, text))) => {
            let color = terminal::colored_messages(common);
            terminal::say(&draw::diagnostics(draw::Text { name: &name, text: &text }, diagnostics, color));
        }
        _ => terminal::say(&format!("error: {}\n", escape::visible(&error.to_string()))),
    }
    exit::status(&error)
}
