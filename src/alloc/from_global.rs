//! Any [`GlobalAlloc`] behind a pool.
#![expect(clippy::disallowed_methods, reason = "growing and shrinking may move")]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use super::{AllocError, Allocator, empty};

/// An allocator of the kind that a program names as its `#[global_allocator]`, made one for pools and collections, whether or
/// not it is the program's own.
///
/// ```
/// use std::alloc::System;
/// use millpond::{Pool, alloc::FromGlobalAlloc};
///
/// // Past the program's own allocator, whatever that is.
/// static POOL: Pool<FromGlobalAlloc<System>> = Pool::new_in(FromGlobalAlloc::new(System));
///
/// assert!(POOL.get(4096).capacity() >= 4096);
/// ```
///
/// Empty layouts, which a [`GlobalAlloc`] must not see, get no memory. Growing and shrinking go through
/// [`realloc`](GlobalAlloc::realloc) where the alignment stays, and copy where it changes. A block is as long as was asked for.
///
/// # Cost
/// That of `G`, and a comparison.
#[derive(Clone, Copy, Debug)]
pub struct FromGlobalAlloc<G>(G);

impl<G: Copy> FromGlobalAlloc<G> {
    /// Around an allocator that is `Copy`, as a type of yours around a reference to a heap may be. It cannot hold its blocks
    /// inside itself then, nor is one copy another heap than the next, so it may be moved.
    #[must_use]
    pub const fn from_copy(allocator: G) -> Self {
        Self(allocator)
    }
}

impl<G> FromGlobalAlloc<G> {
    /// Around an allocator without a state of its own, as nearly all are: [`System`](std::alloc::System), jemalloc, mimalloc, and whatever
    /// counts in `static`s. One value of it is as good as another, so it may be moved.
    ///
    /// Any other does not compile: it may hold its blocks inside itself. For one that is `Copy` there is [`from_copy`](Self::from_copy), and
    /// for all others [`new_unchecked`](Self::new_unchecked).
    ///
    /// ```compile_fail,E0080
    /// use std::alloc::{GlobalAlloc, Layout, System};
    /// use millpond::alloc::FromGlobalAlloc;
    ///
    /// struct Named(String);
    ///
    /// // SAFETY: passes on to `System`.
    /// unsafe impl GlobalAlloc for Named {
    ///     unsafe fn alloc(&self, layout: Layout) -> *mut u8 { unsafe { System.alloc(layout) } }
    ///     unsafe fn dealloc(&self, block: *mut u8, layout: Layout) { unsafe { System.dealloc(block, layout) } }
    /// }
    ///
    /// let allocator = FromGlobalAlloc::new(Named(String::from("heap")));
    /// ```
    #[must_use]
    pub const fn new(allocator: G) -> Self {
        const {
            assert!(
                size_of::<G>() == 0 && !core::mem::needs_drop::<G>(),
                "`FromGlobalAlloc::new` takes an allocator without state; see `from_copy` and `new_unchecked` for others"
            );
        };
        Self(allocator)
    }

    /// Around any allocator. A program's own one is a `static` and never moves, so a [`GlobalAlloc`] does not promise what an
    /// [`Allocator`] does.
    ///
    /// # Safety
    /// Blocks of `allocator` stay valid when it is moved; and if it is `Clone`, its clones free each other's blocks, and
    /// blocks stay valid until the last of them is dropped.
    ///
    /// ```
    /// use std::alloc::{GlobalAlloc, Layout, System};
    /// use millpond::{Pool, alloc::FromGlobalAlloc};
    ///
    /// struct Named(String);
    ///
    /// // SAFETY: passes on to `System`.
    /// unsafe impl GlobalAlloc for Named {
    ///     unsafe fn alloc(&self, layout: Layout) -> *mut u8 { unsafe { System.alloc(layout) } }
    ///     unsafe fn dealloc(&self, block: *mut u8, layout: Layout) { unsafe { System.dealloc(block, layout) } }
    /// }
    ///
    /// // SAFETY: its blocks are `System`'s, and it has no clones.
    /// let allocator = unsafe { FromGlobalAlloc::new_unchecked(Named(String::from("heap"))) };
    /// assert!(Pool::new_in(allocator).get(100).is_empty());
    /// ```
    #[must_use]
    pub const unsafe fn new_unchecked(allocator: G) -> Self {
        Self(allocator)
    }
}

