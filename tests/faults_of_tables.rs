//! A pool's own tables come from the program's allocator, which may have no memory for any one of them: then a get is an error or takes
//! a slower way, nothing is lost, and the pool goes on. A binary of its own: it refuses allocations.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use common::census::Census;
use millpond::alloc::{AllocError, Allocator};
use millpond::{Collect, GetError, ObjectPool, Pool, Recycle};

thread_local! {
    /// How many allocations of this thread are left until one is refused; none: it is not armed.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
    /// The size of what was freed last.
    static FREED: Cell<usize> = const { Cell::new(0) };
}

struct Refusing;

/// Whether it is the turn of this allocation to be refused.
fn refuses(layout: Layout) -> bool {
    let Some(left) = LEFT.get() else { return false };
    CALLS.set(CALLS.get() + 1);
    LEFT.set(left.checked_sub(1));
    left == 0 && !cannot_report(layout.size())
}

/// What is not ours to ask for, and has no form that fails: it is asked for as much just before, and that may be refused.
fn cannot_report(size: usize) -> bool {
    // `ArrayQueue::new`
    let queue = size >= 1024 && size == FREED.get();
    // The count of `Arc<()>`, and the bag of crossbeam-epoch, with which a generation is retired.
    queue || size == TOKEN || BAG.contains(&size)
}

const TOKEN: usize = 16;
const BAG: std::ops::Range<usize> = 2048..2112;

// SAFETY: memory comes from `System`, unchanged.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refuses(layout) {
            return ptr::null_mut();
        }
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        FREED.set(layout.size());
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static REFUSING: Refusing = Refusing;

/// Past the program's allocator, so that nothing but tables is refused.
#[derive(Clone, Default)]
struct Blocks(Arc<AtomicUsize>);

// SAFETY: memory comes from `System`, unchanged; clones are alike.
unsafe impl Allocator for Blocks {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: a pool asks for no block of no bytes.
        let block = NonNull::new(unsafe { System.alloc(layout) }).ok_or(AllocError)?;
        self.0.fetch_add(1, SeqCst);
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.0.fetch_sub(1, SeqCst);
        // SAFETY: passed on.
        unsafe { System.dealloc(block.as_ptr(), layout) };
    }
}

/// Runs `f` with its `nth` allocation refused, from 0; how many there were.
fn refusing(nth: usize, f: impl FnOnce()) -> usize {
    CALLS.set(0);
    LEFT.set(Some(nth));
    f();
    LEFT.set(None);
    CALLS.get()
}

fn buffers(blocks: &Blocks, track: bool) -> Pool<Blocks> {
    Pool::builder_in(blocks.clone()).collect(Collect::Manual).recycle(Recycle::Always).track(track).build().unwrap()
}

/// All that makes tables: a core, generations, slots, magazines, buckets; a collection's list; notes.
fn use_buffers(pool: &Pool<Blocks>) -> Result<(), GetError> {
    for len in [1, 4096, 100_000, 2 << 20, 5 << 20] {
        let mut first = pool.try_get(len)?;
        let second = pool.try_get(len)?;
        first.try_extend_from_slice(&[7; 10])?;
        first.try_reserve(len)?;
        drop(second);
        assert_eq!(*first, [7; 10]);
    }
    // More than a magazine holds.
    let mut held = [const { None }; 100];
    for place in &mut held {
        *place = Some(pool.try_get(1000)?);
    }
    drop(held);
    pool.collect();
    pool.collect();
    Ok(())
}

#[test]
fn a_pool_of_buffers_goes_on_without_any_one_table() {
    for track in [false, true] {
        let blocks = Blocks::default();
        // The thread's own part, with the epoch and its id, is made here: that cannot be reported.
        use_buffers(&buffers(&blocks, track)).unwrap();
        let pool = buffers(&blocks, track);
        let calls = refusing(usize::MAX, || use_buffers(&pool).unwrap());
        drop(pool);
        assert!(calls > 20, "{calls} tables");
        let mut errors = 0;
        for nth in 0..calls {
            let pool = buffers(&blocks, track);
            refusing(nth, || match use_buffers(&pool) {
                Err(GetError::OutOfMemory { .. }) => errors += 1,
                Ok(()) => {}
                Err(other) => panic!("{nth}: {other}"),
            });
            assert_eq!(pool.stats().in_use_bytes, 0, "{nth}");
            assert_eq!(pool.outstanding().count(), 0, "{nth}");
            use_buffers(&pool).expect("usable afterwards");
            drop(pool);
            assert_eq!(blocks.0.load(SeqCst), 0, "{nth}");
        }
        assert!(errors > 0 && errors < calls, "{errors} errors of {calls}: most tables only make a shorter way");
    }
}

fn objects(census: &Census) -> ObjectPool<common::census::Object> {
    census.builder().reset(|object| object.tag = 0).build().unwrap()
}

fn use_objects(pool: &ObjectPool<common::census::Object>) -> Result<(), GetError> {
    let mut held = [const { None }; 100];
    for place in &mut held {
        *place = Some(pool.try_get()?);
    }
    drop(held);
    pool.collect();
    drop(pool.try_get()?);
    pool.purge();
    Ok(())
}

#[test]
fn a_pool_of_objects_goes_on_without_any_one_table_or_box() {
    let census = Census::default();
    use_objects(&objects(&census)).unwrap();
    let pool = objects(&census);
    let calls = refusing(usize::MAX, || use_objects(&pool).unwrap());
    drop(pool);
    assert!(calls > 100, "{calls} boxes and tables");
    for nth in 0..calls {
        let pool = objects(&census);
        refusing(nth, || match use_objects(&pool) {
            Ok(()) | Err(GetError::OutOfMemory { .. }) => {}
            Err(other) => panic!("{nth}: {other}"),
        });
        assert_eq!(pool.stats().objects.in_use, 0, "{nth}");
        use_objects(&pool).expect("usable afterwards");
        drop(pool);
        census.assert_empty();
    }
}
