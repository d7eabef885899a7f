//! The arena as an allocator, for collections.
#![expect(clippy::disallowed_methods, reason = "the arena's own")]

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use crate::alloc::{AllocError, Allocator};
use crate::arena::Arena;
use crate::life::close::Core;
use crate::raw::held::{Held, Place};

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

    #[inline]
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match (Arena::<A>::is_small(old), Arena::<A>::is_small(new)) {
            (true, true) => {
                // SAFETY: as in `deallocate`.
                let grown = unsafe { self.bump.grow(block, old, new) }.ok_or(AllocError)?;
                Ok(NonNull::slice_from_raw_parts(grown, new.size()))
            }
            // SAFETY: passed on.
            (false, false) => unsafe { self.resize_large(block, old, new) },
            // SAFETY: passed on.
            _ => unsafe { self.migrate(block, old, new) },
        }
    }

    #[inline]
    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match (Arena::<A>::is_small(old), Arena::<A>::is_small(new)) {
            (true, true) => {
                // SAFETY: as in `deallocate`.
                let shrunk = unsafe { self.bump.shrink(block, old, new) }.ok_or(AllocError)?;
                Ok(NonNull::slice_from_raw_parts(shrunk, new.size()))
            }
            // SAFETY: passed on.
            (false, false) => unsafe { self.resize_large(block, old, new) },
            // SAFETY: passed on.
            _ => unsafe { self.migrate(block, old, new) },
        }
    }
}

/// Links a block again if the allocator behind the pool panics. But when that itself was to grow or shrink it, nobody
/// knows whether it is still there: then it is lost.
struct Resizing<'arena> {
    held: &'arena Held,
    place: Option<Place>,
    /// The pool moves the contents, so it still has the block.
    outlives_panic: bool,
}

impl Drop for Resizing<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take().filter(|_| self.outlives_panic) {
            self.held.link(place);
        }
    }
}

impl<A: Allocator + Send + Sync + 'static> Arena<A> {
    /// # Safety
    /// The block is a large one of this arena, and the caller gives it up.
    unsafe fn deallocate_large(&self, start: NonNull<u8>) {
        // None: lost in `resize_large`.
        let Some((place, block)) = self.held.unlink(start) else { return };
        self.held.keep(place);
        // SAFETY: passed on.
        unsafe { self.release(block) };
    }

    /// Lets the pool grow or shrink a block, which is out of the ring meanwhile.
    ///
    /// # Safety
    /// The block is a large one of this arena, with the layout `old`, and the caller gives it up if this succeeds.
    unsafe fn resize_large(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let config = &self.pool.tiers().config;
        let outlives_panic = config.pools(old) || config.pools(new);
        let (place, _) = self.held.unlink(start).ok_or(AllocError)?;
        let mut resizing = Resizing { held: &self.held, place: Some(place), outlives_panic };
        // SAFETY: passed on, and this is a handle.
        let resized = unsafe { Core::resize(self.pool.as_raw(), start, old, new, false) };
        if let Some(place) = resizing.place.take() {
            match resized {
                Ok(memory) => self.held.link_as(place, Self::block(memory, new)),
                Err(_) => self.held.link(place),
            }
        }
        resized.map_err(|_| AllocError)
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
