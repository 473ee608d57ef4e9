//! Sums without rounding, after R. M. Neal, "Fast exact summation using small and large superaccumulators"
//! (arXiv:1505.05571): a wide fixed-point number to which floats are added as integers. Addition is exact, so order
//! and grouping cannot show in the result.
//!
//! Neal's accumulator spans all exponents, half a kilobyte; here only the range met so far is kept, since there can be
//! a sum for each of a million groups.

use num_bigint::{BigInt, BigUint, Sign};
use serde::{Deserialize, Serialize};

/// A sum of floats and integers, exact.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Exact {
    /// Digits of 32 bits with the same again for carries, lowest first, of either sign.
    digits: Vec<i64>,
    /// The weight of the lowest digit is 2^(32·`lowest`).
    lowest: i32,
    /// Additions since carries were last passed on.
    pending: u32,
    /// Something too large for a float was added.
    beyond: bool,
}

/// Bits of a digit.
const DIGIT: u32 = 32;
/// As many additions cannot overflow a digit: each adds less than 2^32.
const PATIENCE: u32 = 1 << 30;
/// Digits a word of 64 bits touches at any offset.
const SPAN: usize = 3;

impl Exact {
    /// Adds a finite float.
    #[inline]
    pub(super) fn add_float(&mut self, x: f64) {
        let (mantissa, exponent) = parts(x);
        self.add_word(mantissa, exponent, x < 0.0);
    }

    /// Adds the square of a finite float.
    #[inline]
    pub(super) fn add_square(&mut self, x: f64) {
        let (mantissa, exponent) = parts(x);
        self.add_wide(u128::from(mantissa) * u128::from(mantissa), 2 * exponent, false);
    }

    /// Adds an integer.
    pub(super) fn add_integer(&mut self, n: i128) {
        self.add_wide(n.unsigned_abs(), 0, n < 0);
    }

    /// Adds a non-negative integer.
    pub(super) fn add_unsigned(&mut self, n: u128) {
        self.add_wide(n, 0, false);
    }

    /// Adds an integer by its digits, `-?[0-9]+`. One that no float can hold leaves the sum without a value.
    pub(super) fn add_digits(&mut self, text: &str) {
        /// A float has fewer digits; also keeps the data from making us multiply numbers of a million digits.
        const LONGEST: usize = 309;
        let negative = text.starts_with('-');
        let digits = text.trim_start_matches('-').trim_start_matches('0');
        let number = if digits.len() <= LONGEST { BigUint::parse_bytes(digits.as_bytes(), 10) } else { None };
        match number {
            Some(n) if n.bits() <= 1024 => {
                for (i, word) in n.iter_u64_digits().enumerate() {
                    self.add_word(word, 64 * i as i32, negative);
                }
            }
            _ if digits.is_empty() => {}
            _ => self.beyond = true,
        }
    }

    /// Leaves the sum without a value.
    pub(super) fn add_beyond(&mut self) {
        self.beyond = true;
    }

    fn add_wide(&mut self, n: u128, exponent: i32, negative: bool) {
        self.add_word(n as u64, exponent, negative);
        self.add_word((n >> 64) as u64, exponent + 64, negative);
    }

    /// Adds ±`word`·2^`exponent`.
    #[inline]
    fn add_word(&mut self, word: u64, exponent: i32, negative: bool) {
        if word == 0 {
            return;
        }
        let place = exponent.div_euclid(DIGIT as i32);
        let shifted = u128::from(word) << exponent.rem_euclid(DIGIT as i32);
        for (i, digit) in self.window(place, SPAN).iter_mut().enumerate() {
            let part = i64::from((shifted >> (DIGIT * i as u32)) as u32);
            *digit += if negative { -part } else { part };
        }
        self.count_addition();
    }

    #[inline]
    fn count_addition(&mut self) {
        self.pending += 1;
        if self.pending >= PATIENCE {
            self.carry();
        }
    }

    /// The digits from `place` on, made if need be.
    #[inline]
    fn window(&mut self, place: i32, length: usize) -> &mut [i64] {
        if self.digits.is_empty() {
            self.lowest = place;
        }
        if place < self.lowest {
            let missing = (self.lowest - place) as usize;
            self.digits.splice(..0, std::iter::repeat_n(0, missing));
            self.lowest = place;
        }
        let start = (place - self.lowest) as usize;
        if self.digits.len() < start + length {
            self.digits.resize(start + length, 0);
        }
        &mut self.digits[start..start + length]
    }

    /// Brings all digits into 0..2^32, but the highest, which keeps the sign.
    fn carry(&mut self) {
        let mut carry = 0;
        for digit in &mut self.digits {
            let value = *digit + carry;
            *digit = value & i64::from(u32::MAX);
            carry = value >> DIGIT;
        }
        match (carry, self.digits.last_mut()) {
            (0, _) | (_, None) => {}
            // All ones above: the highest digit is a negative one.
            (-1, Some(last)) => *last -= 1 << DIGIT,
            (more, Some(_)) => self.digits.push(more),
        }
        self.pending = 0;
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, mut other: Exact) {
        self.beyond |= other.beyond;
        self.carry();
        other.carry();
        if !other.digits.is_empty() {
            let window = self.window(other.lowest, other.digits.len());
            window.iter_mut().zip(&other.digits).for_each(|(mine, theirs)| *mine += theirs);
            self.count_addition();
        }
    }

