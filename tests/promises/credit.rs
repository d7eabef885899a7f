//! Credit is leased in parts, so that other threads have some. A drop without it takes it from the thread's other classes: what is used
//! now becomes hits. Where that would not be enough it takes none: those stay hits.

use crate::common::ledger::Ledger;
use crate::common::{builder, threads};
use millpond::{ClassStats, Pool};

const KIB: usize = 1 << 10;

/// Half of its idle bytes can be leased.
fn pool(ledger: &Ledger, idle_limit: usize) -> Pool<Ledger> {
    builder(ledger).idle_limit(idle_limit).build().unwrap()
}

fn small(pool: &Pool<Ledger>) -> ClassStats {
    pool.stats().classes[0]
}

/// Each with three small buffers, which come from the thread's own cache from the second one on.
fn requests<T>(pool: &Pool<Ledger>, large: impl Fn() -> T) {
    let request = || drop(([(); 3].map(|()| pool.get(4 * KIB)), large()));
    request();
    let before = small(pool);
    (0..10).for_each(|_| request());
    let after = small(pool);
    assert_eq!((after.size, after.local_hits - before.local_hits), (4 * KIB, 30), "{}", pool.stats());
}

/// 64 KiB at a time, or the 256th part of a smaller `idle_limit`, of which 128 threads can have one each; a block at least.
#[test]
fn a_lease_leaves_as_much_for_other_threads() {
    let ledger = Ledger::new();
    for (idle_limit, lease) in [(1024, 64), (16, 64), (15, 60), (8, 32), (1, 4)] {
        let pool = pool(&ledger, idle_limit * KIB * KIB);
        drop(pool.get(4 * KIB));
        assert_eq!(pool.stats().leased_bytes, lease * KIB, "{idle_limit} MiB");
        drop(pool);
    }
    let pool = pool(&ledger, 256 * KIB);
    drop(pool.get(4 * KIB));
    assert_eq!(pool.stats().leased_bytes, 4 * KIB);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn of_the_class_that_the_thread_used_before() {
    let ledger = Ledger::new();
    // With the smaller limit there is no room beside the lease for as many blocks as half a cache could hold.
    for idle_limit in [4 * KIB * KIB, KIB * KIB] {
        let pool = pool(&ledger, idle_limit);
        // All that it may lease.
        drop((0..idle_limit / 2 / (64 * KIB)).map(|_| pool.get(64 * KIB)).collect::<Vec<_>>());
        requests(&pool, || ());
        drop(pool);
    }
    ledger.assert_empty();
}

#[test]
fn of_a_class_that_no_lease_could_cover() {
    let ledger = Ledger::new();
    let pool = pool(&ledger, KIB * KIB);
    requests(&pool, || pool.get(KIB * KIB));
    drop(pool);
    ledger.assert_empty();
}

/// All of a class would be, but no flush takes all.
#[test]
fn of_a_class_of_which_half_is_not_enough() {
    let ledger = Ledger::new();
    let pool = pool(&ledger, KIB * KIB);
    let lens = [4 * KIB, 3584];
    let burst = || lens.map(|len| drop([(); 64].map(|()| pool.get(len))));
    burst();
    let before = pool.stats().total();
    for _ in 0..10 {
        drop(pool.get(256 * KIB));
        burst();
    }
    let hits = pool.stats().total().local_hits - before.local_hits;
    assert_eq!(hits, 10 * 2 * 64, "{}", pool.stats());
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn where_other_threads_have_leased_the_rest() {
    let ledger = Ledger::new();
    let pool = pool(&ledger, KIB * KIB);
    // Registers this thread, or it would take the other's slot over.
    drop(pool.get(4 * KIB));
    threads::scope(|scope| {
        scope.spawn(|| drop([(); 7].map(|()| pool.get(64 * KIB))));
    });
    requests(&pool, || pool.get(256 * KIB));
    assert!(pool.stats().refused_by_idle_limit > 0, "{}", pool.stats());
    drop(pool);
    ledger.assert_empty();
}

/// A lease is for as many blocks as 64 KiB hold; for one, where there is room for no more.
#[test]
fn of_nobody_where_one_block_fits_beside_what_is_leased() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).idle_limit(16 * KIB * KIB).local_limit(16 * KIB * KIB).build().unwrap();
    drop([(); 7].map(|()| pool.get(KIB * KIB)));
    drop([896 * KIB, 112 * KIB].map(|len| pool.get(len)));
    assert_eq!(pool.stats().leased_bytes, 8 * KIB * KIB - 16 * KIB, "{}", pool.stats());
    drop(pool.get(12 * KIB));
    let stats = pool.stats();
    assert_eq!((stats.leased_bytes, stats.refused_by_idle_limit), (8 * KIB * KIB - 4 * KIB, 0), "{stats}");
    drop(pool);
    ledger.assert_empty();
}

/// It has nothing to give, though the thread has not looked into its cache of that class since.
#[test]
fn of_no_class_that_a_collection_emptied() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).local_limit(128 * KIB).build().unwrap();
    let last = pool.get(32 * KIB);
    drop([(); 4].map(|()| pool.get(32 * KIB)));
    pool.collect();
    pool.collect();
    assert_eq!(ledger.live(), 1);
    // All of the thread's credit, in two classes, each of which gives up half of what a cache full of 32 KiB would.
    drop([(); 16].map(|()| pool.get(4 * KIB)));
    drop([(); 8].map(|()| pool.get(8 * KIB)));
    assert_eq!((pool.stats().leased_bytes, pool.stats().refused_by_local_limit), (128 * KIB, 0), "{}", pool.stats());
    drop(last);
    let before = pool.stats().total();
    drop(pool.get(32 * KIB));
    let after = pool.stats().total();
    assert_eq!((after.local_hits, after.depot_hits), (before.local_hits + 1, before.depot_hits), "{}", pool.stats());
    drop(pool);
    ledger.assert_empty();
}
