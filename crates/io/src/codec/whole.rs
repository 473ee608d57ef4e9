//! gzip files of one member, inflated in one go: a decoder that has all of the input and room for all of the output takes
//! half the time of one that can stop anywhere.
//!
//! AWS writes thousands of small files; for those each thread has its memory. Larger ones share what [`set_room`] allows for
//! all threads together. What is not exactly one member, or finds no room, is left to [`super::gzip`].

use super::gzip::TRAILER;
use arrow::buffer::Buffer;
use bytes::Bytes;
use libdeflate_sys::{
    libdeflate_alloc_decompressor, libdeflate_decompressor, libdeflate_deflate_decompress_ex,
    libdeflate_free_decompressor, libdeflate_result_LIBDEFLATE_SUCCESS,
};
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The largest file, and the largest content, for which each thread has memory of its own.
const SMALL: usize = 4 << 20;
const SMALL_CONTENT: usize = 16 << 20;

/// Bytes of larger contents, of all threads together.
static ROOM: AtomicUsize = AtomicUsize::new(0);

/// More than that is not worth it.
const ROOM_MAX: usize = 512 << 20;

/// So many bytes of memory may be used to have large gzip files inflated in one go, which is faster; none at first.
pub fn set_room(bytes: u64) {
    ROOM.store(usize::try_from(bytes).unwrap_or(ROOM_MAX).min(ROOM_MAX), Ordering::Relaxed);
}

/// Deflate cannot make less of anything than one part in so many.
const DENSEST: usize = 1032;

/// A decoder of libdeflate.
struct Inflater(NonNull<libdeflate_decompressor>);

impl Inflater {
    fn new() -> Option<Inflater> {
        // SAFETY: without conditions; it gives null if there is no memory.
        NonNull::new(unsafe { libdeflate_alloc_decompressor() }).map(Inflater)
    }

    /// Inflates a deflate stream: the bytes it took and wrote. `None` if it is not sound or does not fit.
    fn inflate(&mut self, stream: &[u8], out: &mut [u8]) -> Option<(usize, usize)> {
        let (mut took, mut wrote) = (0, 0);
        // SAFETY: the decoder is ours alone; both buffers are there for the lengths given, and so are the two results.
        let result = unsafe {
            libdeflate_deflate_decompress_ex(
                self.0.as_ptr(),
                stream.as_ptr().cast(),
                stream.len(),
                out.as_mut_ptr().cast(),
                out.len(),
                &raw mut took,
                &raw mut wrote,
            )
        };
        (result == libdeflate_result_LIBDEFLATE_SUCCESS).then_some((took, wrote))
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: made by `libdeflate_alloc_decompressor` and not used again.
        unsafe { libdeflate_free_decompressor(self.0.as_ptr()) }
    }
}

thread_local! {
    /// A decoder, and memory that was used before: new memory costs as much as inflating.
    static KEPT: RefCell<(Option<Inflater>, Vec<u8>)> = const { RefCell::new((None, Vec::new())) };
}

/// Memory for large contents.
struct Large {
    /// Bytes of it, in use or not.
    taken: usize,
    /// What is not in use.
    free: Vec<Vec<u8>>,
}

static LARGE: Mutex<Large> = Mutex::new(Large { taken: 0, free: Vec::new() });

/// Sizes of large memory are multiples of this, so that the next file can mostly use it, too.
const GRAIN: usize = 16 << 20;

impl Large {
    fn lock() -> MutexGuard<'static, Large> {
        LARGE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory of at least so many bytes, if there is room.
    fn take(length: usize) -> Option<Lent> {
        let mut large = Large::lock();
        if let Some(at) = large.free.iter().position(|bytes| bytes.len() >= length) {
            return Some(Lent(large.free.swap_remove(at)));
        }
        // What is too small gives way.
        let small: usize = large.free.drain(..).map(|bytes| bytes.len()).sum();
        large.taken -= small;
        let size = length.checked_next_multiple_of(GRAIN)?;
        if large.taken + size > ROOM.load(Ordering::Relaxed) {
            return None;
        }
        large.taken += size;
        drop(large);
        Some(Lent(vec![0; size]))
    }
}

