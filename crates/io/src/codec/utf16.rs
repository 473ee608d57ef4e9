//! UTF-16 text with a byte order mark, read as UTF-8.

use super::{Decoder, Finding, State};
use backsight_engine::error::Error;

/// Turns the UTF-16 another decoder gives into UTF-8. Lone surrogates become U+FFFD, as does half a unit at the end.
pub struct Utf16 {
    inner: Box<dyn Decoder>,
    /// Known once the mark has been read.
    big_endian: Option<bool>,
    /// Bytes of `inner` that are not turned yet.
    raw: Vec<u8>,
    /// UTF-8 that did not fit.
    ready: Vec<u8>,
    state: State,
}

impl Utf16 {
    /// True if text that starts with these bytes is UTF-16.
    pub fn sniff(head: &[u8]) -> bool {
        head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff")
    }

    /// A filter behind `inner`, which has not been read from.
    pub fn new(inner: Box<dyn Decoder>) -> Utf16 {
        Utf16 { inner, big_endian: None, raw: Vec::new(), ready: Vec::new(), state: State::More }
    }

    /// Turns what is whole in `raw`; all of it at an end.
    fn turn(&mut self) {
        if self.big_endian.is_none() && self.raw.len() >= 2 {
            self.big_endian = Some(self.raw.starts_with(b"\xfe\xff"));
            self.raw.drain(..2);
        }
        let big_endian = self.big_endian == Some(true);
        let mut units: Vec<u16> = self
            .raw
            .chunks_exact(2)
            .map(|c| if big_endian { u16::from_be_bytes([c[0], c[1]]) } else { u16::from_le_bytes([c[0], c[1]]) })
            .collect();
        let mut used = units.len() * 2;
        if self.state == State::More {
            // The second half of the last character may be on its way.
            if units.last().is_some_and(|u| (0xd800..0xdc00).contains(u)) {
                units.pop();
                used -= 2;
            }
        } else if used < self.raw.len() {
            units.push(0xfffd);
            used += 1;
        }
        for character in char::decode_utf16(units) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.ready.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.raw.drain(..used);
    }
}

impl Decoder for Utf16 {
    fn fill(&mut self, out: &mut [u8], findings: &mut Vec<Finding>) -> Result<(usize, State), Error> {
        loop {
            if !self.raw.is_empty() && self.ready.is_empty() {
                self.turn();
            }
            if !self.ready.is_empty() {
                let n = self.ready.len().min(out.len());
                out[..n].copy_from_slice(&self.ready[..n]);
                self.ready.drain(..n);
                let state =
                    if self.ready.is_empty() { std::mem::replace(&mut self.state, State::More) } else { State::More };
                // An end said here would be said again by `inner` if asked; a gap is said once.
                return Ok((n, state));
            }
            let mut chunk = vec![0; 64 << 10];
            let (n, state) = self.inner.fill(&mut chunk, findings)?;
            self.raw.extend_from_slice(&chunk[..n]);
            self.state = state;
            if self.raw.is_empty() && state != State::More {
                return Ok((0, std::mem::replace(&mut self.state, State::More)));
            }
            if state != State::More {
                self.turn();
                if self.ready.is_empty() {
                    return Ok((0, std::mem::replace(&mut self.state, State::More)));
                }
            }
        }
    }

    fn taken(&self) -> u64 {
        self.inner.taken()
    }
}
