//! With `zero_on_return` what was put into an arena in small pieces is overwritten when the arena ends: its chunks are the program's
//! allocator's, and none comes back with a secret. A binary of its own: it looks at all that is freed.
#![cfg(feature = "arena")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::slice;

use allocator_api2::vec::Vec as VecIn;
use millpond::{Collect, Pool, Recycle};

const SECRET: u8 = 0xA5;

thread_local! {
    /// Secret bytes that this thread freed, once it looks.
    static SEEN: Cell<Option<usize>> = const { Cell::new(None) };
}

struct Watching;

// SAFETY: memory comes from `System`, zeroed.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // So that all of it can be read.
        // SAFETY: passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(seen) = SEEN.get() {
            // SAFETY: the block is so long, initialised, and nobody's any more.
            let bytes = unsafe { slice::from_raw_parts(block, layout.size()) };
            SEEN.set(Some(seen + bytes.iter().filter(|byte| **byte == SECRET).count()));
        }
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static WATCHING: Watching = Watching;

/// Secrets in all that is freed from the first arena to the end of the pool.
fn secrets_seen(zero: bool, recycle: Recycle) -> usize {
    let pool = Pool::builder().zero_on_return(zero).collect(Collect::Manual).recycle(recycle).build().unwrap();
    SEEN.set(Some(0));
    for round in 0..3 {
        let mut arena = pool.arena();
        for _ in 0..1000 {
            arena.alloc_slice_copy(&[SECRET; 100]);
        }
        // Moved, freed and shrunk on the way.
        let mut grown = VecIn::new_in(&arena);
        (0..250).for_each(|_| grown.push(SECRET));
        grown.truncate(3);
        grown.shrink_to_fit();
        drop(grown);
        if round == 1 {
            arena.reset();
            arena.alloc_slice_copy(&[SECRET; 200]);
        }
    }
    pool.collect();
    pool.collect();
    drop(pool);
    SEEN.take().unwrap()
}

#[test]
fn no_secret_is_in_a_chunk_that_is_freed() {
    for recycle in [Recycle::Always, Recycle::Never, Recycle::Chaos(2)] {
        assert_eq!(secrets_seen(true, recycle), 0, "{recycle:?}");
    }
}

/// The test can fail.
#[test]
fn without_it_there_are() {
    for recycle in [Recycle::Always, Recycle::Never] {
        assert!(secrets_seen(false, recycle) > 50_000, "{recycle:?}");
    }
}
