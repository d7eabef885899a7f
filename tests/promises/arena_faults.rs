//! Whatever fails or panics while an arena is used, nothing is lost and it goes on.
#![allow(clippy::disallowed_methods, reason = "as a collection would")]

use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use crate::arenas::assert_unharmed;
use crate::common::flaky::Flaky;
use crate::common::ledger::Ledger;
use crate::common::pool;
use allocator_api2::vec::Vec;
use millpond::alloc::Allocator;
use millpond::{Collect, GetError, Pool, Recycle};

#[test]
fn the_pools_limit_is_an_error_and_nothing_is_lost() {
    let ledger = Ledger::with_limit(256 << 10);
    let builder = Pool::builder_in(ledger.clone()).limit(256 << 10).collect(Collect::Manual);
    let pool = builder.recycle(Recycle::Always).build().unwrap();
    let arena = pool.arena();
    arena.alloc_bytes(100 << 10);
    match arena.try_alloc_bytes(200 << 10) {
        Err(GetError::LimitReached { limit, .. }) => assert_eq!(limit, 256 << 10),
        other => panic!("{other:?}"),
    }
    let mut grows = Vec::new_in(&arena);
    grows.extend_from_slice(&[7_u8; 60 << 10]);
    assert!(grows.try_reserve(200 << 10).is_err());
    assert!(grows.iter().all(|byte| *byte == 7) && grows.len() == 60 << 10);
    assert!(catch_unwind(AssertUnwindSafe(|| arena.alloc_bytes(200 << 10)[0])).is_err());
    assert_eq!(arena.stats().large_blocks, 2);
    drop(grows);
    drop(arena);
    assert_unharmed(pool, &ledger);
}

#[test]
fn a_panic_of_a_closure_leaks_nothing() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let counted = Rc::new(());
    for len in [8, 1000] {
        let arena = pool.arena();
        let panics = |f: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
        panics(&|| {
            arena.alloc_with(|| -> [u8; 5000] { panic!("on cue") });
        });
        panics(&|| {
            arena.alloc_slice_fill_with(len, |n| if n == 5 { panic!("on cue") } else { counted.clone() });
        });
        assert_eq!(Rc::strong_count(&counted), 1, "what was made is dropped");
        // A closure may use the arena that it fills.
        let nested = arena.alloc_slice_fill_with(len, |n| *arena.alloc_slice_fill_copy(300, n).last().unwrap());
        assert!(nested.iter().copied().eq(0..len));
        drop(arena);
        assert_eq!(pool.stats().in_use_bytes, 0);
    }
    assert_unharmed(pool, &ledger);
}

/// Wherever the allocator behind the pool fails or panics, the arena goes on and its end is quiet.
#[test]
fn an_allocator_that_fails_or_panics_at_any_call() {
    for panics in [false, true] {
        for nth in 1.. {
            let ledger = Ledger::new();
            let flaky = if panics { Flaky::panicking(&ledger) } else { Flaky::failing(&ledger) };
            let builder = Pool::builder_in(flaky.clone()).collect(Collect::Manual);
            // So that giving back calls the allocator.
            let pool = builder.recycle(Recycle::Never).build().unwrap();
            flaky.arm(nth);
            let arena = pool.arena();
            let work = || {
                let mut vec = Vec::new_in(&arena);
                vec.try_reserve(100)?;
                vec.try_reserve(10_000)?;
                vec.try_reserve(20_000)?;
                vec.extend([1_u8; 20_000]);
                drop(vec);
                arena
                    .try_alloc_slice_fill_copy(3000, 1_u64)
                    .map_err(|_| allocator_api2::collections::TryReserveErrorKind::CapacityOverflow)?;
                Ok::<_, allocator_api2::collections::TryReserveError>(())
            };
            let worked = catch_unwind(AssertUnwindSafe(work)).is_ok_and(|worked| worked.is_ok());
            flaky.arm(0);
            arena.alloc_bytes(700);
            flaky.arm(usize::from(worked));
            drop(arena);
            let calls = flaky.calls();
            flaky.arm(0);
            assert_eq!(pool.stats().in_use_bytes, 0);
            drop(pool);
            ledger.assert_empty();
            if worked {
                // The two blocks that were left, of which the first panicked.
                assert!(nth >= 3 && calls == if panics { 2 } else { 0 }, "{nth} {calls}");
                break;
            }
        }
    }
}

/// The contents are moved, so the block outlives a panic of the allocator wherever that happens; also a direct one that has to be
/// wiped before it goes.
#[test]
fn a_block_is_still_there_when_its_growth_panics() {
    for (zero, align) in [(false, 1), (true, 1), (true, 512)] {
        let ledger = Ledger::new();
        let flaky = Flaky::panicking(&ledger);
        let builder = Pool::builder_in(flaky.clone()).collect(Collect::Manual).zero_on_return(zero);
        let pool = builder.recycle(Recycle::Never).build().unwrap();
        let arena = pool.arena();
        let layout = |size| Layout::from_size_align(size, align).unwrap();
        let block = (&arena).allocate(layout(5000)).unwrap();
        flaky.arm(1);
        // SAFETY: the block is of this layout.
        let grow = || unsafe { (&arena).grow(block.cast(), layout(5000), layout(90_000)) };
        assert!(catch_unwind(AssertUnwindSafe(grow)).is_err());
        flaky.arm(0);
        assert_eq!(arena.stats().large_blocks, 1);
        // SAFETY: as above; it is still the arena's.
        let grown = unsafe { (&arena).grow(block.cast(), layout(5000), layout(90_000)) }.unwrap();
        // SAFETY: of the new layout.
        unsafe { (&arena).deallocate(grown.cast(), layout(90_000)) };
        assert_eq!((arena.stats().large_blocks, ledger.live()), (0, 0));
        drop(arena);
        drop(pool);
        ledger.assert_empty();
    }
}
