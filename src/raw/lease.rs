//! The budget of idle bytes, and the credit that slots lease from it.
//!
//! Every idle byte is covered before it is stored: in the depot by a reservation of its own, in a slot by the credit
//! that the slot has leased. So the sum errs on the high side and `idle_limit` is never passed (I8).
#![forbid(unsafe_code)]

use crate::sync::{AtomicUsize, Ordering::Relaxed};

/// Credit is leased in chunks of this many bytes, so that a slot asks rarely.
pub(crate) const LEASE: usize = 64 << 10;

// Relaxed throughout: the counters publish nothing, and one location's modifications have one order.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    /// Bytes covered: reserved for the depot and victim, or leased to slots.
    reserved: AtomicUsize,
    /// The part of `reserved` that is leased; at most half of `limit`.
    leased: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, reserved: AtomicUsize::new(0), leased: AtomicUsize::new(0) }
    }

    /// Covers `bytes`, or says no.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        raise(&self.reserved, bytes, self.limit)
    }

    pub(crate) fn unreserve(&self, bytes: usize) {
        self.reserved.fetch_sub(bytes, Relaxed);
    }

    /// Covers `bytes` for a slot, or says no.
    pub(crate) fn lease(&self, bytes: usize) -> bool {
        if !raise(&self.leased, bytes, self.limit / 2) {
            return false;
        }
        if !self.reserve(bytes) {
            self.leased.fetch_sub(bytes, Relaxed);
            return false;
        }
        true
    }

    /// Ends the lease of `bytes`, which cover no block any more.
    pub(crate) fn end_lease(&self, bytes: usize) {
        self.leased.fetch_sub(bytes, Relaxed);
        self.unreserve(bytes);
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn reserved(&self) -> usize {
        self.reserved.load(Relaxed)
    }

    pub(crate) fn leased(&self) -> usize {
        self.leased.load(Relaxed)
    }
}

/// Adds `bytes` unless that passes `limit`.
pub(crate) fn raise(counter: &AtomicUsize, bytes: usize, limit: usize) -> bool {
    let within = |now: usize| now.checked_add(bytes).filter(|sum| *sum <= limit);
    counter.fetch_update(Relaxed, Relaxed, within).is_ok()
}
