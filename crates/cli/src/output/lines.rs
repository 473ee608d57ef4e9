//! Formats of a line a row: batches become text on all threads, and the text is written in their order.

use super::Writer;
use backsight_engine::Ctl;
use backsight_engine::value::column::Batch;
use rayon::prelude::*;
use std::io::{self, Write};
use std::sync::Arc;

/// What a format makes of rows, wherever in the answer they stand.
pub(super) trait Form: Sync {
    /// Adds the rows of a batch, of which there are some.
    fn rows(&self, batch: &Batch, out: &mut Vec<u8>) -> io::Result<()>;

    /// What stands before the first row.
    fn opening(&self) -> io::Result<Vec<u8>>;

    /// What stands between the rows of two batches.
    fn between(&self) -> &'static [u8] {
        b""
    }

    /// What stands behind the last row.
    fn closing(&self) -> &'static [u8] {
        b""
    }

    /// An answer without rows.
    fn empty(&self) -> io::Result<Vec<u8>>;
}

/// Writes what a form makes of rows.
pub(super) struct Lines<'a, F> {
    form: F,
    out: &'a mut dyn Write,
    /// Whose threads are used, where rows are many.
    crew: Option<Arc<Ctl>>,
    waiting: Vec<Batch>,
    /// Text that is to be written while the next is made.
    ready: Vec<Vec<u8>>,
    begun: bool,
}

/// Rows that are worth the threads, for each of them.
const MANY: usize = 16 << 10;

/// Batches that wait at most, for each thread: of few rows, each may keep a large block of text alive.
const BATCHES: usize = 8;

impl<'a, F: Form> Lines<'a, F> {
    pub(super) fn new(form: F, crew: Option<Arc<Ctl>>, out: &'a mut dyn Write) -> Lines<'a, F> {
        Lines { form, out, crew, waiting: Vec::new(), ready: Vec::new(), begun: false }
    }

    /// Makes text of the rows that wait, while what was made before is written.
    fn flush(&mut self) -> io::Result<()> {
        let Lines { form, out, crew, waiting, ready, begun } = self;
        let text = |batch: &Batch| {
            let mut text = Vec::new();
            form.rows(batch, &mut text).map(|()| text)
        };
        let mut write = |texts: Vec<Vec<u8>>| -> io::Result<()> {
            for text in texts {
                out.write_all(if *begun { form.between() } else { b"" })?;
                if !std::mem::replace(begun, true) {
                    out.write_all(&form.opening()?)?;
                }
                out.write_all(&text)?;
            }
            Ok(())
        };
        let before = std::mem::take(ready);
        match crew {
            Some(crew) if waiting.len() > 1 => {
                let texts = || waiting.par_iter().map(text).collect::<io::Result<Vec<Vec<u8>>>>();
                let (texts, written) = crew.beside(texts, || write(before));
                written?;
                *ready = texts?;
            }
            _ => {
                write(before)?;
                waiting.iter().try_for_each(|batch| write(vec![text(batch)?]))?;
            }
        }
        // Where rows are few, whoever looks at them sees them at once.
        if waiting.iter().map(|batch| batch.rows).sum::<usize>() < MANY {
            write(std::mem::take(ready))?;
        }
        waiting.clear();
        Ok(())
    }
}

impl<F: Form> Writer for Lines<'_, F> {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        if batch.rows == 0 {
            return Ok(());
        }
        self.waiting.push(batch.clone());
        let rows: usize = self.waiting.iter().map(|batch| batch.rows).sum();
        match &self.crew {
            Some(crew) if rows < MANY * crew.threads() && self.waiting.len() < BATCHES * crew.threads() => Ok(()),
            _ => self.flush(),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        // What was made last.
        self.flush()?;
        let end = if self.begun { self.form.closing().to_vec() } else { self.form.empty()? };
        self.out.write_all(&end)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use crate::output::tests::{batch, text, written};
    use crate::output::{Format, Look};
    use backsight_engine::Ctl;
    use backsight_engine::value::Value;
    use std::sync::Arc;

    #[test]
    fn many_threads_write_what_one_does() {
        let rows = |from: i64, count: i64| {
            let cells = |n: i64| [Value::Int(n), text(&format!("a \"{n}\", =b\u{202e}"))];
            let (numbers, texts) = (from..from + count).map(cells).map(|[n, t]| (n, t)).unzip();
            batch(vec![numbers, texts])
        };
        let batches: Vec<_> = (0..40).map(|n| rows(n * 3000, if n % 7 == 3 { 0 } else { 3000 })).collect();
        let crew = Some(Arc::new(Ctl::new(3).expect("threads")));
        for format in [Format::Csv, Format::Tsv, Format::Json, Format::Ndjson] {
            for some in [&batches[..], &batches[..1], &batches[3..4], &[]] {
                let together = Look { crew: crew.clone(), ..Look::default() };
                let expected = written(format, Look::default(), &["n", "t"], some);
                assert!(written(format, together, &["n", "t"], some) == expected, "{format:?} {}", some.len());
            }
        }
    }
}