/// Memory for a large content while it is in use.
struct Lent(Vec<u8>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        Large::lock().free.push(std::mem::take(&mut self.0));
    }
}

/// The content of a file, part of which has been given out.
#[derive(Debug)]
pub(super) struct Content {
    bytes: Memory,
    length: usize,
    given: usize,
    crc: crc32fast::Hasher,
}

#[derive(Debug)]
enum Memory {
    /// That of the thread.
    Own(Vec<u8>),
    /// Some that others may look at, too, also when the file has come to its end.
    Large(Buffer),
}

impl Memory {
    fn bytes(&self) -> &[u8] {
        match self {
            Memory::Own(bytes) => bytes,
            Memory::Large(bytes) => bytes,
        }
    }
}

impl Content {
    /// True for a file that is best inflated so from the start.
    pub(super) fn is_small(file: &[u8]) -> bool {
        file.len() <= SMALL && length(file).is_some_and(|length| length <= SMALL_CONTENT)
    }

    /// The content of a gzip file whose deflate stream begins at `body`. `None` if it is not one member and nothing else, or
    /// if there is no room for it.
    pub(super) fn of(file: &[u8], body: usize) -> Option<Content> {
        let length = length(file)?;
        let (stream, _) = file.get(body..)?.split_last_chunk::<TRAILER>()?;
        if length / DENSEST > stream.len() {
            return None;
        }
        KEPT.with_borrow_mut(|(inflater, kept)| {
            if inflater.is_none() {
                *inflater = Inflater::new();
            }
            let inflater = inflater.as_mut()?;
            // Behind another member, or with anything behind it, the stream would end earlier.
            let all = Some((stream.len(), length));
            let content = |bytes| Content { bytes, length, given: 0, crc: crc32fast::Hasher::new() };
            if length > SMALL_CONTENT {
                let mut lent = Large::take(length)?;
                let done = inflater.inflate(stream, &mut lent.0[..length]);
                return (done == all).then(|| content(Memory::Large(Bytes::from_owner(lent).into())));
            }
            let mut bytes = std::mem::take(kept);
            if bytes.len() < length {
                bytes.resize(length, 0);
            }
            let done = inflater.inflate(stream, &mut bytes[..length]);
            if done == all {
                return Some(content(Memory::Own(bytes)));
            }
            *kept = bytes;
            None
        })
    }

    /// The next `n` bytes are given out, by whom ever.
    pub(super) fn pass(&mut self, n: usize) {
        let end = (self.given + n).min(self.length);
        self.crc.update(&self.bytes.bytes()[self.given..end]);
        self.given = end;
    }

    /// See [`super::Decoder::peek`].
    pub(super) fn peek(&self, back: usize, len: usize) -> Option<Buffer> {
        let Memory::Large(bytes) = &self.bytes else { return None };
        let start = self.given.checked_sub(back)?;
        (start.checked_add(len)? < self.length).then(|| bytes.slice_with_length(start, len))
    }

    /// Writes what comes next to the front of `out`: how many bytes.
    pub(super) fn give(&mut self, out: &mut [u8]) -> usize {
        let rest = &self.bytes.bytes()[self.given..self.length];
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        // Here and not before, since these bytes come into the cache now anyway.
        self.crc.update(&out[..n]);
        self.given += n;
        n
    }

    /// True if all was given out.
    pub(super) fn is_over(&self) -> bool {
        self.given == self.length
    }

    /// Checksum of what was given out, and its size as the trailer of a member counts it.
    pub(super) fn sum(&self) -> (u32, u32) {
        (self.crc.clone().finalize(), self.given as u32)
    }
}

/// The size of the content as the end of the file has it.
fn length(file: &[u8]) -> Option<usize> {
    file.last_chunk().map(|size| u32::from_le_bytes(*size) as usize)
}

