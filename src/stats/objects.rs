//! The figures of a pool of objects.
#![forbid(unsafe_code)]

use core::fmt::{self, Display, Formatter};
use core::time::Duration;

use super::{ClassStats, Collected, CollectorState, Stats};
use crate::pressure::Pressure;

/// What a pool of objects has done and holds, from [`ObjectPool::stats`](crate::ObjectPool::stats).
///
/// Exact while no thread uses the pool. Then `allocated = in use + idle`, and `misses + adopted = allocated + detached + refused +
/// discarded + trimmed + purged + passed`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ObjectStats {
    /// The objects, as blocks of one class: `allocated` is how many live, in use and idle; `misses` how many `make` made. `size` is that
    /// of an object in bytes, without what it owns.
    pub objects: ClassStats,
    /// Objects that somebody else had made: by [`put`](crate::ObjectPool::put) and [`adopt`](crate::ObjectPool::adopt).
    pub adopted: u64,
    /// Objects that left by [`detach`](crate::Pooled::detach).
    pub detached: u64,
    /// Objects dropped when they came back: their reset said no or panicked, or their thread was unwinding.
    pub refused: u64,
    /// Resets that panicked.
    pub reset_panics: u64,
    /// Panics of objects' drops.
    pub drop_panics: u64,
    /// The bound on idle objects.
    pub max_idle: usize,
    /// The part of `max_idle` that is spoken for: idle in the depot or victim, or lent to threads.
    pub reserved: usize,
    /// The most that `reserved` ever was. Far below `max_idle`, that could be lower and nothing would change.
    pub peak_reserved: usize,
    /// Threads (living, or dead with their place not taken yet) that keep objects of their own.
    pub slots: usize,
    /// Collections that ran to their end.
    pub collections: u64,
    /// How many of them could not enter some thread's cache, as its owner was inside.
    pub collections_skipping: u64,
    /// The longest of them.
    pub longest_collection: Duration,
    /// What the last of them did; none before the first. As in [`Stats`].
    pub last_collection: Option<Collected>,
    /// Purges that ran to their end.
    pub purges: u64,
    /// The longest of them.
    pub longest_purge: Duration,
    /// Retired generations whose memory waits for slow readers: 0 or 1.
    pub shells_waiting: usize,
    /// Who collects.
    pub collector: CollectorState,
    /// As in [`Stats`].
    pub scheduling_inherited: bool,
    /// How short memory was when the background thread looked last.
    pub pressure: Pressure,
    /// Collections that were made while memory was short, due or not.
    pub pressure_collections: u64,
    /// Purges that were made because memory was severely short.
    pub pressure_purges: u64,
    /// Panics of the signal that [`ObjectBuilder::pressure`](crate::ObjectBuilder::pressure) set.
    pub pressure_panics: u64,
}

impl Display for ObjectStats {
    /// The objects as a table of one row, and a line for each thing that happened to them besides.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.objects)?;
        writeln!(f)?;
        writeln!(
            f,
            "spoken for: {} of at most {} idle objects, peak {}",
            self.reserved, self.max_idle, self.peak_reserved
        )?;
        if self.adopted + self.detached + self.refused > 0 {
            writeln!(f, "adopted {}, detached {}, refused at return {}", self.adopted, self.detached, self.refused)?;
        }
        if self.reset_panics + self.drop_panics > 0 {
            writeln!(f, "panics of resets {}, of drops {}", self.reset_panics, self.drop_panics)?;
        }
        writeln!(f, "slots {}", self.slots)?;
        let as_of_buffers = Stats {
            collections: self.collections,
            collections_skipping: self.collections_skipping,
            longest_collection: self.longest_collection,
            last_collection: self.last_collection,
            purges: self.purges,
            longest_purge: self.longest_purge,
            shells_waiting: self.shells_waiting,
            collector: self.collector,
            scheduling_inherited: self.scheduling_inherited,
            pressure: self.pressure,
            pressure_collections: self.pressure_collections,
            pressure_purges: self.pressure_purges,
            pressure_panics: self.pressure_panics,
            ..Stats::default()
        };
        as_of_buffers.collections(f)?;
        as_of_buffers.collector(f)
    }
}
