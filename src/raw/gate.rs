//! The gate: how a collector may enter what an owner uses without read-modify-writes.
//!
//! Dekker's scheme. The owner says "busy" and then looks whether it is revoked; a collector revokes and then looks
//! whether the owner is busy. With a fence in between on both sides (see `barrier`) at least one of them sees the other.
//! The owner never waits: if it is revoked it goes another way.
#![forbid(unsafe_code)]

use crate::raw::barrier;
use crate::sync::{AtomicU8, Backoff, Ordering, Word};

/// The owner may come in without a fence of its own: the system's barrier was there when this was written.
const OPEN: u8 = 0;
/// The owner may come in with a fence.
const OPEN_FENCED: u8 = 1;
/// The owner must stay out.
const REVOKED: u8 = 2;

/// Set in the owner's word while it is inside.
const BUSY: u64 = 1 << 7;

#[derive(Debug)]
pub(crate) struct Gate {
    /// Written by the owner only, also with what it has to say of its visit, so that saying "busy" and taking it back cost
    /// no store of their own.
    word: Word,
    /// One of the above. Written by collectors, one at a time, and by the closer.
    sign: AtomicU8,
}

/// The owner is inside. Leaves on drop, so that nothing in between can keep the gate shut.
#[derive(Debug)]
pub(crate) struct Entered<'gate> {
    gate: &'gate Gate,
    /// What the word will be.
    pub(crate) word: u64,
}

fn open() -> u8 {
    if barrier::registered() { OPEN } else { OPEN_FENCED }
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { word: Word::new(0), sign: AtomicU8::new(open()) }
    }

    /// The owner goes in, unless it is revoked.
    #[inline(always)]
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        // Relaxed: nobody else writes it; a new owner comes after the former one's last store (see `thread_id`).
        let word = self.word.load(Ordering::Relaxed);
        // Not twice: nothing inside calls what could come here again.
        debug_assert_eq!(word & BUSY, 0);
        // Relaxed: ordered before the load below by the light fence, against `revoke` and `heavy` in a collector.
        self.word.store(word + BUSY, Ordering::Relaxed);
        let entered = Entered { gate: self, word };
        barrier::light();
        // Acquire: pairs with the Release of `reinstate`: what the collector did inside comes first.
        if self.sign.load(Ordering::Acquire) == OPEN { Some(entered) } else { entered.with_fence() }
    }

    /// A collector asks the owner to stay out. It may look at [`left`](Self::left) only after a heavy fence.
    pub(crate) fn revoke(&self) {
        // Relaxed: the heavy fence orders it.
        self.sign.store(REVOKED, Ordering::Relaxed);
    }

    /// Whether the owner is outside, after a bounded wait of a few microseconds.
    pub(crate) fn left(&self) -> bool {
        let patience = Backoff::new();
        loop {
            // Acquire: pairs with the Release of `Entered::drop`: the owner's visit comes before the collector's.
            if self.word.load(Ordering::Acquire) & BUSY == 0 {
                return true;
            }
            if cfg!(loom) || patience.is_completed() {
                return false;
            }
            patience.snooze();
        }
    }

    /// A collector lets the owner in again.
    pub(crate) fn reinstate(&self) {
        // Release: pairs with the Acquire of `enter`.
        self.sign.store(open(), Ordering::Release);
    }

    /// The owner's word as of some recent moment, without its "busy".
    pub(crate) fn glance(&self) -> u64 {
        self.word.load(Ordering::Relaxed) & !BUSY
    }
}

impl Entered<'_> {
    /// In the caller's code as well: a call would double what a pair costs where the system has no barrier, or none yet.
    #[inline(always)]
    fn with_fence(self) -> Option<Self> {
        barrier::fenced();
        // Acquire: as in `enter`. Revoked: `self` is dropped. A collector that reads that store may conclude that our earlier
        // visits are over; the fence above carries them.
        (self.gate.sign.load(Ordering::Acquire) != REVOKED).then_some(self)
    }
}

impl Drop for Entered<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // Release: pairs with the Acquire of `left`. The last touch of the pool on this path.
        self.gate.word.store(self.word, Ordering::Release);
    }
}
