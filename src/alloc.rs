//! The allocator interface that a pool stands on: [`Allocator`] of allocator-api2 **0.2**; and allocators to stand on:
//! [`docs::guide`](crate::docs::guide) compares them.
//!
//! The trait is the one that `bumpalo` and `hashbrown` speak on stable Rust. This is the only file that names the crate, so
//! that a move to std's trait touches one place.
#![deny(unsafe_code)]

use core::alloc::Layout;
use core::any::Any;
use core::ptr::{self, NonNull};

#[expect(unsafe_code, reason = "an allocator")]
mod from_global;

#[cfg(feature = "jemalloc")]
#[expect(unsafe_code, reason = "an allocator")]
mod jemalloc;

#[cfg(unix)]
#[expect(unsafe_code, reason = "an allocator")]
mod pages;

pub use allocator_api2::alloc::{AllocError, Allocator, Global};

pub use self::from_global::FromGlobalAlloc;

#[cfg(feature = "jemalloc")]
pub use self::jemalloc::{Jemalloc, JemallocStats};

#[cfg(unix)]
pub use self::pages::Pages;

pub(crate) use allocator_api2::boxed::Box as FallibleBox;

/// What a pool does after a collection that freed something, where its user says nothing else: an allocator of ours that keeps
/// what comes back gives it on to the system. Each such one has its line here; a method of [`Allocator`] would be better, but the trait
/// is not ours.
pub(crate) fn trim<A: 'static>(allocator: &A) {
    let allocator: &dyn Any = allocator;
    #[cfg(feature = "jemalloc")]
    if let Some(jemalloc) = allocator.downcast_ref::<Jemalloc>() {
        jemalloc.purge();
    }
    let _ = allocator;
}

/// The block of an empty layout: aligned, and nowhere.
pub(crate) fn empty(layout: Layout) -> NonNull<[u8]> {
    // No alignment is 0.
    let nowhere = NonNull::new(ptr::without_provenance_mut(layout.align())).unwrap_or(NonNull::dangling());
    NonNull::slice_from_raw_parts(nowhere, 0)
}
