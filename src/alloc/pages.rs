//! Large blocks by the page: a mapping each, so that whoever frees one gives its memory back to the system.
#![expect(clippy::disallowed_methods, reason = "passes small layouts on to `Global`")]

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::{AllocError, Allocator, Global};

/// What `huge_pages` aligns to: the size of a huge page on x86-64, and on AArch64 with pages of 4 KiB.
const HUGE_PAGE: usize = 2 << 20;

/// An allocator that gives freed memory back to the system at once, whatever `malloc` would do with it.
///
/// A layout of 64 KiB or more (see [`threshold`](Self::threshold)) becomes an anonymous private mapping of whole pages, and
/// [`deallocate`](Allocator::deallocate) unmaps it. Smaller ones go to [`Global`]. Over this allocator a collection or a purge
/// of a pool lowers the resident memory by all that it frees of the larger classes.
///
/// ```
/// use millpond::{Pool, alloc::Pages};
///
/// static POOL: Pool<Pages> = Pool::new_in(Pages::new());
///
/// drop(POOL.get(1 << 20));
/// assert_eq!(POOL.purge().bytes(), 1 << 20); // unmapped
/// ```
///
/// # Cost
/// A system call to make a block and one to free it, or three and one if it is aligned to more than a page; and, as memory from
/// the system is zeroed page by page when it is first touched, a fault for each page. A pool pays that once for all uses of a
/// block between two bursts. [`allocate_zeroed`](Allocator::allocate_zeroed) costs the same. Growing and shrinking copy.
///
/// # Limits
/// The system bounds how many mappings a process has (on Linux `vm.max_map_count`, 65530 by default; neighbours count as one).
/// Beyond that [`allocate`](Allocator::allocate) fails; and to free a block from between two neighbours, which would make two
/// mappings of one, leaves its addresses taken for good. Its memory goes back all the same, unless it is locked (`mlockall`).
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    /// Never 0: a mapping has a length.
    threshold: usize,
    huge_pages: bool,
}

impl Pages {
    /// From here on the system calls are about a tenth of what the faults of the first touch take; and to reach Linux's bound on
    /// mappings takes 4 GiB in blocks without a neighbour. glibc starts with twice as much.
    const DEFAULT_THRESHOLD: usize = 64 << 10;

    /// With the default threshold of 64 KiB and without advice on huge pages.
    #[must_use]
    pub const fn new() -> Self {
        Self { threshold: Self::DEFAULT_THRESHOLD, huge_pages: false }
    }

    /// The size in bytes from which on a layout is mapped. A page or a few is the least that makes sense; 0 maps all that is not
    /// empty. Default 64 KiB.
    ///
    /// ```
    /// use millpond::alloc::Pages;
    ///
    /// const LARGE_ONLY: Pages = Pages::new().threshold(1 << 20);
    /// # let _ = LARGE_ONLY;
    /// ```
    #[must_use]
    pub const fn threshold(self, bytes: usize) -> Self {
        Self { threshold: if bytes == 0 { 1 } else { bytes }, ..self }
    }

    /// Whether blocks of 2 MiB and more are aligned to 2 MiB and, on Linux, advised to lie in huge pages
    /// (`MADV_HUGEPAGE`): fewer faults and fewer misses of the address cache, but the first touch costs 2 MiB of resident memory,
    /// and the block's neighbours are other mappings. Default: no, which leaves it to the system's own setting.
    ///
    /// ```
    /// use millpond::{Pool, alloc::Pages};
    ///
    /// let pool = Pool::new_in(Pages::new().huge_pages(true));
    /// assert_eq!(pool.get(4 << 20).as_ptr().addr() % (2 << 20), 0);
    /// ```
    #[must_use]
    pub const fn huge_pages(self, advise: bool) -> Self {
        Self { huge_pages: advise, ..self }
    }

    /// By the size alone, so that a block goes back where it came from: every size that fits a block is on the same side.
    fn maps(self, layout: Layout) -> bool {
        layout.size() >= self.threshold
    }

