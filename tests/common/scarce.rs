//! An allocator that has no memory now and then.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use millpond::alloc::{AllocError, Allocator};

use super::ledger::Ledger;

/// A [`Ledger`] of whose calls a few in a row fail when their turn has come. Not `Flaky`: this one makes blocks smaller by the ledger's
/// own means, which take no second block, and fails at that as well.
#[derive(Clone)]
pub struct Scarce {
    ledger: Ledger,
    turn: Arc<Turn>,
}

#[derive(Default)]
struct Turn {
    calls: AtomicUsize,
    /// The first call that fails, and the first that does not any more.
    from: AtomicUsize,
    to: AtomicUsize,
    failures: AtomicUsize,
}

impl Scarce {
    pub fn new(ledger: &Ledger) -> Self {
        Self { ledger: ledger.clone(), turn: Arc::default() }
    }

    /// Lets so many calls succeed from here on, and then so many fail.
    pub fn fail(&self, after: usize, count: usize) {
        let from = self.turn.calls.load(SeqCst) + after;
        self.turn.from.store(from, SeqCst);
        self.turn.to.store(from + count, SeqCst);
    }

    /// Whether a call has yet to fail.
    pub fn is_armed(&self) -> bool {
        self.turn.calls.load(SeqCst) < self.turn.to.load(SeqCst)
    }

    /// Calls that failed.
    pub fn failures(&self) -> usize {
        self.turn.failures.load(SeqCst)
    }

    fn call(&self) -> Result<(), AllocError> {
        let call = self.turn.calls.fetch_add(1, SeqCst);
        if !(self.turn.from.load(SeqCst)..self.turn.to.load(SeqCst)).contains(&call) {
            return Ok(());
        }
        self.turn.failures.fetch_add(1, SeqCst);
        Err(AllocError)
    }
}

// SAFETY: memory comes from the ledger, unchanged. The trait's own `grow` and `allocate_zeroed` are by `allocate`.
unsafe impl Allocator for Scarce {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.call()?;
        self.ledger.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.ledger.deallocate(block, layout) };
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.call()?;
        // SAFETY: passed on.
        unsafe { self.ledger.shrink(block, old, new) }
    }
}
