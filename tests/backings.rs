//! The same life of a pool over every allocator of ours and some that are hard to please: what a pool does depends on none.

mod common;

use std::alloc::System;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::thread;

use common::flaky::{Call, Flaky, OnCue};
use common::ledger::Ledger;
use common::odd::Odd;
use common::threads;
use millpond::alloc::{Allocator, FromGlobalAlloc, Global};
use millpond::{Builder, Collect, GetError, Pool, PoolBuf, Recycle};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const LIMIT: usize = 24 * MIB;

/// The edges of classes and tiers, one that no thread keeps for itself, and one that is never kept.
const SIZES: [usize; 10] = [1, 256, 257, 4 * KIB, 20_000, 64 * KIB, 64 * KIB + 1, MIB + 1, 4 * MIB, 4 * MIB + 1];

/// With these alignments: none, the default, a page and more.
const ALIGNS: [usize; 4] = [1, 64, 4 * KIB, 64 * KIB];

fn build<A: Allocator + Send + Sync + 'static>(builder: Builder<A>, align: usize) -> Pool<A> {
    builder.align(align).limit(LIMIT).collect(Collect::Manual).recycle(Recycle::Always).build().unwrap()
}

/// What is written to every buffer, from its start.
fn text() -> &'static [u8] {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    TEXT.get_or_init(|| (0..251).collect::<Vec<u8>>().repeat(20 * MIB / 251))
}

/// So many bytes more, and all of them as they were written.
fn write<A>(buf: &mut PoolBuf<A>, more: usize) -> Result<(), GetError>
where
    A: Allocator + Send + Sync + 'static,
{
    let length = buf.len() + more;
    buf.try_extend_from_slice(&text()[buf.len()..length])?;
    assert!(buf.as_slice() == &text()[..length], "{length} bytes");
    Ok(())
}

/// Get, grow, write, drop, here and elsewhere; collections, a purge, the limit.
fn live<A: Allocator + Send + Sync + 'static>(pool: &Pool<A>, align: usize) -> Result<(), GetError> {
    let mut held = Vec::new();
    for size in SIZES {
        let mut buf = pool.try_get(size)?;
        assert_eq!(buf.as_ptr().addr() % align, 0, "{size}");
        assert!(buf.is_empty() && buf.capacity() >= size);
        write(&mut buf, size)?;
        held.push(buf);
    }
    held.truncate(7);
    for buf in &mut held {
        let more = buf.capacity() - buf.len() + 1;
        write(buf, more)?;
    }
    let foreign: Vec<_> = held.drain(..4).collect();
    thread::scope(|scope| {
        let dropped = scope.spawn(|| drop(foreign)).join();
        let written = scope.spawn(|| pool.try_get(4 * KIB).and_then(|mut buf| write(&mut buf, 3 * KIB))).join();
        dropped.and(written).unwrap_or_else(|panic| resume_unwind(panic))
    })?;
    assert!(pool.stats().idle_bytes > 0);

    // What is used in between stays.
    pool.collect();
    let mut used = pool.try_get(64 * KIB)?;
    write(&mut used, 100)?;
    drop(used);
    pool.collect();
    assert!(pool.stats().idle_bytes <= 64 * KIB + 16 * KIB, "{}", pool.stats());
    drop(held);
    assert!(pool.stats().idle_bytes > 64 * KIB);
    pool.purge();
    assert_eq!(pool.stats().idle_bytes, 0);

    // The second half is there once the first is freed.
    let halves = [12 * MIB, LIMIT / 2 + MIB];
    drop((0..100).map(|_| pool.try_get(16 * KIB)).collect::<Result<Vec<_>, _>>()?);
    let mut half = pool.try_get(halves[0])?;
    write(&mut half, KIB)?;
    assert!(matches!(pool.try_get(halves[1]), Err(GetError::LimitReached { limit: LIMIT, .. })));
    drop(half);
    write(&mut pool.try_get(halves[1])?, KIB)?;
    pool.purge();
    assert_eq!(pool.stats().allocated_bytes, 0, "{}", pool.stats());
    Ok(())
}

