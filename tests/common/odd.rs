//! An allocator whose blocks are aligned to what was asked for and to no more.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

use std::alloc::Layout;
use std::ptr::NonNull;

use millpond::alloc::{AllocError, Allocator};

use super::ledger::Ledger;

/// A [`Ledger`] whose every address is an odd multiple of the alignment.
#[derive(Clone)]
pub struct Odd(pub Ledger);

/// Twice the alignment, and room to start half of that further on.
fn wider(layout: Layout) -> Result<Layout, AllocError> {
    let size = layout.size().checked_add(layout.align()).ok_or(AllocError)?;
    Layout::from_size_align(size, layout.align() * 2).map_err(|_| AllocError)
}

// SAFETY: blocks lie in blocks of the ledger, each in its own; clones share the ledger.
unsafe impl Allocator for Odd {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let around = self.0.allocate(wider(layout)?)?.cast::<u8>();
        // SAFETY: `wider` made room for so much more.
        let block = unsafe { around.add(layout.align()) };
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let around = wider(layout).expect("it was made");
        // SAFETY: `allocate` went so far the other way.
        let start = unsafe { block.sub(layout.align()) };
        // SAFETY: passed on.
        unsafe { self.0.deallocate(start, around) };
    }
}
