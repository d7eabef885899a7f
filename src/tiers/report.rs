//! Statistics: sums what slots and shared counters say.

#[cfg(all(test, not(loom)))]
mod tests;

use crate::alloc::Allocator;
use crate::raw::counters::{ClassCounters, as_usize};
use crate::raw::size_class::{Class, MAX_CLASSES};
#[cfg(not(loom))]
use crate::stats::ObjectStats;
use crate::stats::{ClassStats, Discarded, Stats};
use crate::sync::{Figure, Ordering::Relaxed};
use crate::tiers::Tiers;
#[cfg(not(loom))]
use crate::tiers::backing::objects::{OBJECT, Objects};
use crate::tiers::backing::{Backing, Bytes};

/// The part of a class's figures that its magazines hold.
struct Magazines {
    gets: u64,
    puts: u64,
    idle: usize,
}

/// What the slots say of their credit.
#[derive(Default)]
struct Credit {
    slots: usize,
    /// The most that one has leased now, and that one ever had.
    leased: usize,
    peak: u64,
    refused_slot: u64,
    refused_budget: u64,
}

impl<B: Backing> Tiers<B> {
    /// One walk over all slots.
    fn credit(&self) -> Credit {
        let mut sum = Credit::default();
        for slot in self.local.slots() {
            sum.slots += 1;
            sum.leased = sum.leased.max(slot.leased());
            sum.peak = sum.peak.max(slot.credit.peak.load(Relaxed));
            sum.refused_slot += slot.credit.refused_slot.load(Relaxed);
            sum.refused_budget += slot.credit.refused_budget.load(Relaxed);
        }
        sum
    }

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
            allocated: as_usize(&counters.allocated),
            peak: as_usize(&counters.peak),
            // Beside running requests the sums are not of one moment, so differences stop at zero.
            in_use: (gets.wrapping_sub(puts) as i64).max(0) as usize,
            idle: local.idle + idle_shared,
            local_hits: gets.saturating_sub(depot_hits + victim_hits + misses),
            depot_hits,
            victim_hits,
            misses,
            discarded: Discarded {
                over_budget: shared(|c| &c.over_budget),
                bucket_full: shared(|c| &c.bucket_full),
                no_depot: shared(|c| &c.no_depot),
            },
            trimmed: shared(|c| &c.trimmed),
            purged: shared(|c| &c.purged),
            passed: shared(|c| &c.passed),
        }
    }
}

#[cfg(not(loom))]
impl<T: Send + 'static> Tiers<Objects<T>> {
    /// Without the background thread's part.
    pub(crate) fn object_stats(&self) -> ObjectStats {
        let figures = &self.backing.figures;
        let adopted = figures.adopted.load(Relaxed);
        let mut objects = self.class_stats(OBJECT, &self.magazines()[OBJECT.index()]);
        // What came from elsewhere was no get.
        objects.misses = objects.misses.saturating_sub(adopted);
        let (reserved, peak_reserved) = self.budget.reserved();
        let (collections, collections_skipping, longest_collection) = self.history.collections();
        let (purges, _, longest_purge) = self.history.purges();
        ObjectStats {
            objects,
            adopted,
            detached: figures.detached.load(Relaxed),
            refused: figures.refused.load(Relaxed),
            reset_panics: figures.reset_panics.load(Relaxed),
            drop_panics: self.counters.release_panics.load(Relaxed),
            max_idle: self.budget.limit(),
            reserved,
            peak_reserved,
            slots: self.credit().slots,
            collections,
            collections_skipping,
            longest_collection,
            last_collection: self.history.last(),
            purges,
            longest_purge,
            shells_waiting: self.history.shells_waiting(),
            ..ObjectStats::default()
        }
    }
}

impl<A: Allocator + Send + Sync + 'static> Tiers<Bytes<A>> {
    /// Without the background thread's part.
    #[expect(clippy::cast_possible_truncation, reason = "the peak was a `usize`")]
    pub(crate) fn stats(&self) -> Stats {
        let magazines = self.magazines();
        let stats_of = |class: Class| self.class_stats(class, &magazines[class.index()]);
        let classes: Vec<_> = self.config.classes.all().map(stats_of).filter(|class| class.gets() > 0).collect();
        // Saturating: where an address has 32 bits, what is not of one moment may not fit.
        let bytes = |count: fn(&ClassStats) -> usize| {
            classes.iter().fold(0_usize, |sum, class| sum.saturating_add(count(class).saturating_mul(class.size)))
        };
        let oversize = self.backing.oversize();
        let oversize_bytes = oversize.bytes.load(Relaxed);
        let (allocated_bytes, peak_bytes) = self.backing.allocated();
        let (reserved_bytes, peak_reserved_bytes) = self.budget.reserved();
        let (leased_bytes, peak_leased_bytes) = self.budget.leased();
        let credit = self.credit();
        let (collections, collections_skipping, longest_collection) = self.history.collections();
        let (purges, _, longest_purge) = self.history.purges();
        // Beside running requests the sums are not of one moment.
        let direct_bytes =
            allocated_bytes.saturating_sub(bytes(|class| class.allocated).saturating_add(oversize_bytes));
        #[cfg(feature = "arena")]
        let (idle_arenas, idle_arena_bytes) = if self.is_inherited() { (0, 0) } else { self.arenas.idle() };
        #[cfg(not(feature = "arena"))]
        let (idle_arenas, idle_arena_bytes) = (0, 0);
        Stats {
            oversize_in_use: oversize.blocks.load(Relaxed),
            oversize_bytes,
            oversize_gets: oversize.gets.load(Relaxed),
            allocated_bytes,
            peak_bytes,
            in_use_bytes: bytes(|class| class.in_use).saturating_add(oversize_bytes).saturating_add(direct_bytes),
            direct_bytes,
            idle_bytes: bytes(|class| class.idle),
            reserved_bytes,
            peak_reserved_bytes,
            leased_bytes,
            peak_leased_bytes,
            slot_bytes: credit.leased,
            peak_slot_bytes: credit.peak as usize,
            idle_limit: self.budget.limit(),
            local_limit: self.config.local_limit,
            limit: self.config.limit_if_any(),
            refused_by_local_limit: credit.refused_slot,
            refused_by_idle_limit: credit.refused_budget,
            limit_failed: self.counters.limit_failed.load(Relaxed),
            limit_saved: self.counters.limit_saved.load(Relaxed),
            slots: credit.slots,
            collections,
            collections_skipping,
            longest_collection,
            last_collection: self.history.last(),
            purges,
            longest_purge,
            shells_waiting: self.history.shells_waiting(),
            release_panics: self.counters.release_panics.load(Relaxed),
            idle_arenas,
            idle_arena_bytes,
            classes,
            ..Stats::default()
        }
    }
}
