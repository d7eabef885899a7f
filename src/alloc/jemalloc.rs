//! jemalloc, in an arena of its own.
#![expect(clippy::disallowed_methods, reason = "growing from nothing allocates")]

use core::alloc::Layout;
use core::ffi::{CStr, c_int, c_uint};
use core::ptr::{self, NonNull};

use tikv_jemalloc_sys as ffi;

use super::{AllocError, Allocator, empty};
use crate::sync::{AtomicUsize, Ordering};

/// The number of the arena and one more; 0 before there is one. As many threads as race for the first block make one each, and
/// all but the first destroy theirs: with a lock, a child of a `fork` whose parent was in here would wait for ever.
static ARENA: AtomicUsize = AtomicUsize::new(0);

/// An allocator whose blocks lie in a jemalloc arena of their own, apart from all others of the process; feature `jemalloc`.
///
/// The arena is made for the first block, and all values of this type share it: each frees what any other allocated. It need
/// not be the program's own allocator, which may be jemalloc as well (that of `tikv-jemallocator` 0.7) or another.
///
/// ```
/// use millpond::{Pool, alloc::Jemalloc};
///
/// static POOL: Pool<Jemalloc> = Pool::new_in(Jemalloc::new());
///
/// let buf = POOL.get(1 << 20);
/// assert!(Jemalloc::new().stats().allocated >= 1 << 20);
/// drop(buf);
/// POOL.purge(); // frees the block, and gives the arena's free pages back to the system
/// ```
///
/// Freed pages stay in the arena, where the next block takes them without a system call, and the system gets them when they
/// lay there for a while (`dirty_decay_ms`, 10 s), if somebody allocates or frees then. A pool does not wait for that:
/// [`purge`](Self::purge) is its [`trimmed`](crate::Builder::trimmed), unless you set another, so a collection or a purge lowers the
/// resident memory by what it freed. What requests discard in between is jemalloc's to give back.
///
/// # Cost
/// Past jemalloc's caches of the threads: what lies there is in no arena, and no collection would get it back. So a block costs a
/// lock of the arena; together with freeing it, from 60 ns (256 B) to 250 ns (4 KiB) or 300 ns (64 KiB) where the arena has
/// room, and elsewhere the faults of a first touch. That is for misses: a pool keeps the lock away from all else.
///
/// # Limits
/// An arena's own tables are never given back: some 2 KiB for each MiB of addresses that was ever in use, and 128 bytes for each
/// block. jemalloc is a C library; where `tikv-jemalloc-sys` does not build, nor does the feature.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jemalloc;

/// What the arena of [`Jemalloc`] holds, in bytes; from [`Jemalloc::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JemallocStats {
    /// In blocks that are out, each as long as its size class.
    pub allocated: usize,
    /// In pages of which blocks that are out have a part.
    pub active: usize,
    /// In pages that are free and may still be resident: what [`Jemalloc::purge`] gives back.
    pub dirty: usize,
    /// In the arena's own tables.
    pub metadata: usize,
    /// All of that, at most: pages that nobody touched yet are counted as well.
    pub resident: usize,
    /// Addresses that are kept for later blocks, without memory behind them.
    pub retained: usize,
}

impl Jemalloc {
    /// Nothing happens until the first block.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// Gives all free pages of the arena back to the system, those of other pools over it too.
    ///
    /// A pool calls it by itself. Call it in a [`trimmed`](crate::Builder::trimmed) of your own, which replaces that:
    ///
    /// ```
    /// use millpond::{Pool, alloc::Jemalloc};
    ///
    /// let pool = Pool::builder_in(Jemalloc::new())
    ///     .trimmed(|jemalloc, freed| {
    ///         if freed.bytes >= 1 << 20 {
    ///             jemalloc.purge();
    ///         }
    ///     })
    ///     .build()?;
    /// drop(pool.get(2 << 20));
    /// pool.purge();
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    ///
    /// # Cost
    /// A system call for each stretch of free pages, and what that takes: 5 us for 64 KiB that lie alone, 3 to 90 ms for 1 GiB in
    /// blocks of 4 MiB to 64 KiB; 1 us where nothing is free.
    pub fn purge(&self) {
        if let Some(arena) = made() {
            act(c"arena.0.purge", arena);
        }
    }

    /// What the arena holds, for all pools over it; all 0 before the first block, or if jemalloc was built without statistics
    /// (`JEMALLOC_OVERRIDE`).
    ///
    /// # Cost
    /// jemalloc brings the figures of *all* arenas of the process up to date, each under its locks: 15 us for ten of them, and there
    /// may be four for each core. For people and scrapers.
    #[must_use]
    pub fn stats(&self) -> JemallocStats {
        let Some(arena) = made() else { return JemallocStats::default() };
        advance_epoch();
        let bytes = |name| figure(name, arena);
        let page = figure(c"arenas.page", arena);
        JemallocStats {
            allocated: bytes(c"stats.arenas.0.small.allocated") + bytes(c"stats.arenas.0.large.allocated"),
            active: bytes(c"stats.arenas.0.pactive") * page,
            dirty: (bytes(c"stats.arenas.0.pdirty") + bytes(c"stats.arenas.0.pmuzzy")) * page,
            metadata: bytes(c"stats.arenas.0.base") + bytes(c"stats.arenas.0.internal"),
            resident: bytes(c"stats.arenas.0.resident"),
            retained: bytes(c"stats.arenas.0.retained"),
        }
    }
}

