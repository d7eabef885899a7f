//! The general allocators as `Allocator`s, and pools over them.

use std::alloc::{GlobalAlloc, Layout};
use std::marker::PhantomData;

use millpond::alloc::FromGlobalAlloc;
use millpond::{Builder, Pool};

use crate::baseline::Heap;

/// What a vector is over: a copy is the same allocator.
pub trait Place: millpond::alloc::Allocator + Copy + Send + Sync + 'static {}

impl<A: millpond::alloc::Allocator + Copy + Send + Sync + 'static> Place for A {}

/// One of the allocators by its name alone, so that it can be copied. Not all of their types can.
pub struct Named<H>(PhantomData<fn() -> H>);

impl<H> Clone for Named<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Named<H> {}

// SAFETY: every call is `H::OF`'s.
unsafe impl<H: Heap> GlobalAlloc for Named<H> {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { H::OF.alloc(layout) }
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { H::OF.alloc_zeroed(layout) }
    }

    #[inline(always)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { H::OF.dealloc(block, layout) };
    }

    #[inline(always)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { H::OF.realloc(block, layout, size) }
    }
}

/// An allocator, bare.
pub type Bare<H> = FromGlobalAlloc<Named<H>>;

#[must_use]
pub const fn bare<H: Heap>() -> Bare<H> {
    FromGlobalAlloc::new(Named(PhantomData))
}

/// A pool over an allocator; for ever, so that any thread can hold what is from it.
#[must_use]
pub fn pool_over<H: Heap>(set: impl FnOnce(Builder<Bare<H>>) -> Builder<Bare<H>>) -> &'static Pool<Bare<H>> {
    let pool = set(Pool::builder_in(bare::<H>())).build().expect("the settings fit");
    drop(pool.get(1));
    // The barrier gate has a fence on the request path until the process has collected once.
    pool.collect();
    Box::leak(Box::new(pool))
}
