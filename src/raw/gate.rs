//! The gate: how a collector may enter a slot whose owner uses it without read-modify-writes.
//!
//! Dekker's scheme. The owner says "busy" and then looks whether it is revoked; a collector revokes and then looks
//! whether the owner is busy. With a fence in between on both sides (see `barrier`) at least one of them sees the other.
//! The owner never waits: if it is revoked it goes another way.
#![forbid(unsafe_code)]

use crate::raw::barrier;
use crate::sync::{AtomicBool, Backoff, Ordering};

#[derive(Debug)]
pub(crate) struct Gate {
    /// Written by the owner only.
    busy: AtomicBool,
    /// Written by collectors, one at a time, and by the closer.
    revoked: AtomicBool,
}

/// The owner is inside. Leaves on drop, so that nothing in between can keep the gate shut.
#[derive(Debug)]
pub(crate) struct Entered<'gate>(&'gate Gate);

impl Gate {
    pub(crate) fn new() -> Self {
        Self { busy: AtomicBool::new(false), revoked: AtomicBool::new(false) }
    }

    /// The owner goes in, unless it is revoked.
    #[inline(always)]
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        // Relaxed: ordered before the load below by the light fence, against `revoke` and `heavy` in a collector.
        self.busy.store(true, Ordering::Relaxed);
        barrier::light();
        let entered = Entered(self);
        // Acquire: pairs with the Release of `reinstate`: what the collector did in the slot comes first.
        // Revoked: `entered` is dropped, with Release. A collector that reads that store may conclude that our earlier
        // visits are over, so it must carry them.
        (!self.revoked.load(Ordering::Acquire)).then_some(entered)
    }

    /// A collector asks for the slot. It may look at [`left`](Self::left) only after a heavy fence.
    pub(crate) fn revoke(&self) {
        // Relaxed: the heavy fence orders it.
        self.revoked.store(true, Ordering::Relaxed);
    }

    /// Whether the owner is outside, after a bounded wait of a few microseconds.
    pub(crate) fn left(&self) -> bool {
        let patience = Backoff::new();
        loop {
            // Acquire: pairs with the Release of `Entered::drop`: the owner's visit comes before the collector's.
            if !self.busy.load(Ordering::Acquire) {
                return true;
            }
            if cfg!(loom) || patience.is_completed() {
                return false;
            }
            patience.snooze();
        }
    }

    /// A collector gives the slot back to its owner.
    pub(crate) fn reinstate(&self) {
        // Release: pairs with the Acquire of `enter`.
        self.revoked.store(false, Ordering::Release);
    }
}

impl Drop for Entered<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // Release: pairs with the Acquire of `left`. The last touch of the pool on this path.
        self.0.busy.store(false, Ordering::Release);
    }
}
