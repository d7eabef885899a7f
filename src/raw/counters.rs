//! Counters of the shared paths: relaxed, and read for statistics only.
#![forbid(unsafe_code)]

use crate::raw::size_class::Class;
use crate::sync::{Figure, Ordering::Relaxed};

/// Why a block was released to the backing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why {
    /// No tier had room for it.
    Discarded,
    /// A collection found it idle.
    Trimmed,
    /// A purge took all that is idle.
    Purged,
    /// The pool is closed, or does not recycle.
    Closed,
}

/// What happened to one class away from the slots. Slots count their own gets and puts without read-modify-writes.
#[derive(Debug, Default)]
pub(crate) struct ClassCounters {
    /// Blocks held from the backing.
    pub(crate) allocated: Figure,
    pub(crate) depot_hits: Figure,
    pub(crate) victim_hits: Figure,
    pub(crate) misses: Figure,
    /// Gets and puts that no slot counted.
    pub(crate) shared_gets: Figure,
    pub(crate) shared_puts: Figure,
    pub(crate) discarded: Figure,
    pub(crate) trimmed: Figure,
    pub(crate) purged: Figure,
}

#[derive(Debug)]
pub(crate) struct Counters {
    classes: Box<[ClassCounters]>,
    /// Collections and purges that ran.
    pub(crate) collections: Figure,
    /// Shells that wait, as of the last collection.
    pub(crate) shells: Figure,
    pub(crate) release_panics: Figure,
}

impl Counters {
    pub(crate) fn new(classes: usize) -> Self {
        Self {
            classes: (0..classes).map(|_| ClassCounters::default()).collect(),
            collections: Figure::new(0),
            shells: Figure::new(0),
            release_panics: Figure::new(0),
        }
    }

    pub(crate) fn of(&self, class: Class) -> &ClassCounters {
        &self.classes[class.index()]
    }

    /// Counts a block that went back to the backing.
    pub(crate) fn released(&self, class: Class, why: Why) {
        let counters = self.of(class);
        counters.allocated.fetch_sub(1, Relaxed);
        match why {
            Why::Discarded => add(&counters.discarded),
            Why::Trimmed => add(&counters.trimmed),
            Why::Purged => add(&counters.purged),
            Why::Closed => {}
        }
    }
}

/// Adds one to a counter that any thread may write.
pub(crate) fn add(counter: &Figure) {
    counter.fetch_add(1, Relaxed);
}

/// Adds one to a counter that only the caller writes: readers see some recent value, and no read-modify-write is paid.
#[inline(always)]
pub(crate) fn add_owned(counter: &Figure) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}
