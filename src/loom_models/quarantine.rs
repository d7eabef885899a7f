//! The models' allocator: what an execution frees stays as it was until the next one starts. So a use after the free finds
//! the dropped object, and fails by its mark, instead of whatever has its memory then.

use core::cell::{Cell, RefCell};
use core::mem::ManuallyDrop;
use std::alloc::{GlobalAlloc, Layout, System};

struct Quarantine;

#[global_allocator]
static QUARANTINE: Quarantine = Quarantine;

// loom's threads are coroutines of the test's own thread. Neither of these has a destructor, which would allocate.
std::thread_local! {
    static KEEPS: Cell<bool> = const { Cell::new(false) };
    static KEPT: RefCell<ManuallyDrop<Vec<(usize, Layout)>>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

// SAFETY: memory comes from `System`, and goes back once.
unsafe impl GlobalAlloc for Quarantine {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // The list's own memory is not kept.
        if KEEPS.replace(false) {
            KEPT.with_borrow_mut(|kept| kept.push((block.expose_provenance(), layout)));
            KEEPS.set(true);
        } else {
            // SAFETY: passed on.
            unsafe { System.dealloc(block, layout) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Frees what the last execution left, and keeps from here on, or no longer.
pub(super) fn next(keeps: bool) {
    KEEPS.set(false);
    KEPT.with_borrow_mut(|kept| {
        for (block, layout) in kept.drain(..) {
            // SAFETY: it was to be freed, and nothing refers to it any more.
            unsafe { System.dealloc(core::ptr::with_exposed_provenance_mut(block), layout) };
        }
    });
    KEEPS.set(keeps);
}
