//! Whoever allocates or frees on behalf of a pool may use the pool: nothing is allocated while the thread is inside its
//! slot. A binary of its own: every allocation of an armed thread collects, and a collection says if it had to skip a slot.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::LazyLock;

use millpond::{Collect, Pool, PoolBuf, Recycle};

thread_local! {
    /// What the next call of the allocator looks at.
    static WATCHED: Cell<Option<&'static Pool>> = const { Cell::new(None) };
    static COLLECTIONS: Cell<usize> = const { Cell::new(0) };
    static SKIPPED: Cell<usize> = const { Cell::new(0) };
}

struct Watching;

fn look() {
    // Taken out meanwhile, as a collection allocates too.
    if let Some(pool) = WATCHED.take() {
        let collected = pool.collect();
        COLLECTIONS.set(COLLECTIONS.get() + 1);
        SKIPPED.set(SKIPPED.get() + collected.slots_skipped);
        WATCHED.set(Some(pool));
    }
}

// SAFETY: memory comes from `System`, unchanged.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        look();
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        look();
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static WATCHING: Watching = Watching;

static POOL: LazyLock<Pool> = LazyLock::new(|| {
    Pool::builder().collect(Collect::Manual).recycle(Recycle::Always).local_limit(64 << 10).build().unwrap()
});

#[test]
fn nothing_is_allocated_inside_the_gate() {
    let pool: &'static Pool = &POOL;
    let mut held: Vec<PoolBuf> = Vec::with_capacity(200);
    // So that the thread has a slot with something in it, which a collection visits.
    drop(pool.get(1));
    for len in [1, 300, 1000, 4096, 16 << 10, 100 << 10] {
        WATCHED.set(Some(pool));
        // First uses, lease, flush to the depot, refill from it and from the victim, discard.
        for _ in 0..3 {
            held.extend((0..100).map(|_| pool.get(len)));
            held.clear();
        }
        WATCHED.set(None);
        drop(pool.get(1));
    }
    assert!(COLLECTIONS.get() > 100, "{} collections", COLLECTIONS.get());
    assert_eq!(SKIPPED.get(), 0, "the thread was inside its slot when it allocated");
}
