//! Memory maps whose file may be cut short by someone else.
//!
//! Touching a page behind the new end raises SIGBUS, which ends the process. While a map is guarded, the handler here puts
//! zeros in place of what is gone and takes note; the reader goes on, and whoever reads the file asks [`Guard::was_hit`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Maps guarded at the same time; those beyond are read without a guard.
const MOST: usize = 1024;

struct Slot {
    /// The first byte of the map; zero: the slot is free.
    start: AtomicUsize,
    end: AtomicUsize,
    hit: AtomicBool,
}

static SLOTS: [Slot; MOST] =
    [const { Slot { start: AtomicUsize::new(0), end: AtomicUsize::new(0), hit: AtomicBool::new(false) } }; MOST];

/// Watches over a map until it is released, which must be before the map goes.
#[derive(Debug)]
pub(super) struct Guard {
    slot: Option<usize>,
    /// What was seen before the slot was given back.
    hit: AtomicBool,
}

impl Guard {
    /// Guards these bytes.
    pub(super) fn new(bytes: &[u8]) -> Guard {
        if bytes.is_empty() || !sys::install() {
            return Guard { slot: None, hit: AtomicBool::new(false) };
        }
        let start = bytes.as_ptr().addr();
        let free = |slot: &Slot| slot.start.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let slot = SLOTS.iter().position(free);
        if let Some(slot) = slot {
            SLOTS[slot].hit.store(false, Ordering::Release);
            SLOTS[slot].end.store(start + bytes.len(), Ordering::Release);
            SLOTS[slot].start.store(start, Ordering::Release);
        }
        Guard { slot, hit: AtomicBool::new(false) }
    }

    /// True once bytes were read that the file no longer has.
    pub(super) fn was_hit(&self) -> bool {
        self.hit.load(Ordering::Acquire) || self.slot.is_some_and(|slot| SLOTS[slot].hit.load(Ordering::Acquire))
    }

    /// The map goes now. Called once.
    pub(super) fn release(&self) {
        if let Some(slot) = self.slot {
            self.hit.store(self.was_hit(), Ordering::Release);
            SLOTS[slot].hit.store(false, Ordering::Release);
            SLOTS[slot].end.store(0, Ordering::Release);
            SLOTS[slot].start.store(0, Ordering::Release);
        }
    }
}

/// Tells the system that these bytes of a map of a file are not needed in memory for now.
pub(super) fn release(bytes: &[u8]) {
    sys::release(bytes);
}

#[cfg(unix)]
mod sys {
    use super::SLOTS;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Bytes of a page.
    static PAGE: AtomicUsize = AtomicUsize::new(0);

    /// Installs the handler, once. False if the system refuses.
    pub(super) fn install() -> bool {
        static DONE: OnceLock<bool> = OnceLock::new();
        *DONE.get_or_init(|| {
            // SAFETY: these calls only read and set what is given here; the handler keeps to what is allowed in one.
            unsafe {
                let page = libc::sysconf(libc::_SC_PAGESIZE);
                PAGE.store(usize::try_from(page).unwrap_or(4096), Ordering::Release);
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&mut action.sa_mask);
                libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut()) == 0
            }
        })
    }

    /// Lets go of the whole pages of these bytes, which lie in a map of a file.
    pub(super) fn release(bytes: &[u8]) {
        // SAFETY: reads what the system says about itself.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let start = bytes.as_ptr().addr().next_multiple_of(page);
        let end = (bytes.as_ptr().addr() + bytes.len()) & !(page - 1);
        if start < end {
            // SAFETY: the pages lie within a map of a file that is alive and only read. What is let go of is read from the
            // file again when it is touched, and so looks the same; zeros that the handler put there stay zeros.
            unsafe { libc::madvise(std::ptr::with_exposed_provenance_mut(start), end - start, libc::MADV_DONTNEED) };
        }
    }

    /// Puts zeros where a guarded map has nothing any more. Any other fault ends the process as it would without us.
    extern "C" fn handler(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the system gives a valid `info`. Only pages of a map that is guarded, and so alive, are replaced; nothing
        // here allocates or locks.
        unsafe {
            let at = (*info).si_addr().addr();
            for slot in &SLOTS {
                let (start, end) = (slot.start.load(Ordering::Acquire), slot.end.load(Ordering::Acquire));
                if start <= 1 || at < start || at >= end {
                    continue;
                }
                let page = PAGE.load(Ordering::Acquire);
                let from = at & !(page - 1);
                let zeros = libc::mmap(
                    std::ptr::with_exposed_provenance_mut(from),
                    end.next_multiple_of(page) - from,
                    libc::PROT_READ,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                    -1,
                    0,
                );
                if zeros != libc::MAP_FAILED {
                    slot.hit.store(true, Ordering::Release);
                    return;
                }
            }
            libc::signal(libc::SIGBUS, libc::SIG_DFL);
        }
    }
}

#[cfg(not(unix))]
mod sys {
    /// Nothing is let go of.
    pub(super) fn release(_: &[u8]) {}

    /// Nothing to guard against.
    pub(super) fn install() -> bool {
        false
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_no_longer_has_reads_as_zeros() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), vec![7; 100_000]).expect("written");
        // SAFETY: the map is only read, under a guard.
        let map = unsafe { memmap2::Mmap::map(file.as_file()).expect("mapped") };
        let guard = Guard::new(&map);
        assert_eq!((map[99_999], guard.was_hit()), (7, false));
        file.as_file().set_len(5000).expect("cut");
        assert_eq!((map[4999], map[50_000], guard.was_hit()), (7, 0, true));
        guard.release();
        assert!(guard.was_hit());
    }
}
