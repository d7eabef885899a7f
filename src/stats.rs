//! Snapshots of a pool's figures: plain data, printed as tables.
#![forbid(unsafe_code)]

mod objects;

mod outstanding;

mod table;

use core::time::Duration;

use crate::pressure::Pressure;

pub use self::objects::ObjectStats;
pub use self::outstanding::{Outstanding, Site};

/// What a pool has done and holds, from [`Pool::stats`](crate::Pool::stats).
///
/// Exact while no thread uses the pool; beside running requests each figure is right at some moment during the call,
/// not all at the same one. `allocated = in use + idle` holds at rest, per class and in bytes; idle is counted where
/// the blocks lie, not by subtraction. So does `misses = allocated + discarded + trimmed + purged + passed`, per class.
///
/// Printed, it is a table; [`docs::tuning`](crate::docs::tuning) says how to read it, and which knob belongs to which
/// figure.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// The size classes that have been used, smallest first.
    pub classes: Vec<ClassStats>,
    /// Buffers above the largest class that are in use.
    pub oversize_in_use: usize,
    /// Their bytes.
    pub oversize_bytes: usize,
    /// How many buffers above the largest class have been handed out. Each was an allocation: many ask for a larger
    /// `max_class`.
    pub oversize_gets: u64,
    /// Bytes that the pool, used as an `Allocator`, handed out straight from the allocator behind it, for layouts that get no
    /// block of a class. Not counted on its own: what is allocated and of no other kind.
    pub direct_bytes: usize,
    /// Bytes held from the allocator behind the pool: in use and idle.
    pub allocated_bytes: usize,
    /// The most that `allocated_bytes` ever was: what `limit` must leave room for.
    pub peak_bytes: usize,
    /// Bytes in buffers and other allocations that are out.
    pub in_use_bytes: usize,
    /// Bytes in blocks that wait for a get, in all tiers.
    pub idle_bytes: usize,
    /// Arenas that wait for `Pool::arena`, 64 at most; 0 without the feature `arena`.
    pub idle_arenas: usize,
    /// The bytes of their chunks, 256 KiB each at most. They are the global allocator's, and in no other figure.
    pub idle_arena_bytes: usize,
    /// Bytes of `idle_limit` that are reserved: for what is idle in the depot or victim, or leased to threads.
    pub reserved_bytes: usize,
    /// The most that `reserved_bytes` ever was. Far below `idle_limit`, that could be lower and nothing would change.
    pub peak_reserved_bytes: usize,
    /// The part of `reserved_bytes` that is leased to threads; half of `idle_limit` at most.
    pub leased_bytes: usize,
    /// The most that `leased_bytes` ever was.
    pub peak_leased_bytes: usize,
    /// The part of `leased_bytes` that is leased to the one thread that has most.
    pub slot_bytes: usize,
    /// The most that one thread ever had leased. Far below `local_limit`, that could be lower and nothing would change.
    pub peak_slot_bytes: usize,
    /// The bound on `idle_bytes`.
    pub idle_limit: usize,
    /// The bound on `slot_bytes`.
    pub local_limit: usize,
    /// The bound on `allocated_bytes`, if there is one.
    pub limit: Option<usize>,
    /// How often a thread had leased all of `local_limit` and could not keep another block. It then moved blocks to the depot, or left
    /// them there.
    pub refused_by_local_limit: u64,
    /// The same, as all threads together had leased half of `idle_limit`, or all of it was reserved.
    pub refused_by_idle_limit: u64,
    /// Gets that failed at `limit`, and are in no other figure. A buffer that grows where twice its capacity does not fit,
    /// but what it needs does, counts here for each try and then as the get that it is.
    pub limit_failed: u64,
    /// Gets that met `limit` and were served after all idle blocks had been freed for them.
    pub limit_saved: u64,
    /// Threads (living, or dead with their place not taken yet) that keep blocks of their own. As places are not given up,
    /// it is also the most threads that used the pool at one time.
    pub slots: usize,
    /// Collections that ran to their end.
    pub collections: u64,
    /// How many of them could not enter some thread's cache, as its owner was inside.
    pub collections_skipping: u64,
    /// The longest of them.
    pub longest_collection: Duration,
    /// What the last of them did; none before the first. Beside one that is running it may be of both. `shells_waiting` is as
    /// of now.
    pub last_collection: Option<Collected>,
    /// Purges that ran to their end: by [`Pool::purge`](crate::Pool::purge), by gets at `limit`, where memory was
    /// severely short, and at random under [`Recycle::Chaos`](crate::Recycle::Chaos).
    pub purges: u64,
    /// The longest of them. A get at `limit` waits for its purge.
    pub longest_purge: Duration,
    /// Retired generations whose memory waits for slow readers: 0 or 1.
    pub shells_waiting: usize,
    /// Panics of the allocator behind the pool while it took a block back, each of which may have lost that block, and of
    /// [`trimmed`](crate::Builder::trimmed).
    pub release_panics: u64,
    /// Who collects.
    pub collector: CollectorState,
    /// The background thread has the cores, the policy or the niceness of the request thread that started it: the system
    /// refused it those of the main thread.
    pub scheduling_inherited: bool,
    /// How short memory was when the background thread looked last.
    pub pressure: Pressure,
    /// Collections that were made while memory was short, due or not.
    pub pressure_collections: u64,
    /// Purges that were made because memory was severely short.
    pub pressure_purges: u64,
    /// Panics of the signal that [`Builder::pressure`](crate::Builder::pressure) set.
    pub pressure_panics: u64,
}