impl<G: Copy + Default> Default for FromGlobalAlloc<G> {
    fn default() -> Self {
        Self::from_copy(G::default())
    }
}

impl<G: GlobalAlloc> FromGlobalAlloc<G> {
    /// A block elsewhere, for a layout of another alignment.
    ///
    /// # Safety
    /// The block is out with the layout `from`, and both are so long.
    unsafe fn move_to(
        &self,
        block: NonNull<u8>,
        from: Layout,
        to: Layout,
        length: usize,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let moved = self.allocate(to)?;
        // SAFETY: both are so long, and the new one is nobody else's.
        unsafe { moved.cast::<u8>().copy_from_nonoverlapping(block, length) };
        // SAFETY: passed on.
        unsafe { self.deallocate(block, from) };
        Ok(moved)
    }

    /// # Safety
    /// The block is out with the layout `from`; neither layout is empty, and their alignments are equal.
    unsafe fn resize(&self, block: NonNull<u8>, from: Layout, to: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: passed on; a layout's size fits its alignment, which is that of both.
        whole(unsafe { self.0.realloc(block.as_ptr(), from, to.size()) }, to)
    }
}

// SAFETY: a block is `G`'s, which gives it to nobody else until it comes back; so does an empty one, which is nowhere. Moving and copying
// change nothing: `G` is `Copy`, or the caller of `new_unchecked` said so. What is `Copy` has no cell in which a block could lie, and
// no drop that could end one.
unsafe impl<G: GlobalAlloc> Allocator for FromGlobalAlloc<G> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(empty(layout));
        }
        // SAFETY: the layout is not empty.
        whole(unsafe { self.0.alloc(layout) }, layout)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(empty(layout));
        }
        // SAFETY: the layout is not empty.
        whole(unsafe { self.0.alloc_zeroed(layout) }, layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: passed on. Blocks are as long as was asked for, so this is the layout of `alloc`.
            unsafe { self.0.dealloc(block.as_ptr(), layout) };
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, from: Layout, to: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if from.size() == 0 {
            return self.allocate(to);
        }
        if from.align() == to.align() {
            // SAFETY: passed on; what is no smaller than `from` is not empty.
            return unsafe { self.resize(block, from, to) };
        }
        // SAFETY: passed on; `to` is no smaller.
        unsafe { self.move_to(block, from, to, from.size()) }
    }

    unsafe fn grow_zeroed(&self, block: NonNull<u8>, from: Layout, to: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if from.size() == 0 {
            return self.allocate_zeroed(to);
        }
        // SAFETY: passed on.
        let grown = unsafe { self.grow(block, from, to) }?;
        // SAFETY: it is `to` long, which is no less.
        let new = unsafe { grown.cast::<u8>().add(from.size()) };
        // SAFETY: the rest of the block, and nobody else's.
        unsafe { ptr::write_bytes(new.as_ptr(), 0, to.size() - from.size()) };
        Ok(grown)
    }

    unsafe fn shrink(&self, block: NonNull<u8>, from: Layout, to: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if to.size() == 0 {
            // SAFETY: passed on.
            unsafe { self.deallocate(block, from) };
            return Ok(empty(to));
        }
        if from.align() == to.align() {
            // SAFETY: passed on; `from` is no smaller than `to`, so neither is empty.
            return unsafe { self.resize(block, from, to) };
        }
        // SAFETY: passed on; `to` is no larger.
        unsafe { self.move_to(block, from, to, to.size()) }
    }
}

/// A block as long as was asked for, or none.
fn whole(block: *mut u8, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
    let block = NonNull::new(block).ok_or(AllocError)?;
    Ok(NonNull::slice_from_raw_parts(block, layout.size()))
}
