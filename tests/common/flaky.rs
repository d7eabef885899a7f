//! An allocator that fails, or panics, on cue.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use millpond::alloc::{AllocError, Allocator};

use super::ledger::Ledger;

/// A [`Ledger`] whose calls are counted, and go wrong when their turn has come.
#[derive(Clone)]
pub struct Flaky {
    ledger: Ledger,
    cue: Arc<Cue>,
}

#[derive(Default)]
struct Cue {
    calls: AtomicUsize,
    /// The call that goes wrong, from 1; 0 for none.
    nth: AtomicUsize,
    panics: bool,
}

impl Flaky {
    /// Its `nth` allocation fails.
    pub fn failing(ledger: &Ledger) -> Self {
        Self { ledger: ledger.clone(), cue: Arc::default() }
    }

    /// Its `nth` call, allocation or not, panics. A deallocation that panics has taken its block.
    pub fn panicking(ledger: &Ledger) -> Self {
        Self { ledger: ledger.clone(), cue: Arc::new(Cue { panics: true, ..Cue::default() }) }
    }

    /// Counts from here on, and lets the `nth` call go wrong; 0 for none.
    pub fn arm(&self, nth: usize) {
        self.cue.calls.store(0, SeqCst);
        self.cue.nth.store(nth, SeqCst);
    }

    /// Whether a call has yet to go wrong.
    pub fn is_armed(&self) -> bool {
        self.calls() < self.cue.nth.load(SeqCst)
    }

    pub fn calls(&self) -> usize {
        self.cue.calls.load(SeqCst)
    }

    fn goes_wrong(&self) -> bool {
        let call = self.cue.calls.fetch_add(1, SeqCst) + 1;
        call == self.cue.nth.load(SeqCst)
    }
}

// SAFETY: memory comes from the ledger, unchanged.
unsafe impl Allocator for Flaky {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if self.goes_wrong() {
            assert!(!self.cue.panics, "the allocator panics on cue");
            return Err(AllocError);
        }
        self.ledger.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.ledger.deallocate(block, layout) };
        if self.cue.panics && self.goes_wrong() {
            panic!("the allocator panics on cue");
        }
    }
}
