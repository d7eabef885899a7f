//! A pool's way to its core, which its first use makes.

use core::mem::ManuallyDrop;
use core::panic::UnwindSafe;
use core::ptr::{self, NonNull};

use crate::life::close::{Core, Handle};
use crate::sync::{AtomicPtr, Ordering};
use crate::tiers::backing::Backing;

/// A handle, once there is one.
pub(crate) struct Root<B: Backing> {
    /// From `Handle::into_raw`; null until the first use.
    core: AtomicPtr<Core<B>>,
    /// The same, but null for good where each get is to be looked at: in a pool that tracks.
    near: AtomicPtr<Core<B>>,
}

impl<B: Backing> Root<B> {
    /// Of a pool that was never used.
    pub(crate) const fn new() -> Self {
        Self { core: AtomicPtr::new(ptr::null_mut()), near: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Where gets may take the short way; kept by this root.
    #[inline(always)]
    pub(crate) fn near(&self) -> Option<NonNull<Core<B>>> {
        // Acquire: pairs with the Release of `plant`.
        NonNull::new(self.near.load(Ordering::Acquire))
    }

    /// Kept by this root.
    #[inline(always)]
    pub(crate) fn core(&self) -> Option<NonNull<Core<B>>> {
        // Acquire: pairs with the Release of `plant`.
        NonNull::new(self.core.load(Ordering::Acquire))
    }

    pub(crate) fn handle(&self) -> Option<ManuallyDrop<Handle<B>>> {
        // SAFETY: it is from `into_raw`, and this root keeps it.
        self.core().map(|core| unsafe { Handle::borrow_raw(core) })
    }

    /// Gives the pool its first handle. First uses do not wait for each other, as after a `fork` another one may never end: the
    /// fastest one's is the handle, and of the others the backing comes back.
    pub(crate) fn plant(&self, handle: Handle<B>) -> (NonNull<Core<B>>, Option<B>) {
        let core = handle.into_raw();
        // Release: pairs with the Acquire of every other use. Acquire: pairs with the Release of a faster first use.
        match self.core.compare_exchange(ptr::null_mut(), core.as_ptr(), Ordering::Release, Ordering::Acquire) {
            Ok(_) => {
                // SAFETY: this root keeps it.
                let near = near(unsafe { core.as_ref() });
                // Release: pairs with the Acquire of `near`. Until then gets take the long way.
                self.near.store(near, Ordering::Release);
                (core, None)
            }
            Err(faster) => {
                // SAFETY: from `into_raw`, and never published.
                let slower = unsafe { Handle::unmake(core) };
                // SAFETY: a strong exchange fails only where there is another value than the expected null.
                (unsafe { NonNull::new_unchecked(faster) }, Some(slower))
            }
        }
    }
}

// A panic of user code leaves a pool whole (I10).
impl<B: Backing> UnwindSafe for Root<B> {}

impl<B: Backing> From<Handle<B>> for Root<B> {
    fn from(handle: Handle<B>) -> Self {
        let core = handle.into_raw();
        // SAFETY: the handle, which is this root's from now on, keeps it.
        let near = near(unsafe { core.as_ref() });
        Self { core: AtomicPtr::new(core.as_ptr()), near: AtomicPtr::new(near) }
    }
}

fn near<B: Backing>(core: &Core<B>) -> *mut Core<B> {
    if core.tiers.tracks.is_none() { ptr::from_ref(core).cast_mut() } else { ptr::null_mut() }
}

impl<B: Backing> Drop for Root<B> {
    fn drop(&mut self) {
        if let Some(core) = NonNull::new(*self.core.get_mut()) {
            // SAFETY: it is from `into_raw`, and ends with this root.
            drop(unsafe { Handle::from_raw(core) });
        }
    }
}