// SAFETY: a block of jemalloc's is nobody else's until it is freed, which takes its address and no arena; so any value frees any
// block. The empty ones, which jemalloc must not see, are nowhere.
unsafe impl Allocator for Jemalloc {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        allocate(layout, 0)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        allocate(layout, ffi::MALLOCX_ZERO)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            let flags = ffi::MALLOCX_TCACHE_NONE | ffi::MALLOCX_ALIGN(layout.align());
            // SAFETY: the caller gives up a block of this alignment, and of this size, as that is what was reported.
            unsafe { ffi::sdallocx(block.as_ptr().cast(), layout.size(), flags) };
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, from: Layout, to: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if from.size() == 0 {
            return self.allocate(to);
        }
        // SAFETY: passed on; what is no smaller than `from` is not empty.
        unsafe { reallocate(block, to) }
    }

    // As `grow_zeroed` the trait's own: jemalloc zeroes from the end of the old block's size class on, not from that of the old layout.

    unsafe fn shrink(&self, block: NonNull<u8>, from: Layout, to: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if to.size() == 0 {
            // SAFETY: passed on.
            unsafe { self.deallocate(block, from) };
            return Ok(empty(to));
        }
        // SAFETY: passed on; `from` is no smaller than `to`, so neither is empty.
        unsafe { reallocate(block, to) }
    }
}

fn allocate(layout: Layout, flags: c_int) -> Result<NonNull<[u8]>, AllocError> {
    if layout.size() == 0 {
        return Ok(empty(layout));
    }
    let flags = flags | in_arena(layout)?;
    // SAFETY: the size is not 0.
    whole(unsafe { ffi::mallocx(layout.size(), flags) }.cast(), layout)
}

/// # Safety
/// The block is out, and neither it nor the layout is empty.
unsafe fn reallocate(block: NonNull<u8>, to: Layout) -> Result<NonNull<[u8]>, AllocError> {
    let flags = in_arena(to)?;
    // SAFETY: passed on.
    whole(unsafe { ffi::rallocx(block.as_ptr().cast(), to.size(), flags) }.cast(), to)
}

/// A block as long as was asked for, or none.
fn whole(block: *mut u8, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
    let block = NonNull::new(block).ok_or(AllocError)?;
    Ok(NonNull::slice_from_raw_parts(block, layout.size()))
}

/// Past the thread's cache: that would give out blocks of other arenas, and keep what a collection frees on the thread that
/// collects.
fn in_arena(layout: Layout) -> Result<c_int, AllocError> {
    let arena = arena()?;
    Ok(ffi::MALLOCX_ARENA(arena) | ffi::MALLOCX_TCACHE_NONE | ffi::MALLOCX_ALIGN(layout.align()))
}

fn made() -> Option<usize> {
    // Acquire: pairs with the Release of `make`: the arena is made.
    ARENA.load(Ordering::Acquire).checked_sub(1)
}

fn arena() -> Result<usize, AllocError> {
    made().map_or_else(make, Ok)
}

/// Fails where jemalloc has no memory, or 4095 arenas already: an arena of others would do, but no collection would give back what
/// is freed there. The next call tries again.
#[cold]
fn make() -> Result<usize, AllocError> {
    let (mut arena, mut size) = (0 as c_uint, size_of::<c_uint>());
    let out = (&raw mut arena).cast();
    // SAFETY: the name ends with a zero; what is asked for is an `unsigned`, and nothing is written.
    let failed = unsafe { ffi::mallctl(c"arenas.create".as_ptr(), out, &raw mut size, ptr::null_mut(), 0) } != 0;
    if failed {
        return Err(AllocError);
    }
    let arena = usize::try_from(arena).map_err(|_| AllocError)?;
    // Release: pairs with the Acquire of `made`. Acquire: pairs with the Release of a faster one.
    match ARENA.compare_exchange(0, arena + 1, Ordering::Release, Ordering::Acquire) {
        Ok(_) => Ok(arena),
        Err(faster) => {
            // Nobody ever had a block of it.
            act(c"arena.0.destroy", arena);
            Ok(faster - 1)
        }
    }
}

/// Where jemalloc's controls have `name`, with this arena in place of arena 0.
fn control(name: &CStr, arena: usize) -> Option<([usize; 5], usize)> {
    let mut path = [0; 5];
    let mut length = path.len();
    // SAFETY: the name ends with a zero, and `path` is so long.
    let failed = unsafe { ffi::mallctlnametomib(name.as_ptr(), path.as_mut_ptr(), &raw mut length) } != 0;
    let place = name.to_bytes().split(|byte| *byte == b'.').position(|part| part == b"0");
    if let Some(place) = place {
        path[place] = arena;
    }
    (!failed).then_some((path, length))
}

/// Does what is neither asked nor told anything.
fn act(name: &CStr, arena: usize) {
    let Some((path, length)) = control(name, arena) else { return };
    // It fails where there is no such arena, and callers have one.
    // SAFETY: the path is so long; nothing is read or written.
    unsafe { ffi::mallctlbymib(path.as_ptr(), length, ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0) };
}

/// A figure that is a `size_t`; 0 if there is none of that name.
fn figure(name: &CStr, arena: usize) -> usize {
    let Some((path, length)) = control(name, arena) else { return 0 };
    let (mut value, mut size) = (0, size_of::<usize>());
    let out = (&raw mut value).cast();
    // SAFETY: the path is so long; what is asked for has at most this size, or jemalloc refuses; nothing is written.
    unsafe { ffi::mallctlbymib(path.as_ptr(), length, out, &raw mut size, ptr::null_mut(), 0) };
    value
}

/// Figures are those of the last time that this was done.
fn advance_epoch() {
    let mut any = 1_u64;
    let told = (&raw mut any).cast();
    // SAFETY: the name ends with a zero; what is told is a `uint64_t`, and nothing is asked.
    unsafe { ffi::mallctl(c"epoch".as_ptr(), ptr::null_mut(), ptr::null_mut(), told, size_of::<u64>()) };
}
