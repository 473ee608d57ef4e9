//! UTF-16 text, with a byte order mark or without, read as UTF-8.

use super::{Decoder, Finding, State};
use backsight_engine::error::Error;

/// Turns the UTF-16 another decoder gives into UTF-8. Lone surrogates become U+FFFD, as does half a unit at the end.
pub struct Utf16 {
    inner: Box<dyn Decoder>,
    order: Order,
    /// The mark, if there is one, has been read.
    begun: bool,
    /// Bytes of `inner` that are not turned yet.
    raw: Vec<u8>,
    /// UTF-8 that did not fit.
    ready: Vec<u8>,
    state: State,
}

/// Which byte of a unit comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The high one.
    Big,
    /// The low one.
    Little,
}

impl Order {
    fn mark(self) -> [u8; 2] {
        self.bytes(0xfeff)
    }

    fn bytes(self, unit: u16) -> [u8; 2] {
        if self == Order::Big { unit.to_be_bytes() } else { unit.to_le_bytes() }
    }

    fn unit(self, bytes: [u8; 2]) -> u16 {
        if self == Order::Big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }
}

/// Bytes looked at where there is no mark.
const LOOK: usize = 512;

impl Utf16 {
    /// The order of the bytes if text that starts with these is UTF-16. Without a mark it is where three quarters of its units
    /// are printable ASCII, which no other text is: every second byte would be zero.
    pub fn sniff(head: &[u8]) -> Option<Order> {
        let orders = [Order::Little, Order::Big];
        orders.into_iter().find(|order| head.starts_with(&order.mark())).or_else(|| {
            let units = head[..head.len().min(LOOK)].as_chunks::<2>().0;
            orders.into_iter().find(|order| {
                let is_ascii = |bytes: &[u8; 2]| matches!(order.unit(*bytes), 9 | 10 | 13 | 32..=126);
                let ascii = units.iter().filter(|bytes| is_ascii(bytes)).count();
                units.len() > 1 && units.first().is_some_and(is_ascii) && ascii * 4 >= units.len() * 3
            })
        })
    }

    /// A filter behind `inner`, which has not been read from.
    pub fn new(inner: Box<dyn Decoder>, order: Order) -> Utf16 {
        Utf16 { inner, order, begun: false, raw: Vec::new(), ready: Vec::new(), state: State::More }
    }

    /// Turns what is whole in `raw`; all of it at an end.
    fn turn(&mut self) {
        if !self.begun && self.raw.len() >= 2 {
            self.begun = true;
            if self.raw.starts_with(&self.order.mark()) {
                self.raw.drain(..2);
            }
        }
        let mut units: Vec<u16> = self.raw.as_chunks::<2>().0.iter().map(|bytes| self.order.unit(*bytes)).collect();
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
