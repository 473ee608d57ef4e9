//! Memory that the system refuses ends the program with a status of its own, not with an abort; and memory that is kept for
//! later.

use crate::exit;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// The system's allocator, which does not return without memory.
pub(crate) struct OrExit;

/// Somebody is ending the program already.
static ENDING: AtomicBool = AtomicBool::new(false);

/// From now on, keeps memory that is given back for what is asked for next: for work that takes and gives back many megabytes
/// at a time.
pub(crate) fn for_large_pieces() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: only says from which size on pieces are got from the system, and given back to it, one by one; and that all
    // threads share what is kept, which would else be given back with the last piece of a thread's own.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
    }
}

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
        if place.is_null() {
            refused()
        }
        place
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let place = unsafe { System.alloc_zeroed(layout) };
        if place.is_null() {
            refused()
        }
        place
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        let place = unsafe { System.realloc(place, layout, size) };
        if place.is_null() {
            refused()
        }
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}
