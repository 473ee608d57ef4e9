//! Plans and runs Backsight queries over an abstract [`source::Source`] of rows.
//!
//! [`compile`] turns query text into a [`plan::Plan`]; [`run`] runs it over the sources of a [`source::Catalog`] and
//! hands the answer's batches, in order, to a callback. The engine opens no file, prints nothing, and reads no clock or
//! environment: what it needs of these comes in as arguments.

pub mod agg;
pub mod error;
pub mod exec;
pub mod func;
pub mod hint;
pub mod plan;
pub mod source;
pub mod value;
pub mod when;

pub use exec::ctl::Ctl;
pub use exec::memory::{Scratch, ScratchFile};
pub use exec::{Outcome, absent, run, run_all};

use backsight_lang::diag::{Diagnostic, Severity};

/// A compiled query, with the warnings and notes that came up.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What will run.
    pub plan: plan::Plan,
    /// Warnings and notes, in order of place.
    pub warnings: Vec<Diagnostic>,
    /// Sources whose first and last time the plan counts from and was not told: see [`compile_over`].
    pub unknown: plan::Unknown,
}

/// Parses and plans a query.
///
/// # Errors
/// [`error::Error::Query`] with all independent errors of the first phase that finds any.
pub fn compile(text: &str, settings: &plan::CompileSettings) -> Result<Compiled, error::Error> {
    let parsed = backsight_lang::parse(text);
    let (errors, mut warnings): (Vec<_>, Vec<_>) =
        parsed.diagnostics.into_iter().partition(|d| d.severity == Severity::Error);
    if !errors.is_empty() {
        return Err(error::Error::Query(errors));
    }
    let (plan, more, unknown) = plan::lower(&parsed.query, text, settings)?;
    warnings.extend(more);
    Ok(Compiled { plan, warnings, unknown })
}

/// [`compile`], and where the plan counts from the first or last event of a source, a look at that source.
///
/// # Errors
/// As [`compile`], and what reading the source reports.
pub fn compile_over(
    text: &str,
    settings: &plan::CompileSettings,
    catalog: &dyn source::Catalog,
    ctl: &Ctl,
) -> Result<Compiled, error::Error> {
    let first = compile(text, settings)?;
    if first.unknown.is_empty() {
        return Ok(first);
    }
    let mut settings = settings.clone();
    for sources in first.unknown {
        let edges = edges(&sources, catalog, ctl)?;
        settings.edges.push((sources, edges));
    }
    compile(text, &settings)
}

/// The first and the last time of the events of some sources; of the default source, if none is named.
///
/// # Errors
/// What reading the source reports.
pub fn edges(
    sources: &[plan::SourceRef],
    catalog: &dyn source::Catalog,
    ctl: &Ctl,
) -> Result<when::Edges, error::Error> {
    const EDGES: &str = "stats min(@timestamp) as first, max(@timestamp) as last";
    let mut compiled = compile(EDGES, &plan::CompileSettings::default())?;
    compiled.plan.scan.sources = sources.to_vec();
    let mut edges = None;
    run(&compiled.plan, catalog, &func::Clock::default(), ctl, &mut |batch| {
        if let [first, last] = batch.columns.as_slice()
            && batch.rows > 0
        {
            edges = first.get(0).timestamp().zip(last.get(0).timestamp());
        }
        Ok(source::Flow::More)
    })?;
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::{compile, error::Error, plan::CompileSettings};
    use backsight_lang::commands::COMMANDS;

    /// The commands that plans of their own give nothing to show of, and why.
    const QUIET: &[(&str, &str)] = &[
        ("source", "names what is scanned"),
        ("let", "a declaration"),
        ("table", "a declaration"),
        ("display", "the last line"),
        ("estimate", "nothing is done"),
    ];

    #[test]
    fn every_command_compiles_and_explains_itself() {
        let tables = ["users", "nets"].map(|name| (name.to_owned(), format!("{name}.csv"))).to_vec();
        let settings = CompileSettings { pushdown: true, tables, ..CompileSettings::default() };
        for command in COMMANDS {
            let compiled = match compile(command.example, &settings) {
                Ok(compiled) => compiled,
                Err(Error::Query(found)) if command.tier == 0 => {
                    assert!(found.iter().all(|d| d.code == "E080" && d.help.is_some()), "{}: {found:?}", command.name);
                    continue;
                }
                Err(error) => panic!("{}: {error}", command.name),
            };
            let text = compiled.plan.explain();
            // A plan is told in words, not in the notation of this program.
            assert!(!text.contains(['{', '}']) && !text.contains("Slot"), "{}\n{text}", command.name);
            let lines = text.lines().filter(|l| !l.starts_with("scan") && !l.starts_with("show")).count();
            let quiet = QUIET.iter().any(|(name, _)| *name == command.name);
            assert!(quiet || lines > 0 || command.name == "fields", "{}\n{text}", command.name);
        }
    }
}
