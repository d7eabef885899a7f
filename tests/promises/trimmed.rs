//! What is called after a collection that freed something: once, with what was freed, and never on a request's way.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "an allocator of its own, with a lock")]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use crate::common::ledger::Ledger;
use crate::common::threads;
use millpond::alloc::{AllocError, Allocator};
use millpond::{Builder, Collect, Collected, Freed, Pool, Recycle};

/// A ledger that is told, and writes down what.
#[derive(Clone, Default)]
struct Told {
    ledger: Ledger,
    calls: Arc<Mutex<Vec<Call>>>,
}

struct Call {
    freed: Freed,
    thread: Option<String>,
    /// Blocks that were out meanwhile.
    live: usize,
}

impl Told {
    /// The hook of most tests.
    fn note(&self, freed: Freed) {
        let thread = thread::current().name().map(String::from);
        self.calls.lock().unwrap().push(Call { freed, thread, live: self.ledger.live() });
    }

    fn freed(&self) -> Vec<Freed> {
        self.calls.lock().unwrap().iter().map(|call| call.freed).collect()
    }
}

// SAFETY: memory comes from the ledger, unchanged.
unsafe impl Allocator for Told {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.ledger.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.ledger.deallocate(block, layout) };
    }
}

fn builder(told: &Told) -> Builder<Told> {
    Pool::builder_in(told.clone()).collect(Collect::Manual).recycle(Recycle::Always)
}

fn of(collected: &Collected) -> Freed {
    let mut freed = Freed::default();
    (freed.blocks, freed.bytes) = (collected.blocks(), collected.bytes());
    freed
}

#[test]
fn once_for_each_collection_that_freed_something_and_with_what() {
    let told = Told::default();
    let pool = builder(&told).trimmed(Told::note).build().unwrap();
    assert_eq!(pool.collect().blocks(), 0);
    let mut expected = Vec::new();
    for blocks in [1, 100] {
        drop((0..blocks).map(|_| pool.get(4096)).collect::<Vec<_>>());
        assert_eq!(pool.collect().blocks(), 0, "nothing is idle through two yet");
        let collected = pool.collect();
        assert_eq!((collected.blocks(), collected.bytes()), (blocks, blocks * 4096));
        expected.push(of(&collected));
        assert_eq!(told.freed(), expected);
        pool.collect();
        assert_eq!(told.freed(), expected, "an empty collection");
    }
    drop((0..50).map(|_| pool.get(64 << 10)).collect::<Vec<_>>());
    expected.push(of(&pool.purge()));
    pool.purge();
    assert_eq!(told.freed(), expected);
    assert!(told.calls.lock().unwrap().iter().all(|call| call.live == 0), "all is freed before the call");
    drop(pool);
    told.ledger.assert_empty();
}

#[test]
fn the_background_thread_calls_it_too() {
    let told = Told::default();
    let interval = Collect::Background(Duration::from_millis(5));
    let pool = builder(&told).collect(interval).trimmed(Told::note).build().unwrap();
    drop(pool.get(4096));
    assert!(told.ledger.wait_until_empty());
    crate::common::wait_until("it is called", || !told.freed().is_empty());
    assert_eq!(told.freed().iter().map(|freed| (freed.blocks, freed.bytes)).collect::<Vec<_>>(), [(1, 4096)]);
    assert_eq!(told.calls.lock().unwrap()[0].thread.as_deref(), Some("millpond"));
    drop(pool);
    assert!(told.ledger.wait_until_empty());
    told.ledger.assert_empty();
}

#[test]
fn not_for_a_purge_at_the_limit() {
    let told = Told::default();
    let pool = builder(&told).limit(1 << 20).trimmed(Told::note).build().unwrap();
    let mut held = pool.get(100);
    drop((0..100).map(|_| pool.get(4096)).collect::<Vec<_>>());
    drop(pool.try_get(1 << 19).expect("fits beside them"));
    held.try_reserve(800 << 10).expect("the idle blocks are purged");
    assert_eq!(pool.stats().purges, 1);
    drop(held);
    drop(pool.try_get(1 << 20).expect("as above"));
    assert_eq!(pool.stats().purges, 2);
    assert_eq!(told.freed().len(), 0);
    pool.purge();
    assert_eq!(told.freed().len(), 1, "and the next one that is asked for");
    drop(pool);
    told.ledger.assert_empty();
}

