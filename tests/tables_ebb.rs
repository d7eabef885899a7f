//! The tables go as the blocks do: a class that nobody uses any more has no queue left. Its cells take more than a few idle blocks.
//!
//! A binary of its own, as the program's memory is measured.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::ledger::Ledger;
use common::pool;
use millpond::Pool;

const MIB: usize = 1 << 20;

static HEAP: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: memory comes from `System`, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP.fetch_add(layout.size(), Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size(), Relaxed);
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// More buffers than a thread keeps, of each class up to 4 KiB.
fn use_small_classes(pool: &Pool<Ledger>) {
    for len in (256..=4096).step_by(64) {
        drop([(); 100].map(|()| pool.get(len)));
    }
}

#[test]
fn of_classes_that_are_not_used_any_more() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    drop(pool.get(4096));
    let before = HEAP.load(Relaxed);
    let tables = || HEAP.load(Relaxed).saturating_sub(before);
    for _ in 0..3 {
        use_small_classes(&pool);
        assert!(tables() > 4 * MIB, "{}", tables());
        // The blocks; and then the two generations with the queues, one after the other.
        for _ in 0..6 {
            pool.collect();
        }
        assert!(tables() < MIB, "{}", tables());
    }
    drop(pool);
    ledger.assert_empty();
}
