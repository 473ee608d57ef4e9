//! Small numbers as Parquet packs them: levels, and indices into a dictionary. Runs of one number, and runs of numbers of a
//! few bits each, in any order.

use bytes::Bytes;

/// Reads packed numbers.
pub(super) struct Hybrid {
    data: Bytes,
    at: usize,
    /// Bits of a number.
    width: u32,
    run: Run,
}

#[derive(Clone, Copy)]
enum Run {
    Same {
        value: u32,
        left: usize,
    },
    /// `bit`: where the next number begins.
    Packed {
        bit: usize,
        left: usize,
    },
}

impl Hybrid {
    /// `None` if numbers are too wide.
    pub(super) fn new(data: Bytes, width: u8) -> Option<Hybrid> {
        (width <= 32).then_some(Hybrid { data, at: 0, width: width.into(), run: Run::Same { value: 0, left: 0 } })
    }

    /// Adds the next `count` numbers to `out`. `None` if there are not so many.
    pub(super) fn read(&mut self, mut count: usize, out: &mut Vec<u32>) -> Option<()> {
        while count > 0 {
            let n = self.begin()?.min(count);
            match self.run {
                Run::Same { value, .. } => out.resize(out.len() + n, value),
                Run::Packed { bit, .. } => unpack(&self.data, bit, self.width, n, out),
            }
            self.pass(n);
            count -= n;
        }
        Some(())
    }

    /// Adds some of the next `count` numbers to `out`: those at the places `picked`, which rise, and passes over the others.
    pub(super) fn pick(&mut self, mut count: usize, picked: &[u32], out: &mut Vec<u32>) -> Option<()> {
        let (mut first, mut rest) = (0, picked);
        while count > 0 {
            let n = self.begin()?.min(count);
            let (now, later) = rest.split_at(rest.partition_point(|place| (*place as usize) < first + n));
            match self.run {
                Run::Same { value, .. } => out.resize(out.len() + now.len(), value),
                Run::Packed { bit, .. } => {
                    let place = |place: &u32| bit + (*place as usize - first) * self.width as usize;
                    out.extend(now.iter().map(|at| one(&self.data, place(at), self.width)));
                }
            }
            self.pass(n);
            (first, rest, count) = (first + n, later, count - n);
        }
        Some(())
    }

    /// Passes over `count` numbers. `None` if there are not so many.
    pub(super) fn skip(&mut self, mut count: usize) -> Option<()> {
        while count > 0 {
            let n = self.begin()?.min(count);
            self.pass(n);
            count -= n;
        }
        Some(())
    }

    /// The number that the next `count` are, if that is known without unpacking them.
    pub(super) fn same(&mut self, count: usize) -> Option<u32> {
        self.begin()?;
        match self.run {
            Run::Same { value, left } if left >= count => Some(value),
            _ => None,
        }
    }

    /// Numbers left of the run at hand, or of the next.
    fn begin(&mut self) -> Option<usize> {
        loop {
            match self.run {
                Run::Same { left: 0, .. } | Run::Packed { left: 0, .. } => self.run = self.next_run()?,
                Run::Same { left, .. } | Run::Packed { left, .. } => return Some(left),
            }
        }
    }

    fn pass(&mut self, n: usize) {
        match &mut self.run {
            Run::Same { left, .. } => *left -= n,
            Run::Packed { bit, left } => {
                *bit += n * self.width as usize;
                *left -= n;
            }
        }
    }

