//! Where a panic of user code ends (I10).

use core::any::Any;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::sync::catch_unwind;

/// Runs user code and lets no panic out; true if there was one.
pub(crate) fn contain(user_code: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(user_code)) else { return false };
    drop_payload(payload);
    true
}

/// Apart, as in its callers, which resets go through, it would take registers that they have to save.
#[cold]
#[inline(never)]
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A payload whose drop panics: one that keeps doing so cannot be freed.
        core::mem::forget(second);
    }
}

/// A user's closure, shared. The drop of what it captured is user code.
pub(crate) struct Closure<F: ?Sized>(ManuallyDrop<Arc<F>>);

impl<F: ?Sized> Closure<F> {
    pub(crate) fn new(closure: Arc<F>) -> Self {
        Self(ManuallyDrop::new(closure))
    }
}

impl<F: ?Sized> Deref for Closure<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.0
    }
}

impl<F: ?Sized> Clone for Closure<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: ?Sized> Drop for Closure<F> {
    fn drop(&mut self) {
        // SAFETY: not used again.
        contain(|| unsafe { ManuallyDrop::drop(&mut self.0) });
    }
}
