//! The arena as an allocator, for collections.
#![expect(clippy::disallowed_methods, reason = "the arena's own")]

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use crate::alloc::{AllocError, Allocator};
use crate::arena::Arena;
use crate::life::close::Core;
use crate::raw::bump::Bump;
use crate::raw::held::{Block, Held, Place};

// SAFETY: memory stays until it is given back, or until the arena is reset or goes, for which no `&Arena` may be left. It does
// not move with the arena, and is found by it from any of its references.
unsafe impl<A: Allocator + Send + Sync + 'static> Allocator for &Arena<A> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate_any(layout).map_err(|_| AllocError)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if Arena::<A>::is_small(layout) {
            // SAFETY: a small one is the chunk's; the rest is the caller's promise.
            unsafe { self.bump.deallocate(block, layout) };
        } else {
            // SAFETY: passed on.
            unsafe { self.deallocate_large(block) };
        }
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if Arena::<A>::is_small(layout) {
            let memory = self.allocate(layout)?;
            // SAFETY: just allocated, and that long.
            unsafe { memory.cast::<u8>().write_bytes(0, memory.len()) };
            Ok(memory)
        } else {
            self.allocate_large(layout, true).map_err(|_| AllocError)
        }
    }

    #[inline]
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as in `deallocate`.
        let small = |bump: &Bump| unsafe { bump.grow(block, old, new) };
        // SAFETY: passed on.
        unsafe { self.resize(block, old, new, small) }
    }

    unsafe fn grow_zeroed(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: passed on.
        let memory = unsafe { self.grow(block, old, new)? };
        // SAFETY: within the block.
        let rest = unsafe { memory.cast::<u8>().add(old.size()) };
        // SAFETY: as above.
        unsafe { rest.write_bytes(0, memory.len() - old.size()) };
        Ok(memory)
    }

    #[inline]
    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as in `deallocate`.
        let small = |bump: &Bump| unsafe { bump.shrink(block, old, new) };
        // SAFETY: passed on.
        unsafe { self.resize(block, old, new, small) }
    }
}

/// A block that is out of the ring while the pool resizes it: whatever comes of that, it is in again afterwards.
struct Unlinked<'arena> {
    held: &'arena Held,
    place: Option<Place>,
    block: Block,
}

impl Drop for Unlinked<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.held.link_as(place, self.block);
        }
    }
}

impl<A: Allocator + Send + Sync + 'static> Arena<A> {
    /// # Safety
    /// The block is a large one of this arena, and the caller gives it up.
    unsafe fn deallocate_large(&self, start: NonNull<u8>) {
        let Some((place, block)) = self.held.unlink(start) else {
            debug_assert!(false, "a block comes back to an arena that it is not from");
            return;
        };
        self.held.keep(place);
        // SAFETY: passed on.
        unsafe { self.release(block) };
    }

    /// Makes a block of another layout of one. `small` does it within the chunk.
    ///
    /// # Safety
    /// The memory was allocated here with `old`, and the caller gives it up if this succeeds.
    #[inline(always)]
    unsafe fn resize(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
        small: impl FnOnce(&Bump) -> Option<NonNull<u8>>,
    ) -> Result<NonNull<[u8]>, AllocError> {
        match (Self::is_small(old), Self::is_small(new)) {
            (true, true) => {
                let resized = small(&self.bump).ok_or(AllocError)?;
                Ok(NonNull::slice_from_raw_parts(resized, new.size()))
            }
            // SAFETY: passed on.
            (false, false) => unsafe { self.resize_large(block, old, new) },
            // SAFETY: passed on.
            _ => unsafe { self.migrate(block, old, new) },
        }
    }

    /// Lets the pool grow or shrink a block.
    ///
    /// # Safety
    /// The block is a large one of this arena, with the layout `old`, and the caller gives it up if this succeeds.
    unsafe fn resize_large(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let (place, block) = self.held.unlink(start).ok_or(AllocError)?;
        let mut unlinked = Unlinked { held: &self.held, place: Some(place), block };
        // SAFETY: passed on, and this is a handle.
        let memory = unsafe { Core::resize(self.pool.as_raw(), start, old, new, false) }.map_err(|_| AllocError)?;
        unlinked.block = Self::block(memory, new);
        Ok(memory)
    }

    /// Moves what lies on the other side of the line between small and large.
    ///
    /// # Safety
    /// The memory was allocated here with `old`, and the caller gives it up if this succeeds.
    #[cold]
    unsafe fn migrate(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let memory = self.allocate_any(new).map_err(|_| AllocError)?;
        let kept = old.size().min(new.size());
        // SAFETY: (I2) both are as long at least, and the new one is nobody else's.
        unsafe { ptr::copy_nonoverlapping(block.as_ptr(), memory.cast().as_ptr(), kept) };
        // SAFETY: passed on.
        unsafe { self.deallocate(block, old) };
        Ok(memory)
    }
}
