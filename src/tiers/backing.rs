//! Backing: where blocks come from and go to. The only caller of `A`; the byte limit is enforced here.
#![expect(clippy::disallowed_methods, reason = "the home of the calls to `A`")]

#[cfg(not(loom))]
pub(crate) mod objects;

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::alloc::{self, AllocError, Allocator};
use crate::error::GetError;
use crate::raw::config::Config;
use crate::raw::counters::{as_usize, raise_peak};
use crate::raw::lease::raise;
use crate::raw::size_class::{Class, SizeClasses};
use crate::stats::Freed;
use crate::sync::{AtomicU64, AtomicUsize, Figure, Ordering::Relaxed};

/// What releases blocks.
pub(crate) trait Backing: Send + Sync + 'static {
    /// The size of a block of this class in bytes, for reports; what counts against a bound is the size of the class.
    fn size(&self, class: Class) -> usize;

    /// Takes a block back. May panic, and then has taken it all the same.
    ///
    /// # Safety
    /// The backing made the block for this class, and the caller owns it (I1, I2).
    unsafe fn release(&self, class: Class, block: NonNull<u8>);

    /// A collection that released so much, not nothing, is over: a chance to give memory on to the system. May panic.
    fn trimmed(&self, freed: Freed) {
        let _ = freed;
    }
}

/// A backing that makes blocks where a get asks for one.
pub(crate) trait Allocate: Backing {
    /// Makes a block.
    fn allocate(&self, class: Class) -> Result<NonNull<u8>, GetError>;
}

/// A user's [`Backing::trimmed`]. A bare function, which `const` pools can hold and racing first uses can copy; the allocator is
/// what it may know.
pub(crate) type Trimmed<A> = fn(&A, Freed);

/// Byte blocks from an allocator.
#[derive(Debug)]
pub(crate) struct Bytes<A> {
    /// Initialised, and its only copy, wherever the backing is used or dropped; see `new`.
    allocator: MaybeUninit<A>,
    classes: SizeClasses,
    align: usize,
    /// The bound on `allocated`.
    limit: usize,
    /// The user's; without one the allocator may have one of its own.
    trimmed: Option<Trimmed<A>>,
    /// Bytes held from the allocator. Raised before it is asked, lowered after it has taken a block back.
    allocated: AtomicUsize,
    peak: Figure,
    oversize: Oversize,
}

/// Blocks above the largest class: never retained, only counted.
#[derive(Debug, Default)]
pub(crate) struct Oversize {
    pub(crate) blocks: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
    pub(crate) gets: AtomicU64,
}

/// Takes bytes off a counter when dropped, also by a panic of the allocator.
struct Lower<'a>(&'a AtomicUsize, usize);

impl Drop for Lower<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Relaxed);
    }
}

impl<A> Drop for Bytes<A> {
    fn drop(&mut self) {
        // SAFETY: promised to `new`.
        unsafe { self.allocator.assume_init_drop() };
    }
}

impl<A: Allocator> Bytes<A> {
    /// # Safety
    /// `allocator` is initialised. While it is one of several copies of an allocator, the backing is neither used nor dropped.
    pub(crate) unsafe fn new(allocator: MaybeUninit<A>, config: &Config, trimmed: Option<Trimmed<A>>) -> Self {
        Self {
            allocator,
            classes: config.classes,
            align: config.align,
            limit: config.limit,
            trimmed,
            allocated: AtomicUsize::new(0),
            peak: Figure::new(0),
            oversize: Oversize::default(),
        }
    }

    fn allocator(&self) -> &A {
        // SAFETY: promised to `new`.
        unsafe { self.allocator.assume_init_ref() }
    }

    fn layout(&self, size: usize) -> Result<Layout, GetError> {
        let max = isize::MAX as usize - (self.align - 1);
        Layout::from_size_align(size, self.align).map_err(|_| GetError::CapacityOverflow { requested: size, max })
    }

