//! Small gzip files of one member, inflated in one go: AWS writes thousands of them, and a decoder that has all of the
//! input and room for all of the output takes half the time of one that can stop anywhere.
//!
//! What is not exactly one sound member is left to [`super::gzip`], which says what is wrong with it.

use super::gzip::TRAILER;
use libdeflate_sys::{
    libdeflate_alloc_decompressor, libdeflate_decompressor, libdeflate_deflate_decompress_ex,
    libdeflate_free_decompressor, libdeflate_result_LIBDEFLATE_SUCCESS,
};
use std::cell::RefCell;
use std::ptr::NonNull;

/// The largest file, and the largest content, that is inflated so.
pub(super) const MOST: usize = 4 << 20;
const MOST_CONTENT: usize = 16 << 20;

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

/// The content of a file, part of which has been given out.
#[derive(Debug, Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    length: usize,
    given: usize,
}

impl Content {
    /// The content of a gzip file whose deflate stream begins at `body`. `None` if it is no sound member and nothing else.
    pub(super) fn of(file: &[u8], body: usize) -> Option<Content> {
        let (stream, trailer) = file.get(body..)?.split_last_chunk::<TRAILER>()?;
        let [c0, c1, c2, c3, s0, s1, s2, s3] = *trailer;
        let (crc, length) = (u32::from_le_bytes([c0, c1, c2, c3]), u32::from_le_bytes([s0, s1, s2, s3]) as usize);
        if length > MOST_CONTENT || length / DENSEST > stream.len() {
            return None;
        }
        KEPT.with_borrow_mut(|(inflater, kept)| {
            if inflater.is_none() {
                *inflater = Inflater::new();
            }
            let mut bytes = std::mem::take(kept);
            if bytes.len() < length {
                bytes.resize(length, 0);
            }
            let done = inflater.as_mut()?.inflate(stream, &mut bytes[..length]);
            // Behind another member, or with anything behind it, the stream would end earlier.
            if done == Some((stream.len(), length)) && crc32fast::hash(&bytes[..length]) == crc {
                return Some(Content { bytes, length, given: 0 });
            }
            *kept = bytes;
            None
        })
    }

    /// Writes what comes next to the front of `out`: how many bytes.
    pub(super) fn give(&mut self, out: &mut [u8]) -> usize {
        let rest = &self.bytes[self.given..self.length];
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        self.given += n;
        n
    }

    /// True if all was given out.
    pub(super) fn is_over(&self) -> bool {
        self.given == self.length
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        // The thread may be ending.
        let _ = KEPT.try_with(|kept| {
            if let Ok(mut kept) = kept.try_borrow_mut()
                && kept.1.len() < self.bytes.len()
            {
                kept.1 = std::mem::take(&mut self.bytes);
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
