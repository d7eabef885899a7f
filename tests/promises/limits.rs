//! No bound in bytes is ever passed: `limit` on idle and in use together, `idle_limit` on what is retained.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "an allocator of its own, with a lock")]
#![allow(clippy::cast_possible_truncation, reason = "bytes to tell things by")]

use std::alloc::Layout;
use std::cell::RefCell;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::ledger::Ledger;
use crate::common::{builder, threads};
use millpond::alloc::{AllocError, Allocator};
use millpond::{Collect, GetError, Pool, Recycle};

const MIB: usize = 1 << 20;

#[test]
fn the_limit_is_exact() {
    let ledger = Ledger::with_limit(MIB);
    let pool = builder(&ledger).limit(MIB).build().unwrap();
    let held: Vec<_> = std::iter::from_fn(|| pool.try_get(4096).ok()).collect();
    assert_eq!((held.len(), ledger.live_bytes()), (256, MIB));
    let error = pool.try_get(1).unwrap_err();
    assert_eq!(error, GetError::LimitReached { requested: 256, allocated: MIB, limit: MIB });
    assert_eq!(error.to_string(), "a block of 256 bytes does not fit: 1048576 of at most 1048576 bytes are allocated");
    drop((held, pool));
    ledger.assert_empty();
}

/// Idle blocks of other sizes, and of other threads, make room.
#[test]
fn idle_blocks_are_purged_before_the_limit_fails_a_get() {
    let ledger = Ledger::with_limit(MIB);
    let pool = builder(&ledger).limit(MIB).build().unwrap();
    threads::scope(|scope| {
        scope.spawn(|| drop((0..100).map(|_| pool.get(4096)).collect::<Vec<_>>()));
    });
    assert!(ledger.live_bytes() > MIB / 4);
    let big = pool.try_get(MIB).expect("the idle blocks are purged");
    assert_eq!(ledger.live_bytes(), MIB);
    let stats = pool.stats();
    assert_eq!((stats.purges, stats.limit_saved, stats.limit_failed), (1, 1, 0));
    drop((big, pool));
    ledger.assert_empty();
}

/// Growth at the limit purges too, although a buffer has no handle; without one it fails and nothing is lost.
#[test]
fn a_buffer_that_cannot_grow_is_as_it_was() {
    let ledger = Ledger::with_limit(MIB);
    let pool = builder(&ledger).limit(MIB).build().unwrap();
    drop((0..100).map(|_| pool.get(4096)).collect::<Vec<_>>());
    let mut buf = pool.get(100);
    buf.extend_from_slice(b"first");
    buf.try_reserve(700 << 10).expect("the idle blocks are purged");
    let error = buf.try_reserve(900 << 10).unwrap_err();
    assert!(matches!(error, GetError::LimitReached { limit: MIB, .. }), "{error}");
    assert_eq!(buf, "first");
    let error = buf.write_all(&vec![0; MIB]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
    drop(pool);
    assert!(buf.try_reserve(900 << 10).is_err());
    assert_eq!(buf, "first");
    drop(buf);
    ledger.assert_empty();
}

/// Doubling would pass the limit, what is asked for does not.
#[test]
fn a_buffer_grows_to_what_it_needs_where_doubling_does_not_fit() {
    let ledger = Ledger::with_limit(800 << 10);
    let pool = Pool::builder_in(ledger.clone()).limit(800 << 10).collect(Collect::Manual).build().unwrap();
    let mut buf = pool.get(320 << 10);
    buf.push(7);
    assert!(buf.try_reserve(450 << 10).is_err(), "320 and 512 KiB do not fit");
    assert_eq!(pool.stats().limit_failed, 2, "each try at the limit purges: 640 and 512 KiB");
    buf.try_reserve(400 << 10).expect("320 and 448 KiB fit");
    assert_eq!((buf.capacity(), buf.as_slice()), (448 << 10, &[7][..]));
    drop((buf, pool));
    ledger.assert_empty();
}

/// [`Ledger`] as the memory of a machine that has so many bytes.
struct Capped(Ledger, usize);

// SAFETY: passed on.
unsafe impl Allocator for Capped {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if self.0.live_bytes() + layout.size() > self.1 { Err(AllocError) } else { self.0.allocate(layout) }
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.deallocate(block, layout) }
    }
}

