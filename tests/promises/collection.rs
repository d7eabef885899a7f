//! What nobody used through two collections is deallocated; what was used in between is kept.

use std::time::Duration;

use crate::common::ledger::Ledger;
use crate::common::{pool, threads};
use millpond::{Collect, CollectorState, Pool, Recycle};

/// G5.
#[test]
fn idle_through_two_collections_is_deallocated() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    drop(pool.get(4096));
    assert_eq!(ledger.live(), 1);
    pool.collect();
    assert_eq!(ledger.live(), 1, "one collection is not two");
    pool.collect();
    assert_eq!(ledger.live(), 0);
    assert_eq!(pool.stats().idle_bytes, 0);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn used_in_between_is_kept() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let address = pool.get(4096).as_ptr();
    for _ in 0..10 {
        pool.collect();
        assert_eq!(pool.get(4096).as_ptr(), address);
    }
    assert_eq!(ledger.allocations(), 1);
    drop(pool);
    ledger.assert_empty();
}

/// Of many idle blocks, those that the thread goes on using stay and the others go.
#[test]
fn a_burst_ebbs_to_what_is_used() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    drop((0..500).map(|_| pool.get(4096)).collect::<Vec<_>>());
    for _ in 0..4 {
        drop((0..3).map(|_| pool.get(4096)).collect::<Vec<_>>());
        pool.collect();
    }
    assert_eq!(ledger.live(), 3);
    drop(pool);
    ledger.assert_empty();
}

/// G7.
#[test]
fn an_undrained_pool_is_empty_after_two_collections_three_times() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    for round in 0..3 {
        let sizes = [1, 300, 4096, 70_000, 1 << 20, 4 << 20, (4 << 20) + 1];
        let held: Vec<_> = (0..200).map(|n| pool.get(sizes[n % sizes.len()])).collect();
        drop(held);
        assert!(pool.stats().idle_bytes > 0);
        pool.collect();
        pool.collect();
        assert_eq!(ledger.live(), 0, "round {round}");
        let stats = pool.stats();
        assert_eq!((stats.idle_bytes, stats.allocated_bytes), (0, 0), "round {round}\n{stats}");
        assert_eq!((stats.reserved_bytes, stats.leased_bytes), (0, 0), "round {round}\n{stats}");
    }
    drop(pool);
    ledger.assert_empty();
}

/// Blocks of threads that sleep, and of threads that ended, are collected as well.
#[test]
fn every_threads_blocks_are_collected() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let (asleep, wake) = (std::sync::Barrier::new(9), std::sync::Barrier::new(9));
    threads::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                drop((0..20).map(|_| pool.get(2000)).collect::<Vec<_>>());
                asleep.wait();
                wake.wait();
            });
        }
        asleep.wait();
        assert_eq!(ledger.live(), 160);
        pool.collect();
        let freed = pool.collect();
        assert_eq!((freed.slots, freed.slots_skipped, freed.local.blocks), (8, 0, 160), "{freed}");
        assert_eq!(ledger.live(), 0);
        wake.wait();
    });
    threads::scope(|scope| {
        scope.spawn(|| drop(pool.get(2000)));
    });
    assert_eq!(ledger.live(), 1);
    pool.collect();
    pool.collect();
    assert_eq!(ledger.live(), 0);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn a_purge_frees_all_that_is_idle_at_once() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let held = pool.get(4096);
    drop((0..300).map(|_| pool.get(4096)).collect::<Vec<_>>());
    pool.collect();
    drop((0..100).map(|_| pool.get(64 << 10)).collect::<Vec<_>>());
    let freed = pool.purge();
    assert_eq!(ledger.live(), 1);
    assert!(freed.local.blocks > 0 && freed.depot.blocks > 0 && freed.victim.blocks > 0, "{freed}");
    drop(held);
    drop(pool);
    ledger.assert_empty();
}

/// The victim serves what the depot held before the collection.
#[test]
fn a_block_is_found_in_the_victim() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    drop((0..100).map(|_| pool.get(4096)).collect::<Vec<_>>());
    pool.collect();
    let held: Vec<_> = (0..100).map(|_| pool.get(4096)).collect();
    assert_eq!(ledger.allocations(), 100);
    assert!(pool.stats().classes[0].victim_hits > 0, "{}", pool.stats());
    drop(held);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn the_background_thread_collects_also_what_was_dropped_after_it_slept() {
    let ledger = Ledger::new();
    let interval = Collect::Background(Duration::from_millis(5));
    let pool = Pool::builder_in(ledger.clone()).collect(interval).recycle(Recycle::Always).build().unwrap();
    assert_eq!(pool.stats().collector, CollectorState::NotStarted);
    for _ in 0..3 {
        let held = pool.get(4096);
        assert_eq!(pool.stats().collector, CollectorState::Background);
        let before = pool.stats().collections;
        while pool.stats().collections < before + 3 {
            std::thread::yield_now();
        }
        drop(held);
        assert!(ledger.wait_until_empty(), "{}", pool.stats());
    }
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn a_closed_pool_leaves_the_background_thread() {
    for _ in 0..50 {
        let ledger = Ledger::new();
        let interval = Collect::Background(Duration::from_micros(50));
        let pool = Pool::builder_in(ledger.clone()).collect(interval).recycle(Recycle::Always).build().unwrap();
        let held = pool.get(4096);
        drop(pool.get(4096));
        drop(pool);
        drop(held);
        // The thread may be collecting, and then it is the one that closes the pool.
        assert!(ledger.wait_until_empty());
    }
}
