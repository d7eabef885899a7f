//! The drop of the allocator itself may panic, whenever it comes: that ends there, and all else of the pool is freed, its own memory
//! included. A binary of its own: it counts what is out of the program's allocator.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

use common::ledger::Ledger;
use millpond::alloc::{AllocError, Allocator};
use millpond::{Collect, Pool, Recycle};

thread_local! {
    /// Blocks that this thread has from the program's allocator.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static DROPS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: memory comes from `System`, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get() + 1);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - 1);
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct PanicsInDrop(Ledger);

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        DROPS.set(DROPS.get() + 1);
        // without the message, which would look like a failure
        resume_unwind(Box::new("in the drop of an allocator"));
    }
}

// SAFETY: memory comes from the ledger, unchanged; there is no clone.
unsafe impl Allocator for PanicsInDrop {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.0.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.deallocate(block, layout) };
    }
}

/// `end` drops a pool; what it leaves is dropped by the time that it returns.
fn each_ends_there(end: impl Fn(Pool<PanicsInDrop>)) {
    for recycle in [Recycle::Always, Recycle::Never, Recycle::Chaos(3)] {
        let ledger = Ledger::new();
        let round = || {
            let builder = Pool::builder_in(PanicsInDrop(ledger.clone()));
            end(builder.track(true).collect(Collect::Manual).recycle(recycle).build().unwrap());
        };
        // What a thread has once and for all, and the room of the ledger's book.
        round();
        let (live, drops) = (LIVE.get(), DROPS.get());
        round();
        assert_eq!((LIVE.get(), DROPS.get()), (live, drops + 1), "{recycle:?}");
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "what the allocator has is dropped");
    }
}

#[test]
fn of_a_pool_that_was_never_used() {
    each_ends_there(drop);
}

#[test]
fn with_the_last_handle() {
    each_ends_there(|pool| {
        drop([1, 5000, 5000, 5 << 20].map(|len| pool.get(len)));
        #[cfg(feature = "arena")]
        pool.arena().alloc_bytes(5000);
        drop((pool.clone(), pool));
    });
}

#[test]
fn with_the_last_buffer() {
    each_ends_there(|pool| {
        let mut late = [1, 5000, 5 << 20].map(|len| pool.get(len));
        drop(pool);
        late.iter_mut().for_each(|buf| buf.resize(8000, 7));
    });
}

#[cfg(feature = "bytes")]
#[test]
fn with_the_last_bytes() {
    each_ends_there(|pool| {
        let mut buf = pool.get(1);
        buf.resize(5000, 7);
        drop(pool);
        let bytes = buf.freeze();
        assert_eq!(bytes.clone(), vec![7; 5000]);
    });
}

#[cfg(feature = "arena")]
#[test]
fn with_the_last_arena() {
    each_ends_there(|pool| {
        let arena = pool.arena();
        drop(pool);
        arena.alloc_bytes(5000);
    });
}

/// A second panic while the thread unwinds would end the process.
#[test]
fn while_the_thread_unwinds() {
    each_ends_there(|pool| {
        let request = || {
            let _held = (pool.get(1), pool);
            resume_unwind(Box::new("the request"));
        };
        assert!(catch_unwind(AssertUnwindSafe(request)).is_err());
    });
}
