//! What a long run has done so far, on one line of the terminal.
//!
//! Bytes are those of the input as stored: of a gzip file the compressed ones, so that the share and the time left are
//! right whatever it expands to.

use crate::chart::cut;
use crate::escape;
use crate::summary::{amount, counted, duration};
use crate::terminal;
use backsight_engine::Ctl;
use backsight_engine::source::{Counters, Weight};
use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A run shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// Makes the line empty.
const CLEAR: &str = "\r\x1b[2K";
/// Columns left free: a line that is full goes on in the next one when the terminal echoes a Ctrl-C.
const ROOM_FOR_ECHO: usize = 4;
/// Time between two looks at the counters.
const TICK: Duration = Duration::from_millis(100);

/// Shows a run until it is dropped, or its first row is written.
pub(crate) struct Progress {
    watcher: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Starts to watch a run over input of that size, as far as is known by then; `wanted` is false where the person asked for
    /// quiet.
    pub(crate) fn watch(ctl: &Arc<Ctl>, size: impl Fn() -> Option<u64> + Send + 'static, wanted: bool) -> Progress {
        if !wanted || !std::io::stderr().is_terminal() {
            return Progress { watcher: None };
        }
        let (stop, stopped) = sync_channel(1);
        let ctl = Arc::clone(ctl);
        let watcher = std::thread::spawn(move || {
            let started = Instant::now();
            if !matches!(stopped.recv_timeout(PATIENCE), Err(RecvTimeoutError::Timeout)) {
                return;
            }
            loop {
                let text = line(&ctl.counters, size(), started.elapsed());
                let text = cut(&text, terminal::width().saturating_sub(ROOM_FOR_ECHO));
                terminal::say(&format!("{CLEAR}{text}"));
                if !matches!(stopped.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
                    break;
                }
            }
            terminal::say(CLEAR);
        });
        Progress { watcher: Some((stop, watcher)) }
    }

    /// Clears the line, for good.
    pub(crate) fn stop(&mut self) {
        if let Some((stop, watcher)) = self.watcher.take() {
            let _ = stop.send(());
            // A watcher that failed has nothing to show; the run goes on.
            let _ = watcher.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop();
    }
}

/// `41 %  731 MB of 1.77 GB, 430 MB/s, 2.4 s left, logs/a.json.gz, 1 damaged place`
fn line(counters: &Counters, size: Option<u64>, elapsed: Duration) -> String {
    let done = Counters::get(&counters.input_bytes) as f64;
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { done / seconds } else { 0.0 };
    let mut parts = Vec::new();
    match size.map(|size| size as f64).filter(|size| *size >= done && *size > 0.0) {
        Some(size) => {
            // Not 100 % before the answer is there.
            let share = (done / size * 100.0).min(99.0).floor();
            parts.push(format!("{share:2.0} %  {} of {}", amount(done), amount(size)));
            parts.push(format!("{}/s", amount(rate)));
            parts.push(match size - done {
                left if left > 0.0 && rate > 0.0 => format!("{} left", duration(left / rate)),
                left if left > 0.0 => "starting".into(),
                _ => "all read, working out the answer".into(),
            });
        }
        None => {
            parts.push(amount(done));
            parts.push(format!("{}/s", amount(rate)));
            parts.push(duration(seconds));
        }
    }
    let file = counters.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if !file.is_empty() {
        parts.push(escape::visible(&file).into_owned());
    }
    let notes = counters.notes.lock().unwrap_or_else(PoisonError::into_inner);
    let damaged = notes.iter().filter(|note| note.weight == Weight::Damage).count() as u64;
    drop(notes);
    for (n, what) in [(damaged, "damaged place"), (Counters::get(&counters.not_json), "record not JSON")] {
        if n > 0 {
            parts.push(counted(n, what));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use backsight_engine::source::Note;

    #[test]
    fn what_a_line_says() {
        let counters = Counters::default();
        let at = |size| line(&counters, size, Duration::from_secs(2));
        assert_eq!(at(Some(2000)), " 0 %  0 B of 2.00 kB, 0 B/s, starting");
        Counters::add(&counters.input_bytes, 500);
        counters.reading("a\x1b.gz");
        counters.note(Note { file: "a".into(), offset: None, message: String::new(), weight: Weight::Damage });
        assert_eq!(at(Some(2000)), "25 %  500 B of 2.00 kB, 250 B/s, 6.00 s left, a\\x1b.gz, 1 damaged place");
        assert_eq!(at(None), "500 B, 250 B/s, 2.00 s, a\\x1b.gz, 1 damaged place");
        assert!(at(Some(500)).starts_with("99 %  500 B of 500 B, 250 B/s, all read"), "{}", at(Some(500)));
    }
}
