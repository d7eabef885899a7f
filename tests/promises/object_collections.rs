//! Idle objects that nobody used through two collections are dropped, by whoever collects; those in use, and used in between, are not.
//!
//! G and N with a number are rows of the tests of Go's and .NET's pools; section 10 of `docs/design.md` accounts for all of them.

use std::sync::Barrier;
use std::time::Duration;

use crate::common::census::Census;
use crate::common::{threads, wait_until};
use millpond::{Collect, CollectorState, ObjectPool};

/// More than a thread keeps, so that some are in the depot.
const MANY: usize = 100;

/// Gets so many and drops them.
fn burst<T: Send + 'static>(pool: &ObjectPool<T>, count: usize) {
    drop((0..count).map(|_| pool.get()).collect::<Vec<_>>());
}

/// G4: what came back survives one collection, and is found after it.
#[test]
fn one_collection_is_survived() {
    let census = Census::default();
    let pool = census.pool();
    burst(&pool, MANY);
    pool.collect();
    burst(&pool, MANY);
    assert_eq!(census.made(), MANY);
    drop(pool);
    census.assert_empty();
}

/// G5, and G7: three times in a row.
#[test]
fn two_collections_without_use_drop_all() {
    let census = Census::default();
    let pool = census.pool();
    for round in 1..=3 {
        burst(&pool, MANY);
        pool.collect();
        pool.collect();
        let stats = pool.stats();
        assert_eq!((census.made(), census.live(), stats.objects.idle), (round * MANY, 0, 0), "{stats}");
        assert_eq!(stats.reserved, 0, "{stats}");
    }
    drop(pool);
    census.assert_empty();
}

/// G6: the pool keeps no reference to what it handed out and did not get back.
#[test]
fn what_was_detached_is_nobody_elses() {
    let census = Census::default();
    let pool = census.pool();
    burst(&pool, MANY);
    let detached: Vec<_> = (0..MANY).map(|_| pool.get().detach()).collect();
    assert_eq!((census.live(), pool.stats().objects.allocated), (MANY, 0));
    drop(detached);
    census.assert_empty();
}

#[test]
fn one_that_is_used_in_between_stays_and_one_that_is_out_too() {
    let census = Census::default();
    let pool = census.pool();
    let held = pool.get();
    burst(&pool, 10);
    for _ in 0..10 {
        drop(pool.get());
        pool.collect();
    }
    assert_eq!((census.live(), pool.stats().objects.idle), (2, 1));
    drop((held, pool));
    census.assert_empty();
}

/// N15, for a purge: also what threads keep that sleep, or have ended.
#[test]
fn a_purge_reaches_every_thread() {
    let census = Census::default();
    let pool = census.pool();
    let (used, purged) = (Barrier::new(5), Barrier::new(5));
    threads::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                burst(&pool, 10);
                used.wait();
                purged.wait();
                assert!(pool.try_take().is_none());
            });
        }
        threads::scope(|ended| ended.spawn(|| burst(&pool, 10)));
        used.wait();
        let purged_objects = pool.purge();
        assert_eq!((purged_objects.blocks(), purged_objects.slots_skipped, census.live()), (census.made(), 0, 0));
        purged.wait();
    });
    drop(pool);
    census.assert_empty();
}

/// N16:
/// The request threads get and drop; the drops of idle objects are the collector's.
#[test]
fn idle_objects_are_dropped_by_the_background_thread() {
    let census = Census::default();
    let pool = census.builder().collect(Collect::Background(Duration::from_millis(5))).build().unwrap();
    assert_eq!(pool.stats().collector, CollectorState::NotStarted, "N16: not before the first get");
    burst(&pool, MANY);
    assert_eq!(pool.stats().collector, CollectorState::Background);
    wait_until("all are dropped", || census.live() == 0);
    assert_eq!(census.dropped_by_others(), census.made());
    // It has gone to sleep; what is adopted wakes it.
    pool.put(census.make());
    wait_until("that one too", || census.live() == 0);
    drop(pool);
    census.assert_empty();
}

/// G12: a drop that panics does not stop a collection, nor poison the pool.
#[test]
fn a_drop_that_panics_does_not_stop_a_collection() {
    let census = Census::default();
    let pool = census.pool();
    burst(&pool, MANY);
    census.panic_in_drops(true);
    pool.collect();
    pool.collect();
    census.panic_in_drops(false);
    assert_eq!((census.live(), pool.stats().drop_panics), (0, MANY as u64));
    burst(&pool, MANY);
    assert_eq!(census.live(), MANY);
    drop(pool);
    census.assert_empty();
}
