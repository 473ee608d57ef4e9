//! Small numbers as Parquet stores them in pages: runs of the same number, and packed bits.

/// Bits of the largest of `count` numbers from 0 on.
pub(crate) fn width(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

/// Numbers that are the same in a row from which they are worth a run.
const RUN: usize = 2 * BLOCK;

/// Numbers that are looked at together.
const BLOCK: usize = 8;

/// Adds numbers of `width` bits in the hybrid form of runs and packed bits.
pub(crate) fn write(values: &[u32], width: u32, out: &mut Vec<u8>) {
    // Numbers from `packed` to `at` are to be packed.
    let (mut packed, mut at) = (0, 0);
    while let Some(within) = alike(values, at) {
        let value = values[within];
        let start = within - values[at..within].iter().rev().take_while(|v| **v == value).count();
        let run = within - start + values[within..].iter().take_while(|v| **v == value).count();
        // Packed numbers come eight at a time; the run fills the last eight up.
        let fill = (start - packed).next_multiple_of(8) - (start - packed);
        if run >= fill + RUN {
            pack(&values[packed..start + fill], width, out);
            repeated(value, run - fill, width, out);
            packed = start + run;
        }
        at = start + run;
    }
    pack(&values[packed..], width, out);
}

/// The first number of the next [`BLOCK`] that are the same, as they are in every run of twice as many: from number `from`
/// on or soon after.
fn alike(values: &[u32], from: usize) -> Option<usize> {
    let from = from.next_multiple_of(BLOCK);
    let blocks = values.get(from..)?.as_chunks::<BLOCK>().0;
    let is_alike = |block: &[u32; BLOCK]| block.iter().fold(0, |other, value| other | value ^ block[0]) == 0;
    Some(from + BLOCK * blocks.iter().position(is_alike)?)
}

/// Adds one number many times, in the same form.
pub(crate) fn repeated(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Adds numbers as packed bits, eight at a time; zeros fill up the last eight.
fn pack(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * width as usize;
    match width {
        8 => out.extend(values.iter().map(|value| *value as u8)),
        16 => out.extend(values.iter().flat_map(|value| (*value as u16).to_le_bytes())),
        _ => pack_bits(values, width, out),
    }
    out.resize(end, 0);
}

/// Adds numbers as packed bits, and some zeros at the end.
fn pack_bits(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if width > u16::BITS {
        return pack_wide(values, width, out);
    }
    let (eights, rest) = values.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    for eight in eights.iter().chain([&last]) {
        let half = |four: &[u32]| four.iter().rev().fold(0, |packed, value| packed << width | u64::from(*value));
        let packed = u128::from(half(&eight[..4])) | u128::from(half(&eight[4..])) << (4 * width);
        out.extend_from_slice(&packed.to_le_bytes()[..width as usize]);
    }
}

/// The same for numbers of any width.
fn pack_wide(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let (mut word, mut bits) = (0u64, 0);
    for value in values {
        word |= u64::from(*value) << bits;
        bits += width;
        if bits >= 32 {
            out.extend_from_slice(&(word as u32).to_le_bytes());
            word >>= 32;
            bits -= 32;
        }
    }
    out.extend_from_slice(&word.to_le_bytes());
}

/// Adds a number in as many bytes as it needs, seven bits each, the lowest first.
pub(crate) fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what was written.
    fn read(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut out = Vec::new();
        while out.len() < count {
            let mut header = 0usize;
            let mut shift = 0;
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            let len = if header & 1 == 0 { width.div_ceil(8) as usize } else { (header >> 1) * width as usize };
            let (taken, rest) = bytes.split_at(len);
            bytes = rest;
            let bit = |n: usize| u32::from(taken[n / 8] >> (n % 8) & 1);
            let number = |at: usize| (0..width as usize).map(|n| bit(at + n) << n).sum::<u32>();
            match header & 1 {
                0 => out.extend(std::iter::repeat_n(number(0), header >> 1)),
                _ => out.extend((0..(header >> 1) * 8).map(|n| number(n * width as usize))),
            }
        }
        assert!(bytes.is_empty() && out.len() < count + 8);
        out.truncate(count);
        out
    }

    #[test]
    fn numbers_come_back() {
        assert_eq!([0, 1, 2, 3, 4, 5, 256, 257].map(width), [0, 0, 1, 2, 2, 3, 8, 9]);
        for count in [1usize, 2, 3, 9, 200, 40_000, 70_000] {
            let width = width(count);
            for shape in 0..4 {
                let values: Vec<u32> = (0..5000usize)
                    .map(|n| match shape {
                        0 => n * 7919 % count,
                        1 => (n / 61) % count,
                        2 => {
                            if n % 500 < 100 {
                                n % count
                            } else {
                                count - 1
                            }
                        }
                        _ => 0,
                    } as u32)
                    .collect();
                for len in [0, 1, 7, 8, 9, 4999, 5000] {
                    let mut out = Vec::new();
                    write(&values[..len], width, &mut out);
                    assert_eq!(read(&out, width, len), values[..len], "{count} {shape} {len}");
                }
            }
        }
    }
}
