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
    /// `\`
    pub slashes: u64,
    /// Control characters.
    pub control: u64,
    /// Bytes of 128 and more: not ASCII.
    pub high: u64,
}

/// What the bytes of a block are in JSON, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// `"`
    pub quotes: u64,
    /// `\`
    pub slashes: u64,
    /// Control characters, white space among them.
    pub control: u64,
    /// Bytes of 128 and more: not ASCII.
    pub high: u64,
    /// `{`, `}`, `[`, `]`, `:` and `,`
    pub operators: u64,
    /// Space, tab, line feed and carriage return.
    pub space: u64,
    /// Line feeds.
    pub feeds: u64,
}

/// What tells the ends of lines in a block, and which lines need a closer look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Borders {
    /// Line feeds.
    pub feeds: u64,
    /// `{`
    pub opens: u64,
    /// `}`
    pub closes: u64,
    /// `\`
    pub slashes: u64,
    /// Bytes of 128 and more.
    pub high: u64,
}

/// The bytes of a block that tell where lists and maps end, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brackets {
    /// `"`
    pub quotes: u64,
    /// `\`
    pub slashes: u64,
    /// `{` and `[`
    pub opens: u64,
    /// `}` and `]`
    pub closes: u64,
    /// Line feeds.
    pub feeds: u64,
}

/// The operations. A value of the type is proof that the processor has them.
pub trait Simd: Copy {
    /// Differences found so far.
    type Differences: Copy;

    /// Asks for the memory some blocks behind `at`, which will be looked at soon.
    #[inline(always)]
    fn prefetch(self, _data: &[u8], _at: usize) {}

    /// The marks of a block.
    fn marks(self, block: &[u8; 64]) -> Marks;

    /// The structure of a block.
    fn structure(self, block: &[u8; 64]) -> Structure;

    /// The borders of lines in a block.
    fn borders(self, block: &[u8; 64]) -> Borders;

    /// The brackets of a block.
    #[inline(always)]
    fn brackets(self, block: &[u8; 64]) -> Brackets {
        Brackets {
            quotes: self.equal(block, 0, b'"'),
            slashes: self.equal(block, 0, b'\\'),
            // Square brackets differ from curly ones by one bit.
            opens: self.equal(block, 0x20, b'{'),
            closes: self.equal(block, 0x20, b'}'),
            feeds: self.equal(block, 0, b'\n'),
        }
    }

    /// The bytes of a block that are `byte` once the bits of `fold` are set in them.
    fn equal(self, block: &[u8; 64], fold: u8, byte: u8) -> u64;

    /// Bit `i` is the parity of the bits up to `i`: from quotes, what lies between them.
    #[inline(always)]
    fn running_parity(self, mut bits: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }

    /// The bits of `places` whose number, counted among the set bits of `places`, is a set bit of `numbers`.
    fn deposit(self, numbers: u64, places: u64) -> u64;

    /// Writes the number of each set bit, plus `base`, to `out`. What stands behind the last in `out` is lost.
    fn places(self, bits: u64, base: u16, out: &mut [u16; 64]);

    /// No differences.
    fn none(self) -> Self::Differences;

    /// Adds where `a` and `b` differ in bits set in `mask`.
    fn differ(self, so_far: Self::Differences, a: &[u8; 32], b: &[u8; 32], mask: &[u8; 32]) -> Self::Differences;

    /// True if there are differences.
    fn any(self, differences: Self::Differences) -> bool;
}

