//! Ctrl-C: the first asks the run to stop and keep what it has, the second ends the program.

use crate::exit;
use backsight_engine::Ctl;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The run at hand, if there is one. Signal handlers are a thing of the whole process, so this is too.
static RUNNING: Mutex<Option<Arc<Ctl>>> = Mutex::new(None);

/// Time for an answer from what was read until then; after it, the run ends without one.
const PATIENCE: Duration = Duration::from_millis(100);

/// Starts to listen. Once per process; without it the default applies and Ctrl-C ends the program.
pub(crate) fn listen() {
    // A handler that cannot be installed leaves the system's own, which is what to fall back to.
    let _ = ctrlc::set_handler(|| {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        match running.as_ref() {
            Some(ctl) if !ctl.cancelled() => {
                ctl.cancel();
                let ctl = Arc::clone(ctl);
                // Without a thread to wait, a second Ctrl-C has to do.
                let _ = std::thread::Builder::new().spawn(move || {
                    std::thread::sleep(PATIENCE);
                    ctl.abort();
                });
            }
            _ => std::process::exit(i32::from(exit::INTERRUPTED)),
        }
    });
}

/// Calls `run`, which Ctrl-C cancels through `ctl`.
pub(crate) fn cancelling<T>(ctl: &Arc<Ctl>, run: impl FnOnce() -> T) -> T {
    let set = |ctl| *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = ctl;
    set(Some(Arc::clone(ctl)));
    let result = run();
    set(None);
    result
}
