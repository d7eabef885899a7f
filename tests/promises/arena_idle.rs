//! An arena that ended is used again, and idle ones are bounded and collected.

use std::time::Duration;

use crate::arenas::{assert_unharmed, request};
use crate::common::ledger::Ledger;
use crate::common::pool;
use allocator_api2::vec::Vec;
use millpond::{Collect, Pool, Recycle};

#[test]
fn once_warm_requests_ask_the_allocator_for_nothing() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    (0..100).for_each(|seed| request(&pool.arena(), seed));
    let (allocations, chunk) = (ledger.allocations(), pool.stats().idle_arena_bytes);
    for seed in 0..100 {
        let arena = pool.arena();
        assert_eq!((pool.stats().idle_arenas, arena.stats().chunk_bytes), (0, chunk), "the same chunk");
        request(&arena, seed);
        drop(arena);
        assert_eq!((pool.stats().idle_arenas, pool.stats().in_use_bytes), (1, 0));
    }
    assert_eq!(ledger.allocations(), allocations);
    assert_unharmed(pool, &ledger);
}

#[test]
fn a_reset_arena_is_as_new_and_keeps_its_chunk() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut arena = pool.arena();
    (0..10).for_each(|seed| {
        request(&arena, seed);
        arena.reset();
    });
    let (chunk, allocations) = (arena.stats().chunk_bytes, ledger.allocations());
    for seed in 0..10 {
        request(&arena, seed);
        std::mem::forget(Vec::<u8, _>::with_capacity_in(9000, &arena));
        assert!(arena.stats().large_blocks >= 2 && arena.stats().bumped_bytes > 0);
        arena.reset();
        let stats = arena.stats();
        assert_eq!((stats.bumped_bytes, stats.chunk_bytes, stats.large_blocks), (0, chunk, 0));
        assert_eq!(pool.stats().in_use_bytes, 0);
    }
    assert_eq!(ledger.allocations(), allocations + 1, "the one of 9000 bytes");
    drop(arena);
    assert_unharmed(pool, &ledger);
}

#[test]
fn idle_arenas_are_bounded_in_count_and_in_bytes() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let arenas: std::vec::Vec<_> = (0..100).map(|_| pool.arena()).collect();
    for arena in &arenas {
        arena.alloc_bytes(100);
    }
    drop(arenas);
    let stats = pool.stats();
    assert_eq!(stats.idle_arenas, 64);
    assert!(stats.to_string().contains("idle arenas 64, "), "{stats}");
    pool.purge();
    assert_eq!((pool.stats().idle_arenas, pool.stats().idle_arena_bytes), (0, 0));

    for (pieces, kept) in [(100, 1), (1000, 1), (10_000, 0)] {
        let arena = pool.arena();
        for _ in 0..pieces {
            arena.alloc_bytes(100);
        }
        assert!(arena.stats().bumped_bytes >= pieces * 100);
        drop(arena);
        let stats = pool.stats();
        assert_eq!(stats.idle_arenas, kept, "after {pieces} pieces");
        assert!(stats.idle_arena_bytes <= 256 << 10, "{stats}");
    }
    assert_unharmed(pool, &ledger);
}

#[test]
fn idle_arenas_that_nobody_needed_through_two_collections_go() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    drop((0..10).map(|_| pool.arena()).collect::<std::vec::Vec<_>>());
    assert_eq!(pool.collect().arenas.blocks, 0);
    assert_eq!(pool.stats().idle_arenas, 10, "they were just used");
    for _ in 0..100 {
        drop((pool.arena(), pool.arena()));
    }
    let bytes = pool.stats().idle_arena_bytes;
    let collected = pool.collect();
    assert_eq!(pool.stats().idle_arenas, 2, "two were needed");
    assert_eq!((collected.arenas.blocks, collected.arenas.bytes), (8, bytes - pool.stats().idle_arena_bytes));
    assert_eq!((collected.blocks(), collected.bytes()), (0, 0), "none of the allocator's");
    assert_eq!(pool.stats().last_collection.unwrap().arenas, collected.arenas);
    assert!(collected.to_string().contains("    arenas          8 "), "{collected}");
    assert_eq!(pool.collect().arenas.blocks, 2);
    assert_eq!(pool.stats().idle_arenas, 0);
    assert_unharmed(pool, &ledger);
}

/// Though the pool never had a block: an arena alone is something to collect.
#[test]
fn the_background_thread_collects_arenas() {
    let ledger = Ledger::new();
    let builder = Pool::builder_in(ledger.clone()).collect(Collect::Background(Duration::from_millis(5)));
    let pool = builder.recycle(Recycle::Always).build().unwrap();
    for _ in 0..2 {
        let arena = pool.arena();
        arena.alloc_str("small");
        drop(arena);
        crate::common::wait_until("the arena is collected", || pool.stats().idle_arenas == 0);
    }
    assert_eq!(ledger.allocations(), 0);
    assert_unharmed(pool, &ledger);
}

#[test]
fn a_pool_that_passes_through_keeps_no_arena() {
    let ledger = Ledger::new();
    let pool = Pool::builder_in(ledger.clone()).collect(Collect::Manual).recycle(Recycle::Never).build().unwrap();
    let arena = pool.arena();
    request(&arena, 3);
    drop(arena);
    assert_eq!((pool.stats().idle_arenas, ledger.live()), (0, 0));
    assert_unharmed(pool, &ledger);
}
