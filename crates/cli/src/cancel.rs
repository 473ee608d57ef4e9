//! Ctrl-C: the first asks the run to stop and keep what it has, the second ends the program.

use crate::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The flag of the run at hand, if there is one. Signal handlers are a thing of the whole process, so this is too.
static RUNNING: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);

/// Starts to listen. Once per process; without it the default applies and Ctrl-C ends the program.
pub(crate) fn listen() {
    // A handler that cannot be installed leaves the system's own, which is what to fall back to.
    let _ = ctrlc::set_handler(|| {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        match running.as_ref() {
            Some(flag) if !flag.swap(true, Ordering::Relaxed) => {}
            _ => std::process::exit(i32::from(exit::INTERRUPTED)),
        }
    });
}

/// Calls `run` with a flag that Ctrl-C sets.
pub(crate) fn with_flag<T>(run: impl FnOnce(&Arc<AtomicBool>) -> T) -> T {
    let flag = Arc::new(AtomicBool::new(false));
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&flag));
    let result = run(&flag);
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = None;
    result
}
