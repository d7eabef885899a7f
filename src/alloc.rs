//! The allocator interface that a pool stands on: [`Allocator`] of allocator-api2 **0.2**; and allocators to stand on:
//! [`docs::guide`](crate::docs::guide) compares them.
//!
//! The trait is the one that `bumpalo` and `hashbrown` speak on stable Rust. This is the only file that names the crate, so
//! that a move to std's trait touches one place.
#![deny(unsafe_code)]

use core::alloc::Layout;
use core::ptr::{self, NonNull};

#[expect(unsafe_code, reason = "an allocator")]
mod from_global;

#[cfg(unix)]
#[expect(unsafe_code, reason = "an allocator")]
mod pages;

pub use allocator_api2::alloc::{AllocError, Allocator, Global};

pub use self::from_global::FromGlobalAlloc;

#[cfg(unix)]
pub use self::pages::Pages;

pub(crate) use allocator_api2::boxed::Box as FallibleBox;

/// The block of an empty layout: aligned, and nowhere.
fn empty(layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
    let nowhere = NonNull::new(ptr::without_provenance_mut(layout.align())).ok_or(AllocError)?;
    Ok(NonNull::slice_from_raw_parts(nowhere, 0))
}