    fn next_run(&mut self) -> Option<Run> {
        let header = self.varint()?;
        let length = usize::try_from(header >> 1).ok()?;
        if header & 1 == 0 {
            let bytes = self.data.get(self.at..self.at + self.width.div_ceil(8) as usize)?;
            self.at += bytes.len();
            let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
            return Some(Run::Same { value, left: length });
        }
        if self.width == 0 {
            return Some(Run::Same { value: 0, left: length.checked_mul(8)? });
        }
        let bit = self.at * 8;
        // The last run may be cut off behind its last number.
        let there = self.data.len() - self.at;
        let bytes = length.checked_mul(self.width as usize)?.min(there);
        self.at += bytes;
        Some(Run::Packed { bit, left: bytes * 8 / self.width as usize })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = *self.data.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// The number of `width` bits that begins at `bit`.
#[inline]
fn one(data: &[u8], bit: usize, width: u32) -> u32 {
    (word(data, bit / 8) >> (bit % 8) & ((1u64 << width) - 1)) as u32
}

/// Numbers of `width` bits, the first of which begins at `bit`; all of them are there.
fn unpack(data: &[u8], bit: usize, width: u32, count: usize, out: &mut Vec<u32>) {
    let bits = width as usize;
    // Eight numbers are as many bytes as one has bits, so they begin at a byte if the first does.
    let before = (0..8).find(|n| (bit + n * bits).is_multiple_of(8)).map_or(count, |n| n.min(count));
    out.extend((0..before).map(|i| one(data, bit + i * bits, width)));
    let (start, eights) = ((bit + before * bits) / 8, (count - before) / 8);
    // Four numbers are taken from a word of eight bytes, of which the second does not always begin at a byte.
    let (half, shift, mask) = (bits / 2, bits % 2 * 4, ((1u64 << width) - 1) as u32);
    let whole = match bits {
        1..=16 => data.len().saturating_sub(start + half + 8) / bits,
        _ => 0,
    };
    let eights = eights.min(whole);
    for i in 0..eights {
        let at = start + i * bits;
        let (low, high) = (word(data, at), word(data, at + half) >> shift);
        let four = |word: u64| [0, 1, 2, 3].map(|k| (word >> (k * width)) as u32 & mask);
        let ([a, b, c, d], [e, f, g, h]) = (four(low), four(high));
        out.extend_from_slice(&[a, b, c, d, e, f, g, h]);
    }
    out.extend((before + eights * 8..count).map(|i| one(data, bit + i * bits, width)));
}

/// Eight bytes from a place on; behind the end they are zero.
#[inline]
fn word(data: &[u8], at: usize) -> u64 {
    let rest = &data[at..];
    match rest.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(data: &[u8], width: u8, counts: &[usize]) -> Option<Vec<u32>> {
        let mut numbers = Hybrid::new(Bytes::copy_from_slice(data), width)?;
        let mut out = Vec::new();
        counts.iter().try_for_each(|n| numbers.read(*n, &mut out))?;
        Some(out)
    }

    #[test]
    fn runs_and_packed_numbers() {
        // 0 to 7 in three bits each, as the specification shows them; then five times 300 in two bytes.
        assert_eq!(all(&[3, 0b1000_1000, 0b1100_0110, 0b1111_1010], 3, &[3, 5]), Some((0..8).collect()));
        assert_eq!(all(&[10, 44, 1], 9, &[2, 3]), Some(vec![300; 5]));
        let both = [10, 5, 3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!(all(&both, 3, &[7, 6]), Some([vec![5; 5], (0..8).collect()].concat()));
        let mut skipped = Hybrid::new(Bytes::copy_from_slice(&both), 3).expect("not too wide");
        assert_eq!((skipped.same(5), skipped.same(6)), (Some(5), None));
        let mut out = Vec::new();
        assert_eq!(skipped.skip(8).and_then(|()| skipped.read(2, &mut out)), Some(()));
        assert_eq!((out, skipped.same(1)), (vec![3, 4], None));
    }

    #[test]
    fn wide_numbers_and_none() {
        let numbers = [u32::MAX, 0, 1 << 31, 7, 8, 9, 10, 11];
        let mut data = vec![3];
        numbers.iter().for_each(|n| data.extend(n.to_le_bytes()));
        assert_eq!(all(&data, 32, &[8]).as_deref(), Some(&numbers[..]));
        assert_eq!(all(&[3], 0, &[8]), Some(vec![0; 8]));
        assert!(Hybrid::new(Bytes::new(), 33).is_none());
    }

    /// As numbers of every width are written, bit by bit.
    #[test]
    fn every_width() {
        for width in 0..=32u32 {
            let number = |i: u32| i.wrapping_mul(0x9e37_79b9).checked_shr(32 - width).unwrap_or(0);
            let (groups, mut data) = (5, vec![11]);
            let mut bits: Vec<u8> = Vec::new();
            (0..groups * 8).for_each(|i| bits.extend((0..width).map(|bit| (number(i) >> bit & 1) as u8)));
            data.extend(bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | bit)));
            let expected: Vec<u32> = (0..groups * 8).map(number).collect();
            for counts in [&[40][..], &[1, 2, 3, 34], &[8, 32], &[13, 27]] {
                assert_eq!(all(&data, width as u8, counts).as_ref(), Some(&expected), "{width}");
            }
            let (mut some, mut numbers) = (Vec::new(), Hybrid::new(data.into(), width as u8).expect("not too wide"));
            assert!(numbers.skip(3).is_some() && numbers.pick(30, &[0, 7, 29], &mut some).is_some());
            assert!(numbers.read(7, &mut some).is_some());
            let expected: Vec<u32> = [3, 10, 32].into_iter().chain(33..40).map(number).collect();
            assert_eq!(some, expected, "{width}");
        }
    }

    #[test]
    fn what_is_cut_off() {
        assert_eq!(all(&[], 3, &[1]), None);
        assert_eq!(all(&[0x80], 3, &[1]), None);
        assert_eq!(all(&[10], 3, &[1]), None);
        assert_eq!(all(&[0, 1, 0, 1], 3, &[1]), None, "runs of no numbers");
        assert_eq!(all(&[3, 0b1000_1000], 3, &[2]), Some(vec![0, 1]), "as many as are whole");
        assert_eq!(all(&[3, 0b1000_1000], 3, &[3]), None);
    }
}
