//! The tables go as the blocks do: a class that nobody uses any more has no queue left, and a closed pool has none. A queue's cells take more
//! than a few idle blocks.
//!
//! A binary of its own, as the program's memory is measured.

mod common;

#[path = "common/heap.rs"]
mod heap;

use common::ledger::Ledger;
use common::pool;
use millpond::Pool;

const MIB: usize = 1 << 20;

/// More buffers than a thread keeps, of each class up to 4 KiB.
fn use_small_classes(pool: &Pool<Ledger>) {
    for len in (256..=4096).step_by(64) {
        drop([(); 100].map(|()| pool.get(len)));
    }
}

#[test]
fn of_classes_that_are_not_used_any_more_and_of_closed_pools() {
    let start = heap::held();
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    drop(pool.get(4096));
    let before = heap::held();
    let tables = || heap::held().saturating_sub(before);
    for _ in 0..3 {
        use_small_classes(&pool);
        assert!(tables() > MIB / 2 * size_of::<usize>(), "{}", tables());
        // The blocks; and then the two generations with the queues, one after the other.
        for _ in 0..6 {
            pool.collect();
        }
        assert!(tables() < MIB, "{}", tables());
    }
    // Some in the victim, some in the depot.
    use_small_classes(&pool);
    pool.collect();
    use_small_classes(&pool);
    drop(pool);
    ledger.assert_empty();
    drop(ledger);
    // The thread's part in the epoch stays.
    let left = heap::held().saturating_sub(start);
    assert!(left < 16 << 10, "{left}");
}
