//! The allocator may fail, or panic, at any single call: the pool stays usable, and nothing is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::flaky::Flaky;
use crate::common::ledger::Ledger;
use crate::scenarios::{MODES, scenarios};
use millpond::{Collect, Pool, Recycle};

#[test]
fn a_failure_at_any_call_is_an_error_and_loses_nothing() {
    for scenario in scenarios() {
        MODES.iter().for_each(|recycle| scenario.fail_at_every_call(*recycle, Collect::Manual));
    }
}

#[test]
fn a_panic_at_any_call_wedges_nothing_and_never_leaves_a_drop() {
    for scenario in scenarios() {
        MODES.iter().for_each(|recycle| scenario.panic_at_every_call(*recycle, Collect::Manual));
    }
}

/// The allocator's panic meets a panic that is under way: a second one would abort.
#[test]
fn a_panic_of_the_allocator_in_a_drop_during_unwinding_is_contained() {
    let ledger = Ledger::new();
    let allocator = Flaky::panicking(&ledger);
    let pool = Pool::builder_in(allocator.clone()).collect(Collect::Manual).recycle(Recycle::Never).build().unwrap();
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
    let pool = crate::common::pool(&ledger);
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
