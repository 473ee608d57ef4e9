//! Memory that the system refuses ends the program with a status of its own, not with an abort.

use crate::exit;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// The system's allocator, which does not return without memory.
pub(crate) struct OrExit;

/// Somebody is ending the program already.
static ENDING: AtomicBool = AtomicBool::new(false);

#[cold]
fn refused() -> ! {
    if ENDING.swap(true, Ordering::SeqCst) {
        std::process::abort();
    }
    // Neither of these asks for memory.
    let _ = std::io::stderr().write_all(b"error: the system has no more memory; a smaller --memory-limit may help\n");
    std::process::exit(i32::from(exit::LIMIT))
}

// SAFETY: every call is passed on as it is to the system's allocator, whose results are returned unless null.
unsafe impl GlobalAlloc for OrExit {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the ones asked for.
        let place = unsafe { System.alloc(layout) };
        if place.is_null() { refused() } else { place }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let place = unsafe { System.alloc_zeroed(layout) };
        if place.is_null() { refused() } else { place }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        let place = unsafe { System.realloc(place, layout, size) };
        if place.is_null() { refused() } else { place }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}
