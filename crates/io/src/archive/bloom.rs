//! Bloom filters as Parquet has them: blocks of 256 bits, of which a value sets one in each of eight words.

use twox_hash::XxHash64;

/// A filter being filled.
#[derive(Debug)]
pub(crate) struct Bloom {
    blocks: Vec<[u32; 8]>,
}

const SALT: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// The hash of a value.
#[inline]
pub(crate) fn hash(value: &[u8]) -> u64 {
    XxHash64::oneshot(0, value)
}

impl Bloom {
    /// A filter of so many bytes, a power of two from 32 on.
    pub(crate) fn with_bytes(bytes: usize) -> Bloom {
        Bloom { blocks: vec![[0; 8]; (bytes / 32).max(1)] }
    }

    /// A filter for so many different values: a byte for each at least, and less than two. Some readers insist on a power of
    /// two.
    pub(crate) fn for_values(values: usize) -> Bloom {
        Bloom::with_bytes(values.next_power_of_two())
    }

    /// Adds the value of that hash.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64) {
        let block = (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize;
        for (word, salt) in self.blocks[block].iter_mut().zip(SALT) {
            *word |= 1 << ((hash as u32).wrapping_mul(salt) >> 27);
        }
    }

    /// As stored.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.blocks.as_flattened().iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::parquet::bloom_filter::Sbbf;

    #[test]
    fn it_is_the_filter_of_the_library() {
        let (mut ours, mut theirs) = (Bloom::with_bytes(1 << 10), Sbbf::new_with_num_of_bytes(1 << 10));
        for n in 0..1000 {
            let value = format!("value {n}");
            ours.insert(hash(value.as_bytes()));
            theirs.insert(value.as_bytes());
        }
        let mut bytes = Vec::new();
        theirs.write_bitset(&mut bytes).expect("memory");
        assert!(ours.bytes() == bytes);
    }
}
