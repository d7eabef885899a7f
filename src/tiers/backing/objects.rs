//! Objects as blocks: each lies in a box, which it leaves only to be dropped or detached.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use std::thread;

use crate::alloc::FallibleBox;
use crate::error::GetError;
use crate::raw::contain::{Closure, contain};
use crate::raw::counters::add;
use crate::raw::size_class::Class;
use crate::sync::Figure;
use crate::tiers::backing::{Backing, no_memory};

/// All objects of a pool are of one class.
pub(crate) const OBJECT: Class = Class::new(0);

/// What becomes of an object that comes back: false, and it is dropped.
pub(crate) enum Reset<T> {
    /// It is kept as it is.
    Keep,
    /// A function and its bound. `const` pools can hold it.
    Clear(fn(&mut T, usize) -> bool, usize),
    Closure(Closure<dyn Fn(&mut T) -> bool + Send + Sync>),
}

/// Where objects end; they begin in the hands of whoever has `make`.
#[derive(Debug)]
pub(crate) struct Objects<T> {
    reset: Reset<T>,
    pub(crate) figures: Figures,
}

/// What happened to objects besides what happens to blocks.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Objects that somebody else had made.
    pub(crate) adopted: Figure,
    pub(crate) detached: Figure,
    /// Objects that were not taken back.
    pub(crate) refused: Figure,
    pub(crate) reset_panics: Figure,
}

impl<T: Send + 'static> Objects<T> {
    pub(crate) fn new(reset: Reset<T>) -> Self {
        Self { reset, figures: Figures::default() }
    }

    /// The block of an object, which comes back if there is no memory for one.
    pub(crate) fn boxed(object: T) -> Result<NonNull<T>, (GetError, T)> {
        match FallibleBox::try_new_uninit() {
            Ok(block) => Ok(NonNull::from(FallibleBox::leak(FallibleBox::write(block, object)))),
            Err(_) => Err((no_memory(Layout::new::<T>()), object)),
        }
    }

    /// Takes the object out of its block, which ends.
    ///
    /// # Safety
    /// (I1, I2) `boxed` made the block, and the caller owns it.
    pub(crate) unsafe fn unboxed(block: NonNull<T>) -> T {
        // SAFETY: made by a box of the global allocator, which std's is too.
        *unsafe { Box::from_raw(block.as_ptr()) }
    }

    /// Resets an object that comes back. False: it is not to be kept. One whose user is unwinding may be half changed.
    #[inline(always)]
    pub(crate) fn takes_back(&self, object: &mut T) -> bool {
        if thread::panicking() {
            return false;
        }
        let mut kept = false;
        let panicked = match &self.reset {
            Reset::Keep => return true,
            Reset::Clear(clear, bound) => contain(|| kept = clear(object, *bound)),
            Reset::Closure(reset) => contain(|| kept = reset(object)),
        };
        if panicked {
            add(&self.figures.reset_panics);
        }
        kept
    }
}

impl<T: Send + 'static> Backing for Objects<T> {
    fn size(&self, _: Class) -> usize {
        size_of::<T>()
    }

    unsafe fn release(&self, _: Class, block: NonNull<u8>) {
        // SAFETY: (I1, I2) passed on. Where the drop panics the box is freed all the same.
        drop(unsafe { Box::from_raw(block.cast::<T>().as_ptr()) });
    }
}

impl<T> Clone for Reset<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Keep => Self::Keep,
            Self::Clear(clear, bound) => Self::Clear(*clear, *bound),
            Self::Closure(reset) => Self::Closure(reset.clone()),
        }
    }
}

impl<T> fmt::Debug for Reset<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("Keep"),
            Self::Clear(_, bound) => f.debug_tuple("Clear").field(bound).finish(),
            Self::Closure(_) => f.write_str("Closure"),
        }
    }
}
