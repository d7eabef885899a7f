//! Once warm, a request in an arena allocates nothing. A binary of its own: it counts every allocation.
#![cfg(feature = "arena")]
#![allow(clippy::cast_possible_truncation, reason = "bytes to tell things by")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use allocator_api2::vec::Vec;
use millpond::{Arena, Collect, Pool, Recycle};

thread_local!(static CALLS: Cell<usize> = const { Cell::new(0) });

struct Counting;

// SAFETY: memory comes from `System`, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often `f` calls the allocator, on this thread.
fn calls_of(f: impl FnOnce()) -> usize {
    let before = CALLS.get();
    f();
    CALLS.get() - before
}

fn pool() -> Pool {
    Pool::builder().collect(Collect::Manual).recycle(Recycle::Always).build().unwrap()
}

/// 40 pieces of 16 to 200 bytes, four of 2 to 64 KiB.
fn request(arena: &Arena) {
    for n in 0..40 {
        black_box(arena.alloc_slice_fill_copy(16 + (n * 37) % 185, n as u8));
    }
    for kib in [2, 8, 32, 64] {
        black_box(arena.alloc_bytes(kib << 10));
    }
}

#[test]
fn a_warm_request_allocates_nothing() {
    let pool = pool();
    assert!(calls_of(|| request(&pool.arena())) > 4, "the counter counts");
    (0..2).for_each(|_| request(&pool.arena()));
    assert_eq!(calls_of(|| (0..1000).for_each(|_| request(&pool.arena()))), 0);
}

#[test]
fn nor_do_a_few_at_a_time() {
    let pool = pool();
    let requests = || {
        let arenas: [Arena; 8] = std::array::from_fn(|_| pool.arena());
        arenas.iter().for_each(request);
    };
    (0..3).for_each(|_| requests());
    assert_eq!(calls_of(|| (0..100).for_each(|_| requests())), 0);
}

/// Blocks come and go while an arena lives, more than there ever are at a time: where they are noted is used again.
#[test]
fn nor_does_a_vector_that_comes_and_goes() {
    let pool = pool();
    let mut arena = pool.arena();
    let grow = |arena: &Arena| {
        for _ in 0..100 {
            let mut vec = Vec::new_in(arena);
            (0..20_000_u32).for_each(|n| vec.push(n));
        }
    };
    (0..2).for_each(|_| {
        grow(&arena);
        arena.reset();
    });
    assert_eq!(calls_of(|| grow(&arena)), 0);
}
