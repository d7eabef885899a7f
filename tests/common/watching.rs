//! An allocator that looks for what users wrote: in what comes back, and in all that is out.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "an allocator of its own, with a lock")]

use std::alloc::Layout;
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use millpond::alloc::{AllocError, Allocator};

use super::ledger::Ledger;

pub const SECRET: u8 = 0xA5;

/// A ledger that counts the secret bytes in the blocks that come back, and knows those that are out. Blocks are handed out zeroed, so
/// all of one can be read.
#[derive(Clone, Default)]
pub struct Watching {
    ledger: Ledger,
    watched: Arc<Watched>,
}

#[derive(Default)]
struct Watched {
    seen: AtomicUsize,
    out: Mutex<HashMap<usize, (NonNull<u8>, usize)>>,
}

// SAFETY: the pointers are those of blocks, which are read while nobody uses them.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

pub fn secrets_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == SECRET).count()
}

impl Watching {
    /// Secret bytes in all that came back.
    pub fn seen(&self) -> usize {
        self.watched.seen.load(SeqCst)
    }

    /// Secret bytes in the blocks that the pool has, while no buffer is out.
    pub fn idle_secrets(&self) -> usize {
        if cfg!(millpond_asan) {
            // It is poisoned: even to look is an error.
            return 0;
        }
        // SAFETY: the blocks are out of this allocator, so long, initialised, and idle.
        let secrets =
            |(at, len): &(NonNull<u8>, usize)| secrets_in(unsafe { NonNull::slice_from_raw_parts(*at, *len).as_ref() });
        self.watched.out.lock().unwrap().values().map(secrets).sum()
    }

    /// At the end of a test: what did not come back would keep its secret.
    #[track_caller]
    pub fn assert_empty(&self) {
        self.ledger.assert_empty();
        assert!(self.watched.out.lock().unwrap().is_empty());
    }
}

// SAFETY: memory comes from the ledger, unchanged.
unsafe impl Allocator for Watching {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.ledger.allocate(layout)?;
        let at = block.cast::<u8>();
        // SAFETY: just allocated, so long.
        unsafe { at.write_bytes(0, layout.size()) };
        self.watched.out.lock().unwrap().insert(at.addr().get(), (at, layout.size()));
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // Of the size that it was made with, whatever the layout says: the ledger looks at that.
        if let Some((at, len)) = self.watched.out.lock().unwrap().remove(&block.addr().get()) {
            // SAFETY: the block has this size, and all of it is initialised.
            let bytes = unsafe { NonNull::slice_from_raw_parts(at, len).as_ref() };
            self.watched.seen.fetch_add(secrets_in(bytes), SeqCst);
        }
        // SAFETY: passed on.
        unsafe { self.ledger.deallocate(block, layout) };
    }
}