    /// The sum; `None` if something beyond the range of floats is in it.
    pub(super) fn total(&self) -> Option<Scaled> {
        if self.beyond {
            return None;
        }
        let number = self.digits.iter().rev().fold(BigInt::ZERO, |n, digit| (n << DIGIT) + digit);
        Some(Scaled { number, exponent: i64::from(self.lowest) * i64::from(DIGIT) })
    }

    /// Bytes of memory beside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.digits.capacity() * size_of::<i64>()
    }
}

/// `|x|` as integer times power of two.
#[inline]
fn parts(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match (bits >> 52) as i32 & 0x7ff {
        0 => (fraction, -1074),
        biased => (fraction | 1 << 52, biased - 1075),
    }
}

/// `number`·2^`exponent`.
#[derive(Clone, Debug)]
pub(super) struct Scaled {
    number: BigInt,
    exponent: i64,
}

impl Scaled {
    /// An integer.
    pub(super) fn integer(n: i128) -> Scaled {
        Scaled { number: n.into(), exponent: 0 }
    }

    /// `self`·`n`.
    pub(super) fn times(&self, n: u64) -> Scaled {
        Scaled { number: &self.number * n, exponent: self.exponent }
    }

    /// `self`².
    pub(super) fn squared(&self) -> Scaled {
        Scaled { number: &self.number * &self.number, exponent: 2 * self.exponent }
    }

    /// `self` - `other`.
    pub(super) fn minus(&self, other: &Scaled) -> Scaled {
        let exponent = self.exponent.min(other.exponent);
        let aligned = |s: &Scaled| &s.number << (s.exponent - exponent);
        Scaled { number: aligned(self) - aligned(other), exponent }
    }

    /// `self`/`divisor` if that is a 64-bit integer.
    pub(super) fn whole(&self, divisor: u64) -> Option<i64> {
        if self.exponent < 0 {
            return None;
        }
        let number = &self.number << self.exponent;
        let quotient = &number / divisor;
        if &quotient * divisor == number { i64::try_from(quotient).ok() } else { None }
    }

    /// The float nearest to `self`/`divisor`, ties to even; infinite beyond the range.
    pub(super) fn divided(&self, divisor: u64) -> f64 {
        self.ratio(&BigUint::from(divisor))
    }

    /// The float nearest to `self`/`divisor`², ties to even; infinite beyond the range.
    pub(super) fn divided_twice(&self, divisor: u64) -> f64 {
        self.ratio(&BigUint::from(u128::from(divisor) * u128::from(divisor)))
    }

    fn ratio(&self, divisor: &BigUint) -> f64 {
        let magnitude = self.number.magnitude();
        if magnitude.bits() == 0 {
            return 0.0;
        }
        // A quotient of 66 or 67 bits has enough to round; its lowest bit also stands for whatever is cut off.
        let shift = 66 + divisor.bits() as i64 - magnitude.bits() as i64;
        let (above, below) = match shift >= 0 {
            true => (magnitude << shift, divisor.clone()),
            false => (magnitude.clone(), divisor << -shift),
        };
        let quotient = &above / &below;
        let inexact = &quotient * &below != above;
        let bits = u128::try_from(quotient).expect("a quotient of at most 67 bits") | u128::from(inexact);
        let x = nearest(bits, self.exponent - shift);
        if self.number.sign() == Sign::Minus { -x } else { x }
    }
}

/// The float nearest to `bits`·2^`exponent`, ties to even. `bits` has more than 54 bits.
fn nearest(bits: u128, exponent: i64) -> f64 {
    let top = i64::from(128 - bits.leading_zeros()) + exponent;
    // Weight of the lowest bit of the result; below 2^-1022 floats have fewer bits.
    let unit = (top - 53).max(-1074);
    let drop = unit - exponent;
    if drop > 100 {
        return 0.0;
    }
    let kept = (bits >> drop) as u64;
    let (cut, half) = (bits & ((1 << drop) - 1), 1 << (drop - 1));
    let up = cut > half || (cut == half && kept & 1 == 1);
    (kept + u64::from(up)) as f64 * power_of_two(unit)
}

