//! Snapshots of a pool's figures: plain data, printed as tables.
#![forbid(unsafe_code)]

use core::fmt;
use core::time::Duration;

/// What a pool has done and holds, from [`Pool::stats`](crate::Pool::stats).
///
/// Exact while no thread uses the pool; beside running requests each figure is right at some moment during the call,
/// not all at the same one. `allocated = in use + idle` holds at rest, per class and in bytes; idle is counted where
/// the blocks lie, not by subtraction.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// The size classes that have been used, smallest first.
    pub classes: Vec<ClassStats>,
    /// Buffers above the largest class that are in use.
    pub oversize_in_use: usize,
    /// Their bytes.
    pub oversize_bytes: usize,
    /// How many buffers above the largest class have been handed out.
    pub oversize_gets: u64,
    /// Bytes held from the allocator behind the pool: in use and idle.
    pub allocated_bytes: usize,
    /// The most that `allocated_bytes` ever was.
    pub peak_bytes: usize,
    /// Bytes in buffers that are out.
    pub in_use_bytes: usize,
    /// Bytes in blocks that wait for a get, in all tiers.
    pub idle_bytes: usize,
    /// Bytes of `idle_limit` that are spoken for: idle in the depot or victim, or lent to threads.
    pub reserved_bytes: usize,
    /// The part of `reserved_bytes` that is lent to threads.
    pub leased_bytes: usize,
    /// The bound on `idle_bytes`.
    pub idle_limit: usize,
    /// The bound on `allocated_bytes`, if there is one.
    pub limit: Option<usize>,
    /// Threads (living, or dead with their place not taken yet) that keep blocks of their own.
    pub slots: usize,
    /// Collections and purges that ran to their end.
    pub collections: u64,
    /// Retired generations whose memory waits for slow readers: 0 or 1.
    pub shells_waiting: usize,
    /// Panics of the allocator behind the pool while it took a block back, each of which may have lost that block, and of
    /// [`trimmed`](crate::Builder::trimmed).
    pub release_panics: u64,
    /// Who collects.
    pub collector: CollectorState,
}

/// The part of [`Stats`] for one size class.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClassStats {
    /// Bytes in a block of this class.
    pub size: usize,
    /// Blocks held from the allocator: in use and idle.
    pub allocated: usize,
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
    pub discarded: u64,
    /// Blocks freed by collections.
    pub trimmed: u64,
    /// Blocks freed by purges.
    pub purged: u64,
}

/// Who collects a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CollectorState {
    /// Nobody but the user: `Collect::Manual`.
    #[default]
    Manual,
    /// The background thread will start with the first miss.
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
    /// Blocks freed in all tiers.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.local.blocks + self.depot.blocks + self.victim.blocks
    }

    /// Bytes freed in all tiers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.local.bytes + self.depot.bytes + self.victim.bytes
    }
}

impl ClassStats {
    /// Gets of all kinds.
    #[must_use]
    pub fn gets(&self) -> u64 {
        self.local_hits + self.depot_hits + self.victim_hits + self.misses
    }
}

impl Stats {
    /// The share of gets of pooled sizes, 0 to 1, that needed no allocation; 0 before the first get.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn hit_rate(&self) -> f64 {
        let gets: u64 = self.classes.iter().map(ClassStats::gets).sum();
        let misses: u64 = self.classes.iter().map(|class| class.misses).sum();
        if gets == 0 { 0.0 } else { (gets - misses) as f64 / gets as f64 }
    }
}

/// Bytes in the largest unit that leaves at most four digits before the point: `640 B`, `4 KiB`, `1.5 MiB`.
struct Bytes(usize);

impl fmt::Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut value, mut unit) = (self.0 as f64, "B");
        for larger in ["KiB", "MiB", "GiB", "TiB"] {
            if value < 1024.0 {
                break;
            }
            value /= 1024.0;
            unit = larger;
        }
        let digits = usize::from(value.fract() != 0.0);
        f.pad(&format!("{value:.digits$} {unit}"))
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>10} {:>9} {:>9} {:>9} {:>13} {:>11} {:>11} {:>11} {:>10} {:>10} {:>10}",
            "class",
            "allocated",
            "in use",
            "idle",
            "local hits",
            "depot",
            "victim",
            "misses",
            "discarded",
            "trimmed",
            "purged"
        )?;
        for class in &self.classes {
            writeln!(
                f,
                "{:>10} {:>9} {:>9} {:>9} {:>13} {:>11} {:>11} {:>11} {:>10} {:>10} {:>10}",
                Bytes(class.size),
                class.allocated,
                class.in_use,
                class.idle,
                class.local_hits,
                class.depot_hits,
                class.victim_hits,
                class.misses,
                class.discarded,
                class.trimmed,
                class.purged
            )?;
        }
        writeln!(
            f,
            "oversize: {} in use, {}, {} handed out",
            self.oversize_in_use,
            Bytes(self.oversize_bytes),
            self.oversize_gets
        )?;
        write!(
            f,
            "allocated {} (peak {}) = in use {} + idle {}; idle limit {}, limit ",
            Bytes(self.allocated_bytes),
            Bytes(self.peak_bytes),
            Bytes(self.in_use_bytes),
            Bytes(self.idle_bytes),
            Bytes(self.idle_limit)
        )?;
        match self.limit {
            Some(limit) => writeln!(f, "{}", Bytes(limit))?,
            None => writeln!(f, "none")?,
        }
        writeln!(
            f,
            "hit rate {:.2} %; {} slots, {} leased to them; {} collections, {} shells waiting; collector: {:?}",
            self.hit_rate() * 100.0,
            self.slots,
            Bytes(self.leased_bytes),
            self.collections,
            self.shells_waiting,
            self.collector
        )?;
        if self.release_panics > 0 {
            writeln!(f, "the allocator, or `trimmed`, panicked {} times", self.release_panics)?;
        }
        Ok(())
    }
}

impl fmt::Display for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.already_running {
            return writeln!(f, "nothing: another thread is collecting");
        }
        writeln!(f, "{:>8} {:>10} {:>12}", "tier", "blocks", "bytes")?;
        for (tier, freed) in [("local", self.local), ("depot", self.depot), ("victim", self.victim)] {
            writeln!(f, "{tier:>8} {:>10} {:>12}", freed.blocks, Bytes(freed.bytes))?;
        }
        writeln!(
            f,
            "{} slots visited, {} skipped; {} shells waiting; {:?}",
            self.slots, self.slots_skipped, self.shells_waiting, self.elapsed
        )
    }
}
