//! Overwriting what a buffer held, so that the optimiser cannot leave it out.

use core::ptr::NonNull;

/// Writes zeroes over `len` bytes.
///
/// # Safety
/// The caller owns the block of at least `len` bytes.
#[cold]
#[inline(never)]
pub(crate) unsafe fn wipe(block: NonNull<u8>, len: usize) {
    // SAFETY: passed on.
    unsafe { block.write_bytes(0, len) };
    // A store to memory that is freed next counts as dead. Assembly that is given the address may read what is there.
    #[cfg(all(
        any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64", target_arch = "arm"),
        not(miri)
    ))]
    // SAFETY: it has no instruction.
    unsafe {
        core::arch::asm!("/* {0} */", in(reg) block.as_ptr(), options(nostack, preserves_flags));
    };
    #[cfg(not(all(
        any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64", target_arch = "arm"),
        not(miri)
    )))]
    core::hint::black_box(block);
}
