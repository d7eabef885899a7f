//! Once warm, a get and a drop allocate nothing and wait for nobody. A binary of its own: it counts every allocation.
#![allow(clippy::disallowed_types, reason = "tests may wait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};

use millpond::alloc::{AllocError, Allocator, Global};
use millpond::{Collect, ObjectPool, Pool, Recycle};

thread_local!(static ALLOCATIONS: Cell<usize> = const { Cell::new(0) });

struct Counting;

// SAFETY: memory comes from `System`, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often `f` allocates, on this thread.
fn allocations_of(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

fn pool() -> Pool {
    Pool::builder().collect(Collect::Manual).recycle(Recycle::Always).build().unwrap()
}

#[test]
fn a_warm_get_and_drop_allocates_nothing() {
    let pool = pool();
    assert!(allocations_of(|| drop(pool.get(4096))) > 0, "the counter counts");
    for len in [1, 4096, 65_536, 1 << 20] {
        drop(pool.get(len));
        assert_eq!(allocations_of(|| (0..1000).for_each(|_| drop(pool.get(len)))), 0, "{len}");
    }
}

/// T6:
/// More are held than a magazine has room for: they travel through the depot, and nothing is allocated either.
#[test]
fn many_held_and_dropped_allocate_nothing() {
    let pool = pool();
    let mut held = Vec::with_capacity(200);
    for round in 0..10 {
        let calls = allocations_of(|| {
            held.extend((0..200).map(|_| pool.get(4096)));
            held.clear();
        });
        assert!(round < 2 || calls == 0, "round {round}: {calls}");
    }
}

#[test]
fn growing_through_warm_classes_allocates_nothing() {
    let pool = pool();
    let grow = || {
        let mut buf = pool.get(100);
        (0..1000).for_each(|_| buf.extend_from_slice(&[1; 100]));
    };
    grow();
    assert_eq!(allocations_of(grow), 0);
}

#[test]
fn a_warm_object_allocates_nothing() {
    let cleared = |text: &mut String| text.clear();
    let pool =
        ObjectPool::builder(|| String::with_capacity(100)).reset(cleared).recycle(Recycle::Always).build().unwrap();
    let use_some = |held: usize| {
        let mut objects: [_; 100] = std::array::from_fn(|i| (i < held).then(|| pool.get()));
        objects.iter_mut().flatten().for_each(|text| text.push_str("some text"));
    };
    for held in [1, 30, 100] {
        assert!(allocations_of(|| use_some(held)) > 0, "the counter counts");
        use_some(held);
        assert_eq!(allocations_of(|| (0..100).for_each(|_| use_some(held))), 0, "{held}");
    }
}

/// Blocks in `deallocate` until it is told to go on, when it has been told to block.
#[derive(Clone, Copy)]
struct Blocking;

static BLOCKING: OnceLock<(Sender<()>, Mutex<Receiver<()>>)> = OnceLock::new();

// SAFETY: memory comes from `Global`, unchanged.
#[allow(clippy::disallowed_methods, reason = "an allocator of its own")]
unsafe impl Allocator for Blocking {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if let Some((reached, go_on)) = BLOCKING.get() {
            let _ = reached.send(());
            let _ = go_on.lock().unwrap().recv();
        }
        // SAFETY: passed on.
        unsafe { Global.deallocate(block, layout) };
    }
}

/// A collection that hangs in user code keeps no request from its hits, nor a second collection waiting.
#[test]
fn nobody_waits_for_a_collection() {
    let pool = Pool::builder_in(Blocking).collect(Collect::Manual).recycle(Recycle::Always).build().unwrap();
    drop(pool.get(64 << 10));
    let used = pool.get(4096);
    let (reached, has_reached) = channel();
    let (go_on, may_go_on) = channel();
    let collecting = std::thread::spawn({
        let pool = pool.clone();
        move || {
            pool.collect();
            BLOCKING.set((reached, Mutex::new(may_go_on))).unwrap();
            pool.collect()
        }
    });
    has_reached.recv().unwrap();
    drop(used);
    for _ in 0..1000 {
        drop(pool.get(4096));
    }
    assert_eq!(pool.stats().classes[0].local_hits, 1000);
    assert!(pool.collect().already_running);
    drop(go_on);
    assert_eq!(collecting.join().unwrap().blocks(), 1);
}
