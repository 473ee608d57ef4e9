//! Short texts as two numbers, which are compared and hashed faster than bytes.

/// Longest text that is short.
pub(crate) const SHORT: usize = 16;

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
