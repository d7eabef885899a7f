//! Counts what is allocated from the global allocator: what a pool that recycles leaves alone.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The system allocator and a counter.
struct Counting;

#[global_allocator]
static GLOBAL: Counting = Counting;

// SAFETY: every call is the system allocator's; `alloc_zeroed` and `realloc` are made of these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

/// How many there were since the process began, on all threads.
#[must_use]
pub fn so_far() -> u64 {
    ALLOCATIONS.load(Relaxed)
}
