//! A place for a pointer that is filled once, or closed for good: where slots and magazines appear while others look.
#![forbid(unsafe_code)]

use core::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, Ordering};

/// A place is null until it is filled, and holds this once it is closed without having been.
const CLOSED: usize = 1;

/// Owns nothing: whoever has the place frees what it points to.
#[derive(Debug)]
pub(crate) struct Place<T>(AtomicPtr<T>);

#[inline(always)]
fn real<T>(pointer: *mut T) -> Option<NonNull<T>> {
    if pointer.addr() > CLOSED { NonNull::new(pointer) } else { None }
}

impl<T> Place<T> {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> Option<NonNull<T>> {
        // Acquire: pairs with the Release of `install`.
        real(self.0.load(Ordering::Acquire))
    }

    /// Fills the place if it is empty. The loser of a race frees its own; nobody waits. None: closed, or `make` made nothing.
    pub(crate) fn install(
        &self,
        make: impl FnOnce() -> Option<NonNull<T>>,
        free: impl FnOnce(NonNull<T>),
    ) -> Option<NonNull<T>> {
        // Acquire: pairs with the Release of the winner.
        let there = self.0.load(Ordering::Acquire);
        if !there.is_null() {
            return real(there);
        }
        let made = make()?;
        // Release: what is behind the pointer comes first. Acquire: pairs with that of another.
        match self.0.compare_exchange(ptr::null_mut(), made.as_ptr(), Ordering::Release, Ordering::Acquire) {
            Ok(_) => Some(made),
            Err(there) => {
                free(made);
                real(there)
            }
        }
    }

    /// Points to what another place keeps. Only its one reader calls this.
    pub(crate) fn point_to(&self, other: NonNull<T>) {
        // Release: pairs with `get` on the next thread that reads here.
        self.0.store(other.as_ptr(), Ordering::Release);
    }

    /// Closes the place if it is empty.
    pub(crate) fn close(&self) {
        let closed = ptr::without_provenance_mut(CLOSED);
        // Acquire on failure: pairs with the Release of `install`: the closer visits what was installed.
        let _ = self.0.compare_exchange(ptr::null_mut(), closed, Ordering::Acquire, Ordering::Acquire);
    }
}
