//! The operations on x86-64.

use super::{Borders, Marks, Simd, Structure, places_one_by_one};
use backsight_engine::hint::prefetch;
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
            && is_x86_feature_detected!("pclmulqdq")
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

#[inline(always)]
fn or(a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: callers have AVX2.
    unsafe { _mm256_or_si256(a, b) }
}

/// [`equal`], once the bits of `fold` are set.
#[inline(always)]
fn equal_folded(x: __m256i, fold: u8, byte: u8) -> __m256i {
    // SAFETY: callers have AVX2.
    equal(or(x, unsafe { _mm256_set1_epi8(fold as i8) }), byte)
}

#[inline(always)]
fn operators(x: __m256i) -> __m256i {
    let braces = or(equal_folded(x, 0x20, b'{'), equal_folded(x, 0x20, b'}'));
    or(braces, or(equal(x, b':'), equal(x, b',')))
}

/// White space but line feeds.
#[inline(always)]
fn blanks(x: __m256i) -> __m256i {
    or(equal(x, b' '), or(equal(x, b'\t'), equal(x, b'\r')))
}

/// At most `byte`, unsigned.
#[inline(always)]
fn at_most(x: __m256i, byte: u8) -> __m256i {
    // SAFETY: callers have AVX2.
    unsafe { _mm256_cmpeq_epi8(_mm256_min_epu8(x, _mm256_set1_epi8(byte as i8)), x) }
}

