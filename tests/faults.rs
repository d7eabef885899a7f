//! The allocator may fail, or panic, at any single call: the pool stays usable, and nothing is lost.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::flaky::Flaky;
use common::ledger::Ledger;
use millpond::{Collect, GetError, Pool, PoolBuf, Recycle};

fn pool(allocator: &Flaky) -> Pool<Flaky> {
    Pool::builder_in(allocator.clone())
        .idle_limit(1 << 20)
        .local_limit(64 << 10)
        .collect(Collect::Manual)
        .recycle(Recycle::Always)
        .build()
        .unwrap()
}

/// Every way in which a pool that is open calls its allocator; closing is the drop that follows.
fn scenario(pool: &Pool<Flaky>) -> Result<(), GetError> {
    let mut held: Vec<PoolBuf<Flaky>> = Vec::new();
    for len in [1, 4096, 4096, 30_000, 1 << 20, (4 << 20) + 1] {
        held.push(pool.try_get(len)?);
    }
    for buf in &mut held {
        buf.try_extend_from_slice(b"kept")?;
        let room = buf.capacity();
        let grown = buf.try_reserve(room);
        assert_eq!(*buf, "kept");
        grown?;
    }
    held.truncate(3);
    pool.collect();
    held.extend((0..40).map_while(|_| pool.try_get(4096).ok()));
    drop(held);
    pool.collect();
    pool.purge();
    drop(pool.try_get(4096)?);
    Ok(())
}

#[test]
fn a_failure_at_any_call_is_an_error_and_loses_nothing() {
    let ledger = Ledger::new();
    let allocator = Flaky::failing(&ledger);
    let counted = pool(&allocator);
    allocator.arm(0);
    scenario(&counted).unwrap();
    drop(counted);
    let calls = allocator.calls();
    assert!(calls > 10, "the scenario allocates");
    for nth in 1..=calls {
        let pool = pool(&allocator);
        allocator.arm(nth);
        match scenario(&pool) {
            Err(GetError::OutOfMemory { .. }) => {}
            // One of the forty whose failure the scenario shrugs off.
            Ok(()) => {}
            Err(other) => panic!("call {nth}: {other}"),
        }
        assert_eq!(pool.stats().in_use_bytes, 0);
        allocator.arm(0);
        scenario(&pool).expect("usable afterwards");
        let stats = pool.stats();
        assert_eq!(stats.allocated_bytes, stats.idle_bytes, "{stats}");
        drop(pool);
        ledger.assert_empty();
    }
}

#[test]
fn a_panic_at_any_call_wedges_nothing_and_never_leaves_a_drop() {
    let ledger = Ledger::new();
    let allocator = Flaky::panicking(&ledger);
    let counted = pool(&allocator);
    allocator.arm(0);
    scenario(&counted).unwrap();
    drop(counted);
    let calls = allocator.calls();
    for nth in 1..=calls {
        let pool = pool(&allocator);
        allocator.arm(nth);
        let result = catch_unwind(AssertUnwindSafe(|| scenario(&pool)));
        // Only a call that asks for memory lets the panic out; one in a drop or a collection ends there.
        if result.is_ok() {
            assert!(pool.stats().release_panics <= 1);
        }
        assert_eq!(pool.stats().in_use_bytes, 0, "call {nth}");
        // The last calls of those that were counted are the pool's own end, which comes later here.
        allocator.arm(0);
        scenario(&pool).expect("usable afterwards");
        drop(pool);
        ledger.assert_empty();
    }
}

/// The pool's own end frees what is idle, and does not panic either.
#[test]
fn a_panic_at_any_call_of_closing_is_contained() {
    let ledger = Ledger::new();
    let allocator = Flaky::panicking(&ledger);
    for nth in 1..=60 {
        let pool = pool(&allocator);
        allocator.arm(0);
        let held: Vec<_> = (0..40).map(|n| pool.get(n * 200)).collect();
        let late = pool.get(500);
        drop(held);
        allocator.arm(nth);
        drop(pool);
        drop(late);
        ledger.assert_empty();
    }
    assert!(allocator.calls() < 60, "every call of closing had its turn");
}

/// The allocator's panic meets a panic that is under way: a second one would abort.
#[test]
fn a_panic_of_the_allocator_in_a_drop_during_unwinding_is_contained() {
    let ledger = Ledger::new();
    let allocator = Flaky::panicking(&ledger);
    let pool = Pool::builder_in(allocator.clone()).recycle(Recycle::Never).build().unwrap();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _held = pool.get(100);
        allocator.arm(1);
        panic!("the request fails");
    }));
    assert!(result.is_err());
    assert_eq!(pool.stats().release_panics, 1);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn panics_while_buffers_are_held_give_them_back() {
    let ledger = Ledger::new();
    let pool = common::pool(&ledger);
    for _ in 0..10 {
        let result = catch_unwind(|| {
            let _held: Vec<_> = (0..5).map(|_| pool.get(1000)).collect();
            panic!("the request fails");
        });
        assert!(result.is_err());
    }
    assert_eq!((pool.stats().in_use_bytes, ledger.allocations()), (0, 5));
    drop(pool);
    ledger.assert_empty();
}