/// The part of [`Stats`] for one size class.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClassStats {
    /// Bytes in a block of this class; 0 in the sum of several.
    pub size: usize,
    /// Blocks held from the allocator: in use and idle.
    pub allocated: usize,
    /// The most that `allocated` ever was. Times `size`, the idle bytes with which its busiest moment could come again without
    /// a miss.
    pub peak: usize,
    /// Blocks in buffers that are out.
    pub in_use: usize,
    /// Blocks that wait for a get, in all tiers.
    pub idle: usize,
    /// Gets that found a block in the thread's own cache.
    pub local_hits: u64,
    /// Gets that found one in the depot.
    pub depot_hits: u64,
    /// Gets that found one in the victim, the depot of before the last collection.
    pub victim_hits: u64,
    /// Gets that found none and went to the allocator.
    pub misses: u64,
    /// Blocks freed by a drop because no tier had room.
    pub discarded: Discarded,
    /// Blocks freed by collections.
    pub trimmed: u64,
    /// Blocks freed by purges.
    pub purged: u64,
    /// Blocks freed by a drop because the pool recycles none, or at the whim of chaos: [`Recycle`](crate::Recycle).
    pub passed: u64,
}

/// Blocks that a drop freed because no tier had room, by the reason why the depot had none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discarded {
    /// All of `idle_limit` was spoken for.
    pub over_budget: u64,
    /// Every cell of the class's bucket was taken, and the oldest one had no room. A cell holds up to 16 blocks: those that a
    /// thread gave up together, or that came back one by one.
    pub bucket_full: u64,
    /// The pool is older than a `fork`, and this is the child; or there was no memory for a bucket.
    pub no_depot: u64,
}

/// Who collects a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CollectorState {
    /// Nobody but the user: `Collect::Manual`.
    #[default]
    Manual,
    /// The background thread will start with the first miss; never, in a pool that does not recycle.
    NotStarted,
    /// The background thread.
    Background,
    /// The background thread could not be started, or stayed behind in the parent process; the pool is as if
    /// `Collect::Manual`.
    Failed,
}

