//! What collections did. Whoever has the turn to collect writes; statistics read at any time.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::raw::counters::{add_owned, as_usize};
use crate::stats::{Collected, Freed};
use crate::sync::{Figure, Ordering::Relaxed};

// Relaxed throughout: figures. The turn orders one writer after another.
#[derive(Debug, Default)]
pub(crate) struct History {
    collections: Runs,
    purges: Runs,
    last: Last,
}

/// Collections, or purges, that ran to their end.
#[derive(Debug, Default)]
struct Runs {
    count: Figure,
    /// Those that could not enter every magazine.
    skipped: Figure,
    longest: Nanos,
}

/// The last collection. It took nothing from the depot, as none does.
#[derive(Debug, Default)]
struct Last {
    local: [Figure; 2],
    victim: [Figure; 2],
    arenas: [Figure; 2],
    slots: Figure,
    slots_skipped: Figure,
    elapsed: Nanos,
    /// As of the last collection or purge.
    shells: Figure,
}

#[derive(Debug, Default)]
struct Nanos(Figure);

impl History {
    pub(crate) fn collected(&self, collected: &Collected) {
        let last = &self.last;
        set(&last.local, collected.local);
        set(&last.victim, collected.victim);
        set(&last.arenas, collected.arenas);
        last.slots.store(collected.slots as u64, Relaxed);
        last.slots_skipped.store(collected.slots_skipped as u64, Relaxed);
        last.elapsed.set(collected.elapsed);
        last.shells.store(collected.shells_waiting as u64, Relaxed);
        self.collections.count(collected);
    }

    pub(crate) fn purged(&self, purged: &Collected) {
        self.last.shells.store(purged.shells_waiting as u64, Relaxed);
        self.purges.count(purged);
    }

    /// How many ran, how many of them skipped a slot, and the longest one.
    pub(crate) fn collections(&self) -> (u64, u64, Duration) {
        self.collections.read()
    }

    /// The same of purges.
    pub(crate) fn purges(&self) -> (u64, u64, Duration) {
        self.purges.read()
    }

    pub(crate) fn shells_waiting(&self) -> usize {
        as_usize(&self.last.shells)
    }

    /// The last collection; beside another one it may be of both.
    pub(crate) fn last(&self) -> Option<Collected> {
        let last = &self.last;
        (self.collections.read().0 > 0).then(|| Collected {
            local: get(&last.local),
            victim: get(&last.victim),
            arenas: get(&last.arenas),
            slots: as_usize(&last.slots),
            slots_skipped: as_usize(&last.slots_skipped),
            shells_waiting: as_usize(&last.shells),
            elapsed: last.elapsed.get(),
            ..Collected::default()
        })
    }
}

impl Runs {
    fn count(&self, one: &Collected) {
        if one.slots_skipped > 0 {
            add_owned(&self.skipped);
        }
        if self.longest.get() < one.elapsed {
            self.longest.set(one.elapsed);
        }
        add_owned(&self.count);
    }

    fn read(&self) -> (u64, u64, Duration) {
        (self.count.load(Relaxed), self.skipped.load(Relaxed), self.longest.get())
    }
}

impl Nanos {
    fn set(&self, elapsed: Duration) {
        // More than 64 bits of them are centuries.
        self.0.store(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }
}

fn set([blocks, bytes]: &[Figure; 2], freed: Freed) {
    blocks.store(freed.blocks as u64, Relaxed);
    bytes.store(freed.bytes as u64, Relaxed);
}

fn get([blocks, bytes]: &[Figure; 2]) -> Freed {
    Freed { blocks: as_usize(blocks), bytes: as_usize(bytes) }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_read() {
        let history = History::default();
        let freed = |n| Freed { blocks: n, bytes: 100 * n };
        let collected = |slots_skipped, nanos| Collected {
            local: freed(nanos),
            victim: freed(nanos + 1),
            arenas: freed(nanos + 2),
            slots: 20,
            slots_skipped,
            elapsed: Duration::from_nanos(nanos as u64),
            ..Collected::default()
        };
        assert_eq!((history.last(), history.collections()), (None, (0, 0, Duration::ZERO)));
        let (slow, quick) = (Collected { shells_waiting: 1, ..collected(3, 7) }, collected(0, 5));
        history.collected(&slow);
        assert_eq!(
            (history.last(), history.collections(), history.shells_waiting()),
            (Some(slow), (1, 1, slow.elapsed), 1)
        );
        history.collected(&quick);
        assert_eq!(
            (history.last(), history.collections(), history.shells_waiting()),
            (Some(quick), (2, 1, slow.elapsed), 0)
        );
        history.purged(&slow);
        assert_eq!((history.purges(), history.shells_waiting()), ((1, 1, slow.elapsed), 1));
        assert_eq!(
            (history.collections(), history.last().map(|last| last.local)),
            ((2, 1, slow.elapsed), Some(quick.local))
        );
    }
}
