//! Whoever allocates or frees on behalf of a pool may use the pool: nothing is allocated while the thread is inside its
//! slot, nor under a lock that anybody waits for. A binary of its own, as every allocation of an armed thread uses the pool.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::LazyLock;
use std::time::Duration;

use common::ledger::Ledger;
use common::process::alone;
use millpond::alloc::{AllocError, Allocator};
use millpond::{Builder, Collect, CollectorState, Pool, PoolBuf, Recycle};

thread_local! {
    /// What the next call of the program's allocator does.
    static HOOK: Cell<Option<fn()>> = const { Cell::new(None) };
    static COLLECTIONS: Cell<usize> = const { Cell::new(0) };
    static SKIPPED: Cell<usize> = const { Cell::new(0) };
}

struct Hooked;

fn call() {
    // Taken out meanwhile, as it allocates too.
    if let Some(hook) = HOOK.take() {
        hook();
        HOOK.set(Some(hook));
    }
}

// SAFETY: memory comes from `System`, unchanged.
unsafe impl GlobalAlloc for Hooked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        call();
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        call();
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static HOOKED: Hooked = Hooked;

static POOL: LazyLock<Pool> = LazyLock::new(|| {
    Pool::builder().collect(Collect::Manual).recycle(Recycle::Always).local_limit(64 << 10).build().unwrap()
});

/// A collection says if it had to skip a slot.
fn collect() {
    let collected = POOL.collect();
    COLLECTIONS.set(COLLECTIONS.get() + 1);
    SKIPPED.set(SKIPPED.get() + collected.slots_skipped);
}

#[test]
fn nothing_is_allocated_inside_the_gate() {
    let pool: &'static Pool = &POOL;
    let mut held: Vec<PoolBuf> = Vec::with_capacity(200);
    // So that the thread has a slot with something in it, which a collection visits.
    drop(pool.get(1));
    for len in [1, 300, 1000, 4096, 16 << 10, 100 << 10] {
        HOOK.set(Some(collect));
        // First uses, lease, flush to the depot, refill from it and from the victim, discard.
        for _ in 0..3 {
            held.extend((0..100).map(|_| pool.get(len)));
            held.clear();
        }
        HOOK.set(None);
        drop(pool.get(1));
    }
    assert!(COLLECTIONS.get() > 100, "{} collections", COLLECTIONS.get());
    assert_eq!(SKIPPED.get(), 0, "the thread was inside its slot when it allocated");
}

static TRACKED: LazyLock<Pool> =
    LazyLock::new(|| Pool::builder().collect(Collect::Manual).recycle(Recycle::Always).track(true).build().unwrap());

/// Some blocks, whose notes lie under most of the locks.
fn get_and_drop() {
    USES.set(USES.get() + 1);
    drop([(); 40].map(|()| TRACKED.get(300)));
}

#[test]
fn nothing_is_allocated_under_a_lock_of_a_tracked_pool() {
    // A process of its own, as it would wait for itself.
    alone("nothing_is_allocated_under_a_lock_of_a_tracked_pool", || {
        let mut held: Vec<PoolBuf> = Vec::with_capacity(1000);
        drop(TRACKED.get(1));
        HOOK.set(Some(get_and_drop));
        // The tables of the notes grow with each few of them.
        held.extend((0..1000).map(|_| TRACKED.get(300)));
        held[0].reserve(100 << 10);
        let outstanding = TRACKED.outstanding();
        held.clear();
        HOOK.set(None);
        assert!(USES.get() > 40, "{} uses", USES.get());
        assert_eq!(outstanding.sites.iter().map(|site| site.count).sum::<usize>(), 1000, "{outstanding}");
    });
}

thread_local!(static COLLECTED: Cell<[usize; 2]> = const { Cell::new([0; 2]) });

fn use_a_new_one() {
    let builder = Pool::builder().collect(Collect::Background(Duration::from_secs(3600))).recycle(Recycle::Always);
    let Ok(pool) = builder.build() else { return };
    drop(pool.get(1));
    let [all, well] = COLLECTED.get();
    COLLECTED.set([all + 1, well + usize::from(pool.stats().collector == CollectorState::Background)]);
}

