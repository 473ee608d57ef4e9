//! Append-only storage for texts that do not fit into a key.

/// Texts, each with its length in front, in blocks that are never moved.
///
/// Blocks instead of one growing buffer: growth copies nothing, and memory held is close to memory used.
#[derive(Debug, Default)]
pub(super) struct Arena {
    blocks: Vec<Vec<u8>>,
    bytes: usize,
}

/// Size of the first block; each following one is twice as large, up to [`LARGEST`].
const SMALLEST: usize = 1 << 10;
const LARGEST: usize = 1 << 18;

/// Bytes of the length in front of a text.
const LENGTH: usize = size_of::<u32>();

impl Arena {
    /// Copies a text, which is shorter than 4 GiB as all text of a column is, and gives its place.
    pub(super) fn push(&mut self, text: &[u8]) -> u64 {
        let length = u32::try_from(text.len()).expect("text of a column is addressed with 32 bits");
        let needed = LENGTH + text.len();
        if self.blocks.last().is_none_or(|b| b.capacity() - b.len() < needed) {
            let regular = (SMALLEST << self.blocks.len().min(16)).min(LARGEST);
            let block = Vec::with_capacity(regular.max(needed));
            self.bytes += block.capacity();
            self.blocks.push(block);
        }
        let number = self.blocks.len() - 1;
        let block = &mut self.blocks[number];
        let offset = block.len();
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(text);
        (number as u64) << 32 | offset as u64
    }

    /// The text at a place that [`Arena::push`] gave.
    pub(super) fn get(&self, place: u64) -> &[u8] {
        let rest = &self.blocks[(place >> 32) as usize][place as u32 as usize..];
        let (length, rest) = rest.split_first_chunk::<LENGTH>().expect("every text has its length in front");
        &rest[..u32::from_le_bytes(*length) as usize]
    }

    /// True if it holds no text.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        let texts: Vec<Vec<u8>> = [0, 1, 17, 1019, 1020, 1021, 300_000, 5].map(|n| vec![n as u8; n]).into();
        let mut arena = Arena::default();
        let places: Vec<u64> = texts.iter().map(|t| arena.push(t)).collect();
        for (text, place) in texts.iter().zip(places) {
            assert_eq!(arena.get(place), text);
        }
        assert!(arena.bytes() >= texts.iter().map(Vec::len).sum());
    }
}
