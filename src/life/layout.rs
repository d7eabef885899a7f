//! The pool as an allocator: a block for any layout.
//!
//! Where it comes from is decided by the layout alone, so that whoever has the layout knows it: a block of the class of its
//! size, one *direct* from `A`, or for no bytes none. Every size from what was asked for to what was reported decides the same, as a class's
//! block is reported with the class's size, and a direct one with just the size that was asked for.
//!
//! Of a core that a function here takes a pointer to, the caller holds a handle.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::alloc::{Allocator, empty};
use crate::error::GetError;
use crate::life::close::Core;
use crate::raw::poison::{poison, unpoison};
use crate::raw::size_class::{Class, Rank};
use crate::raw::thread_id;
use crate::raw::wipe::wipe;
use crate::tiers::backing::Bytes;

impl<A: Allocator + Send + Sync + 'static> Core<Bytes<A>> {
    /// # Safety
    /// The caller holds a handle.
    #[inline(always)]
    pub(crate) unsafe fn allocate(core: NonNull<Self>, layout: Layout) -> Result<NonNull<[u8]>, GetError> {
        // SAFETY: the handle keeps the core.
        if unsafe { core.as_ref() }.tiers.config.pools(layout) {
            // SAFETY: passed on.
            if let Some(lent) = unsafe { Self::take_local(core, Rank::of(layout.size())) } {
                // SAFETY: the unit keeps the home.
                let size = unsafe { lent.home.as_ref() }.size();
                // SAFETY: (I2) just lent, of that size.
                unsafe { unpoison(lent.block, size.get()) };
                return Ok(NonNull::slice_from_raw_parts(lent.block, size.get()));
            }
        }
        // SAFETY: passed on.
        unsafe { Self::allocate_slow(core, layout, false) }
    }

    /// `zeroed`: all that is reported is zero.
    ///
    /// # Safety
    /// The caller holds a handle.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn allocate_slow(
        core: NonNull<Self>,
        layout: Layout,
        zeroed: bool,
    ) -> Result<NonNull<[u8]>, GetError> {
        // SAFETY: the handle keeps the core.
        let this = unsafe { core.as_ref() };
        if let Some(class) = this.class_of(layout) {
            // SAFETY: passed on.
            let block = unsafe { Self::get(core, class)? }.block;
            let size = this.tiers.config.classes.size(class);
            // SAFETY: (I2) just gotten, of that size.
            unsafe { unpoison(block, size) };
            if zeroed {
                // SAFETY: as above.
                unsafe { block.write_bytes(0, size) };
            }
            return Ok(NonNull::slice_from_raw_parts(block, size));
        }
        // `A` is not asked for no bytes: a vector that shrinks to nothing does not give them back.
        if layout.size() == 0 {
            return Ok(empty(layout));
        }
        let allocate = || this.tiers.backing.allocate_direct(layout, zeroed);
        // SAFETY: passed on.
        let block = allocate().or_else(|error| unsafe { Self::purge_for(core, error, allocate) })?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    /// # Safety
    /// The caller holds a handle and owns the block, which was made by one of these functions for a layout that this one fits.
    #[inline(always)]
    pub(crate) unsafe fn deallocate(core: NonNull<Self>, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the handle keeps the core.
        let this = unsafe { core.as_ref() };
        let tiers = &this.tiers;
        let short = tiers.config.pools(layout) && tiers.drop_is_short;
        if cfg!(millpond_asan) {
            // SAFETY: (I2) the block is the caller's, of that size.
            unsafe { poison(block, this.size_of(this.class_of(layout), layout)) };
        }
        // SAFETY: (I2) the block is the caller's, and of that length's class: no magazine is there for a larger one.
        if !(short && unsafe { tiers.store_near(thread_id::current(), Rank::of(layout.size()), block) }) {
            // SAFETY: passed on.
            unsafe { Self::deallocate_slow(core, block, layout) };
        }
    }

    /// # Safety
    /// As for `deallocate`.
    #[cold]
    #[inline(never)]
    unsafe fn deallocate_slow(core: NonNull<Self>, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the handle keeps the core.
        let this = unsafe { core.as_ref() };
        let class = this.class_of(layout);
        let size = this.size_of(class, layout);
        // SAFETY: (I2) the block is the caller's, of that size.
        unsafe { unpoison(block, size) };
        if this.tiers.config.zero_on_return {
            // SAFETY: as above.
            unsafe { wipe(block, size) };
        }
        match class {
            Some(class) => {
                // SAFETY: as above.
                unsafe { poison(block, size) };
                // SAFETY: passed on.
                unsafe { Self::put(core, class, block) };
            }
            None if layout.size() == 0 => {}
            // SAFETY: (I1) passed on. A panic of the allocator stops here, as this may be a drop (I10).
            None => this.tiers.catch(|| unsafe { this.tiers.backing.release_direct(layout, block) }),
        }
    }

    /// A block of layout `to` with what is in one of layout `from`, as far as both go. `zeroed`: and with zeroes behind
    /// `from`. If that fails the block is as it was.
    ///
    /// # Safety
    /// As for `deallocate` with `from`.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn resize(
        core: NonNull<Self>,
        block: NonNull<u8>,
        from: Layout,
        to: Layout,
        zeroed: bool,
    ) -> Result<NonNull<[u8]>, GetError> {
        // SAFETY: the handle keeps the core.
        let this = unsafe { core.as_ref() };
        let (old, new) = (this.class_of(from), this.class_of(to));
        let resized = match new {
            Some(class) if old == new => NonNull::slice_from_raw_parts(block, this.tiers.config.classes.size(class)),
            // What `A` moves or gives up it does not overwrite.
            None if old.is_none() && from.size().min(to.size()) > 0 && !this.tiers.config.zero_on_return => {
                // SAFETY: (I1) passed on.
                let resize = || unsafe { this.tiers.backing.resize_direct(block, from, to) };
                // SAFETY: passed on.
                let block = resize().or_else(|error| unsafe { Self::purge_for(core, error, resize) })?;
                NonNull::slice_from_raw_parts(block, to.size())
            }
            _ => {
                // SAFETY: passed on.
                let moved = unsafe { Self::allocate(core, to)? };
                let kept = from.size().min(to.size());
                // SAFETY: both blocks are that long, and the new one is nobody else's.
                unsafe { moved.cast::<u8>().copy_from_nonoverlapping(block, kept) };
                // SAFETY: passed on.
                unsafe { Self::deallocate(core, block, from) };
                moved
            }
        };
        if zeroed && resized.len() > from.size() {
            // SAFETY: within the block.
            let rest = unsafe { resized.cast::<u8>().add(from.size()) };
            // SAFETY: as above.
            unsafe { rest.write_bytes(0, resized.len() - from.size()) };
        }
        Ok(resized)
    }

    /// None: a block for this layout is direct from `A`.
    fn class_of(&self, layout: Layout) -> Option<Class> {
        let config = &self.tiers.config;
        if config.pools(layout) { config.classes.class_for(layout.size()) } else { None }
    }

    /// Of a block for this layout, of that class if it has one.
    fn size_of(&self, class: Option<Class>, layout: Layout) -> usize {
        class.map_or(layout.size(), |class| self.tiers.config.classes.size(class))
    }
}
