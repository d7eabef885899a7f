//! An allocator that fails, or panics, on cue.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

use std::alloc::Layout;
use std::panic::resume_unwind;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

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
    /// Which of [`Call::ALL`] has gone wrong, from 1; 0 for none.
    wrong: AtomicUsize,
    /// The size that was refused, until the next allocation.
    refused: AtomicUsize,
    less: AtomicBool,
}

/// What a pool asks of its allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Allocation,
    Deallocation,
    /// `Builder::trimmed`.
    Hook,
}

impl Call {
    const ALL: [Self; 3] = [Self::Allocation, Self::Deallocation, Self::Hook];
}

/// What a panic on cue carries. Not a message: there would be thousands of them.
pub struct OnCue;

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
        self.cue.wrong.store(0, SeqCst);
        self.cue.refused.store(0, SeqCst);
        self.cue.less.store(false, SeqCst);
    }

    /// Whether a call has yet to go wrong.
    pub fn is_armed(&self) -> bool {
        self.calls() < self.cue.nth.load(SeqCst)
    }

    pub fn calls(&self) -> usize {
        self.cue.calls.load(SeqCst)
    }

    /// The call that went wrong since it was armed.
    pub fn went_wrong(&self) -> Option<Call> {
        let place = self.cue.wrong.load(SeqCst).checked_sub(1)?;
        Some(Call::ALL[place])
    }

    /// Whether the allocation after the one that failed was of a smaller block, as where a buffer that cannot double asks for what
    /// it needs.
    pub fn was_asked_for_less(&self) -> bool {
        self.cue.less.load(SeqCst)
    }

    /// For `Builder::trimmed`: a call like the others.
    pub fn hook(&self) {
        if self.cue.panics && self.goes_wrong(Call::Hook) {
            resume_unwind(Box::new(OnCue));
        }
    }

    fn goes_wrong(&self, call: Call) -> bool {
        let number = self.cue.calls.fetch_add(1, SeqCst) + 1;
        let wrong = number == self.cue.nth.load(SeqCst);
        if wrong {
            self.cue.wrong.store(call as usize + 1, SeqCst);
        }
        wrong
    }
}

// SAFETY: memory comes from the ledger, unchanged.
unsafe impl Allocator for Flaky {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if self.goes_wrong(Call::Allocation) {
            if self.cue.panics {
                resume_unwind(Box::new(OnCue));
            }
            self.cue.refused.store(layout.size(), SeqCst);
            return Err(AllocError);
        }
        if layout.size() < self.cue.refused.swap(0, SeqCst) {
            self.cue.less.store(true, SeqCst);
        }
        self.ledger.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.ledger.deallocate(block, layout) };
        if self.cue.panics && self.goes_wrong(Call::Deallocation) {
            resume_unwind(Box::new(OnCue));
        }
    }
}