#[test]
fn not_when_the_pool_closes_nor_where_nothing_is_kept() {
    let told = Told::default();
    let pool = builder(&told).trimmed(Told::note).build().unwrap();
    drop((0..100).map(|_| pool.get(4096)).collect::<Vec<_>>());
    drop(pool);
    let pool = builder(&told).recycle(Recycle::Never).trimmed(Told::note).build().unwrap();
    drop(pool.get(4096));
    pool.purge();
    drop((pool.clone(), pool));
    assert_eq!(told.freed().len(), 0);
    told.ledger.assert_empty();
}

#[test]
fn its_panics_are_counted_and_wedge_nothing() {
    let told = Told::default();
    let panicking = |told: &Told, freed| {
        told.note(freed);
        panic!("on cue");
    };
    let pool = builder(&told).trimmed(panicking).build().unwrap();
    for round in 1..=3 {
        drop(pool.get(4096));
        assert_eq!(pool.purge().blocks(), 1);
        assert_eq!(told.freed().len(), round);
        assert_eq!(pool.stats().release_panics, round as u64);
    }
    assert!(pool.stats().to_string().contains("`trimmed`: 3"), "{}", pool.stats());
    drop(pool);
    told.ledger.assert_empty();
}

/// One that always leaves something to free: it is not called for the collections that it makes.
#[test]
fn it_may_use_and_collect_its_own_pool() {
    static POOL: OnceLock<Pool<Told>> = OnceLock::new();
    let told = Told::default();
    let busy = |told: &Told, freed| {
        told.note(freed);
        let pool = POOL.get().unwrap();
        drop((0..100).map(|_| pool.get(4096)).collect::<Vec<_>>());
        let collected = pool.purge();
        assert!(!collected.already_running, "the turn is over");
        assert_eq!(collected.blocks(), 100);
        drop(pool.get(10_000));
        pool.collect();
    };
    let pool = POOL.get_or_init(|| builder(&told).trimmed(busy).build().unwrap());
    for round in 1..=3 {
        drop(pool.get(1 << 20));
        pool.purge();
        assert_eq!(told.freed().len(), round);
        assert_eq!(pool.stats().release_panics, 0);
    }
    assert_eq!(told.ledger.live(), 1);
    told.ledger.assert_sound();
}

/// One that takes its time holds up neither a get at the limit nor another collection, which calls it as well.
#[test]
fn nobody_waits_for_it() {
    static ENTERED: Mutex<Option<mpsc::Sender<()>>> = Mutex::new(None);
    static LEAVE: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);
    let told = Told::default();
    let slow = |told: &Told, freed| {
        told.note(freed);
        // The first call waits, in its thread, until it is told to go on.
        let leave = LEAVE.lock().unwrap().take();
        if let Some(leave) = leave {
            ENTERED.lock().unwrap().take().unwrap().send(()).unwrap();
            leave.recv().unwrap();
        }
    };
    let pool = builder(&told).limit(1 << 20).trimmed(slow).build().unwrap();
    let (send_entered, entered) = mpsc::channel();
    let (leave, receive_leave) = mpsc::channel();
    *ENTERED.lock().unwrap() = Some(send_entered);
    *LEAVE.lock().unwrap() = Some(receive_leave);
    drop(pool.get(4096));
    threads::scope(|scope| {
        scope.spawn(|| _ = pool.purge());
        entered.recv().unwrap();
        drop((0..100).map(|_| pool.get(4096)).collect::<Vec<_>>());
        assert!(pool.try_get(1 << 20).is_ok(), "the idle blocks are purged");
        let again = pool.purge();
        assert_eq!((again.already_running, again.blocks()), (false, 1));
        leave.send(()).unwrap();
    });
    assert_eq!(told.freed().len(), 2);
    drop(pool);
    told.ledger.assert_empty();
}