/// A buffer that no class has room for gets exactly what it asks for, so up to the bound, which has to hold it and its successor, it
/// must ask for more than the next byte needs.
#[test]
fn a_buffer_written_byte_by_byte_moves_seldom_where_doubling_does_not_fit() {
    const BOUND: usize = 300 << 10;
    for (limit, memory) in [(BOUND, usize::MAX), (usize::MAX, BOUND)] {
        let ledger = Ledger::with_limit(BOUND);
        let builder =
            Pool::builder_in(Capped(ledger.clone(), memory)).max_class(4096).idle_limit(4096).local_limit(4096);
        let pool = builder.limit(limit).collect(Collect::Manual).build().unwrap();
        let mut buf = pool.get(120 << 10);
        let error = loop {
            if let Err(error) = buf.try_reserve(1) {
                break error;
            }
            buf.push(buf.len() as u8);
        };
        assert!(buf.iter().enumerate().all(|(place, byte)| *byte == place as u8));
        assert!(buf.len() >= BOUND / 2 - 1, "{}: {error}", buf.len());
        assert!(ledger.allocations() < 10, "{}", ledger.allocations());
        let tries = pool.stats().limit_failed;
        assert!(tries < 10, "each purges: {tries}");
        drop((buf, pool));
        ledger.assert_empty();
    }
}

/// A buffer that asks a closing pool for room gets no handle, and takes none away: the pool is closed once and freed.
#[test]
fn growth_at_the_limit_of_a_closed_pool_leaves_it_closed() {
    for _ in 0..200 {
        let ledger = Ledger::new();
        let dropped = Arc::new(());
        let allocator = Hooked { ledger: ledger.clone(), hook: Arc::default(), _alive: dropped.clone() };
        let pool = Pool::builder_in(allocator).limit(MIB).collect(Collect::Manual).build().unwrap();
        let mut bufs: Vec<_> = (0..2).map(|_| pool.get(300 << 10)).collect();
        threads::scope(|scope| {
            for buf in &mut bufs {
                scope.spawn(|| (0..10).for_each(|_| assert!(buf.try_reserve(700 << 10).is_err())));
            }
            drop(pool);
        });
        drop(bufs);
        ledger.assert_empty();
        assert_eq!(Arc::strong_count(&dropped), 1, "the pool's allocator is dropped with it");
    }
}

#[test]
fn get_panics_at_the_limit() {
    let ledger = Ledger::with_limit(MIB);
    let pool = Pool::builder_in(ledger.clone()).limit(MIB).collect(Collect::Manual).build().unwrap();
    let held = pool.get(MIB);
    let panic = catch_unwind(AssertUnwindSafe(|| drop(pool.get(1)))).unwrap_err();
    assert!(panic.downcast_ref::<String>().is_some_and(|said| said.contains("does not fit")));
    drop((held, pool));
    ledger.assert_empty();
}

#[test]
fn oversize_buffers_count_too() {
    let ledger = Ledger::with_limit(20 * MIB);
    let pool = Pool::builder_in(ledger.clone()).limit(20 * MIB).collect(Collect::Manual).build().unwrap();
    let mut buf = pool.get(5 * MIB);
    buf.push(3);
    assert!(matches!(pool.try_get(16 * MIB), Err(GetError::LimitReached { .. })));
    buf.try_reserve(6 * MIB).expect("5 MiB and the 11 MiB that it moves to fit");
    assert!(buf.try_reserve(20 * MIB).is_err());
    assert_eq!(buf, [3]);
    assert_eq!(pool.stats().oversize_in_use, 1);
    drop(buf);
    assert_eq!((ledger.live(), pool.stats().in_use_bytes), (0, 0), "oversize blocks are not retained");
    drop(pool);
    ledger.assert_empty();
}

