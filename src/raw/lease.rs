//! The budget of idle bytes, and the credit that slots lease from it.
//!
//! Every idle byte is covered before it is stored: in the depot by a reservation of its own, in a slot by the credit
//! that the slot has leased. So the sum errs on the high side and `idle_limit` is never passed (I8).
#![forbid(unsafe_code)]

use crate::raw::counters::{as_usize, raise_peak};
use crate::sync::{AtomicUsize, Figure, Ordering::Relaxed};

// Relaxed throughout: the counters publish nothing, and one location's modifications have one order.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    /// Bytes covered: reserved for the depot and victim, or leased to slots.
    reserved: AtomicUsize,
    /// The part of `reserved` that is leased; at most half of `limit`.
    leased: AtomicUsize,
    /// The most that either was.
    peak_reserved: Figure,
    peak_leased: Figure,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            reserved: AtomicUsize::new(0),
            leased: AtomicUsize::new(0),
            peak_reserved: Figure::new(0),
            peak_leased: Figure::new(0),
        }
    }

    /// Covers `bytes`, or says no.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        let reserved = raise(&self.reserved, bytes, self.limit);
        reserved.inspect(|now| raise_peak(&self.peak_reserved, *now as u64)).is_some()
    }

    pub(crate) fn unreserve(&self, bytes: usize) {
        self.reserved.fetch_sub(bytes, Relaxed);
    }

    /// Covers `bytes` for a slot, or says no.
    pub(crate) fn lease(&self, bytes: usize) -> bool {
        let Some(leased) = raise(&self.leased, bytes, self.limit / 2) else { return false };
        if !self.reserve(bytes) {
            self.leased.fetch_sub(bytes, Relaxed);
            return false;
        }
        raise_peak(&self.peak_leased, leased as u64);
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

    /// Bytes covered now, and the most that it ever was.
    pub(crate) fn reserved(&self) -> (usize, usize) {
        (self.reserved.load(Relaxed), as_usize(&self.peak_reserved))
    }

    /// Bytes leased now, and the most that it ever was.
    pub(crate) fn leased(&self) -> (usize, usize) {
        (self.leased.load(Relaxed), as_usize(&self.peak_leased))
    }
}

/// Adds `bytes` and returns the sum, unless that passes `limit`.
pub(crate) fn raise(counter: &AtomicUsize, bytes: usize, limit: usize) -> Option<usize> {
    let within = |now: usize| now.checked_add(bytes).filter(|sum| *sum <= limit);
    counter.fetch_update(Relaxed, Relaxed, within).ok().map(|before| before + bytes)
}