    fn map(self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let page = page_size().ok_or(AllocError)?;
        let length = length(layout.size(), page).ok_or(AllocError)?;
        let huge = self.huge_pages && length >= HUGE_PAGE;
        let align = if huge { layout.align().max(HUGE_PAGE) } else { layout.align() };

        // The system aligns to a page. For more, as much again is mapped as the next such address may be away.
        let spare = align.saturating_sub(page);
        let mapped = map_pages(length.checked_add(spare).ok_or(AllocError)?)?;
        let before = mapped.addr().get().wrapping_neg() & (align - 1);
        // SAFETY: `before` is at most `spare`, as both addresses are those of pages; so the block lies in the mapping.
        let block = unsafe { mapped.add(before) };
        if before > 0 {
            // SAFETY: these pages are ours, and no part of the block.
            unsafe { unmap(mapped, before) };
        }
        if before < spare {
            // SAFETY: the mapping goes on for `spare - before` bytes after the block.
            let end = unsafe { block.add(length) };
            // SAFETY: as above.
            unsafe { unmap(end, spare - before) };
        }
        if huge {
            advise_huge(block, length);
        }
        // The whole mapping, as every size up to there has this length, and so unmaps it all.
        Ok(NonNull::slice_from_raw_parts(block, length))
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: a mapping is a block of its length until it is unmapped, which only `deallocate` does, and `Global`'s blocks are as good as
// `Global` is. Which of the two a block came from its layout says, and copies of `self` have the same threshold.
unsafe impl Allocator for Pages {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if self.maps(layout) {
            return self.map(layout);
        }
        Global.allocate(layout).map(|block| cut(block, layout))
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if self.maps(layout) {
            // As it comes from the system.
            return self.map(layout);
        }
        Global.allocate_zeroed(layout).map(|block| cut(block, layout))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if !self.maps(layout) {
            // SAFETY: passed on; a layout that fits is below the threshold if that of `allocate` was.
            return unsafe { Global.deallocate(block, layout) };
        }
        // `map` had both.
        let Some(length) = page_size().and_then(|page| length(layout.size(), page)) else { return };
        // SAFETY: `map` made it, and every size that fits has its length; the caller gives it up.
        unsafe { unmap(block, length) };
    }
}

/// A block of `Global`'s, no longer than was asked for: a size that fits it must not be one that is mapped.
fn cut(block: NonNull<[u8]>, layout: Layout) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(block.cast(), layout.size())
}

/// Of the mapping for a layout of this size; none if no block can be that long.
fn length(size: usize, page: usize) -> Option<usize> {
    size.checked_next_multiple_of(page).filter(|length| isize::try_from(*length).is_ok())
}

/// Not kept: beside a system call the question is free.
fn page_size() -> Option<usize> {
    // SAFETY: the call takes an integer and touches no memory of ours.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).ok().filter(|bytes| bytes.is_power_of_two())
}

/// New pages, full of zeroes.
fn map_pages(length: usize) -> Result<NonNull<u8>, AllocError> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
    // SAFETY: the system chooses an address where nothing is.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), length, access, kind, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(AllocError);
    }
    NonNull::new(mapped.cast()).ok_or(AllocError)
}

/// Gives pages back. Where the system refuses, see the limits of [`Pages`], it is advised that they are not needed: their memory
/// goes, and only the addresses stay.
///
/// # Safety
/// They are whole pages from [`map_pages`], and nobody uses them any more.
unsafe fn unmap(pages: NonNull<u8>, length: usize) {
    // SAFETY: passed on.
    let refused = unsafe { libc::munmap(pages.as_ptr().cast(), length) } != 0;
    if refused {
        // SAFETY: passed on.
        unsafe { libc::madvise(pages.as_ptr().cast(), length, libc::MADV_DONTNEED) };
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn advise_huge(block: NonNull<u8>, length: usize) {
    // Advice: a system without huge pages refuses it, and the block is as good.
    // SAFETY: it changes nothing that a program sees.
    unsafe { libc::madvise(block.as_ptr().cast(), length, libc::MADV_HUGEPAGE) };
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn advise_huge(_: NonNull<u8>, _: usize) {}