impl Drop for Content {
    fn drop(&mut self) {
        let Memory::Own(bytes) = &mut self.bytes else { return };
        // The thread may be ending.
        let _ = KEPT.try_with(|kept| {
            if let Ok(mut kept) = kept.try_borrow_mut()
                && kept.1.len() < bytes.len()
            {
                kept.1 = std::mem::take(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::gzip;
    use super::super::{Decoder, Feed, State};
    use super::*;
    use crate::bytes::Stored;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;
    use std::sync::Arc;

    fn compressed(text: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        out.write_all(text).expect("into memory");
        out.finish().expect("into memory")
    }

    /// What a decoder gives, a few bytes at a time, and what it finds.
    fn read(mut decoder: Box<dyn Decoder>) -> (Vec<u8>, Vec<String>) {
        let (mut all, mut findings, mut out) = (Vec::new(), Vec::new(), [0; 777]);
        loop {
            // What lies there is looked at in place, from a bit before on.
            if let Some(window) = decoder.peek(7, 10_000) {
                let (before, next) = window.split_at(7);
                assert!(all.ends_with(before));
                all.extend_from_slice(next);
                decoder.pass(next.len());
            }
            let (n, state) = decoder.fill(&mut out, &mut findings).expect("no limit");
            all.extend_from_slice(&out[..n]);
            if state == State::End {
                return (
                    all,
                    findings.into_iter().map(|found| format!("{} {}", found.offset, found.message)).collect(),
                );
            }
        }
    }

    #[test]
    fn large_files_give_what_streaming_gives() {
        set_room(1 << 30);
        let line = |i: u32| format!("{{\"n\":{},\"text\":\"{}\"}}\n", i * 7919 % 10_007, "abcdefgh".repeat(40));
        let text: Vec<u8> = (0..SMALL_CONTENT as u32 / 256).flat_map(|i| line(i).into_bytes()).collect();
        let whole = compressed(&text);
        let (mut cut, mut wrong, at) = (whole.clone(), whole.clone(), whole.len() - TRAILER);
        cut.truncate(at - 100);
        wrong[at] ^= 1;
        for (file, in_one_go) in [(&whole, true), (&wrong, true), (&cut, false)] {
            let content = Content::of(file, 10);
            assert_eq!(content.is_some_and(|content| matches!(content.bytes, Memory::Large(_))), in_one_go);
            let ((fast, findings), (slow, expected)) =
                (read(gzip::open(feed(file))), read(gzip::open_streaming(feed(file))));
            assert_eq!(findings, expected);
            assert!(fast == slow, "{} and {}", fast.len(), slow.len());
        }
    }

    fn feed(file: &[u8]) -> Feed {
        Feed::new(Arc::new(Stored::drain(file).expect("from memory")))
    }

    #[test]
    fn gives_what_streaming_gives() {
        let text: Vec<u8> =
            (0..40_000u32).flat_map(|i| format!("{{\"n\":{}}}\n", i * 7919 % 10_007).into_bytes()).collect();
        let whole = compressed(&text);
        assert!(Content::of(&whole, 10).is_some(), "a single member is inflated in one go");
        let mut files = vec![
            whole.clone(),
            compressed(b""),
            [whole.clone(), whole.clone()].concat(),
            [whole.clone(), vec![0; 600]].concat(),
            [whole.clone(), b"tail".to_vec()].concat(),
            // The trailer of the first member stands at the end, too.
            [&whole[..], &whole[whole.len() - TRAILER..]].concat(),
        ];
        for at in (0..whole.len()).step_by(whole.len() / 40) {
            let mut broken = whole.clone();
            broken[at] ^= 0x10;
            files.push(broken);
            files.push(whole[..at].to_vec());
        }
        for at in 1..=TRAILER {
            let mut broken = whole.clone();
            let place = broken.len() - at;
            broken[place] ^= 1;
            files.push(broken);
        }
        for file in files {
            let ((fast, findings), (slow, expected)) =
                (read(gzip::open(feed(&file))), read(gzip::open_streaming(feed(&file))));
            assert_eq!(findings, expected, "{} bytes", file.len());
            assert!(fast == slow, "{} bytes: {} and {}", file.len(), fast.len(), slow.len());
        }
    }
}
