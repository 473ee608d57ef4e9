//! The engine's side: a query over lines, in every way the engine can run it.

use crate::support::answer::Answer;
use backsight_engine::error::Error;
use backsight_engine::plan::{CompileSettings, SourceRef};
use backsight_engine::source::{Catalog, Flow, Source};
use backsight_engine::{Ctl, compile_over, run};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The input on the disk, as JSON lines and, where it can be, as Parquet.
pub struct Files {
    folder: tempfile::TempDir,
    parquet: bool,
}

impl Files {
    pub fn new(lines: &str) -> Files {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("lines.ndjson"), lines).expect("a temporary file");
        let parquet = backsight_io::parquet::testing::from_ndjson(lines);
        if let Some(bytes) = &parquet {
            std::fs::write(folder.path().join("rows.parquet"), bytes).expect("a temporary file");
        }
        Files { folder, parquet: parquet.is_some() }
    }

    /// Every answer to the query with the name of the way it came about; instead of one, why there is none.
    pub fn answers(&self, query: &str) -> Vec<(String, Result<Answer, String>)> {
        let mut answers = Vec::new();
        let forms: &[&str] = if self.parquet { &["lines.ndjson", "rows.parquet"] } else { &["lines.ndjson"] };
        for form in forms {
            for threads in [1, 2] {
                for (pushdown, spill) in [(true, false), (false, threads == 2)] {
                    // Small pieces make several of a few lines; they are for many threads.
                    let morsel = if threads == 1 { 4 << 20 } else { 300 };
                    let file = self.folder.path().join(form);
                    let caught = catch_unwind(AssertUnwindSafe(|| one(query, &file, threads, morsel, pushdown, spill)));
                    let answer = match caught {
                        Ok(Ok(answer)) => Ok(answer),
                        Ok(Err(error)) => Err(error.to_string()),
                        Err(_) => Err("panicked; the message is above".into()),
                    };
                    let push = if pushdown { "on" } else { "off" };
                    let spilling = if spill { ", spilling" } else { "" };
                    answers.push((format!("{form}, {threads} thread(s), push-down {push}{spilling}"), answer));
                }
            }
        }
        answers
    }
}

fn one(query: &str, file: &Path, threads: usize, morsel: usize, pushdown: bool, spill: bool) -> Result<Answer, Error> {
    let settings = CompileSettings { pushdown, ..CompileSettings::default() };
    let mut ctl = Ctl::new(threads).expect("threads");
    if spill {
        ctl = ctl.with_eager_spill(Box::new(backsight_io::TemporaryFiles));
    }
    let options = backsight_io::Options { morsel, ..backsight_io::Options::default() };
    let catalog = One { file: file.to_path_buf(), options };
    let compiled = compile_over(query, &settings, &catalog, &ctl)?;
    let columns = compiled.plan.columns().iter().map(|c| c.to_string()).collect();
    let mut rows = Vec::new();
    run(&compiled.plan, &catalog, &settings.clock, &ctl, &mut |batch| {
        for row in 0..batch.rows {
            let cell =
                |text: Option<std::borrow::Cow<'_, [u8]>>| String::from_utf8_lossy(&text.unwrap_or_default()).into();
            rows.push(batch.columns.iter().map(|column| cell(column.get(row).text())).collect::<Vec<String>>());
        }
        Ok(Flow::More)
    })?;
    Ok(Answer { columns, rows })
}

/// One file, whatever is asked for.
struct One {
    file: PathBuf,
    options: backsight_io::Options,
}

impl Catalog for One {
    fn open(&self, _wanted: &[SourceRef]) -> Result<Arc<dyn Source + Send>, Error> {
        Ok(Arc::new(backsight_io::open(std::slice::from_ref(&self.file), self.options.clone())?))
    }
}
