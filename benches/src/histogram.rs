//! Many durations, of which only the distribution matters.

use std::time::Duration;

/// How many of something took how many nanoseconds; counted, as a sample that is written to fresh memory waits for a page.
pub struct Histogram {
    counts: Vec<u64>,
    pub most: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; 1 << 16], most: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, time: Duration) {
        #[expect(clippy::cast_possible_truncation, reason = "it would have taken 500 years")]
        let nanos = time.as_nanos() as u64;
        self.most = self.most.max(nanos);
        let last = self.counts.len() - 1;
        self.counts[usize::try_from(nanos).map_or(last, |nanos| nanos.min(last))] += 1;
    }

    #[must_use]
    pub fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What such a share of them is not above. The last of the counts stands for all above.
    #[must_use]
    pub fn quantile(&self, share: f64) -> usize {
        let wanted = self.samples() as f64 * share;
        let mut below = 0;
        let reaches = |count: &u64| {
            below += count;
            below as f64 >= wanted
        };
        self.counts.iter().position(reaches).unwrap_or(0)
    }
}
