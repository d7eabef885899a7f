//! Settings of the pools that interpreters of operations run on, and what one of them reports for a layout.

use std::alloc::Layout;

use arbitrary::Arbitrary;
use millpond::{Collect, Pool, Recycle};

use super::ledger::Ledger;
use super::scarce::Scarce;

/// Most are the default.
const ALIGNS: [usize; 6] = [64, 64, 64, 1, 16, 4096];

/// The smallest and the largest class, both powers of two, the limit on all that is idle and on each thread's part. Most are the default.
const SIZES: [[usize; 4]; 6] = [
    [256, 4 << 20, 64 << 20, 4 << 20],
    [256, 4 << 20, 64 << 20, 4 << 20],
    [256, 4096, 20_000, 5000],
    [16, 512, 2000, 600],
    [1024, 64 << 10, 256 << 10, 64 << 10],
    [4096, 4096, 4096, 4096],
];

/// Settings that make every tier small enough to overflow, or leave the defaults.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Setting {
    sizes: u8,
    limited: bool,
    zero: bool,
    /// Half of them recycle, a quarter pass through, and a quarter are chaos.
    recycle: u8,
    align: u8,
}

impl Setting {
    /// `limit`: of a pool that has one.
    pub fn pool(self, allocator: &Scarce, limit: usize) -> Pool<Scarce> {
        let [min_class, max_class, idle_limit, local_limit] = self.sizes();
        let mut builder = Pool::builder_in(allocator.clone()).collect(Collect::Manual).zero_on_return(self.zero);
        builder = builder.min_class(min_class).max_class(max_class).idle_limit(idle_limit).local_limit(local_limit);
        // What is neither a buffer nor an object is on no list.
        builder = builder.track(self.recycle & 16 != 0);
        builder = builder.align(self.align()).recycle(match self.recycle % 4 {
            1 => Recycle::Never,
            3 => Recycle::Chaos(self.recycle.into()),
            _ => Recycle::Always,
        });
        if self.limited {
            builder = builder.limit(limit);
        }
        builder.build().expect("every setting is sound")
    }

    pub fn ledger(self, limit: usize) -> Ledger {
        if self.limited { Ledger::with_limit(limit) } else { Ledger::new() }
    }

    pub fn limited(self) -> bool {
        self.limited
    }

    pub fn passes_through(self) -> bool {
        self.recycle % 4 == 1
    }

    fn align(self) -> usize {
        ALIGNS[usize::from(self.align) % ALIGNS.len()]
    }

    fn sizes(self) -> [usize; 4] {
        SIZES[usize::from(self.sizes) % SIZES.len()]
    }

    /// The size of the block of a class that a layout gets from the pool as an allocator; none if it gets one of its own.
    fn class(self, layout: Layout) -> Option<usize> {
        let [min_class, max_class, ..] = self.sizes();
        let pooled = (min_class / 2..=max_class).contains(&layout.size()) && layout.align() <= self.align();
        pooled.then(|| self.capacity(layout.size()))
    }

    /// The length that the pool as an allocator reports.
    pub fn reported(self, layout: Layout) -> usize {
        self.class(layout).unwrap_or(layout.size())
    }

    /// Whether it comes straight from the pool's allocator.
    pub fn is_direct(self, layout: Layout) -> bool {
        self.class(layout).is_none()
    }

    /// The bytes that a block of `to` takes beside one of `from`, which is still there: none where that one will do.
    pub fn takes(self, from: Option<Layout>, to: Layout) -> usize {
        let stays = from.is_some_and(|from| match (self.class(from), self.class(to)) {
            (Some(old), Some(new)) => old == new,
            // Its own allocator makes it smaller.
            (None, None) => to.size() < from.size() && !self.zero,
            _ => false,
        });
        if stays { 0 } else { self.reported(to) }
    }

    /// The capacity of a buffer for so many bytes.
    pub fn capacity(self, len: usize) -> usize {
        let [min_class, max_class, ..] = self.sizes();
        let len = len.max(min_class);
        if len <= max_class { len.next_multiple_of(1 << ((len - 1).ilog2() - 2)) } else { len }
    }
}
