//! A pointer with a small number in its low bits, so that a buffer fits into four words.

use core::fmt;
use core::ptr::NonNull;

/// `T` is aligned to at least this, so that as many tags fit.
pub(crate) const TAGS: usize = 128;

pub(crate) struct Tagged<T>(NonNull<T>);

impl<T> Clone for Tagged<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Tagged<T> {}

impl<T> Tagged<T> {
    #[inline(always)]
    pub(crate) fn new(pointer: NonNull<T>, tag: usize) -> Self {
        const { assert!(align_of::<T>() >= TAGS) };
        Self(pointer.map_addr(|address| address | (tag % TAGS)))
    }

    #[inline(always)]
    pub(crate) fn tag(self) -> usize {
        self.0.addr().get() % TAGS
    }

    #[inline(always)]
    pub(crate) fn pointer(self) -> NonNull<T> {
        let pointer = self.0.as_ptr().map_addr(|address| address & !(TAGS - 1));
        // SAFETY: `new` was given a pointer that is not null and has none of the bits that are cleared here.
        unsafe { NonNull::new_unchecked(pointer) }
    }
}

impl<T> fmt::Debug for Tagged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:p}+{}", self.pointer(), self.tag())
    }
}
