//! Ctrl-C: the first asks the run to stop and keep what it has; a second, if that takes long, ends the program.

use crate::exit;
use backsight_engine::Ctl;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The runs at hand, and when they were asked to stop. Signal handlers are a thing of the whole process, so this is too.
static RUNNING: Mutex<Running> = Mutex::new(Running { ctl: None, asked: None });

/// There is a prompt to go back to: Ctrl-C between runs does not end the program.
static STAY: AtomicBool = AtomicBool::new(false);

/// How long a prompt waits for a run to stop before another Ctrl-C ends the program with it.
const PATIENCE: Duration = Duration::from_secs(2);

struct Running {
    ctl: Option<Arc<Ctl>>,
    asked: Option<Instant>,
}

/// Time for an answer from what was read until then; after it, the run ends without one.
const GRACE: Duration = Duration::from_millis(30);

/// Starts to listen. Once per process; without it the default applies and Ctrl-C ends the program.
pub(crate) fn listen() {
    // A handler that cannot be installed leaves the system's own, which is what to fall back to.
    let _ = ctrlc::set_handler(|| {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let stay = STAY.load(Ordering::Relaxed);
        match (&running.ctl, running.asked) {
            (Some(ctl), None) => {
                ctl.cancel();
                let ctl = Arc::clone(ctl);
                // Without a thread to wait, a second Ctrl-C has to do.
                let _ = std::thread::Builder::new().spawn(move || {
                    std::thread::sleep(GRACE);
                    ctl.abort();
                });
                running.asked = Some(Instant::now());
            }
            (None, _) if stay => {}
            (Some(_), Some(asked)) if stay && asked.elapsed() < PATIENCE => {}
            _ => std::process::exit(i32::from(exit::INTERRUPTED)),
        }
    });
}

/// From now on the program only ends when told to.
pub(crate) fn stay() {
    STAY.store(true, Ordering::Relaxed);
}

/// Calls `run`, which Ctrl-C cancels through `ctl`.
pub(crate) fn cancelling<T>(ctl: &Arc<Ctl>, run: impl FnOnce() -> T) -> T {
    let set = |ctl| *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Running { ctl, asked: None };
    set(Some(Arc::clone(ctl)));
    let result = run();
    set(None);
    result
}
