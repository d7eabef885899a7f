//! User code that is counted, and panics on cue.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Counts calls, and lets one of them panic.
#[derive(Clone, Default)]
pub struct Cue(Arc<Calls>);

#[derive(Default)]
struct Calls {
    made: AtomicUsize,
    /// From 1; 0 for none.
    panics: AtomicUsize,
    objects: AtomicUsize,
}

impl Cue {
    pub fn arm(&self, nth: usize) {
        self.0.made.store(0, SeqCst);
        self.0.panics.store(nth, SeqCst);
    }

    pub fn call(&self) {
        if self.0.made.fetch_add(1, SeqCst) + 1 == self.0.panics.load(SeqCst) {
            // without the message, of which there would be thousands
            resume_unwind(Box::new("on cue"));
        }
    }

    pub fn calls(&self) -> usize {
        self.0.made.load(SeqCst)
    }

    /// Whether the call for which it was armed has been made.
    pub fn has_panicked(&self) -> bool {
        (1..=self.calls()).contains(&self.0.panics.load(SeqCst))
    }

    /// Those that there are.
    pub fn objects(&self) -> usize {
        self.0.objects.load(SeqCst)
    }
}

/// Counted from its making to its drop, a call each. So is a clone.
pub struct Object {
    pub cue: Cue,
    /// For resets.
    pub refused: bool,
}

impl Object {
    pub fn make(cue: &Cue) -> Self {
        cue.call();
        cue.0.objects.fetch_add(1, SeqCst);
        Self { cue: cue.clone(), refused: false }
    }
}

impl Clone for Object {
    fn clone(&self) -> Self {
        Self::make(&self.cue)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.cue.0.objects.fetch_sub(1, SeqCst);
        self.cue.call();
    }
}
