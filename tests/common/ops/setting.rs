//! Knobs of the pools that the operations run on.

use arbitrary::Arbitrary;
use millpond::{Collect, Pool, Recycle};

use crate::common::flaky::Flaky;
use crate::common::ledger::Ledger;

/// Each by itself, so that tiers of any sizes meet. The first are the defaults.
const MIN_CLASSES: [usize; 8] = [256, 256, 256, 256, 16, 100, 1024, 8192];
const MAX_CLASSES: [usize; 8] = [4 << 20, 4 << 20, 4096, 4096, 1, 10_000, 64 << 10, 1 << 20];
const IDLE_LIMITS: [usize; 8] = [64 << 20, 64 << 20, 64 << 20, 20_000, 1, 1000, 256 << 10, 4 << 20];
const LOCAL_LIMITS: [usize; 8] = [4 << 20, 4 << 20, 5000, 5000, 1, 64 << 10, 100_000, 1 << 20];
const ALIGNS: [usize; 8] = [64, 64, 64, 1, 2, 16, 512, 4096];
const LIMITS: [Option<usize>; 8] = [None, None, None, None, Some(8 << 20), Some(8 << 20), Some(1 << 20), Some(100_000)];

/// Settings that make every tier small enough to overflow, or leave the defaults.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Setting {
    min_class: u8,
    max_class: u8,
    idle_limit: u8,
    local_limit: u8,
    align: u8,
    limit: u8,
    /// A quarter of them overwrite what comes back, which then takes the longer way.
    zero: u8,
    /// Half of them recycle, a quarter pass through, and a quarter are chaos.
    recycle: u8,
    /// Half of them note nothing, a quarter each get, and a quarter one in a few.
    track: u8,
}

impl Setting {
    pub fn pool(self, allocator: &Flaky) -> Pool<Flaky> {
        let min_class = pick(&MIN_CLASSES, self.min_class);
        let smallest = min_class.next_power_of_two();
        // There are 64 classes at most.
        let max_class = pick(&MAX_CLASSES, self.max_class).clamp(min_class, smallest << 15);
        let mut builder = Pool::builder_in(allocator.clone())
            .min_class(min_class)
            .max_class(max_class)
            .idle_limit(pick(&IDLE_LIMITS, self.idle_limit).max(smallest))
            .local_limit(pick(&LOCAL_LIMITS, self.local_limit).max(smallest))
            .align(pick(&ALIGNS, self.align))
            .collect(Collect::Manual)
            .zero_on_return(self.zero % 4 == 1);
        builder = builder.recycle(match self.recycle % 4 {
            1 => Recycle::Never,
            3 => Recycle::Chaos(self.recycle.into()),
            _ => Recycle::Always,
        });
        if let Some(limit) = self.limit() {
            builder = builder.limit(limit);
        }
        builder = match self.noted() {
            0 => builder,
            1 => builder.track(true),
            gets => builder.track_one_in(gets),
        };
        builder.build().expect("every setting is sound")
    }

    pub fn ledger(self) -> Ledger {
        self.limit().map_or_else(Ledger::new, Ledger::with_limit)
    }

    pub fn limit(self) -> Option<usize> {
        pick(&LIMITS, self.limit)
    }

    /// One get in so many; 0: none.
    pub fn noted(self) -> u32 {
        match self.track % 4 {
            1 => 1,
            3 => 2 + u32::from(self.track / 4 % 4),
            _ => 0,
        }
    }
}

fn pick<T: Copy>(from: &[T], n: u8) -> T {
    from[usize::from(n) % from.len()]
}
