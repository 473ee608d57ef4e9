//! Short texts as two numbers, which are compared and hashed faster than bytes.

/// Longest text that is short.
pub(crate) const SHORT: usize = 16;

/// Both halves of a product, folded together.
#[inline]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Digits of pi.
pub(crate) const ONE: u64 = 0x243f_6a88_85a3_08d3;

/// The hash of a number that nobody chooses.
#[inline]
pub(crate) fn spread(number: u64) -> u64 {
    fold(number ^ ONE, 0x9e37_79b9_7f4a_7c15)
}

/// Up to 16 bytes as two words; the two may overlap, which with the length still says everything.
#[inline]
pub(crate) fn pack_short(text: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
    }
    match text {
        [first, .., last] => (u64::from(*first) | u64::from(text[text.len() / 2]) << 8, u64::from(*last)),
        [one] => (u64::from(*one), 0),
        [] => (0, 0),
    }
}

/// The inverse of [`pack_short`]; `out` has the length of the text.
pub(crate) fn unpack_short(low: u64, high: u64, out: &mut [u8]) -> &[u8] {
    let length = out.len();
    let (low, high) = (low.to_le_bytes(), high.to_le_bytes());
    match length {
        0 => {}
        1 => out[0] = low[0],
        2..=3 => {
            out[..2].copy_from_slice(&low[..2]);
            out[length - 1] = high[0];
        }
        _ => {
            let half = if length < 8 { 4 } else { 8 };
            out[..half].copy_from_slice(&low[..half]);
            out[length - half..].copy_from_slice(&high[..half]);
        }
    }
    out
}

/// The number of 1 to 8 digits that a view holds; `None` for all other text. Both strings and numbers so spelled are
/// this number. Measured on a sum of numbers of up to four digits: 7 ns a row, by the general way 12.
#[inline]
pub(crate) fn short_integer(view: u128) -> Option<i64> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0xf0 * ONES;
    // The length is in the lowest 32 bits, the text follows if it is short.
    let length = view as u32;
    if !(1..=8).contains(&length) {
        return None;
    }
    // The digits go to the upper end, zeros fill up the front.
    let zeros = (0x30 * ONES).unbounded_shr(8 * length);
    let text = ((view >> 32) as u64) << (64 - 8 * length) | zeros;
    if text & HIGH != 0x30 * ONES || (text + 6 * ONES) & HIGH != 0x30 * ONES {
        return None;
    }
    // Neighbouring digits join to numbers of two, four, eight digits; the first digit is in the lowest byte.
    let ones = text & (0x0f * ONES);
    let tens = (ones.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
    let hundreds = (tens.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
    Some((hundreds.wrapping_mul(1 + (10_000 << 32)) >> 32) as u32 as i64)
}

/// The same of a text.
#[inline]
pub(crate) fn short_digits(text: &[u8]) -> Option<i64> {
    let bytes = match text {
        [] => return None,
        [one] => u64::from(*one),
        [one, two] => u64::from(*one) | u64::from(*two) << 8,
        [one, two, three] => u64::from(*one) | u64::from(*two) << 8 | u64::from(*three) << 16,
        // The two halves may overlap; where they do they are the same.
        _ if text.len() <= 8 => match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (text.len() - 4))
            }
            _ => return None,
        },
        _ => return None,
    };
    short_integer(u128::from(bytes) << 32 | text.len() as u128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::make_view;

    #[test]
    fn short_integers() {
        for text in ["0", "7", "42", "007", "1234", "12345", "123456", "1234567", "12345678", "99999999", "00000000"] {
            assert_eq!(short_integer(make_view(text.as_bytes(), 0, 0)), text.parse().ok(), "{text}");
            assert_eq!(short_digits(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in [
            "",
            "-1",
            "1.5",
            "123456789",
            "1e3",
            "12:4",
            "1/2",
            " 1",
            "1 ",
            "abcdefgh",
            "１",
            "a text beyond twelve bytes",
        ] {
            assert_eq!(short_integer(make_view(text.as_bytes(), 0, 0)), None, "{text}");
        }
        for byte in (0..=255u8).filter(|b| !b.is_ascii_digit()) {
            for at in 0..8 {
                let mut text = *b"12345678";
                text[at] = byte;
                assert_eq!(short_integer(make_view(&text, 0, 0)), None, "{text:?}");
            }
        }
    }
}