/// N17:
/// Whatever is dropped, no more than `idle_limit` stays, over all tiers and threads.
#[test]
fn the_idle_limit_holds() {
    // A round takes ten seconds under a sanitizer.
    let rounds = if cfg!(millpond_asan) { 1 } else { 3 };
    for (idle_limit, local_limit) in [(256, 256), (5000, 5000), (100_000, 20_000), (3 * MIB, 4 * MIB)] {
        let ledger = Ledger::new();
        let pool = Pool::builder_in(ledger.clone())
            .idle_limit(idle_limit)
            .local_limit(local_limit)
            .collect(Collect::Manual)
            .recycle(Recycle::Always)
            .build()
            .unwrap();
        for _ in 0..rounds {
            threads::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        let sizes = [256, 1000, 4096, 20_000, MIB, 4 * MIB];
                        for n in 0..60 {
                            drop(sizes.iter().cycle().take(n).map(|len| pool.get(*len)).collect::<Vec<_>>());
                        }
                    });
                }
            });
            assert!(ledger.live_bytes() <= idle_limit, "{idle_limit}\n{}", pool.stats());
            assert_eq!(ledger.live_bytes(), pool.stats().idle_bytes);
            pool.collect();
        }
        drop(pool);
        ledger.assert_empty();
    }
}

/// What a collection has in hand is still retained, as far as the bound is concerned: it may take its time.
#[test]
fn the_idle_limit_holds_while_a_collection_releases() {
    const IDLE: usize = 4 << 20;
    let ledger = Ledger::new();
    let hooked = Hooked { ledger: ledger.clone(), hook: Arc::default(), _alive: Arc::default() };
    let pool = Pool::builder_in(hooked.clone())
        .idle_limit(IDLE)
        .collect(Collect::Manual)
        .recycle(Recycle::Always)
        .build()
        .unwrap();
    let fill = {
        let pool = pool.clone();
        move || {
            drop((0..400).map(|_| pool.get(20_000)).collect::<Vec<_>>());
            drop((0..400).map(|_| pool.get(40_000)).collect::<Vec<_>>());
        }
    };
    fill();
    assert!(ledger.live_bytes() > IDLE / 2);
    let seen = Arc::new(AtomicUsize::new(0));
    *hooked.hook.lock().unwrap() = Some(Box::new({
        let (ledger, seen) = (ledger.clone(), seen.clone());
        move || {
            fill();
            seen.store(ledger.live_bytes(), SeqCst);
        }
    }));
    pool.purge();
    let seen = seen.load(SeqCst);
    assert!(seen > 0 && seen <= IDLE, "{seen}");
    drop(pool);
    drop(hooked);
    ledger.assert_empty();
}

type Hook = Box<dyn FnOnce() + Send>;

/// Runs a hook in the next `deallocate`.
#[derive(Clone)]
struct Hooked {
    ledger: Ledger,
    hook: Arc<Mutex<Option<Hook>>>,
    /// Says by its count whether the pool still has the allocator.
    _alive: Arc<()>,
}

// SAFETY: memory comes from the ledger, unchanged.
unsafe impl Allocator for Hooked {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.ledger.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let hook = self.hook.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        // SAFETY: passed on.
        unsafe { self.ledger.deallocate(block, layout) };
    }
}

/// Threads that keep to their share get it, although the others' share lies idle in other classes, and although other
/// threads purge and collect at the same moment.
#[test]
fn idle_memory_is_no_reason_to_fail_beside_other_collections() {
    const THREADS: usize = 4;
    const LIMIT: usize = THREADS * (256 << 10);
    let ledger = Ledger::with_limit(LIMIT);
    let pool = Pool::builder_in(ledger.clone())
        .limit(LIMIT)
        .collect(Collect::Background(Duration::from_millis(1)))
        .recycle(Recycle::Always)
        .build()
        .unwrap();
    let failures = AtomicUsize::new(0);
    threads::scope(|scope| {
        for thread in 0..THREADS {
            let (pool, failures) = (&pool, &failures);
            scope.spawn(move || {
                for n in 0..5000 {
                    let len = 1000 << ((n + thread) % 6);
                    let held: Vec<_> = (0..(96 << 10) / (2 * len)).map(|_| pool.try_get(len)).collect();
                    failures.fetch_add(held.iter().filter(|buf| buf.is_err()).count(), SeqCst);
                }
            });
        }
    });
    // Of some 300 000 gets. The wait is bounded, so on a busy machine some may fail; without it 20 000 do.
    assert!(failures.load(SeqCst) < 2000, "{failures:?}\n{}", pool.stats());
    drop(pool);
    assert!(ledger.wait_until_empty());
}

