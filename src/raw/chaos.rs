//! Chaos: what [`Recycle::Chaos`](crate::Recycle::Chaos) does to drops, from a seed, so that a program which relies on a block
//! staying, or on staying the same, is found out.
#![forbid(unsafe_code)]

use crate::raw::splitmix::{STEP, mix};
use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Blocks that a magazine holds under chaos, where each cell of a bucket is hard to come by as well.
pub(crate) const MAGAZINE: usize = 2;

/// What becomes of a pool when a block comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whim {
    /// Nothing out of the ordinary.
    Keep,
    /// The block is released, as if there were no room.
    Discard,
    /// A collection comes first.
    Collect,
    /// A purge comes first.
    Purge,
}

/// A pool's whims: one for each block that comes back, in an order that the seed says.
#[derive(Debug)]
pub(crate) struct Chaos {
    state: AtomicU64,
}

impl Chaos {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// A quarter of the blocks are released, as Go's race detector does with `sync.Pool`.
    pub(crate) fn whim(&self) -> Whim {
        match self.next() % 64 {
            0..16 => Whim::Discard,
            16..19 => Whim::Collect,
            19 => Whim::Purge,
            _ => Whim::Keep,
        }
    }

    /// The same, where a drop only discards: a whim to collect is none here.
    #[cfg(feature = "arena")]
    pub(crate) fn discards(&self) -> bool {
        self.whim() == Whim::Discard
    }

    fn next(&self) -> u64 {
        // Relaxed: nothing but the number is concluded from it.
        mix(self.state.fetch_add(STEP, Relaxed).wrapping_add(STEP))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_discarded_and_every_whim_has_its_turn() {
        let chaos = Chaos::new(0);
        let whims: Vec<_> = (0..6400).map(|_| chaos.whim()).collect();
        let count = |wanted| whims.iter().filter(|whim| **whim == wanted).count();
        assert!((1500..1700).contains(&count(Whim::Discard)));
        assert!(count(Whim::Collect) > 200 && count(Whim::Purge) > 60);
        assert!(count(Whim::Keep) > 4000);
    }
}
