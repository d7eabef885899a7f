//! The pool as an [`Allocator`], for `Vec`, `hashbrown` and the rest.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::alloc::{AllocError, Allocator};
use crate::error::GetError;
use crate::life::close::Core;
use crate::pool::Pool;
use crate::tiers::backing::Bytes;

/// What collections allocate comes from the pool, and goes back to it.
///
/// A layout from half of the smallest class to the largest class, with at most the pool's alignment, gets a block of its class;
/// every other one comes straight from `A`, is counted in `limit` and freed when it comes back. The length that is reported is the
/// class's. Growing within a class keeps the block; from direct to
/// direct it is `A`'s own `grow` or `shrink` (unless `zero_on_return` is set); else the contents move.
///
/// At the `limit`, after a purge, and without memory, allocation fails with [`AllocError`]. So does a `shrink` that has to move, as it takes
/// the smaller block first; collections treat that as out of memory (`shrink_to_fit` ends the process).
///
/// ```
/// use allocator_api2::vec::Vec;
/// use millpond::{Pool, Recycle};
///
/// let pool = Pool::builder().recycle(Recycle::Always).build()?;
/// let mut numbers = Vec::new_in(&pool); // `Pool` itself will do too: it is a handle
/// numbers.extend(0..1000_u64);
/// assert_eq!(pool.stats().in_use_bytes, 8 << 10);
/// drop(numbers);
/// assert_eq!(pool.stats().idle_bytes, pool.stats().allocated_bytes);
/// # Ok::<(), millpond::BuildError>(())
/// ```
///
/// # Cost
/// A few nanoseconds for an allocation that finds an idle block of this thread, as for [`get`](Pool::get), and as much for
/// giving it back. What comes straight from `A` costs more than from `A` alone: its bytes are counted, in one word that all threads
/// share.
// SAFETY: a block is its owner's until it comes back, wherever handles move; clones are handles to the same pool. A layout that
// fits a block has the size asked for, the one reported or one in between, and all of those lead back to where it came from
// (`life::layout`).
unsafe impl<A: Allocator + Send + Sync + 'static> Allocator for Pool<A> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let core = self.started()?;
        // SAFETY: this handle keeps the core.
        unsafe { Core::allocate(core, layout) }.map_err(refused)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let core = self.started()?;
        // SAFETY: this handle keeps the core.
        unsafe { Core::allocate_slow(core, layout, true) }.map_err(refused)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // There is a core, as the block came from it.
        if let Ok(core) = self.started() {
            // SAFETY: this handle keeps the core; the rest is the caller's promise.
            unsafe { Core::deallocate(core, block, layout) };
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, from: Layout, to: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let core = self.started()?;
        // SAFETY: as above.
        unsafe { Core::resize(core, block, from, to, false) }.map_err(refused)
    }

    unsafe fn grow_zeroed(&self, block: NonNull<u8>, from: Layout, to: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let core = self.started()?;
        // SAFETY: as above.
        unsafe { Core::resize(core, block, from, to, true) }.map_err(refused)
    }

    unsafe fn shrink(&self, block: NonNull<u8>, from: Layout, to: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let core = self.started()?;
        // SAFETY: as above.
        unsafe { Core::resize(core, block, from, to, false) }.map_err(refused)
    }
}

impl<A: Allocator + Send + Sync + 'static> Pool<A> {
    #[inline]
    fn started(&self) -> Result<NonNull<Core<Bytes<A>>>, AllocError> {
        self.core_or_start().map_err(refused)
    }
}

/// The trait's error says nothing.
fn refused(_: GetError) -> AllocError {
    AllocError
}