#[inline(always)]
fn load32(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: an unaligned load of the bytes there are; callers have AVX.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// The running parity of bits is what multiplying them with ones gives if nothing carries over (Langdale and Lemire, 2019).
#[inline(always)]
fn multiplied(bits: u64) -> u64 {
    // SAFETY: callers have PCLMULQDQ.
    unsafe {
        let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(product) as u64
    }
}

/// Bytes ahead that memory is asked for. Lines end where no processor foresees it, and each time its own looking ahead
/// starts anew: without this a loop over lines waits for memory half of its time.
const AHEAD: usize = 1536;

#[inline(always)]
fn prefetch_ahead(data: &[u8], at: usize) {
    prefetch(data.as_ptr().wrapping_add(at + AHEAD));
}

impl Simd for Avx2 {
    type Differences = __m256i;

    #[inline(always)]
    fn prefetch(self, data: &[u8], at: usize) {
        prefetch_ahead(data, at);
    }

    #[inline(always)]
    fn marks(self, block: &[u8; 64]) -> Marks {
        let x = halves(block);
        Marks {
            quotes: both(x, |x| equal(x, b'"')),
            slashes: both(x, |x| equal(x, b'\\')),
            control: both(x, |x| at_most(x, 0x1f)),
            high: bits(x),
        }
    }

    #[inline(always)]
    fn structure(self, block: &[u8; 64]) -> Structure {
        let x = halves(block);
        let feeds = both(x, |x| equal(x, b'\n'));
        Structure {
            quotes: both(x, |x| equal(x, b'"')),
            slashes: both(x, |x| equal(x, b'\\')),
            control: both(x, |x| at_most(x, 0x1f)),
            high: bits(x),
            operators: bits((operators(x.0), operators(x.1))),
            space: bits((blanks(x.0), blanks(x.1))) | feeds,
            feeds,
        }
    }

    #[inline(always)]
    fn borders(self, block: &[u8; 64]) -> Borders {
        let x = halves(block);
        Borders {
            feeds: both(x, |x| equal(x, b'\n')),
            opens: both(x, |x| equal(x, b'{')),
            closes: both(x, |x| equal(x, b'}')),
            slashes: both(x, |x| equal(x, b'\\')),
            high: bits(x),
        }
    }

    #[inline(always)]
    fn equal(self, block: &[u8; 64], fold: u8, byte: u8) -> u64 {
        both(halves(block), |x| equal_folded(x, fold, byte))
    }

    #[inline(always)]
    fn running_parity(self, bits: u64) -> u64 {
        multiplied(bits)
    }

    #[inline(always)]
    fn deposit(self, numbers: u64, places: u64) -> u64 {
        // SAFETY: `self` is proof of BMI2.
        unsafe { _pdep_u64(numbers, places) }
    }

    #[inline(always)]
    fn places(self, bits: u64, base: u16, out: &mut [u16; 64]) {
        places_one_by_one(bits, base, out);
    }

    #[inline(always)]
    fn none(self) -> __m256i {
        // SAFETY: `self` is proof of AVX2.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn differ(self, so_far: __m256i, a: &[u8; 32], b: &[u8; 32], mask: &[u8; 32]) -> __m256i {
        // SAFETY: `self` is proof of AVX2.
        unsafe {
            let differs = _mm256_xor_si256(load32(a), load32(b));
            _mm256_or_si256(so_far, _mm256_and_si256(differs, load32(mask)))
        }
    }

    #[inline(always)]
    fn any(self, differences: __m256i) -> bool {
        // SAFETY: `self` is proof of AVX2.
        unsafe { _mm256_testz_si256(differences, differences) == 0 }
    }
}

/// AVX-512 on bytes, with compression of vectors.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    pub fn detect() -> Option<Avx512> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi2");
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

/// `0, 1, 2 …`
const NUMBERS: [u8; 64] = {
    let mut numbers = [0; 64];
    let mut i = 0;
    while i < 64 {
        numbers[i] = i as u8;
        i += 1;
    }
    numbers
};

impl Simd for Avx512 {
    type Differences = __m256i;

    #[inline(always)]
    fn prefetch(self, data: &[u8], at: usize) {
        prefetch_ahead(data, at);
    }

    #[inline(always)]
    fn marks(self, block: &[u8; 64]) -> Marks {
        let x = load(block);
        Marks {
            quotes: equal_bits(x, b'"'),
            slashes: equal_bits(x, b'\\'),
            control: at_most_bits(x, 0x1f),
            high: high_bits(x),
        }
    }

    #[inline(always)]
    fn structure(self, block: &[u8; 64]) -> Structure {
        let x = load(block);
        // SAFETY: `self` is proof of AVX-512.
        let lower = unsafe { _mm512_or_si512(x, _mm512_set1_epi8(0x20)) };
        let feeds = equal_bits(x, b'\n');
        Structure {
            quotes: equal_bits(x, b'"'),
            slashes: equal_bits(x, b'\\'),
            control: at_most_bits(x, 0x1f),
            high: high_bits(x),
            operators: equal_bits(lower, b'{') | equal_bits(lower, b'}') | equal_bits(x, b':') | equal_bits(x, b','),
            space: equal_bits(x, b' ') | equal_bits(x, b'\t') | equal_bits(x, b'\r') | feeds,
            feeds,
        }
    }

    #[inline(always)]
    fn borders(self, block: &[u8; 64]) -> Borders {
        let x = load(block);
        Borders {
            feeds: equal_bits(x, b'\n'),
            opens: equal_bits(x, b'{'),
            closes: equal_bits(x, b'}'),
            slashes: equal_bits(x, b'\\'),
            high: high_bits(x),
        }
    }

    #[inline(always)]
    fn equal(self, block: &[u8; 64], fold: u8, byte: u8) -> u64 {
        // SAFETY: `self` is proof of AVX-512.
        equal_bits(unsafe { _mm512_or_si512(load(block), _mm512_set1_epi8(fold as i8)) }, byte)
    }

    #[inline(always)]
    fn running_parity(self, bits: u64) -> u64 {
        multiplied(bits)
    }

    #[inline(always)]
    fn deposit(self, numbers: u64, places: u64) -> u64 {
        // SAFETY: `self` is proof of BMI2.
        unsafe { _pdep_u64(numbers, places) }
    }

    #[inline(always)]
    fn places(self, bits: u64, base: u16, out: &mut [u16; 64]) {
        // SAFETY: `self` is proof of AVX-512 on bytes with compression; each half of `out` takes 64 bytes.
        unsafe {
            let places = _mm512_maskz_compress_epi8(bits, load(&NUMBERS));
            let base = _mm512_set1_epi16(base as i16);
            let low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(places));
            _mm512_storeu_si512(out.as_mut_ptr().cast(), _mm512_add_epi16(low, base));
            if bits.count_ones() > 32 {
                let high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(places, 1));
                _mm512_storeu_si512(out[32..].as_mut_ptr().cast(), _mm512_add_epi16(high, base));
            }
        }
    }

    #[inline(always)]
    fn none(self) -> __m256i {
        // SAFETY: `self` is proof of AVX-512, which has AVX.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn differ(self, so_far: __m256i, a: &[u8; 32], b: &[u8; 32], mask: &[u8; 32]) -> __m256i {
        // SAFETY: `self` is proof of AVX-512 on short vectors. 0xf8: a or (b and c).
        unsafe {
            let differs = _mm256_xor_si256(load32(a), load32(b));
            _mm256_ternarylogic_epi32(so_far, differs, load32(mask), 0xf8)
        }
    }

    #[inline(always)]
    fn any(self, differences: __m256i) -> bool {
        // SAFETY: `self` is proof of AVX-512, which has AVX.
        unsafe { _mm256_testz_si256(differences, differences) == 0 }
    }
}

/// Runs a loop compiled for AVX2.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,pclmulqdq,popcnt")]
pub fn with_avx2<L: super::Loop>(simd: Avx2, work: L) -> L::Output {
    work.run(simd)
}

/// Runs a loop compiled for AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,pclmulqdq,popcnt")]
pub fn with_avx512<L: super::Loop>(simd: Avx512, work: L) -> L::Output {
    work.run(simd)
}
