//! Where a panic of user code ends (I10).
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code and lets no panic out; true if there was one.
pub(crate) fn contain(user_code: impl FnOnce()) -> bool {
    if cfg!(loom) {
        // A panic is a failed check, and ends the model.
        user_code();
        return false;
    }
    let Err(payload) = catch_unwind(AssertUnwindSafe(user_code)) else { return false };
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A payload whose drop panics: one that keeps doing so cannot be freed.
        core::mem::forget(second);
    }
    true
}
