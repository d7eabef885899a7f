//! A buffer's capacity is that of the tightest size class, and what cannot be is an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::ledger::Ledger;
use crate::common::{class_ops, manual, seeds};
use millpond::{Collect, GetError, Pool};
use proptest::prelude::*;

const MAX: usize = 4 << 20;

/// N2.
#[test]
fn every_length_up_to_the_largest_class_is_covered_tightly() {
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    // The class below the one that was found last: the capacity before it changed.
    let (mut below, mut current) = (0, 0);
    // A minute under a sanitizer, which sees no more in it.
    for len in (0..=MAX).step_by(if cfg!(millpond_asan) { 61 } else { 1 }) {
        let capacity = pool.get(len).capacity();
        if capacity != current {
            (below, current) = (current, capacity);
        }
        assert!(capacity >= len.max(1), "{len} in {capacity}");
        assert!(below < len.max(1), "{len} would fit into {below}");
        if len >= 1024 {
            assert!((capacity - len) * 5 <= capacity, "{len} in {capacity}");
        }
    }
    assert_eq!(pool.stats().classes.len(), 57);
    assert_eq!(pool.get(MAX + 1).capacity(), MAX + 1, "oversize is exact");
    drop(pool);
    ledger.assert_empty();
}

/// N4.
#[test]
fn lengths_that_cannot_be_are_errors() {
    let ledger = Ledger::new();
    let pool = manual(&ledger);
    // Blocks are aligned to 64.
    let max = isize::MAX as usize - 63;
    for requested in
        [usize::MAX, usize::MAX - 1, usize::MAX - 63, isize::MAX as usize, isize::MAX as usize + 1, max + 1]
    {
        assert_eq!(pool.try_get(requested).unwrap_err(), GetError::CapacityOverflow { requested, max });
    }
    let mut buf = pool.get(1);
    buf.push(1);
    for additional in [usize::MAX, usize::MAX - 1, isize::MAX as usize, max] {
        let requested = additional.saturating_add(1);
        assert_eq!(buf.try_reserve(additional).unwrap_err(), GetError::CapacityOverflow { requested, max });
    }
    assert_eq!(buf, [1]);
    drop((buf, pool));
    ledger.assert_empty();
}

#[test]
fn get_panics_where_try_get_fails() {
    let ledger = Ledger::new();
    let pool = manual(&ledger);
    let panic = catch_unwind(AssertUnwindSafe(|| drop(pool.get(usize::MAX)))).unwrap_err();
    assert!(panic.downcast_ref::<String>().is_some_and(|said| said.contains("exceeds the largest possible")));
    drop(pool);
    ledger.assert_empty();
}

/// More than the machine has, but not more than a pointer can reach.
#[test]
fn memory_that_is_not_there_is_an_error() {
    let ledger = Ledger::new();
    let pool = manual(&ledger);
    let error = pool.try_get(isize::MAX as usize - 4096).unwrap_err();
    assert!(matches!(error, GetError::OutOfMemory { align: 64, .. }), "{error}");
    drop(pool);
    ledger.assert_empty();
}

/// N1.
#[test]
fn nothing_asked_is_a_buffer_all_the_same() {
    let ledger = Ledger::new();
    let pool = manual(&ledger);
    let mut buf = pool.get(0);
    assert_eq!((buf.len(), buf.capacity()), (0, 256));
    drop(pool);
    buf.extend_from_slice(&[7; 1000]);
    assert_eq!(buf, [7; 1000]);
    drop(buf);
    ledger.assert_empty();
}

#[test]
fn blocks_are_aligned() {
    for align in [1, 16, 64, 4096, 2 << 20] {
        let ledger = Ledger::new();
        let pool = Pool::builder_in(ledger.clone()).align(align).collect(Collect::Manual).build().unwrap();
        let held: Vec<_> = [1, 300, 5000, 1 << 20, MAX + 1].into_iter().map(|len| pool.get(len)).collect();
        assert!(held.iter().all(|buf| buf.as_ptr().addr() % align == 0), "{align}");
        drop((held, pool));
        ledger.assert_empty();
    }
}

/// T8:
/// A buffer that grew goes back to the class that it grew into.
#[test]
fn a_grown_buffer_is_found_again_at_its_new_size() {
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    let mut buf = pool.get(100);
    buf.resize(100_000, 1);
    let grown = buf.as_ptr();
    drop(buf);
    assert_eq!(pool.get(100_000).as_ptr(), grown);
    assert_eq!(ledger.allocations(), 2, "the first block, and the one that holds 100 000");
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn growing_at_least_doubles() {
    let ledger = Ledger::new();
    let pool = manual(&ledger);
    let mut buf = pool.get(1);
    while buf.capacity() < 3 * MAX {
        let before = buf.capacity();
        buf.resize(before + 1, 0);
        assert!(buf.capacity() >= 2 * before);
    }
    drop((buf, pool));
    ledger.assert_empty();
}

#[test]
fn each_seed_of_the_fuzz_target_is_as_the_model_says() {
    seeds::play_all("classes", class_ops::play);
}

/// It is sums of numbers, in which a sanitizer finds nothing and takes minutes for it.
const CASES: u32 = if cfg!(millpond_asan) { 500 } else { 20_000 };

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_settings_are_refused_for_a_reason_or_make_classes_as_promised(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        class_ops::play(&bytes);
    }
}
