//! One huge buffer among small ones does not stay for good, nor serve small requests: blocks keep to their class, and a
//! class that nobody uses is empty two collections later.

use crate::common::ledger::Ledger;
use crate::common::{class_size, pool, threads};
use millpond::{Collect, Pool, Recycle};

const SMALL: usize = 4096;
const HUGE: usize = 4 << 20;

/// Small buffers that a request holds at a time.
const HELD: usize = 3;

const COLLECT_EVERY: usize = if cfg!(debug_assertions) { 4_000 } else { 20_000 };

fn small_requests(pool: &Pool<Ledger>, requests: usize) {
    for _ in 0..requests {
        let held = [(); HELD].map(|()| pool.get(SMALL));
        assert!(held.iter().all(|buf| buf.capacity() == SMALL));
    }
}

/// Huge requests in a million small ones, of which one thread's magazine has room, or none but the depot.
#[test]
fn what_small_traffic_needs_is_left_after_two_collections() {
    for (huge, idle_limit, local_limit) in
        [(HUGE, 64 << 20, 4 << 20), (1 << 20, 64 << 20, 4 << 20), (HUGE, 1 << 30, 64 << 20)]
    {
        let ledger = Ledger::new();
        let builder = Pool::builder_in(ledger.clone()).idle_limit(idle_limit).local_limit(local_limit);
        let pool = builder.collect(Collect::Manual).recycle(Recycle::Always).build().unwrap();
        let mut since = usize::MAX;
        for interval in 0..50 {
            small_requests(&pool, COLLECT_EVERY / 2);
            if interval % 10 == 5 {
                // Dropped here, and elsewhere.
                let [here, elsewhere] = [(); 2].map(|()| pool.get(huge));
                drop(here);
                threads::scope(|scope| scope.spawn(|| drop(elsewhere)));
                since = 0;
            }
            small_requests(&pool, COLLECT_EVERY / 2);
            pool.collect();
            since = since.saturating_add(1);
            let retained = ledger.live_bytes();
            if since < 2 {
                assert_eq!(retained, HELD * SMALL + 2 * huge, "used since the last collection");
            } else {
                assert_eq!(retained, HELD * SMALL, "{interval}: {since} collections after\n{}", pool.stats());
            }
        }
        drop(pool);
        ledger.assert_empty();
    }
}

/// What `sync.Pool` of growing buffers is known for.
#[test]
fn a_buffer_that_grew_is_not_what_a_small_request_gets() {
    for huge in [64 << 10, 1 << 20, HUGE] {
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        let mut grown = pool.get(SMALL);
        grown.resize(huge, 1);
        let address = grown.as_ptr();
        drop(grown);
        small_requests(&pool, 100);
        // It waits in its own class, and ages there.
        let again = pool.get(huge);
        assert_eq!((again.as_ptr(), again.capacity()), (address, huge));
        drop(again);
        pool.collect();
        small_requests(&pool, 100);
        assert_eq!(ledger.live_bytes(), HELD * SMALL + huge);
        pool.collect();
        assert_eq!(ledger.live_bytes(), HELD * SMALL, "{}", pool.stats());
        drop(pool);
        ledger.assert_empty();
    }
}

/// The blocks of the sizes between, through which it grew, age as well. The last one is above the largest class.
#[test]
fn what_a_buffer_grew_through_ages_too() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut grown = pool.get(SMALL);
    while grown.len() <= HUGE {
        grown.extend_from_slice(&[1; 1000]);
    }
    drop(grown);
    let doublings = (HUGE / SMALL).ilog2() as usize;
    assert_eq!((ledger.live(), ledger.live_bytes()), (doublings + 1, 2 * HUGE - SMALL));
    pool.collect();
    small_requests(&pool, 1);
    pool.collect();
    assert_eq!(ledger.live_bytes(), HELD * SMALL, "{}", pool.stats());
    drop(pool);
    ledger.assert_empty();
}

/// N3.
#[test]
fn blocks_above_the_largest_class_are_never_retained() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    small_requests(&pool, 1);
    for oversize in [HUGE + 1, 3 * HUGE] {
        let buf = pool.get(oversize);
        assert_eq!(ledger.live_bytes(), HELD * SMALL + oversize);
        drop(buf);
        assert_eq!(ledger.live_bytes(), HELD * SMALL);

        let mut grown = pool.get(SMALL);
        grown.resize(oversize, 1);
        assert_eq!(ledger.live_bytes(), HELD * SMALL + oversize);
        // From oversize to oversize.
        grown.resize(4 * HUGE, 1);
        threads::scope(|scope| scope.spawn(|| drop(grown)));
        assert_eq!(ledger.live_bytes(), HELD * SMALL, "{}", pool.stats());
    }
    assert_eq!(pool.stats().idle_bytes, HELD * SMALL);
    drop(pool);
    ledger.assert_empty();
}

/// As many as were out at a time are kept while they are used between any two collections, and none is made twice; where
/// collections are more frequent than huge requests, none is kept for long.
#[test]
fn repeated_huge_requests_keep_the_blocks_that_they_use() {
    for (at_a_time, collect_every) in [(1, 10_000), (2, 10_000), (2, 300)] {
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        let huge = class_size(HUGE - 5000);
        let mut collections_since = 0;
        for request in 1..=100_000 / if cfg!(debug_assertions) { 4 } else { 1 } {
            small_requests(&pool, 1);
            if request % 1000 == 0 {
                drop((0..at_a_time).map(|_| pool.get(huge)).collect::<Vec<_>>());
                collections_since = 0;
            }
            if request % collect_every == 0 {
                pool.collect();
                collections_since += 1;
                let kept = if collections_since < 2 && request >= 1000 { at_a_time * huge } else { 0 };
                assert_eq!(ledger.live_bytes(), HELD * SMALL + kept, "{request}\n{}", pool.stats());
            }
        }
        if collect_every > 1000 {
            assert_eq!(ledger.allocations(), HELD + at_a_time);
        }
        drop(pool);
        ledger.assert_empty();
    }
}
