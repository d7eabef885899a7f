//! Under `Recycle::Chaos` nothing can be relied on but what is promised: a quarter of the drops free their block, collections come
//! unasked, no cache is large; and all of it follows from the seed.

use crate::common::census::Census;
use crate::common::ledger::Ledger;
use crate::common::threads;
use millpond::{Builder, Collect, Pool, Recycle};

fn builder(ledger: &Ledger, seed: u64) -> Builder<Ledger> {
    Pool::builder_in(ledger.clone()).collect(Collect::Manual).recycle(Recycle::Chaos(seed))
}

/// What became of so many buffers that were dropped one after another: allocations, discarded, collections and purges.
fn figures(seed: u64, drops: usize) -> (usize, u64, u64, u64) {
    let ledger = Ledger::new();
    let pool = builder(&ledger, seed).build().unwrap();
    for _ in 0..drops {
        drop(pool.get(1000));
    }
    let stats = pool.stats();
    drop(pool);
    ledger.assert_empty();
    (ledger.allocations(), stats.total().passed, stats.collections, stats.purges)
}

/// G13.
#[test]
fn a_quarter_of_the_drops_free_their_block_and_some_collect() {
    let (allocations, passed, collections, purges) = figures(7, 4000);
    assert!((900..1100).contains(&passed), "{passed}");
    assert!(collections > 100 && purges > 30, "{collections}, {purges}");
    assert!(allocations > 900, "what was freed had to be allocated again: {allocations}");
}

#[test]
fn the_seed_says_what_happens() {
    assert_eq!(figures(1, 500), figures(1, 500));
    assert!((2..10).any(|seed| figures(seed, 500) != figures(1, 500)));
}

/// One cell in the depot, of 16 blocks, and two in the thread's own cache.
#[test]
fn few_blocks_are_idle_however_many_come_back() {
    let ledger = Ledger::new();
    let pool = builder(&ledger, 3).build().unwrap();
    let mut most = 0;
    for _ in 0..20 {
        drop((0..200).map(|_| pool.get(1000)).collect::<Vec<_>>());
        let idle = pool.stats().total().idle;
        // The depot, and the victim, which was one.
        assert!(idle <= 2 + 2 * 16, "{idle}");
        most = most.max(idle);
    }
    assert!(most > 2, "something is kept");
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn blocks_come_back_as_of_any_pool() {
    let ledger = Ledger::new();
    let pool = builder(&ledger, 5).zero_on_return(true).build().unwrap();
    let held: Vec<_> = (0..100)
        .map(|n| {
            let mut buf = pool.get(100 * n);
            buf.resize(100 * n, 7);
            buf.reserve(1);
            buf
        })
        .collect();
    threads::scope(|scope| {
        scope.spawn(|| {
            for (n, buf) in held.into_iter().enumerate() {
                assert_eq!(*buf, vec![7; 100 * n]);
            }
        });
    });
    assert_eq!(pool.stats().in_use_bytes, 0);
    let late = pool.get(1);
    drop(pool);
    drop(late);
    ledger.assert_empty();
}

/// As an allocator too, which has a short way of its own.
#[test]
fn vectors_in_the_pool_give_a_quarter_back() {
    let ledger = Ledger::new();
    let pool = builder(&ledger, 9).build().unwrap();
    for _ in 0..1000 {
        drop(allocator_api2::vec::Vec::<u8, _>::with_capacity_in(1000, &pool));
    }
    assert!((200..300).contains(&pool.stats().total().passed), "{}", pool.stats());
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn a_quarter_of_the_objects_are_dropped_with_or_without_a_reset() {
    for resets in [false, true] {
        let census = Census::default();
        let builder = census.builder().recycle(Recycle::Chaos(1));
        let pool = if resets { builder.reset(|object| object.tag = 0).build() } else { builder.build() }.unwrap();
        for _ in 0..1000 {
            drop(pool.get());
        }
        let passed = pool.stats().objects.passed;
        assert!((200..300).contains(&passed), "{passed}, {resets}");
        drop(pool);
        census.assert_empty();
    }
}

#[cfg(feature = "arena")]
#[test]
fn arenas_are_freed_at_a_whim_too() {
    let ledger = Ledger::new();
    let pool = builder(&ledger, 2).build().unwrap();
    let kept = (0..400)
        .filter(|_| {
            drop(pool.arena());
            pool.stats().idle_arenas > 0
        })
        .count();
    // What is found idle is taken by the next one, so each comes back to nothing or to itself.
    assert!((250..350).contains(&kept), "{kept}");
    drop(pool);
    ledger.assert_empty();
}
