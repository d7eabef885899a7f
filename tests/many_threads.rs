//! However many threads have used a pool, alive or gone, two collections empty it and take all credit back.

#![allow(clippy::disallowed_types, reason = "a lock between tests")]

mod common;

use std::sync::{Barrier, Mutex, PoisonError};
use std::thread::Builder;

use common::ledger::Ledger;
use millpond::Pool;

const THREADS: usize = 1000;

/// Of three magazines, and one that is no magazine's with the `local_limit` below.
const LENGTHS: [usize; 4] = [256, 1000, 4096, 70_000];

/// A quarter of it is above the third length and below the last. Two leases use it up, so that a slot that does not know
/// its credit to be gone again cannot keep what it must the second time.
const LOCAL_LIMIT: usize = 128 << 10;

fn pool(ledger: &Ledger, idle_limit: usize) -> Pool<Ledger> {
    common::builder(ledger).idle_limit(idle_limit).local_limit(LOCAL_LIMIT).build().unwrap()
}

fn use_once(pool: &Pool<Ledger>) {
    for len in LENGTHS {
        drop((0..3).map(|_| pool.get(len)).collect::<Vec<_>>());
    }
}

#[test]
fn two_collections_empty_a_thousand_slots() {
    collected_twice(512 << 20, true);
}

/// There is credit for few of the slots; the other threads' blocks are in the depot, or were never kept.
#[test]
fn two_collections_empty_a_thousand_slots_that_had_to_share() {
    collected_twice(16 << 20, false);
}

/// A container may not allow twice as many threads.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Half of the threads end before the collections. The others sleep, and find their slots as good as new.
fn collected_twice(idle_limit: usize, every_slot_keeps: bool) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let ledger = Ledger::new();
    let pool = pool(&ledger, idle_limit);
    let used = Barrier::new(THREADS);
    let [used_by_all, collected] = [(); 2].map(|()| Barrier::new(THREADS / 2 + 1));
    let small = || Builder::new().stack_size(128 << 10);
    let work = || {
        use_once(&pool);
        // So that there are as many slots.
        used.wait();
    };
    let warm_hits = std::thread::scope(|scope| {
        let ended: Vec<_> = (0..THREADS / 2).map(|_| small().spawn_scoped(scope, work).unwrap()).collect();
        let asleep: Vec<_> = (0..THREADS / 2)
            .map(|_| {
                let work = || {
                    work();
                    used_by_all.wait();
                    collected.wait();
                    use_once(&pool);
                    use_once(&pool);
                };
                small().spawn_scoped(scope, work).unwrap()
            })
            .collect();
        ended.into_iter().for_each(|thread| thread.join().unwrap());
        used_by_all.wait();
        let wake = Wake(&collected);
        collect_twice(&pool, &ledger, every_slot_keeps);
        let before = local_hits(&pool);
        drop(wake);
        asleep.into_iter().for_each(|thread| thread.join().unwrap());
        local_hits(&pool) - before
    });
    // Three classes, and three blocks of each: the first time they are made, the second time they are there.
    if every_slot_keeps {
        assert_eq!(warm_hits, 9 * (THREADS as u64 / 2), "{}", pool.stats());
    }
    pool.collect();
    pool.collect();
    nothing_is_held(&pool);
    drop(pool);
    ledger.assert_empty();
}

/// Wakes the others when it is dropped, also by a check that fails: the scope waits for them.
struct Wake<'a>(&'a Barrier);

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        self.0.wait();
    }
}

fn collect_twice(pool: &Pool<Ledger>, ledger: &Ledger, every_slot_keeps: bool) {
    let stats = pool.stats();
    assert_eq!((stats.slots, stats.in_use_bytes), (THREADS, 0), "{stats}");
    let idle = ledger.live();
    let (first, second) = (pool.collect(), pool.collect());
    for collected in [first, second] {
        assert_eq!((collected.slots_skipped, collected.already_running), (0, false), "{collected}");
        assert!(collected.slots <= THREADS, "{collected}");
    }
    if every_slot_keeps {
        // The first takes spare credit from each slot, and leaves the blocks; for these the second comes again.
        assert_eq!((first.slots, second.slots), (THREADS, THREADS), "{first}{second}");
        assert_eq!((first.blocks(), second.local.blocks), (0, 9 * THREADS), "{first}{second}");
    }
    assert_eq!((first.blocks() + second.blocks(), ledger.live()), (idle, 0), "{first}{second}");
    nothing_is_held(pool);
    assert_eq!(pool.collect().slots, 0, "there is nothing to look for in an empty slot");
}

fn local_hits(pool: &Pool<Ledger>) -> u64 {
    pool.stats().classes.iter().map(|class| class.local_hits).sum()
}

fn nothing_is_held(pool: &Pool<Ledger>) {
    let stats = pool.stats();
    assert_eq!((stats.allocated_bytes, stats.idle_bytes), (0, 0), "{stats}");
    assert_eq!((stats.reserved_bytes, stats.leased_bytes), (0, 0), "{stats}");
    assert!(stats.classes.iter().all(|class| (class.allocated, class.idle, class.in_use) == (0, 0, 0)), "{stats}");
}
