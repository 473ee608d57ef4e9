//! The hash of the bytes of an input, whose pieces come in order and are hashed by whoever has time, beside everything else:
//! nobody waits while others hash.

use super::output::hex;
use arrow::buffer::Buffer;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// The SHA-256 of a stream.
#[derive(Default)]
pub(crate) struct Digest {
    waiting: Mutex<Waiting>,
    hash: Mutex<Sha256>,
}

/// Pieces that are not hashed yet.
#[derive(Default)]
struct Waiting {
    pieces: VecDeque<Buffer>,
    bytes: usize,
}

impl Digest {
    /// Takes the next piece.
    pub(crate) fn add(&self, piece: Buffer) {
        let mut waiting = self.waiting();
        waiting.bytes += piece.len();
        waiting.pieces.push_back(piece);
    }

    /// Hashes what waits, unless somebody else is at it; if more than `most` bytes wait, those that bring more wait, too.
    pub(crate) fn work(&self, most: usize) {
        while self.waiting().bytes > 0 {
            let mut hash = match self.hash.try_lock() {
                Ok(hash) => hash,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if self.waiting().bytes <= most => return,
                Err(TryLockError::WouldBlock) => self.hash(),
            };
            self.drain(&mut hash);
            // What came meanwhile was left to this one.
        }
    }

    /// The hash of all pieces, as digits.
    pub(crate) fn sum(&self) -> String {
        let mut hash = self.hash();
        self.drain(&mut hash);
        hex(&std::mem::take(&mut *hash).finalize())
    }

    fn drain(&self, hash: &mut Sha256) {
        loop {
            let mut waiting = self.waiting();
            let Some(piece) = waiting.pieces.pop_front() else { break };
            waiting.bytes -= piece.len();
            drop(waiting);
            hash.update(&piece);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self) -> MutexGuard<'_, Sha256> {
        self.hash.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_hashed_in_order_by_whoever_has_time() {
        let bytes: Vec<u8> = (0..1_000_000u32).map(|n| n.wrapping_mul(n) as u8).collect();
        for most in [0, 1 << 20] {
            let digest = Digest::default();
            let next = Mutex::new(bytes.chunks(1000));
            let work = || {
                loop {
                    let mut next = next.lock().expect("nobody fails");
                    let Some(piece) = next.next() else { break };
                    digest.add(Buffer::from(piece.to_vec()));
                    drop(next);
                    digest.work(most);
                }
            };
            std::thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(work))));
            assert_eq!(digest.sum(), hex(&Sha256::digest(&bytes)));
        }
        assert_eq!(Digest::default().sum(), hex(&Sha256::digest(b"")));
    }
}
