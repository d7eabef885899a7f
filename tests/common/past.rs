//! Blocks past the program's allocator, for tests that refuse what that one is asked for: a ledger has its book there.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use millpond::alloc::{AllocError, Allocator};

/// How many are out.
#[derive(Clone, Default)]
pub struct Blocks(pub Arc<AtomicUsize>);

// SAFETY: memory comes from `System`, unchanged; clones are alike.
unsafe impl Allocator for Blocks {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: a pool asks for no block of no bytes.
        let block = NonNull::new(unsafe { System.alloc(layout) }).ok_or(AllocError)?;
        self.0.fetch_add(1, SeqCst);
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.0.fetch_sub(1, SeqCst);
        // SAFETY: passed on.
        unsafe { System.dealloc(block.as_ptr(), layout) };
    }
}
