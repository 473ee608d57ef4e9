//! Integers as Parquet stores those that hardly differ from the one before: `DELTA_BINARY_PACKED` (Parquet's "Encodings").
//!
//! Written here since times and numbers of records, four columns of every archive, take less than half of the time that the
//! library's writer needs for them.

use super::bits::varint;

/// Differences that have a least one in common.
const BLOCK: usize = 128;

/// Differences that are packed with as many bits each.
const MINI: usize = 32;

/// Adds integers.
pub(crate) fn write(values: &[i64], out: &mut Vec<u8>) {
    let first = values.first().copied().unwrap_or_default();
    for header in [BLOCK, BLOCK / MINI, values.len()] {
        varint(header as u64, out);
    }
    varint(zigzag(first), out);
    let mut before = first;
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        let mut deltas = [0; BLOCK];
        for (delta, value) in deltas.iter_mut().zip(block) {
            *delta = value.wrapping_sub(before);
            before = *value;
        }
        let deltas = &deltas[..block.len()];
        let least = deltas.iter().copied().min().unwrap_or_default();
        varint(zigzag(least), out);
        let widths = out.len();
        out.extend([0; BLOCK / MINI]);
        for (number, mini) in deltas.chunks(MINI).enumerate() {
            let mut above = [0; MINI];
            above.iter_mut().zip(mini).for_each(|(above, delta)| *above = delta.wrapping_sub(least).cast_unsigned());
            let width = u64::BITS - above.iter().fold(0, |all, one| all | one).leading_zeros();
            out[widths + number] = width as u8;
            pack(&above, width, out);
        }
    }
}

/// Small for small numbers of either sign.
fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63).cast_unsigned()
}

fn pack(values: &[u64; MINI], width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut word, mut bits) = (0u128, 0);
    for value in values {
        word |= u128::from(*value) << bits;
        bits += width;
        if bits >= u64::BITS {
            out.extend_from_slice(&(word as u64).to_le_bytes());
            word >>= u64::BITS;
            bits -= u64::BITS;
        }
    }
    out.extend_from_slice(&word.to_le_bytes()[..bits.div_ceil(8) as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_varint(bytes: &mut &[u8]) -> u64 {
        let len = bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1;
        let (taken, rest) = bytes.split_at(len);
        *bytes = rest;
        taken.iter().rev().fold(0, |n, byte| n << 7 | u64::from(byte & 0x7f))
    }

    /// Reads what was written.
    fn read(mut bytes: &[u8]) -> Vec<i64> {
        let signed = |n: u64| (n >> 1).cast_signed() ^ -(n & 1).cast_signed();
        let [block, minis, count, first] = [(); 4].map(|()| read_varint(&mut bytes));
        let mut out = vec![signed(first)];
        while out.len() < count as usize {
            let least = signed(read_varint(&mut bytes));
            let (widths, rest) = bytes.split_at(minis as usize);
            bytes = rest;
            for width in widths.iter().map(|width| usize::from(*width)) {
                let len = (block / minis) as usize;
                if out.len() >= count as usize {
                    assert_eq!(width, 0);
                    continue;
                }
                let (packed, rest) = bytes.split_at(len * width / 8);
                bytes = rest;
                let bit = |n: usize| u64::from(packed[n / 8] >> (n % 8) & 1);
                for n in 0..len {
                    let above = (0..width).fold(0, |sum, at| sum | bit(n * width + at) << at);
                    out.push(out[out.len() - 1].wrapping_add(least.wrapping_add(above.cast_signed())));
                }
            }
        }
        assert!(bytes.is_empty());
        out.truncate(count as usize);
        out
    }

    #[test]
    fn integers_come_back() {
        let shapes: [fn(i64) -> i64; 6] = [
            |_| 7,
            |n| n,
            |n| n * 1000 + n % 7,
            |n| -n * n * n,
            |n| if n % 2 == 0 { i64::MAX - n } else { i64::MIN + n },
            |n| if n == 300 { 1 << 40 } else { 0 },
        ];
        for shape in shapes {
            for len in [0, 1, 2, 32, 33, 128, 129, 130, 1000] {
                let values: Vec<i64> = (0..len).map(shape).collect();
                let mut out = Vec::new();
                write(&values, &mut out);
                assert_eq!(read(&out), values, "{len}");
            }
        }
    }

    #[test]
    fn what_does_not_change_takes_no_room() {
        let mut out = Vec::new();
        write(&(0..8192).collect::<Vec<_>>(), &mut out);
        assert!(out.len() < 400, "{}", out.len());
    }
}
