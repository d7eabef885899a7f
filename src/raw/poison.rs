//! With `--cfg millpond_asan`, memory that nobody may touch at the moment is poisoned: idle blocks, what lies behind the
//! length of a buffer, and what is free of an arena's chunk. AddressSanitizer then reports a touch through a stale pointer, although
//! the block was never freed. Without it nothing here does anything.
//!
//! The face poisons a block that it gives back and what its buffers have spare; whatever it gets may be poisoned. The tiers unpoison what they release.

use core::ptr::NonNull;

#[cfg(millpond_asan)]
unsafe extern "C" {
    fn __asan_poison_memory_region(start: *const core::ffi::c_void, len: usize);
    fn __asan_unpoison_memory_region(start: *const core::ffi::c_void, len: usize);
}

/// Nobody may touch these bytes until they are unpoisoned. The sanitizer knows eight bytes at a time: where the last ones do not fill
/// eight, they may be left out.
///
/// # Safety
/// They are the caller's.
#[inline(always)]
pub(crate) unsafe fn poison(start: NonNull<u8>, len: usize) {
    #[cfg(millpond_asan)]
    // SAFETY: the caller's memory, of which only the sanitizer's notes are changed.
    unsafe {
        __asan_poison_memory_region(start.as_ptr().cast(), len);
    };
    let _ = (start, len);
}

/// Their owner may touch these bytes again.
///
/// # Safety
/// They are the caller's.
#[inline(always)]
pub(crate) unsafe fn unpoison(start: NonNull<u8>, len: usize) {
    #[cfg(millpond_asan)]
    // SAFETY: as above.
    unsafe {
        __asan_unpoison_memory_region(start.as_ptr().cast(), len);
    };
    let _ = (start, len);
}