#[test]
fn a_pool_that_passes_through_retains_nothing() {
    let ledger = Ledger::new();
    let pool = Pool::builder_in(ledger.clone()).collect(Collect::Manual).recycle(Recycle::Never).build().unwrap();
    for n in 1..100 {
        drop(pool.get(n * 100));
        assert_eq!((ledger.live(), ledger.allocations()), (0, n));
    }
    let buf = pool.get(1);
    drop(pool);
    drop(buf);
    ledger.assert_empty();
}

/// A server whose 16 384 connections have a buffer each, and then none has one.
#[test]
fn what_the_idle_limit_allows_is_kept_in_one_class() {
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    for _ in 0..2 {
        drop((0..16_000).map(|_| pool.get(4096)).collect::<Vec<_>>());
        assert_eq!(ledger.live(), 16_000, "{}", pool.stats());
    }
    assert_eq!(ledger.allocations(), 16_000, "{}", pool.stats());
    drop(pool);
    ledger.assert_empty();
}

/// Blocks that come back one by one, as those of classes too large for a thread's cache do, are kept as long as the bound allows.
#[test]
fn single_blocks_are_kept_up_to_the_idle_limit() {
    let ledger = Ledger::new();
    let builder = Pool::builder_in(ledger.clone()).idle_limit(MIB).local_limit(4096);
    let pool = builder.collect(Collect::Manual).recycle(Recycle::Always).build().unwrap();
    drop((0..512).map(|_| pool.get(2048)).collect::<Vec<_>>());
    let stats = pool.stats();
    assert_eq!((stats.idle_bytes, ledger.live()), (MIB, 512), "{stats}");
    drop((0..512).map(|_| pool.get(2048)).collect::<Vec<_>>());
    assert_eq!(ledger.allocations(), 512, "{}", pool.stats());
    drop(pool);
    ledger.assert_empty();
}

/// It is memory that is not there, and no reason to purge. Asked in the midst of another such request, as one sum does not overflow.
#[test]
fn without_a_limit_a_sum_beyond_all_numbers_is_out_of_memory() {
    const HUGE: usize = isize::MAX as usize - 63;

    thread_local! {
        static INNER: RefCell<Option<Pool<Nested>>> = const { RefCell::new(None) };
        static SAID: RefCell<Option<GetError>> = const { RefCell::new(None) };
    }

    #[derive(Clone)]
    struct Nested(Ledger);

    // SAFETY: memory comes from the ledger, unchanged; clones share it.
    unsafe impl Allocator for Nested {
        fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
            if layout.size() < HUGE {
                return self.0.allocate(layout);
            }
            SAID.set(INNER.take().and_then(|pool| pool.try_get(HUGE).err()));
            Err(AllocError)
        }

        unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
            // SAFETY: passed on.
            unsafe { self.0.deallocate(block, layout) };
        }
    }

    let ledger = Ledger::new();
    let builder = Pool::builder_in(Nested(ledger.clone())).collect(Collect::Manual).recycle(Recycle::Always);
    let pool = builder.build().unwrap();
    drop(pool.get(256));
    INNER.set(Some(pool.clone()));
    let no_memory = GetError::OutOfMemory { requested: HUGE, align: 64 };
    assert_eq!(pool.try_get(HUGE).unwrap_err(), no_memory);
    assert_eq!(SAID.take(), Some(no_memory));
    let stats = pool.stats();
    assert_eq!((stats.purges, stats.limit_failed, stats.idle_bytes), (0, 0, 256), "{stats}");
    drop(pool);
    ledger.assert_empty();
}
