//! First uses of a pool may race: one of them makes it, nobody waits, and there is one allocator, dropped once.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

use crate::common::ledger::Ledger;
use crate::common::threads;
use millpond::alloc::{AllocError, Allocator};
use millpond::{Collect, Pool, Recycle};

/// Counts in itself, so that a copy of it would be found out.
struct Counting {
    ledger: Ledger,
    boxed: Box<usize>,
    calls: AtomicUsize,
    /// The sum of all calls, once for each drop.
    dropped: Arc<[AtomicUsize; 2]>,
}

impl Drop for Counting {
    fn drop(&mut self) {
        assert_eq!(*self.boxed, 7);
        self.dropped[0].fetch_add(1, SeqCst);
        self.dropped[1].fetch_add(self.calls.load(SeqCst), SeqCst);
    }
}

// SAFETY: memory comes from the ledger, unchanged.
unsafe impl Allocator for Counting {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.calls.fetch_add(1, SeqCst);
        self.ledger.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.ledger.deallocate(block, layout) };
    }
}

fn new(ledger: &Ledger) -> (Pool<Counting>, Arc<[AtomicUsize; 2]>) {
    let dropped = Arc::<[AtomicUsize; 2]>::default();
    let (boxed, calls) = (Box::new(7), AtomicUsize::new(0));
    let counting = Counting { ledger: ledger.clone(), boxed, calls, dropped: Arc::clone(&dropped) };
    (Pool::builder_in(counting).collect(Collect::Manual).recycle(Recycle::Always).build().unwrap(), dropped)
}

fn read(dropped: &[AtomicUsize; 2]) -> [usize; 2] {
    [dropped[0].load(SeqCst), dropped[1].load(SeqCst)]
}

#[test]
fn racing_first_uses_make_one_pool() {
    const THREADS: usize = 4;
    let ledger = Ledger::new();
    for _ in 0..500 {
        let (pool, dropped) = new(&ledger);
        let (start, held) = (Barrier::new(THREADS), Barrier::new(THREADS));
        threads::scope(|scope| {
            for n in 0..THREADS {
                let (pool, start, held) = (&pool, &start, &held);
                scope.spawn(move || {
                    start.wait();
                    let clone = (n % 2 == 1).then(|| pool.clone());
                    let buf = clone.as_ref().unwrap_or(pool).get(1000);
                    held.wait();
                    drop((buf, clone));
                });
            }
        });
        assert_eq!(pool.stats().allocated_bytes, THREADS * 1024);
        assert_eq!(read(&dropped), [0, 0]);
        drop(pool);
        assert_eq!(read(&dropped), [1, THREADS]);
    }
    ledger.assert_empty();
}

#[test]
fn an_unused_pool_drops_its_allocator() {
    let ledger = Ledger::new();
    let (pool, dropped) = new(&ledger);
    let moved = Box::new(pool);
    assert!(moved.stats().classes.is_empty());
    drop(moved);
    assert_eq!(read(&dropped), [1, 0]);
    ledger.assert_empty();
    assert_eq!(ledger.clones(), 1);
}