    /// Covers as many more bytes under the limit while `allocate` runs, and afterwards if it succeeds.
    fn under_limit(
        &self,
        layout: Layout,
        allocate: impl FnOnce() -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<NonNull<u8>, GetError> {
        let (requested, limit) = (layout.size(), self.limit);
        let Some(now) = raise(&self.allocated, requested, limit) else {
            // Without a limit it is the address space that does not hold the sum.
            let reached = GetError::LimitReached { requested, allocated: self.allocated.load(Relaxed), limit };
            return Err(if limit == usize::MAX { no_memory(layout) } else { reached });
        };
        let covered = Lower(&self.allocated, requested);
        let block = allocate().map_err(|_| no_memory(layout))?.cast();
        core::mem::forget(covered);
        raise_peak(&self.peak, now as u64);
        Ok(block)
    }

    fn allocate_exact(&self, size: usize) -> Result<NonNull<u8>, GetError> {
        self.allocate_direct(self.layout(size)?, false)
    }

    /// # Safety
    /// The block was made here with this size, and the caller owns it.
    unsafe fn release_exact(&self, size: usize, block: NonNull<u8>) {
        let Ok(layout) = self.layout(size) else { return };
        // SAFETY: (I1) the layout is the one that the block was made with.
        unsafe { self.release_direct(layout, block) };
    }

    /// Makes a block of any layout, which nothing but the bytes counts.
    pub(crate) fn allocate_direct(&self, layout: Layout, zeroed: bool) -> Result<NonNull<u8>, GetError> {
        let allocator = self.allocator();
        let allocate = || if zeroed { allocator.allocate_zeroed(layout) } else { allocator.allocate(layout) };
        self.under_limit(layout, allocate)
    }

    /// Takes a block of any layout back. May panic, and then has taken it all the same.
    ///
    /// # Safety
    /// (I1) the block was made here with this layout, and the caller owns it.
    pub(crate) unsafe fn release_direct(&self, layout: Layout, block: NonNull<u8>) {
        let _lowered = Lower(&self.allocated, layout.size());
        // SAFETY: (I1) passed on.
        unsafe { self.allocator().deallocate(block, layout) };
    }

    /// Makes a block of another layout of one, by the allocator's own means. If that fails the block is as it was. The limit has to
    /// have room for both, as nobody knows whether the allocator makes one of the other; but to become smaller is never
    /// refused. A panic of the allocator ends the process.
    ///
    /// # Safety
    /// (I1) as for `release_direct`.
    pub(crate) unsafe fn resize_direct(
        &self,
        block: NonNull<u8>,
        from: Layout,
        to: Layout,
    ) -> Result<NonNull<u8>, GetError> {
        if to.size() < from.size() {
            // SAFETY: (I1) passed on; it becomes smaller.
            let shrunk = end_at_panic(|| unsafe { self.allocator().shrink(block, from, to) });
            let block = shrunk.map_err(|_| no_memory(to))?.cast();
            self.allocated.fetch_sub(from.size() - to.size(), Relaxed);
            return Ok(block);
        }
        // SAFETY: (I1) passed on; it does not become smaller.
        let grow = || end_at_panic(|| unsafe { self.allocator().grow(block, from, to) });
        let block = self.under_limit(to, grow)?;
        self.allocated.fetch_sub(from.size(), Relaxed);
        Ok(block)
    }

    /// Makes a block above the largest class.
    pub(crate) fn allocate_oversize(&self, size: usize) -> Result<NonNull<u8>, GetError> {
        let block = self.allocate_exact(size)?;
        self.oversize.blocks.fetch_add(1, Relaxed);
        self.oversize.bytes.fetch_add(size, Relaxed);
        self.oversize.gets.fetch_add(1, Relaxed);
        Ok(block)
    }

    /// Takes a block above the largest class back. May panic, and then has taken it all the same.
    ///
    /// # Safety
    /// `allocate_oversize` made the block with this size, and the caller owns it.
    pub(crate) unsafe fn release_oversize(&self, size: usize, block: NonNull<u8>) {
        self.oversize.blocks.fetch_sub(1, Relaxed);
        self.oversize.bytes.fetch_sub(size, Relaxed);
        // SAFETY: (I1) passed on.
        unsafe { self.release_exact(size, block) };
    }

    pub(crate) fn oversize(&self) -> &Oversize {
        &self.oversize
    }

    /// Bytes held now, and the most that it ever was.
    pub(crate) fn allocated(&self) -> (usize, usize) {
        (self.allocated.load(Relaxed), as_usize(&self.peak))
    }
}

/// Nobody knows whether an allocator that panics in the midst of `grow` has freed the block; the trait's own `grow` has, if
/// what panicked was `deallocate`. A collection that is unwound would free it again.
fn end_at_panic<R>(resize: impl FnOnce() -> R) -> R {
    struct End;

    impl Drop for End {
        fn drop(&mut self) {
            std::process::abort();
        }
    }

    let end = End;
    let result = resize();
    core::mem::forget(end);
    result
}

fn no_memory(layout: Layout) -> GetError {
    GetError::OutOfMemory { requested: layout.size(), align: layout.align() }
}

impl<A: Allocator + Send + Sync + 'static> Backing for Bytes<A> {
    fn size(&self, class: Class) -> usize {
        self.classes.size(class)
    }

    unsafe fn release(&self, class: Class, block: NonNull<u8>) {
        // SAFETY: (I1) passed on: a class has one size.
        unsafe { self.release_exact(self.classes.size(class), block) };
    }

    fn trimmed(&self, freed: Freed) {
        match self.trimmed {
            Some(trimmed) => trimmed(self.allocator(), freed),
            None => alloc::trim(self.allocator()),
        }
    }
}

impl<A: Allocator + Send + Sync + 'static> Allocate for Bytes<A> {
    fn allocate(&self, class: Class) -> Result<NonNull<u8>, GetError> {
        self.allocate_exact(self.classes.size(class))
    }
}
