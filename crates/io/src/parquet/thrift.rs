//! Just enough of the Thrift compact protocol to look at Parquet metadata before it is trusted.
//!
//! The `parquet` crate decodes metadata into tables whose sizes the file itself states. A damaged or hostile file can
//! state any size, and a failed allocation ends the process, so the few numbers that decide about memory are read here
//! first. Nothing is allocated, and nothing is read twice.

/// The wire types of struct fields and list elements.
pub(super) mod wire {
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const I8: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
    pub const UUID: u8 = 13;
}

/// Structs within structs that Parquet metadata can reasonably hold; deeper is refused, not followed.
const MAX_DEPTH: usize = 64;

/// A cursor over Thrift bytes. Every method gives `None` at the end of the bytes or on bytes that are not Thrift.
pub(super) struct Thrift<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Thrift<'a> {
    pub(super) fn new(data: &'a [u8]) -> Thrift<'a> {
        Thrift { data, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.data.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn advance(&mut self, n: u64) -> Option<()> {
        let end = self.at.checked_add(usize::try_from(n).ok()?)?;
        if end > self.data.len() {
            return None;
        }
        self.at = end;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// An `i16`, `i32` or `i64`.
    pub(super) fn integer(&mut self) -> Option<i64> {
        let n = self.varint()?;
        Some((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// The wire type of the elements of a list and their number, which is at most the bytes that are left.
    pub(super) fn list(&mut self) -> Option<(u8, usize)> {
        let head = self.byte()?;
        let size = match head >> 4 {
            15 => self.varint()?,
            n => u64::from(n),
        };
        let size = usize::try_from(size).ok()?;
        (size <= self.data.len() - self.at).then_some((head & 15, size))
    }

    /// Reads a struct: `field` gets each field's number and wire type and reads it, or says `Some(false)` to have it
    /// skipped.
    pub(super) fn fields(&mut self, mut field: impl FnMut(&mut Self, i64, u8) -> Option<bool>) -> Option<()> {
        self.fields_at(0, &mut field)
    }

    fn fields_at(&mut self, depth: usize, field: &mut dyn FnMut(&mut Self, i64, u8) -> Option<bool>) -> Option<()> {
        let mut number = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            number = match head >> 4 {
                0 => self.integer()?,
                delta => number + i64::from(delta),
            };
            if !field(self, number, head & 15)? {
                self.skip(head & 15, depth)?;
            }
        }
    }

    /// Passes over a value of a struct field.
    fn skip(&mut self, wire: u8, depth: usize) -> Option<()> {
        match wire {
            // The value of a boolean field is its type.
            wire::TRUE | wire::FALSE => Some(()),
            _ => self.skip_element(wire, depth),
        }
    }

    fn skip_element(&mut self, wire: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match wire {
            wire::TRUE | wire::FALSE | wire::I8 => self.advance(1),
            wire::I16 | wire::I32 | wire::I64 => self.varint().map(|_| ()),
            wire::DOUBLE => self.advance(8),
            wire::UUID => self.advance(16),
            wire::BINARY => {
                let length = self.varint()?;
                self.advance(length)
            }
            wire::LIST | wire::SET => {
                let (element, size) = self.list()?;
                (0..size).try_for_each(|_| self.skip_element(element, depth + 1))
            }
            wire::MAP => {
                let size = self.varint()?;
                if size == 0 {
                    return Some(());
                }
                let types = self.byte()?;
                (0..size).try_for_each(|_| {
                    self.skip_element(types >> 4, depth + 1)?;
                    self.skip_element(types & 15, depth + 1)
                })
            }
            wire::STRUCT => self.fields_at(depth + 1, &mut |_, _, _| Some(false)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field 1: i32 150; field 2: list of two strings; field 5: struct { 1: true }; field 20 (long form): double.
    const SAMPLE: &[u8] =
        &[0x15, 0xac, 0x02, 0x19, 0x28, 1, b'a', 2, b'b', b'c', 0x3c, 0x11, 0, 0x07, 40, 1, 2, 3, 4, 5, 6, 7, 8, 0, 99];

    #[test]
    fn reads_what_is_asked_and_skips_the_rest() {
        let mut thrift = Thrift::new(SAMPLE);
        let mut seen = Vec::new();
        let mut first = 0;
        thrift
            .fields(|t, number, wire| {
                seen.push((number, wire));
                if number == 1 {
                    first = t.integer()?;
                }
                Some(number == 1)
            })
            .expect("well formed");
        assert_eq!(first, 150);
        assert_eq!(seen, [(1, wire::I32), (2, wire::LIST), (5, wire::STRUCT), (20, wire::DOUBLE)]);
        assert_eq!(thrift.position(), SAMPLE.len() - 1);
    }

    #[test]
    fn every_cut_is_noticed() {
        for end in 0..SAMPLE.len() - 1 {
            assert!(Thrift::new(&SAMPLE[..end]).fields(|_, _, _| Some(false)).is_none(), "{end}");
        }
    }

    #[test]
    fn refuses_absurd_sizes_and_depths() {
        // A list of 2^31 bytes in four bytes, and structs in structs without end.
        assert!(Thrift::new(&[0x19, 0xf3, 0xff, 0xff, 0xff, 0xff, 7]).fields(|_, _, _| Some(false)).is_none());
        assert!(Thrift::new(&[0x1c; 10_000]).fields(|_, _, _| Some(false)).is_none());
        assert!(Thrift::new(&[0x19; 10_000]).fields(|_, _, _| Some(false)).is_none());
    }
}