/// From its block on, each piece of memory makes another pool begin too. Not before, as that one would find a full list first.
struct ThenBeside;

// SAFETY: memory comes from `System`, unchanged.
unsafe impl Allocator for ThenBeside {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: no block has a length of 0.
        let block = NonNull::new(unsafe { System.alloc(layout) }).ok_or(AllocError)?;
        HOOK.set(Some(use_a_new_one));
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(block.as_ptr(), layout) };
    }
}

/// A pool that begins starts it and is put on its list, which takes memory.
#[test]
fn nothing_is_allocated_under_the_lock_of_the_background_thread() {
    alone("nothing_is_allocated_under_the_lock_of_the_background_thread", || {
        let mut pools: Vec<Pool<ThenBeside>> = Vec::with_capacity(40);
        for n in 0..50 {
            let builder = Pool::builder_in(ThenBeside).collect(Collect::Background(Duration::from_secs(3600)));
            let pool = builder.recycle(Recycle::Always).build().unwrap();
            let buf = pool.get(4096);
            HOOK.set(None);
            drop(buf);
            assert_eq!(pool.stats().collector, CollectorState::Background);
            // The list grows, or the thread ends.
            if n < 40 {
                pools.push(pool);
            } else {
                pools.clear();
                drop(pool);
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let [all, well] = COLLECTED.get();
        assert!(all > 5 && well == all, "{well} of {all} pools are collected");
    });
}

thread_local! {
    /// Taken out while it is used, so that the calls that come of it end.
    static ITS_OWN: RefCell<Option<Pool<Busy>>> = const { RefCell::new(None) };
    static USES: Cell<usize> = const { Cell::new(0) };
}

/// Uses its own pool whenever it is called.
#[derive(Clone)]
struct Busy(Ledger);

fn use_its_own() {
    // Not there any more when the last handle goes.
    let Some(pool) = ITS_OWN.take() else { return };
    USES.set(USES.get() + 1);
    let mut buf = pool.get(1);
    buf.resize(700, 7);
    let some: Vec<_> = [500, 3000, 3000, 10_000].iter().filter_map(|len| pool.try_get(*len).ok()).collect();
    pool.collect();
    assert_eq!(buf, [7; 700]);
    assert!(pool.stats().in_use_bytes >= buf.capacity());
    drop((buf, some));
    pool.purge();
    ITS_OWN.set(Some(pool));
}

// SAFETY: memory comes from the ledger, unchanged; clones share it.
unsafe impl Allocator for Busy {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        use_its_own();
        let block = self.0.allocate(layout);
        use_its_own();
        block
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        use_its_own();
        // SAFETY: passed on.
        unsafe { self.0.deallocate(block, layout) };
        use_its_own();
    }
}

#[test]
fn an_allocator_may_use_the_pool_that_it_serves() {
    let knobs: [fn(Builder<Busy>) -> Builder<Busy>; 4] = [
        |builder| builder.recycle(Recycle::Always),
        |builder| builder.recycle(Recycle::Never),
        |builder| builder.recycle(Recycle::Chaos(7)),
        // Where a get purges what is idle.
        |builder| builder.recycle(Recycle::Always).limit(300 << 10),
    ];
    for knobs in knobs {
        let ledger = Ledger::new();
        let builder = Pool::builder_in(Busy(ledger.clone())).collect(Collect::Manual).local_limit(64 << 10);
        let pool = knobs(builder).build().unwrap();
        USES.set(0);
        ITS_OWN.set(Some(pool.clone()));
        for _ in 0..3 {
            let mut held: Vec<_> = [1, 3000, 3000, 100_000].map(|len| pool.get(len)).into();
            held[0].resize(5000, 8);
            drop(held.split_off(1));
            pool.collect();
            assert_eq!(held[0], [8; 5000]);
        }
        pool.purge();
        ITS_OWN.set(None);
        assert!(USES.get() > 20, "{} uses", USES.get());
        let stats = pool.stats();
        assert_eq!((stats.in_use_bytes, stats.release_panics), (0, 0), "{stats}");
        drop(pool);
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "the pool is freed");
    }
}
