//! Atomics, cells and the bounded queue: the real ones, or loom's.
//!
//! loom cannot see inside `ArrayQueue`, so the models run over a stand-in: what they prove about the protocol assumes
//! that `ArrayQueue` is linearizable.

#![forbid(unsafe_code)]

pub(crate) use crossbeam_utils::{Backoff, CachePadded};

#[cfg(not(loom))]
mod real {
    #[cfg(all(target_os = "linux", feature = "fast-barrier", not(miri)))]
    pub(crate) use core::sync::atomic::compiler_fence;
    pub(crate) use core::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use crossbeam_queue::ArrayQueue;
    pub(crate) use std::panic::catch_unwind;
    pub(crate) use std::sync::Arc;
    #[expect(clippy::disallowed_types, reason = "its homes take it from here")]
    pub(crate) use std::sync::Mutex;
    pub(crate) use std::sync::MutexGuard;
    pub(crate) use std::thread::yield_now;
    pub(crate) use std::thread_local;

    /// What nothing is concluded from but statistics, or what a gate orders.
    pub(crate) type Figure = AtomicU64;

    /// The owner's word of a gate.
    pub(crate) type Word = AtomicU64;

    /// `core`'s cell with loom's face, so that one source serves both.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(not(loom))]
pub(crate) use real::*;

#[cfg(loom)]
mod model;

#[cfg(loom)]
pub(crate) use model::*;
