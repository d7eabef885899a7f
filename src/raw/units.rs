//! Who keeps a pool alive: handles, and units (one for each block that is out).
//!
//! A buffer owns no reference count. A slot counts its own gets and puts inside its gate; every other path counts in
//! `live`, which starts at a bias so that it cannot reach zero before the closer has added the slots' sum and taken
//! the bias away. Whoever makes it zero then frees the pool.
//!
//! Until then it may drift without bound: where slots count the gets and the shared way the puts, it falls by one for each
//! buffer that passes, for ever. 64 bits last for centuries of that, 32 would not last for an hour.
#![forbid(unsafe_code)]

use crate::sync::{AtomicI64, AtomicUsize, Ordering};

const BIAS: i64 = i64::MAX / 2;

#[derive(Debug)]
pub(crate) struct Units {
    live: AtomicI64,
}

impl Units {
    pub(crate) fn new() -> Self {
        Self { live: AtomicI64::new(BIAS) }
    }

    /// Counts a block out. The caller holds a handle or another unit, so nobody frees the pool meanwhile.
    pub(crate) fn count_out(&self) {
        // Relaxed: it publishes nothing; the unit's end is what must be ordered.
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a block back: the caller's last touch of the pool. True if it must free the pool.
    #[must_use]
    pub(crate) fn count_back(&self) -> bool {
        // Release: pairs with the Acquire of `settled`, in whoever frees: all that this unit did comes before the free.
        self.settled(self.live.fetch_sub(1, Ordering::Release) == 1)
    }

    /// The closer's part: adds what the slots counted out less what they counted back, and ends the bias.
    /// The closer's last touch of the pool. True if it must free the pool.
    #[must_use]
    pub(crate) fn settle(&self, slots: i64) -> bool {
        let change = slots - BIAS;
        // Release: as in `count_back`.
        self.settled(self.live.fetch_add(change, Ordering::Release) + change == 0)
    }

    fn settled(&self, last: bool) -> bool {
        // Acquire: pairs with the Release of every other `count_back` and of `settle`, whose values the last one continues.
        // A load instead of a fence, which ThreadSanitizer does not know.
        last && self.live.load(Ordering::Acquire) == 0
    }
}

/// The count of handles; the one that makes it zero closes the pool.
#[derive(Debug)]
pub(crate) struct Handles(AtomicUsize);

impl Handles {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(1))
    }

    pub(crate) fn clone_one(&self) {
        // Relaxed: the caller's own handle keeps the pool.
        if self.0.fetch_add(1, Ordering::Relaxed) > isize::MAX as usize {
            // As `Arc` does: only a loop of `mem::forget(pool.clone())` comes here, and going on would wrap.
            std::process::abort();
        }
    }

    /// A handle from something that only knows that the pool has not been freed; none once it is closing.
    pub(crate) fn upgrade(&self) -> bool {
        // Relaxed: as in `clone_one`; the count itself says that some handle lives.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n > 0).then_some(n + 1)).is_ok()
    }

    /// True if the caller must close the pool.
    #[must_use]
    pub(crate) fn drop_one(&self) -> bool {
        // Release: pairs with the Acquire in the closer: all that was done through this handle comes first.
        self.0.fetch_sub(1, Ordering::Release) == 1 && self.0.load(Ordering::Acquire) == 0
    }
}