/// 2^n for n of at least -1074.
fn power_of_two(n: i64) -> f64 {
    match n {
        ..=-1023 => f64::from_bits(1 << (n + 1074)),
        -1022..=1023 => f64::from_bits(((n + 1023) as u64) << 52),
        _ => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agg::tests::Random;

    fn sum(floats: &[f64]) -> f64 {
        let mut exact = Exact::default();
        floats.iter().for_each(|x| exact.add_float(*x));
        exact.total().expect("finite").divided(1)
    }

    #[test]
    fn hard_sums() {
        let tiny = f64::from_bits(1);
        // Half the distance from the greatest float to what would be the next.
        let half = power_of_two(970);
        let cases: &[(&[f64], f64)] = &[
            (&[], 0.0),
            (&[0.1, 0.2, 0.3], 0.6),
            (&[1e16, 1.0, -1e16], 1.0),
            (&[1e308, 1e308, -1e308], 1e308),
            (&[f64::MAX, f64::MAX], f64::INFINITY),
            (&[f64::MAX, -f64::MAX, tiny], tiny),
            (&[tiny, tiny], 2.0 * tiny),
            (&[-tiny], -tiny),
            (&[f64::MIN_POSITIVE, -tiny], f64::MIN_POSITIVE - tiny),
            // Halfway between two floats: to the even one, unless the least bit tips it.
            (&[9007199254740992.0, 1.0], 9007199254740992.0),
            (&[9007199254740994.0, 1.0], 9007199254740996.0),
            (&[9007199254740992.0, 1.0, tiny], 9007199254740994.0),
            (&[9007199254740992.0, 1.0, -tiny], 9007199254740992.0),
            (&[-9007199254740992.0, -1.0, -tiny], -9007199254740994.0),
            // Rounds up into the next power of two, and out of range.
            (&[f64::MAX, half], f64::INFINITY),
            (&[f64::MAX, half.next_down()], f64::MAX),
        ];
        for (floats, expected) in cases {
            assert_eq!(sum(floats).to_bits(), expected.to_bits(), "{floats:?}");
        }
    }

    #[test]
    fn order_and_grouping_do_not_show() {
        let mut random = Random(5);
        for _ in 0..200 {
            let floats: Vec<f64> = (0..50)
                .map(|_| {
                    let near = f64::from_bits(random.next() & !(0x7ff << 52) | (1023 + random.below(60)) << 52);
                    let far = f64::from_bits(random.next());
                    if random.below(4) == 0 && far.is_finite() { far } else { near }
                })
                .collect();
            let expected = sum(&floats);
            let mut shuffled = floats.clone();
            for i in (1..shuffled.len()).rev() {
                shuffled.swap(i, random.below(i as u64 + 1) as usize);
            }
            let mut total = Exact::default();
            for part in shuffled.chunks(7) {
                let mut exact = Exact::default();
                part.iter().for_each(|x| exact.add_float(*x));
                total.merge(exact);
            }
            assert_eq!(total.total().expect("finite").divided(1).to_bits(), expected.to_bits());
            if expected.is_finite() {
                assert_nearest(&floats, expected);
            }
        }
    }

    /// No neighbour of `x` is nearer to the true sum, computed with integers of 2200 bits.
    fn assert_nearest(floats: &[f64], x: f64) {
        let scaled = |x: f64| {
            let (mantissa, exponent) = parts(x);
            let n = BigInt::from(mantissa) << (exponent + 1074);
            if x < 0.0 { -n } else { n }
        };
        let total: BigInt = floats.iter().map(|x| scaled(*x)).sum();
        let distance = |x: f64| (scaled(x) - &total).into_parts().1;
        for neighbour in [x.next_up(), x.next_down()].into_iter().filter(|n| n.is_finite()) {
            assert!(distance(x) <= distance(neighbour), "{x} {neighbour}");
        }
    }

    #[test]
    fn carries_are_passed_on_in_time() {
        for sign in [1.0, -1.0] {
            let mut exact = Exact { pending: PATIENCE - 3, ..Exact::default() };
            for _ in 0..10 {
                exact.add_float(sign * 4294967295.5);
            }
            assert!(exact.pending < 10);
            assert_eq!(exact.total().expect("finite").divided(1), sign * 42949672955.0);
        }
    }

    #[test]
    fn integers_and_digits() {
        let mut exact = Exact::default();
        exact.add_digits("-100000000000000000000000000000000000000000");
        exact.add_integer(i128::from(i64::MIN));
        exact.add_digits("100000000000000000000000000000000000000000");
        exact.add_unsigned(7);
        let total = exact.total().expect("finite");
        assert_eq!(total.whole(1), Some(i64::MIN + 7));
        assert_eq!(total.whole(2), None);
        assert_eq!(total.divided(2), (i64::MIN + 7) as f64 / 2.0);
        exact.add_digits(&"9".repeat(400));
        exact.add_digits(&format!("-{}", "9".repeat(400)));
        assert!(exact.total().is_none());
    }

    #[test]
    fn squares_are_exact() {
        let x = 1.0 + f64::EPSILON;
        let mut exact = Exact::default();
        exact.add_square(x);
        exact.add_float(-1.0);
        exact.add_float(-2.0 * f64::EPSILON);
        assert_eq!(exact.total().expect("finite").divided(1), f64::EPSILON * f64::EPSILON);
    }
}
