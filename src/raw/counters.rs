//! Counters of the shared paths: relaxed, and read for statistics only.
#![forbid(unsafe_code)]

use crate::raw::size_class::Class;
use crate::sync::{Figure, Ordering::Relaxed};

/// Why a block was released to the backing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why {
    /// No tier had room for it.
    Discarded(NoRoom),
    /// A collection found it idle.
    Trimmed,
    /// A purge took all that is idle.
    Purged,
    /// The pool is closed, does not recycle, or chaos would have it so.
    Passed,
    /// It was in use, and does not come back; the backing counts why.
    InUse,
}

/// Why the depot has no room for a block, or a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NoRoom {
    /// It would pass `idle_limit`.
    Budget,
    /// Every cell of the class's bucket is spoken for, and the oldest batch has no room.
    Bucket,
    /// There is no bucket, and none can be made; or the pool is a parent's, from before a `fork`.
    Depot,
}

/// What happened to one class away from the slots. Slots count their own gets and puts without read-modify-writes.
#[derive(Debug, Default)]
pub(crate) struct ClassCounters {
    /// Blocks held from the backing.
    pub(crate) allocated: Figure,
    /// The most that `allocated` was.
    pub(crate) peak: Figure,
    pub(crate) depot_hits: Figure,
    pub(crate) victim_hits: Figure,
    pub(crate) misses: Figure,
    /// Gets and puts that no slot counted.
    pub(crate) shared_gets: Figure,
    pub(crate) shared_puts: Figure,
    pub(crate) over_budget: Figure,
    pub(crate) bucket_full: Figure,
    pub(crate) no_depot: Figure,
    pub(crate) trimmed: Figure,
    pub(crate) purged: Figure,
    pub(crate) passed: Figure,
}

#[derive(Debug)]
pub(crate) struct Counters {
    classes: Box<[ClassCounters]>,
    pub(crate) release_panics: Figure,
    /// Gets that the limit failed, and those that a purge saved from it.
    pub(crate) limit_failed: Figure,
    pub(crate) limit_saved: Figure,
}

impl Counters {
    /// None: no memory.
    pub(crate) fn try_new(classes: usize) -> Option<Self> {
        let mut of_classes = Vec::new();
        of_classes.try_reserve_exact(classes).ok()?;
        of_classes.resize_with(classes, ClassCounters::default);
        Some(Self {
            classes: of_classes.into_boxed_slice(),
            release_panics: Figure::new(0),
            limit_failed: Figure::new(0),
            limit_saved: Figure::new(0),
        })
    }

    pub(crate) fn of(&self, class: Class) -> &ClassCounters {
        &self.classes[class.index()]
    }

    /// Counts a block that came from the backing.
    pub(crate) fn allocated(&self, class: Class) {
        let counters = self.of(class);
        add(&counters.misses);
        raise_peak(&counters.peak, counters.allocated.fetch_add(1, Relaxed) + 1);
    }

    /// Counts a block that went back to the backing.
    pub(crate) fn released(&self, class: Class, why: Why) {
        let counters = self.of(class);
        counters.allocated.fetch_sub(1, Relaxed);
        match why {
            Why::Discarded(NoRoom::Budget) => add(&counters.over_budget),
            Why::Discarded(NoRoom::Bucket) => add(&counters.bucket_full),
            Why::Discarded(NoRoom::Depot) => add(&counters.no_depot),
            Why::Trimmed => add(&counters.trimmed),
            Why::Purged => add(&counters.purged),
            Why::Passed => add(&counters.passed),
            Why::InUse => {}
        }
    }
}

/// Adds one to a counter that any thread may write.
pub(crate) fn add(counter: &Figure) {
    counter.fetch_add(1, Relaxed);
}

/// Raises a high-water mark, if it must: most calls only load it.
pub(crate) fn raise_peak(peak: &Figure, now: u64) {
    if peak.load(Relaxed) < now {
        peak.fetch_max(now, Relaxed);
    }
}

/// A figure that counts things in memory, or is an old value of such a counter.
#[expect(clippy::cast_possible_truncation, reason = "it was a `usize`")]
pub(crate) fn as_usize(figure: &Figure) -> usize {
    figure.load(Relaxed) as usize
}

/// Adds one to a counter that only the caller writes: readers see some recent value, and no read-modify-write is paid.
#[inline(always)]
pub(crate) fn add_owned(counter: &Figure) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}
