//! What texts are looked up by in a column, and how they are compared: many bytes at a time, without looking for the first
//! that differs.

/// What a text is looked up by: up to [`SHORT`] bytes as they are, of longer ones the hash, and the length. Four of them are a
/// line of the cache.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Key {
    pub(super) low: u64,
    /// The length of short texts is in the highest byte. Of others there is [`LONG`], as much of the length as there is room
    /// for, and, in the lower half, where among all texts it begins, once that is known.
    high: u64,
}

/// Set for texts that are not short.
const LONG: u64 = 0xff << 56;

impl Key {
    /// That of a short text in some data.
    #[inline]
    pub(super) fn short(data: &[u8], (start, end): Place) -> Key {
        let (start, end) = (start as usize, end as usize);
        let bytes = match data.get(start..start + CHUNK) {
            Some(more) => {
                let more = u128::from_le_bytes(more.try_into().expect("as many were asked for"));
                more & MASKS[end - start]
            }
            None => {
                let mut bytes = [0; CHUNK];
                bytes[..end - start].copy_from_slice(&data[start..end]);
                u128::from_le_bytes(bytes)
            }
        };
        let [low, high] = halves(bytes);
        Key { low, high: high | ((end - start) as u64) << 56 }
    }

    /// That of a longer text with this hash.
    #[inline]
    pub(super) fn long(hash: u64, len: u32) -> Key {
        Key { low: hash, high: LONG | u64::from(len << 8) << 24 }
    }

    #[inline]
    pub(super) fn is_long(&self) -> bool {
        self.high >= LONG
    }

    /// The same with the place of the text.
    pub(super) fn at(self, start: u32) -> Key {
        let start = if self.is_long() { u64::from(start) } else { 0 };
        Key { high: self.high | start, ..self }
    }

    /// Where a long text begins.
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.high as u32 as usize
    }

    /// The bits of the upper half that tell texts apart.
    #[inline]
    pub(super) fn high(&self) -> u64 {
        self.high & !(((self.high.cast_signed() >> 63) as u64) >> 32)
    }

    /// Looks at all of the key at once: which part differs is not to be foreseen.
    #[inline]
    pub(super) fn is(&self, key: &Key) -> bool {
        (self.low ^ key.low) | (self.high() ^ key.high()) == 0
    }
}

/// Texts up to so many bytes are known by their key alone.
pub(super) const SHORT: usize = 15;

/// Bytes looked at together.
const CHUNK: usize = 16;

/// Start and end of a text.
pub(crate) type Place = (u32, u32);

/// The two halves of a product, mixed.
#[inline]
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
pub(super) fn halves(bytes: u128) -> [u64; 2] {
    [bytes as u64, (bytes >> 64) as u64]
}

/// The first and the last bytes of a text, where these are all there are.
#[inline]
pub(super) fn ends(text: &[u8]) -> Option<[u128; 2]> {
    let (first, last) = (text.first_chunk()?, text.last_chunk()?);
    (text.len() <= 2 * CHUNK).then(|| [first, last].map(|chunk: &[u8; CHUNK]| u128::from_le_bytes(*chunk)))
}

/// By length: the bits that count.
const MASKS: [u128; SHORT + 1] = {
    let mut masks = [0; SHORT + 1];
    let mut len = 0;
    while len <= SHORT {
        masks[len] = (1 << (8 * len)) - 1;
        len += 1;
    }
    masks
};

/// Equality of texts of the same length, which are mostly short: a call costs more than the comparison.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (a.first_chunk::<CHUNK>(), a.last_chunk::<CHUNK>()) {
        let ends = b.first_chunk() == Some(first) && b.last_chunk() == Some(last);
        return ends && (a.len() <= 2 * CHUNK || a == b);
    }
    if let (Some(first), Some(last)) = (a.first_chunk::<8>(), a.last_chunk::<8>()) {
        return b.first_chunk() == Some(first) && b.last_chunk() == Some(last);
    }
    if let (Some(first), Some(last)) = (a.first_chunk::<4>(), a.last_chunk::<4>()) {
        return b.first_chunk() == Some(first) && b.last_chunk() == Some(last);
    }
    a.iter().eq(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared() {
        for len in 0..80 {
            let text: Vec<u8> = (0..len).collect();
            assert!(same(&text, &text.clone()));
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 0x80;
                assert!(!same(&text, &other), "{len} {at}");
            }
        }
    }
}
