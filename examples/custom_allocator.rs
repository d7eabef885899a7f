//! An allocator of one's own behind a pool: it counts, and shows that a warm pool calls it no more, and that what the pool
//! held comes back.
//!
//! ```sh
//! cargo run --example custom_allocator
//! ```
#![allow(
    clippy::disallowed_methods,
    reason = "an allocator of its own; the crate's `clippy.toml` is in force here as well"
)]

use std::alloc::{Layout, System};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use millpond::alloc::{AllocError, Allocator, FromGlobalAlloc};
use millpond::{Collect, Pool, Recycle};

/// Passes on to the system's allocator, and counts. A pool uses it from all threads, so what it counts in are atomics.
#[derive(Default)]
struct Counting {
    /// An allocator of the kind that `#[global_allocator]` takes would do here as well: `tikv_jemallocator::Jemalloc`, say.
    system: FromGlobalAlloc<System>,
    calls: AtomicUsize,
    bytes_out: AtomicUsize,
}

/// The pool takes its allocator by value, and a reference to one is one.
static HEAP: Counting =
    Counting { system: FromGlobalAlloc::new(System), calls: AtomicUsize::new(0), bytes_out: AtomicUsize::new(0) };

// SAFETY: each block is the system's, which gives it to nobody else until it comes back with its layout, wherever this
// allocator lies by then.
unsafe impl Allocator for Counting {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.calls.fetch_add(1, Relaxed);
        let block = self.system.allocate(layout)?;
        self.bytes_out.fetch_add(layout.size(), Relaxed);
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.calls.fetch_add(1, Relaxed);
        self.bytes_out.fetch_sub(layout.size(), Relaxed);
        // SAFETY: it was made by `system` with this layout, and the caller gives it up.
        unsafe { self.system.deallocate(block, layout) };
    }
}

fn main() -> Result<(), millpond::BuildError> {
    let pool = Pool::builder_in(&HEAP)
        .collect(Collect::Manual)
        .recycle(Recycle::Always)
        // Called after a collection that freed something: where an allocator that keeps memory can give it back.
        .trimmed(|heap, freed| {
            println!("trimmed: {} blocks freed, {} bytes out", freed.blocks, heap.bytes_out.load(Relaxed));
        })
        .build()?;
    let request = || {
        let mut buf = pool.get(4096);
        buf.extend_from_slice(b"a request");
        drop((buf, pool.get(64 << 10)));
    };
    let say = |when: &str| {
        println!("{when}: {} calls, {} bytes out", HEAP.calls.load(Relaxed), HEAP.bytes_out.load(Relaxed));
    };

    say("at first");
    request();
    say("after one request");
    (0..1_000_000).for_each(|_| request());
    say("after a million more");
    assert_eq!(HEAP.calls.load(Relaxed), 2, "a block of each size, once");

    // What nobody uses through two collections goes back.
    pool.collect();
    pool.collect();
    say("after two collections");
    assert_eq!((HEAP.calls.load(Relaxed), HEAP.bytes_out.load(Relaxed)), (4, 0));
    Ok(())
}
