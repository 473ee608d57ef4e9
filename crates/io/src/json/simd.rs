//! Sixty-four bytes at a time: which of them are quotes, line feeds, and so on, as bits of a word.
//!
//! Each operation exists for plain 64-bit words, AVX2 and AVX-512; which one runs is decided once, by what the processor
//! can. Loops that use them are written once, over [`Simd`], and instantiated by [`dispatch`] inside functions compiled
//! for the features, where the operations are inlined.

use std::sync::OnceLock;

/// The bytes of a block, as bits: bit `i` is byte `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// `"`
    pub quotes: u64,
    /// `\` and control characters: what no line that is read by quotes alone may hold.
    pub odd: u64,
    /// Bytes of 128 and more: not ASCII.
    pub high: u64,
}

/// The operations. A value of the type is proof that the processor has them.
pub trait Simd: Copy {
    /// The marks of a block.
    fn marks(self, block: &[u8; 64]) -> Marks;

    /// The bits of `places` whose number, counted among the set bits of `places`, is a set bit of `numbers`.
    fn deposit(self, numbers: u64, places: u64) -> u64;

    /// Not 0 if `a` and `b` differ in a byte whose bit in `mask` is set.
    fn differs(self, a: &[u8; 32], b: &[u8; 32], mask: u32) -> u32;
}

/// Plain words: for other processors, and to compare the others with.
#[derive(Clone, Copy, Debug)]
pub struct Words;

const ONES: u64 = 0x0101_0101_0101_0101;
const LOWS: u64 = 0x7f7f_7f7f_7f7f_7f7f;

impl Words {
    /// Gathers the high bits of eight bytes.
    #[inline(always)]
    fn gather(highs: u64) -> u64 {
        ((highs >> 7) & ONES).wrapping_mul(0x0102_0408_1020_4080) >> 56
    }

    /// The high bit of each byte that is `byte`. Exact: adding to seven bits never carries into the next byte.
    #[inline(always)]
    fn equal(x: u64, byte: u8) -> u64 {
        let y = x ^ (ONES * u64::from(byte));
        !(((y & LOWS) + LOWS) | y)
    }

    /// The high bit of each byte below `limit`, which is at most 128.
    #[inline(always)]
    fn below(x: u64, limit: u8) -> u64 {
        !(((x & LOWS) + ONES * u64::from(128 - limit)) | x)
    }

    #[inline(always)]
    fn each(block: &[u8; 64], mark: impl Fn(u64) -> u64) -> u64 {
        let mut bits = 0;
        for (i, eight) in block.chunks_exact(8).enumerate() {
            let x = u64::from_le_bytes(eight.try_into().expect("chunks of eight"));
            bits |= Words::gather(mark(x)) << (8 * i);
        }
        bits
    }
}

impl Simd for Words {
    #[inline(always)]
    fn marks(self, block: &[u8; 64]) -> Marks {
        Marks {
            quotes: Words::each(block, |x| Words::equal(x, b'"')),
            odd: Words::each(block, |x| Words::equal(x, b'\\') | Words::below(x, b' ')),
            high: Words::each(block, |x| x),
        }
    }

    #[inline(always)]
    fn deposit(self, mut numbers: u64, mut places: u64) -> u64 {
        let mut out = 0;
        while places != 0 && numbers != 0 {
            let lowest = places & places.wrapping_neg();
            if numbers & 1 == 1 {
                out |= lowest;
            }
            numbers >>= 1;
            places ^= lowest;
        }
        out
    }

    #[inline(always)]
    fn differs(self, a: &[u8; 32], b: &[u8; 32], mask: u32) -> u32 {
        a.iter().zip(b).enumerate().fold(0, |bits, (i, (a, b))| bits | u32::from(a != b) << i) & mask
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Marks, Simd};
    use std::arch::x86_64::*;

    /// AVX2 with the bit operations of its time.
    #[derive(Clone, Copy, Debug)]
    pub struct Avx2(());

    impl Avx2 {
        pub fn detect() -> Option<Avx2> {
            let all = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            all.then_some(Avx2(()))
        }
    }

