//! The allocator interface that a pool stands on: [`Allocator`] of allocator-api2 **0.2**.
//!
//! It is the trait that `bumpalo` and `hashbrown` speak on stable Rust. This is the only file that names the crate, so
//! that a move to std's trait touches one place.
#![deny(unsafe_code)]

#[cfg(unix)]
#[expect(unsafe_code, reason = "an allocator")]
mod pages;

pub use allocator_api2::alloc::{AllocError, Allocator, Global};

#[cfg(unix)]
pub use self::pages::Pages;

pub(crate) use allocator_api2::boxed::Box as FallibleBox;
