//! Small fixed random source (SplitMix64) and a Zipf sampler, so output never changes with a crate.

#[derive(Clone)]
pub struct Rng(u64);

pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    pub fn new(seed: u64, stream: u64) -> Self {
        Rng(mix(seed ^ mix(stream.wrapping_add(0x9e37_79b9))))
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    pub fn pick<'a, T>(&mut self, xs: &'a [T]) -> &'a T {
        &xs[self.below(xs.len() as u64) as usize]
    }
    /// `table` holds (weight, value); weights need not sum to anything.
    pub fn weighted<T: Copy>(&mut self, table: &[(u32, T)]) -> T {
        let mut r = self.below(table.iter().map(|t| t.0 as u64).sum()) as u32;
        for &(w, v) in table {
            if r < w {
                return v;
            }
            r -= w;
        }
        unreachable!()
    }
    pub fn hex(&mut self, out: &mut Vec<u8>, digits: usize) {
        let mut bits = 0;
        for i in 0..digits {
            if i % 16 == 0 {
                bits = self.next()
            }
            out.push(b"0123456789abcdef"[(bits & 15) as usize]);
            bits >>= 4;
        }
    }
    pub fn uuid(&mut self, out: &mut Vec<u8>) {
        for (i, n) in [8, 4, 4, 4, 12].into_iter().enumerate() {
            if i > 0 {
                out.push(b'-')
            }
            self.hex(out, n);
        }
    }
}

/// Rank r (from 0) drawn with probability ~ 1/(r+1)^s.
pub struct Zipf(Vec<f64>);

impl Zipf {
    pub fn new(n: usize, s: f64) -> Self {
        let mut sum = 0.0;
        let mut cdf: Vec<f64> = (1..=n)
            .map(|k| {
                sum += 1.0 / (k as f64).powf(s);
                sum
            })
            .collect();
        cdf.iter_mut().for_each(|c| *c /= sum);
        Zipf(cdf)
    }
    pub fn draw(&self, rng: &mut Rng) -> u64 {
        let u = rng.unit();
        self.0.partition_point(|&c| c < u).min(self.0.len() - 1) as u64
    }
}

/// Civil date of a Unix day number (Howard Hinnant's algorithm).
pub fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = ((doy - (153 * mp + 2) / 5 + 1) as u32, (if mp < 10 { mp + 3 } else { mp - 9 }) as u32);
    (yoe + era * 400 + (m <= 2) as i64, m, d)
}
