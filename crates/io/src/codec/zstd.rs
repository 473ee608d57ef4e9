//! Zstandard (RFC 8878): frames one after another, some of which may be skipped.

use super::chain::{Chain, End, Step, Unit, steps};
use super::{Decoder, Feed};
use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

/// True for the first bytes of a zstd file.
pub fn sniff(head: &[u8]) -> bool {
    Frame::starts(head)
}

/// Starts decompressing.
pub fn open(feed: Feed) -> Box<dyn Decoder> {
    Box::new(Chain::<Frame>::new(feed))
}

/// Windows of up to 128 MiB are allowed: what `--long` writes. A header may ask for gigabytes.
const WINDOW_LOG: u32 = 27;

/// A frame being decompressed.
struct Frame {
    context: DCtx<'static>,
    /// Bytes the context asks for: up to the end of a block. With more, a fault would also cost the blocks before it, as
    /// the context does not say how far it came.
    wanted: usize,
}

/// The shortest header, and a checksum.
const HEADER: usize = 5;
const CHECKSUM: usize = 4;

/// Frames that hold something for others, not data: `0x184D2A50` to `5F`.
fn is_skippable(bytes: &[u8]) -> bool {
    matches!(bytes, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

impl Unit for Frame {
    const NAME: &'static str = "zstd";
    const UNIT: &'static str = "frame";
    const MAGIC: &'static [u8] = b"\x28\xb5\x2f\xfd";

    fn starts(bytes: &[u8]) -> bool {
        bytes.starts_with(Frame::MAGIC) || is_skippable(bytes)
    }

    fn begin() -> Option<Frame> {
        let mut context = DCtx::try_create()?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).ok()?;
        Some(Frame { context, wanted: HEADER })
    }

    fn fill(&mut self, feed: &mut Feed, at: &mut usize, out: &mut [u8]) -> (usize, End) {
        steps(feed, at, out, |input, out| {
            let mut input = InBuffer::around(&input[..input.len().min(self.wanted)]);
            let mut out = OutBuffer::around(out);
            match self.context.decompress_stream(&mut out, &mut input) {
                Ok(wanted) => {
                    self.wanted = wanted.max(1);
                    Step { read: input.pos(), wrote: out.pos(), end: (wanted == 0).then_some(End::Done) }
                }
                Err(code) => match fault(code) {
                    End::WrongChecksum => Step { read: CHECKSUM, wrote: 0, end: Some(End::WrongChecksum) },
                    other => Step { read: 0, wrote: 0, end: Some(other) },
                },
            }
        })
    }
}

fn fault(code: usize) -> End {
    let is = |kind| zstd_safe::is_error_kind(code, kind);
    match () {
        () if is(ZSTD_ErrorCode::ZSTD_error_checksum_wrong) => End::WrongChecksum,
        () if is(ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge) => {
            End::Corrupt("a window of more than 128 MiB")
        }
        () if is(ZSTD_ErrorCode::ZSTD_error_dictionary_wrong) => End::Corrupt("a dictionary is needed"),
        () => End::Corrupt(""),
    }
}
