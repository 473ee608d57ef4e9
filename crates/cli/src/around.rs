//! What a shell and `man` want to know of the program: completions and manual pages.

use crate::args::{Cli, ManArgs};
use crate::output::target::{Target, output_error};
use backsight_engine::error::Error;
use clap::CommandFactory;
use clap_complete::Shell;

/// `backsight completions SHELL`
pub(crate) fn completions(shell: Shell) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "backsight", &mut script);
    print(&script)
}

/// `backsight man [COMMAND]`
pub(crate) fn man(args: &ManArgs) -> Result<(), Error> {
    let wrong = |file: String, why: &str| Error::Input { file, offset: None, why: why.into() };
    let mut program = Cli::command();
    program.build();
    if let Some(folder) = &args.output {
        let failed = |source| Error::Io { what: folder.display().to_string(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        return clap_mangen::generate_to(Cli::command(), folder).map_err(failed);
    }
    let command = match &args.command {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| wrong(name.clone(), "no such command"))?,
    };
    let mut page = Vec::new();
    let title = args.command.as_ref().map_or("backsight".into(), |name| format!("backsight-{name}"));
    clap_mangen::Man::new(command).title(title).render(&mut page).map_err(output_error)?;
    print(&page)
}

fn print(bytes: &[u8]) -> Result<(), Error> {
    let mut target = Target::open(None, false)?;
    target.writer().write_all(bytes).map_err(output_error)?;
    target.commit()
}
