//! Statistics: sums what slots and shared counters say.

use crate::alloc::Allocator;
use crate::raw::counters::ClassCounters;
use crate::raw::size_class::{Class, MAX_CLASSES};
use crate::stats::{ClassStats, Stats};
use crate::sync::{Figure, Ordering::Relaxed};
use crate::tiers::Tiers;
use crate::tiers::backing::{Backing, Bytes};

/// The part of a class's figures that its magazines hold.
struct Magazines {
    gets: u64,
    puts: u64,
    idle: usize,
}

impl<B: Backing> Tiers<B> {
    /// One walk over all slots.
    fn magazines(&self) -> [Magazines; MAX_CLASSES] {
        let mut sums = [const { Magazines { gets: 0, puts: 0, idle: 0 } }; MAX_CLASSES];
        for (class, magazine) in self.local.used() {
            let sum = &mut sums[class.index()];
            let (gets, puts) = magazine.counts();
            sum.gets += gets;
            // Wraps below zero where a batch has come in since the first of two looks.
            sum.puts = sum.puts.wrapping_add(puts);
            sum.idle += magazine.len();
        }
        sums
    }

    #[expect(clippy::cast_possible_truncation, reason = "counts of things that lie in memory")]
    fn class_stats(&self, class: Class, local: &Magazines) -> ClassStats {
        let counters = self.counters.of(class);
        let shared = |counter: fn(&ClassCounters) -> &Figure| counter(counters).load(Relaxed);
        let gets = local.gets + shared(|c| &c.shared_gets);
        let puts = local.puts.wrapping_add(shared(|c| &c.shared_puts));
        let (depot_hits, victim_hits, misses) =
            (shared(|c| &c.depot_hits), shared(|c| &c.victim_hits), shared(|c| &c.misses));
        // In an inherited pool no get finds these; and a rotation that was cut short would have them here twice.
        let idle_shared = if self.is_inherited() {
            0
        } else {
            self.depot.generation.read(|depot| depot.blocks(class))
                + self.victim.generation.read(|victim| victim.blocks(class))
        };
        ClassStats {
            size: self.backing.size(class),
            allocated: shared(|c| &c.allocated) as usize,
            // Beside running requests the sums are not of one moment, so differences stop at zero.
            in_use: (gets.wrapping_sub(puts) as i64).max(0) as usize,
            idle: local.idle + idle_shared,
            local_hits: gets.saturating_sub(depot_hits + victim_hits + misses),
            depot_hits,
            victim_hits,
            misses,
            discarded: shared(|c| &c.discarded),
            trimmed: shared(|c| &c.trimmed),
            purged: shared(|c| &c.purged),
        }
    }
}

impl<A: Allocator + Send + Sync + 'static> Tiers<Bytes<A>> {
    /// Without the background thread's part.
    pub(crate) fn stats(&self) -> Stats {
        let magazines = self.magazines();
        let stats_of = |class: Class| self.class_stats(class, &magazines[class.index()]);
        let classes: Vec<_> = self.config.classes.all().map(stats_of).filter(|class| class.gets() > 0).collect();
        let bytes =
            |count: fn(&ClassStats) -> usize| classes.iter().map(|class| count(class) * class.size).sum::<usize>();
        let oversize = self.backing.oversize();
        let oversize_bytes = oversize.bytes.load(Relaxed);
        let (allocated_bytes, peak_bytes) = self.backing.allocated();
        Stats {
            oversize_in_use: oversize.blocks.load(Relaxed),
            oversize_bytes,
            oversize_gets: oversize.gets.load(Relaxed),
            allocated_bytes,
            peak_bytes,
            in_use_bytes: bytes(|class| class.in_use) + oversize_bytes,
            idle_bytes: bytes(|class| class.idle),
            reserved_bytes: self.budget.reserved(),
            leased_bytes: self.budget.leased(),
            idle_limit: self.budget.limit(),
            limit: self.config.limit_if_any(),
            slots: self.local.slots(),
            collections: self.counters.collections.load(Relaxed),
            shells_waiting: usize::from(self.counters.shells.load(Relaxed) > 0),
            release_panics: self.counters.release_panics.load(Relaxed),
            classes,
            ..Stats::default()
        }
    }
}
