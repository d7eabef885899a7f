//! With `zero_on_return` no byte that a user wrote reaches another tier, or the allocator.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use allocator_api2::vec::Vec;
use millpond::alloc::{AllocError, Allocator, Global};
use millpond::{Collect, Pool, Recycle};

const SECRET: u8 = 0xA5;

/// Counts the secret bytes in the blocks that come back. Blocks are handed out zeroed, so all of one can be read.
#[derive(Clone, Default)]
struct Watching(Arc<AtomicUsize>);

// SAFETY: memory comes from `Global`, unchanged.
unsafe impl Allocator for Watching {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Global.allocate_zeroed(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the block has this size, and all of it is initialised.
        let bytes = unsafe { NonNull::slice_from_raw_parts(block, layout.size()).as_ref() };
        self.0.fetch_add(bytes.iter().filter(|byte| **byte == SECRET).count(), SeqCst);
        // SAFETY: passed on.
        unsafe { Global.deallocate(block, layout) };
    }
}

/// Writes secrets on all ways that a block can take: dropped, truncated first, outgrown, oversize, collected, closed.
fn secrets_seen(zero: bool, recycle: Recycle) -> usize {
    let watching = Watching::default();
    let pool = Pool::builder_in(watching.clone())
        .zero_on_return(zero)
        .recycle(recycle)
        .collect(Collect::Manual)
        .build()
        .unwrap();
    for len in [100, 4096, 100_000, 5 << 20] {
        let mut buf = pool.get(len);
        buf.resize(len, SECRET);
        buf.truncate(3);
        buf.reserve(3 * len);
        buf.resize(buf.capacity(), SECRET);
        drop(buf.clone());
        buf.clear();
    }
    collections(&pool);
    #[cfg(feature = "arena")]
    {
        let arena = pool.arena();
        collections(&arena);
    }
    if recycle == Recycle::Always {
        // The next owner's view of what the first left, uninitialised as far as safe code knows.
        let mut next = pool.get(4096);
        // SAFETY: the allocator zeroes what it hands out, so every byte is initialised.
        unsafe { next.set_len(next.capacity()) };
        let seen = next.iter().filter(|byte| **byte == SECRET).count();
        assert_eq!(seen > 0, !zero);
        next.clear();
    }
    pool.collect();
    pool.collect();
    drop(pool);
    watching.0.load(SeqCst)
}

/// A vector that grows from a few bytes past the largest class, and shrinks back.
fn collections(place: impl Allocator + Copy) {
    let mut vec = Vec::new_in(place);
    for len in [8, 100, 4096, 100_000, 5 << 20, 6 << 20] {
        vec.resize(len, SECRET);
    }
    for len in [5 << 20, 70_000, 300, 8] {
        vec.truncate(len);
        vec.shrink_to_fit();
    }
}

/// N9.
#[test]
fn no_secret_is_seen_afterwards() {
    assert_eq!(secrets_seen(true, Recycle::Always), 0);
    assert_eq!(secrets_seen(true, Recycle::Never), 0);
}

/// Without the option they are: the test can fail.
#[test]
fn without_it_secrets_are_seen() {
    assert!(secrets_seen(false, Recycle::Always) > 5 << 20);
}