/// Twice on one thread, and on four at once.
fn over<A: Allocator + Send + Sync + 'static>(builder: impl Fn() -> Builder<A>) {
    for align in ALIGNS {
        let pool = build(builder(), align);
        (0..2).for_each(|_| live(&pool, align).unwrap());
        // Bounds that four threads do not meet; and only one collects at a time, so figures are for the end.
        let pool = builder().align(align).collect(Collect::Manual).recycle(Recycle::Always).build().unwrap();
        threads::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..3 {
                        for size in SIZES {
                            let mut buf = pool.get(size);
                            write(&mut buf, size.min(10_000)).unwrap();
                        }
                        if round == 1 {
                            pool.collect();
                        }
                    }
                });
            }
        });
        let late = pool.get(100);
        pool.purge();
        assert_eq!(pool.stats().allocated_bytes, 256, "{}", pool.stats());
        drop(pool);
        drop(late);
    }
}

#[test]
fn over_the_ledger() {
    let ledger = Ledger::new();
    over(|| Pool::builder_in(ledger.clone()));
    ledger.assert_empty();
}

#[test]
fn over_blocks_that_are_aligned_no_more_than_asked() {
    let ledger = Ledger::new();
    over(|| Pool::builder_in(Odd(ledger.clone())));
    ledger.assert_empty();
}

#[test]
fn over_the_global_allocator() {
    over(|| Pool::builder_in(Global));
}

#[test]
fn over_a_global_alloc() {
    over(|| Pool::builder_in(FromGlobalAlloc::new(System)));
}

#[cfg(all(unix, not(miri)))]
#[test]
fn over_pages() {
    use millpond::alloc::Pages;
    over(|| Pool::builder_in(Pages::new()));
    over(|| Pool::builder_in(Pages::new().threshold(0).huge_pages(true)));
}

#[cfg(feature = "jemalloc")]
#[test]
fn over_jemalloc() {
    use millpond::alloc::Jemalloc;
    over(|| Pool::builder_in(Jemalloc::new()));
}

/// At any single call: `tests/promises/faults.rs` has the calls of closing as well.
#[test]
fn over_one_that_fails_on_cue() {
    let ledger = Ledger::new();
    let allocator = Flaky::failing(&ledger);
    over(|| Pool::builder_in(allocator.clone()));
    // Each of the pools of one life makes as many calls.
    allocator.arm(0);
    live(&build(Pool::builder_in(allocator.clone()), 64), 64).unwrap();
    for nth in 1..=allocator.calls() {
        let pool = build(Pool::builder_in(allocator.clone()), 64);
        allocator.arm(nth);
        let result = live(&pool, 64);
        assert!(matches!(result, Ok(()) | Err(GetError::OutOfMemory { .. })), "call {nth}: {result:?}");
        // A growth that cannot double asks once more, for what it needs.
        let heard = allocator.went_wrong().is_some() && !allocator.was_asked_for_less();
        assert_eq!(result.is_err(), heard, "call {nth}");
        assert_eq!(pool.stats().release_panics, 0, "call {nth}");
        allocator.arm(0);
        pool.purge();
        live(&pool, 64).unwrap();
    }
    ledger.assert_empty();
}

#[test]
fn over_one_that_panics_on_cue() {
    let ledger = Ledger::new();
    let allocator = Flaky::panicking(&ledger);
    allocator.arm(0);
    let counted = build(Pool::builder_in(allocator.clone()), 64);
    live(&counted, 64).unwrap();
    let calls = allocator.calls();
    drop(counted);
    for nth in 1..=calls {
        let pool = build(Pool::builder_in(allocator.clone()), 64);
        allocator.arm(nth);
        // A panic comes out of a get or a growth, and of nothing else.
        let result = catch_unwind(AssertUnwindSafe(|| live(&pool, 64)));
        let wrong = allocator.went_wrong();
        assert_eq!(result.is_err(), wrong == Some(Call::Allocation), "call {nth}: {wrong:?}");
        assert!(result.map_or_else(|panic| panic.is::<OnCue>(), |lived| lived.is_ok()), "call {nth}");
        assert_eq!(pool.stats().release_panics, u64::from(wrong == Some(Call::Deallocation)), "call {nth}");
        allocator.arm(0);
        pool.purge();
        live(&pool, 64).unwrap();
    }
    ledger.assert_empty();
}
