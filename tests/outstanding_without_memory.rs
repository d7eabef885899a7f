//! Where there is no memory for a note the buffer is handed out without one, and counted. A binary of its own: it refuses the
//! program's allocations.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

#[path = "common/past.rs"]
mod past;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::Ordering::SeqCst;

use millpond::{Collect, Pool, PoolBuf, Recycle};
use past::Blocks;

thread_local! {
    static REFUSES: Cell<bool> = const { Cell::new(false) };
}

struct Refusing;

// SAFETY: memory comes from `System`, unchanged.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if REFUSES.get() {
            return ptr::null_mut();
        }
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static REFUSING: Refusing = Refusing;

const HELD: usize = 100;

fn refused<R>(f: impl FnOnce() -> R) -> R {
    REFUSES.set(true);
    let result = f();
    REFUSES.set(false);
    result
}

/// A pool that has all of its own tables already, but for those of the notes.
fn warm(blocks: &Blocks) -> Pool<Blocks> {
    let builder = Pool::builder_in(blocks.clone()).collect(Collect::Manual).recycle(Recycle::Always);
    let pool = builder.track(true).build().unwrap();
    drop(pool.get(1000));
    pool
}

fn some(pool: &Pool<Blocks>) -> [PoolBuf<Blocks>; HELD] {
    std::array::from_fn(|_| pool.get(1000))
}

#[test]
fn a_get_without_a_note_is_counted_and_a_buffer_like_any_other() {
    let blocks = Blocks::default();
    let pool = warm(&blocks);
    assert_eq!(pool.outstanding().missed, 0);
    let held = refused(|| some(&pool));
    let outstanding = pool.outstanding();
    let missed = outstanding.missed;
    assert!(missed > 0, "{outstanding}");
    assert_eq!(outstanding.count() + usize::try_from(missed).unwrap(), HELD, "{outstanding}");
    let line = format!("not noted, as there was no memory: {missed}");
    assert_eq!(outstanding.to_string().lines().last(), Some(&*line));
    drop(held);
    let outstanding = pool.outstanding();
    assert_eq!((outstanding.count(), outstanding.missed), (0, missed), "since the pool began");
    assert_eq!(pool.stats().in_use_bytes, 0);

    let held = some(&pool);
    let outstanding = pool.outstanding();
    assert_eq!((outstanding.count(), outstanding.missed), (HELD, missed), "there is memory again");
    drop((held, pool));
    assert_eq!(blocks.0.load(SeqCst), 0);
}

/// It grows all the same, and leaves the list.
#[test]
fn a_growth_without_room_for_its_note_is_counted_too() {
    let blocks = Blocks::default();
    let pool = warm(&blocks);
    let mut buf = pool.get(1000);
    assert_eq!(pool.outstanding().count(), 1);
    // Sooner or later into one of the tables that are not there: few are.
    refused(|| (0..16).for_each(|_| buf.try_reserve(buf.capacity() + 1).unwrap()));
    let outstanding = pool.outstanding();
    assert_eq!((outstanding.count(), outstanding.missed), (0, 1), "{outstanding}");
    drop((buf, pool));
    assert_eq!(blocks.0.load(SeqCst), 0);
}