/// What a collection or a purge freed, tier by tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// From the threads' own caches.
    pub local: Freed,
    /// From the depot (a purge only: a collection makes the depot the victim).
    pub depot: Freed,
    /// From the victim.
    pub victim: Freed,
    /// Idle arenas, with their chunks. Those come from the program's own allocator, so [`blocks`](Self::blocks) and
    /// [`bytes`](Self::bytes) are without them.
    pub arenas: Freed,
    /// Threads' caches that were looked into.
    pub slots: usize,
    /// Threads' caches of which a part at least could not be entered this time.
    pub slots_skipped: usize,
    /// Retired generations whose memory waits for slow readers: 0 or 1.
    pub shells_waiting: usize,
    /// Another thread was collecting, so this call did nothing.
    pub already_running: bool,
    /// How long it took, without what [`trimmed`](crate::Builder::trimmed) called.
    pub elapsed: Duration,
}

/// Blocks and bytes given back to the allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freed {
    /// How many blocks.
    pub blocks: usize,
    /// How many bytes.
    pub bytes: usize,
}

impl Freed {
    pub(crate) fn add(&mut self, blocks: usize, size: usize) {
        self.blocks += blocks;
        self.bytes += blocks * size;
    }
}

impl Collected {
    /// Blocks freed in all tiers, without [`arenas`](Self::arenas).
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.local.blocks + self.depot.blocks + self.victim.blocks
    }

    /// Bytes freed in all tiers, without [`arenas`](Self::arenas).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.local.bytes + self.depot.bytes + self.victim.bytes
    }
}

impl Discarded {
    /// For all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.over_budget + self.bucket_full + self.no_depot
    }
}

impl ClassStats {
    /// Gets of all kinds.
    #[must_use]
    pub fn gets(&self) -> u64 {
        self.local_hits + self.depot_hits + self.victim_hits + self.misses
    }

    /// The share of gets, 0 to 1, that needed no allocation; 0 before the first get, as all shares are.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        self.share(self.gets() - self.misses)
    }

    /// The share of gets that the thread's own cache served.
    #[must_use]
    pub fn local_rate(&self) -> f64 {
        self.share(self.local_hits)
    }

    /// The share of gets that the depot served.
    #[must_use]
    pub fn depot_rate(&self) -> f64 {
        self.share(self.depot_hits)
    }

    /// The share of gets that the victim served.
    #[must_use]
    pub fn victim_rate(&self) -> f64 {
        self.share(self.victim_hits)
    }

    /// The share of gets that allocated.
    #[must_use]
    pub fn miss_rate(&self) -> f64 {
        self.share(self.misses)
    }

    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    fn share(&self, gets: u64) -> f64 {
        gets as f64 / self.gets().max(1) as f64
    }

    fn add(&mut self, other: &Self) {
        self.allocated += other.allocated;
        self.peak += other.peak;
        self.in_use += other.in_use;
        self.idle += other.idle;
        self.local_hits += other.local_hits;
        self.depot_hits += other.depot_hits;
        self.victim_hits += other.victim_hits;
        self.misses += other.misses;
        self.discarded.over_budget += other.discarded.over_budget;
        self.discarded.bucket_full += other.discarded.bucket_full;
        self.discarded.no_depot += other.discarded.no_depot;
        self.trimmed += other.trimmed;
        self.purged += other.purged;
        self.passed += other.passed;
    }
}

impl Stats {
    /// The sum of all classes. Its `peak` is that of their peaks, which need not have been at the same time.
    ///
    /// ```
    /// use millpond::{Pool, Recycle};
    ///
    /// let pool = Pool::builder().recycle(Recycle::Always).build()?;
    /// for _ in 0..4 {
    ///     drop((pool.get(4096), pool.get(64 << 10)));
    /// }
    /// let total = pool.stats().total();
    /// assert_eq!((total.gets(), total.misses, total.idle), (8, 2, 2));
    /// assert_eq!(total.local_rate(), 0.75);
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    #[must_use]
    pub fn total(&self) -> ClassStats {
        let mut total = ClassStats::default();
        self.classes.iter().for_each(|class| total.add(class));
        total
    }

    /// The share of gets of pooled sizes, 0 to 1, that needed no allocation; 0 before the first get.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        self.total().hit_rate()
    }
}