    #[inline(always)]
    fn halves(block: &[u8; 64]) -> (__m256i, __m256i) {
        let (low, high) = block.split_at(32);
        // SAFETY: both halves have 32 bytes, an unaligned load needs nothing else; callers have AVX.
        unsafe { (_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())) }
    }

    /// One bit a byte, from the high bits of two halves.
    #[inline(always)]
    fn bits((low, high): (__m256i, __m256i)) -> u64 {
        // SAFETY: callers have AVX2.
        unsafe { u64::from(_mm256_movemask_epi8(low) as u32) | u64::from(_mm256_movemask_epi8(high) as u32) << 32 }
    }

    #[inline(always)]
    fn both(halves: (__m256i, __m256i), f: impl Fn(__m256i) -> __m256i) -> u64 {
        bits((f(halves.0), f(halves.1)))
    }

    #[inline(always)]
    fn equal(x: __m256i, byte: u8) -> __m256i {
        // SAFETY: callers have AVX2.
        unsafe { _mm256_cmpeq_epi8(x, _mm256_set1_epi8(byte as i8)) }
    }

    /// At most `byte`, unsigned.
    #[inline(always)]
    fn at_most(x: __m256i, byte: u8) -> __m256i {
        // SAFETY: callers have AVX2.
        unsafe { _mm256_cmpeq_epi8(_mm256_min_epu8(x, _mm256_set1_epi8(byte as i8)), x) }
    }

    impl Simd for Avx2 {
        #[inline(always)]
        fn marks(self, block: &[u8; 64]) -> Marks {
            let x = halves(block);
            Marks {
                quotes: both(x, |x| equal(x, b'"')),
                // SAFETY: `self` is proof of AVX2.
                odd: both(x, |x| unsafe { _mm256_or_si256(equal(x, b'\\'), at_most(x, 0x1f)) }),
                high: bits(x),
            }
        }

        #[inline(always)]
        fn deposit(self, numbers: u64, places: u64) -> u64 {
            // SAFETY: `self` is proof of BMI2.
            unsafe { _pdep_u64(numbers, places) }
        }

        #[inline(always)]
        fn differs(self, a: &[u8; 32], b: &[u8; 32], mask: u32) -> u32 {
            // SAFETY: both are 32 bytes long, and `self` is proof of AVX2.
            let equal = unsafe {
                let (a, b) = (_mm256_loadu_si256(a.as_ptr().cast()), _mm256_loadu_si256(b.as_ptr().cast()));
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)) as u32
            };
            !equal & mask
        }
    }

    /// AVX-512 on bytes.
    #[derive(Clone, Copy, Debug)]
    pub struct Avx512(());

    impl Avx512 {
        pub fn detect() -> Option<Avx512> {
            let all = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl");
            (all && Avx2::detect().is_some()).then_some(Avx512(()))
        }
    }

    #[inline(always)]
    fn load(block: &[u8; 64]) -> __m512i {
        // SAFETY: the block has 64 bytes, an unaligned load needs nothing else; callers have AVX-512.
        unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
    }

    #[inline(always)]
    fn equal_bits(x: __m512i, byte: u8) -> u64 {
        // SAFETY: callers have AVX-512 on bytes.
        unsafe { _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8(byte as i8)) }
    }

    #[inline(always)]
    fn at_most_bits(x: __m512i, byte: u8) -> u64 {
        // SAFETY: callers have AVX-512 on bytes.
        unsafe { _mm512_cmple_epu8_mask(x, _mm512_set1_epi8(byte as i8)) }
    }

    #[inline(always)]
    fn high_bits(x: __m512i) -> u64 {
        // SAFETY: callers have AVX-512 on bytes.
        unsafe { _mm512_movepi8_mask(x) }
    }

    impl Simd for Avx512 {
        #[inline(always)]
        fn marks(self, block: &[u8; 64]) -> Marks {
            let x = load(block);
            let odd = equal_bits(x, b'\\') | at_most_bits(x, 0x1f);
            Marks { quotes: equal_bits(x, b'"'), odd, high: high_bits(x) }
        }

        #[inline(always)]
        fn deposit(self, numbers: u64, places: u64) -> u64 {
            // SAFETY: `self` is proof of BMI2.
            unsafe { _pdep_u64(numbers, places) }
        }

        #[inline(always)]
        fn differs(self, a: &[u8; 32], b: &[u8; 32], mask: u32) -> u32 {
            // SAFETY: both are 32 bytes long, and `self` is proof of AVX-512 on short vectors of bytes.
            unsafe {
                let (a, b) = (_mm256_loadu_si256(a.as_ptr().cast()), _mm256_loadu_si256(b.as_ptr().cast()));
                _mm256_mask_cmpneq_epi8_mask(mask, a, b)
            }
        }
    }

    /// Runs a loop compiled for AVX2.
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub fn with_avx2<L: super::Loop>(simd: Avx2, work: L) -> L::Output {
        work.run(simd)
    }

    /// Runs a loop compiled for AVX-512.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub fn with_avx512<L: super::Loop>(simd: Avx512, work: L) -> L::Output {
        work.run(simd)
    }
}