/// Writes the places of set bits one by one; four in one go at first, for a loop of unknown length costs more.
#[inline(always)]
fn places_one_by_one(mut bits: u64, base: u16, out: &mut [u16; 64]) {
    for place in &mut out[..4] {
        *place = base.wrapping_add(bits.trailing_zeros() as u16);
        bits &= bits.wrapping_sub(1);
    }
    for place in &mut out[4..] {
        if bits == 0 {
            break;
        }
        *place = base.wrapping_add(bits.trailing_zeros() as u16);
        bits &= bits - 1;
    }
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
    type Differences = u64;

    #[inline(always)]
    fn marks(self, block: &[u8; 64]) -> Marks {
        Marks {
            quotes: Words::each(block, |x| Words::equal(x, b'"')),
            slashes: Words::each(block, |x| Words::equal(x, b'\\')),
            control: Words::each(block, |x| Words::below(x, b' ')),
            high: Words::each(block, |x| x),
        }
    }

    #[inline(always)]
    fn structure(self, block: &[u8; 64]) -> Structure {
        let equal = |byte| Words::each(block, |x| Words::equal(x, byte));
        let braces = |byte| Words::each(block, |x| Words::equal(x | (ONES * 0x20), byte));
        let feeds = equal(b'\n');
        Structure {
            quotes: equal(b'"'),
            slashes: equal(b'\\'),
            control: Words::each(block, |x| Words::below(x, b' ')),
            high: Words::each(block, |x| x),
            operators: braces(b'{') | braces(b'}') | equal(b':') | equal(b','),
            space: equal(b' ') | equal(b'\t') | equal(b'\r') | feeds,
            feeds,
        }
    }

    #[inline(always)]
    fn borders(self, block: &[u8; 64]) -> Borders {
        let equal = |byte| Words::each(block, |x| Words::equal(x, byte));
        Borders {
            feeds: equal(b'\n'),
            opens: equal(b'{'),
            closes: equal(b'}'),
            slashes: equal(b'\\'),
            high: Words::each(block, |x| x),
        }
    }

    #[inline(always)]
    fn equal(self, block: &[u8; 64], fold: u8, byte: u8) -> u64 {
        Words::each(block, |x| Words::equal(x | (ONES * u64::from(fold)), byte))
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
    fn places(self, bits: u64, base: u16, out: &mut [u16; 64]) {
        places_one_by_one(bits, base, out);
    }

    #[inline(always)]
    fn none(self) -> u64 {
        0
    }

    #[inline(always)]
    fn differ(self, so_far: u64, a: &[u8; 32], b: &[u8; 32], mask: &[u8; 32]) -> u64 {
        let word = |x: &[u8]| u64::from_le_bytes(x.try_into().expect("chunks of eight"));
        let words = a.chunks_exact(8).zip(b.chunks_exact(8)).zip(mask.chunks_exact(8));
        words.fold(so_far, |all, ((a, b), mask)| all | (word(a) ^ word(b)) & word(mask))
    }

    #[inline(always)]
    fn any(self, differences: u64) -> bool {
        differences != 0
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;

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

    /// Everything a level gives for a block.
    struct All<'b> {
        block: &'b [u8; 64],
        other: &'b [u8; 32],
        mask: &'b [u8; 32],
        numbers: u64,
    }

    type Answers = (Marks, Structure, Borders, u64, u64, Vec<u16>, bool);

    impl Loop for All<'_> {
        type Output = Answers;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Answers {
            let All { block, other, mask, numbers } = self;
            let marks = simd.marks(block);
            let mut places = [0; 64];
            simd.places(numbers, 100, &mut places);
            let differences = simd.differ(simd.none(), block.first_chunk().expect("32 of 64"), other, mask);
            (
                marks,
                simd.structure(block),
                simd.borders(block),
                simd.equal(block, 0x20, b'{'),
                simd.deposit(numbers, marks.quotes),
                places[..numbers.count_ones() as usize].to_vec(),
                simd.any(differences),
            )
        }
    }

    /// The same, by definition.
    fn by_definition(all: &All<'_>) -> Answers {
        let bits = |f: &dyn Fn(u8) -> bool| (0..64).fold(0u64, |bits, i| bits | u64::from(f(all.block[i])) << i);
        let byte = |byte: u8| bits(&|b| b == byte);
        let (quotes, slashes, high, feeds) = (byte(b'"'), byte(b'\\'), bits(&|b| b >= 128), byte(b'\n'));
        let deposit = (0..64).filter(|i| quotes >> i & 1 == 1).enumerate();
        let differs = (0..32).any(|i| (all.block[i] ^ all.other[i]) & all.mask[i] != 0);
        (
            Marks { quotes, slashes, control: bits(&|b| b < b' '), high },
            Structure {
                quotes,
                slashes,
                control: bits(&|b| b < b' '),
                high,
                operators: bits(&|b| b"{}[]:,".contains(&b)),
                space: bits(&|b| b" \t\r\n".contains(&b)),
                feeds,
            },
            Borders { feeds, opens: byte(b'{'), closes: byte(b'}'), slashes, high },
            bits(&|b| b | 0x20 == b'{'),
            deposit.fold(0u64, |out, (number, place)| out | (all.numbers >> number & 1) << place),
            (0..64).filter(|i| all.numbers >> i & 1 == 1).map(|i| 100 + i).collect(),
            differs,
        )
    }

    #[test]
    fn every_level_agrees_with_the_definition() {
        let mut next = random();
        let odd = b"\"\"\"\"\\\n\r\t {}[],:\x1f\x20\x21\x7f\x80\xff";
        for round in 0..3000 {
            let block: [u8; 64] = std::array::from_fn(|_| match next() {
                n if round % 3 == 0 => n as u8,
                n if round % 3 == 1 => odd[n as usize % odd.len()],
                n => odd[(n as usize % 3) * 4],
            });
            let other: [u8; 32] =
                std::array::from_fn(|i| if next().is_multiple_of(40) { next() as u8 } else { block[i] });
            let mask: [u8; 32] = std::array::from_fn(|_| next() as u8);
            let numbers = if round % 2 == 0 { next() } else { next() & next() & next() };
            let all = || All { block: &block, other: &other, mask: &mask, numbers };
            let expected = by_definition(&all());
            for level in Level::all() {
                assert_eq!(dispatch(level, all()), expected, "{level:?} {block:?}");
            }
        }
    }
}
