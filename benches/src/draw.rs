//! Sizes drawn in advance, the same on every run, so that runs can be compared.

use std::f64::consts::TAU;
use std::sync::Arc;

/// So many sizes, log-normal around the geometric mean of the bounds, which are three standard deviations away from it.
#[must_use]
pub fn log_normal(smallest: usize, largest: usize, count: usize) -> Arc<[usize]> {
    let mut random = Random::default();
    let (smallest, largest) = (smallest as f64, largest as f64);
    let middle = (smallest * largest).sqrt();
    let deviation = (largest / middle).ln() / 3.0;
    let mut size = || {
        // Box and Muller; one minus, as the logarithm of zero is none.
        let normal = (-2.0 * (1.0 - random.uniform()).ln()).sqrt() * (TAU * random.uniform()).cos();
        ((normal * deviation).exp() * middle).clamp(smallest, largest) as usize
    };
    (0..count).map(|_| size()).collect()
}

/// Splitmix64.
#[derive(Clone)]
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x6d69_6c6c_706f_6e64)
    }
}

impl Random {
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    #[inline]
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Below `bound`.
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        (self.draw() as usize) % bound
    }
}