/// A loop over blocks, written once for all processors. `run` must be `#[inline(always)]` to be worth anything.
pub trait Loop {
    /// What it gives.
    type Output;

    /// The loop.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Which operations to use.
#[derive(Clone, Copy, Debug)]
pub enum Level {
    /// [`Words`]
    Words,
    /// AVX2
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    /// AVX-512
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
}

impl Level {
    /// All levels the processor has, best first.
    pub fn all() -> Vec<Level> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(x86::Avx512::detect().map(Level::Avx512));
            all.extend(x86::Avx2::detect().map(Level::Avx2));
        }
        all.push(Level::Words);
        all
    }

    /// The best level of the processor.
    pub fn best() -> Level {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Level::all()[0])
    }
}

/// Runs a loop with the operations of a level.
#[inline]
pub fn dispatch<L: Loop>(level: Level, work: L) -> L::Output {
    match level {
        Level::Words => work.run(Words),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a value of the type is only made where the processor has its features.
        Level::Avx2(simd) => unsafe { x86::with_avx2(simd, work) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx512(simd) => unsafe { x86::with_avx512(simd, work) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence of words without pattern (Vigna, "splitmix64").
    fn random() -> impl FnMut() -> u64 {
        let mut state = 7u64;
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }
    }

    struct All<'b>(&'b [u8; 64], u64, u32);

    impl Loop for All<'_> {
        type Output = (Marks, u64, u32);

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let (low, high) = self.0.split_at(32);
            let (low, high) = (low.try_into().expect("32"), high.try_into().expect("32"));
            let marks = simd.marks(self.0);
            (marks, simd.deposit(self.1, marks.quotes), simd.differs(low, high, self.2))
        }
    }

    #[test]
    fn every_level_agrees_with_the_definition() {
        let mut next = random();
        let odd = b"\"\"\"\"\\\n\r\t {}\x1f\x20\x21\x7f\x80\xff";
        for round in 0..3000 {
            let block: [u8; 64] = std::array::from_fn(|_| match next() {
                n if round % 3 == 0 => n as u8,
                n if round % 3 == 1 => odd[n as usize % odd.len()],
                n => odd[(n as usize % 3) * 4],
            });
            let (numbers, mask) = (next(), next() as u32);
            let bits = |f: &dyn Fn(u8) -> bool| (0..64).fold(0u64, |bits, i| bits | u64::from(f(block[i])) << i);
            let quotes = bits(&|b| b == b'"');
            let deposit = (0..64).filter(|i| quotes >> i & 1 == 1).enumerate();
            let expected = (
                Marks { quotes, odd: bits(&|b| b == b'\\' || b < b' '), high: bits(&|b| b >= 128) },
                deposit.fold(0u64, |out, (number, place)| out | (numbers >> number & 1) << place),
                (0..32).fold(0u32, |out, i| out | u32::from(block[i] != block[32 + i]) << i) & mask,
            );
            for level in Level::all() {
                assert_eq!(dispatch(level, All(&block, numbers, mask)), expected, "{level:?} {block:?}");
            }
        }
    }
}
