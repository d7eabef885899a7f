//! Buffers may be dropped on any thread, at any time: also while threads end, and after the pool has gone.

use std::alloc::Layout;
use std::cell::RefCell;
use std::collections::HashSet;
use std::marker::PhantomPinned;
use std::ptr::NonNull;
use std::sync::mpsc::{TrySendError, sync_channel};
use std::sync::{Arc, Barrier, OnceLock};

use crate::common::ledger::Ledger;
use crate::common::{pool, threads};
use millpond::alloc::{AllocError, Allocator};
use millpond::{Pool, PoolBuf};

#[test]
fn dropped_on_another_thread() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    for len in [1, 4096, 1 << 20, (4 << 20) + 1] {
        let mut buf = pool.get(len);
        buf.push(9);
        std::thread::spawn(move || assert_eq!(buf, [9])).join().unwrap();
    }
    assert_eq!(pool.stats().in_use_bytes, 0);
    drop(pool);
    ledger.assert_empty();
}

/// What one thread drops, another gets again: memory does not pile up at the consumer.
#[test]
fn a_consumer_feeds_its_producer() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let (send, receive) = sync_channel::<PoolBuf<Ledger>>(16);
    let consumer = std::thread::spawn(move || receive.into_iter().for_each(drop));
    for _ in 0..100_000 {
        send.send(pool.get(4096)).unwrap();
    }
    drop(send);
    consumer.join().unwrap();
    // Out at one time: 16 in the channel and one in each hand; idle: a magazine each, and batches on their way.
    assert!(ledger.allocations() < 500, "{} allocations\n{}", ledger.allocations(), pool.stats());
    drop(pool);
    ledger.assert_empty();
}

/// N11:
/// 8 threads pass tagged buffers round, 10^6 operations in all; a block in two hands would lose its tag.
#[test]
fn no_block_is_ever_in_two_hands() {
    const THREADS: u64 = 8;
    const OPERATIONS: u64 = 1_000_000;
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let (sends, receives): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| sync_channel::<(u64, PoolBuf<Ledger>)>(32)).unzip();
    threads::scope(|scope| {
        for (thread, receive) in (0..THREADS).zip(receives) {
            let (pool, next) = (pool.clone(), sends[usize::try_from(thread + 1).unwrap() % sends.len()].clone());
            scope.spawn(move || {
                for n in 0..OPERATIONS / THREADS / 2 {
                    let tag = thread << 48 | n;
                    let mut buf = pool.get(2048);
                    buf.extend_from_slice(&tag.to_ne_bytes());
                    buf.resize(1000, thread.to_le_bytes()[0]);
                    // A full channel is no reason to wait, or a ring of waiting threads would stand still.
                    if let Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) = next.try_send((tag, buf))
                    {
                        check(back);
                    }
                    receive.try_iter().take(2).for_each(check);
                }
            });
        }
        drop(sends);
    });
    let stats = pool.stats();
    assert_eq!(stats.in_use_bytes, 0, "{stats}");
    assert_eq!(stats.allocated_bytes, ledger.live_bytes());
    assert_eq!(stats.classes[0].gets(), OPERATIONS / 2);
    drop(pool);
    ledger.assert_empty();

    fn check((tag, buf): (u64, PoolBuf<Ledger>)) {
        assert_eq!(buf[..8], tag.to_ne_bytes());
        assert!(buf[8..].iter().all(|byte| *byte == (tag >> 48).to_le_bytes()[0]));
    }
}

/// N7:
/// Buffers that are out at one time never share memory.
#[test]
fn buffers_that_are_out_are_distinct() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    for _ in 0..2 {
        let held: Vec<_> = (0..100).flat_map(|_| [1, 500, 4096, 70_000].map(|len| pool.get(len))).collect();
        assert_eq!(held.iter().map(|buf| buf.as_ptr()).collect::<HashSet<_>>().len(), held.len());
    }
    drop(pool);
    ledger.assert_empty();
}

/// T4.
#[test]
fn short_lived_threads_leave_no_more_than_the_bound() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    for _ in 0..10_000 / 8 {
        threads::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| drop([1, 4096, 4096, 100_000].map(|len| pool.get(len))));
            }
        });
    }
    let stats = pool.stats();
    assert!(ledger.live_bytes() <= 64 << 20, "{stats}");
    // Ids are the process's, and the tests beside this one have some.
    assert!(stats.slots < 1000, "ids are reused: {stats}");
    pool.collect();
    pool.collect();
    assert_eq!(ledger.live(), 0);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn a_buffer_outlives_every_handle() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let (near, far, huge) = (pool.get(1000), pool.get(1 << 20), pool.get(5 << 20));
    drop(pool.get(1000));
    drop(pool.clone());
    drop(pool);
    assert_eq!(ledger.live(), 3, "idle blocks went with the pool");
    let mut near = near;
    near.resize(100_000, 1);
    let copy = near.clone();
    std::thread::spawn(move || drop(far)).join().unwrap();
    drop((near, huge));
    assert_eq!(copy, [1; 100_000]);
    assert_eq!(ledger.live(), 1);
    drop(copy);
    ledger.assert_empty();
}

/// The last handle, and the last buffer, go on many threads at once; the pool is freed exactly once, by one of them.
#[test]
fn a_pool_closes_while_threads_drop() {
    for round in 0..300 {
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        let barrier = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let (pool, barrier) = (pool.clone(), barrier.clone());
                let mut held: Vec<_> = (0..40).map(|_| pool.get(1 << (8 + (n + round) % 5))).collect();
                std::thread::spawn(move || {
                    held.extend((0..5).map(|_| pool.get(1000)));
                    barrier.wait();
                    drop(pool);
                    drop(held);
                })
            })
            .collect();
        drop(pool);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        ledger.assert_empty();
    }
}

/// A thread's destructors get and drop buffers, whichever of them runs first.
#[test]
fn used_while_the_thread_ends() {
    struct AtEnd(Pool<Ledger>, Option<PoolBuf<Ledger>>);
    impl Drop for AtEnd {
        fn drop(&mut self) {
            drop(self.1.take());
            let mut buf = self.0.get(3000);
            buf.resize(50_000, 1);
            drop(self.0.clone());
            drop(buf.clone());
        }
    }
    thread_local!(static AT_END: RefCell<Option<AtEnd>> = const { RefCell::new(None) });

    let ledger = Ledger::new();
    let pool = pool(&ledger);
    for used_before in [true, false] {
        let pool = pool.clone();
        let end = move || {
            if used_before {
                drop(pool.get(3000));
            }
            let held = Some(pool.get(3000)).filter(|_| used_before);
            AT_END.set(Some(AtEnd(pool.clone(), held)));
            // Now this thread's id is younger than the destructor, and is given back before it runs.
            drop(pool.get(100));
        };
        std::thread::spawn(end).join().unwrap();
    }
    // First use of all in a destructor.
    let late = pool.clone();
    std::thread::spawn(move || AT_END.set(Some(AtEnd(late, None)))).join().unwrap();
    assert_eq!(pool.stats().in_use_bytes, 0);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn forgetting_a_buffer_only_leaks() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    // As `mem::forget`, but in reach of a leak checker.
    static FORGOTTEN: OnceLock<PoolBuf<Ledger>> = OnceLock::new();
    FORGOTTEN.set(pool.get(4096)).unwrap();
    drop(pool.get(4096));
    assert_eq!(pool.stats().classes[0].in_use, 1);
    drop(pool);
    assert_eq!(ledger.live(), 1);
}

/// An allocator that may not move once it is pinned. Never asked.
struct Pinned(PhantomPinned);

// SAFETY: it hands out nothing.
unsafe impl Allocator for Pinned {
    fn allocate(&self, _: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }

    unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
}

#[test]
fn handles_and_buffers_are_send_sync_and_static() {
    fn everywhere<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe + 'static>() {}
    everywhere::<Pool>();
    everywhere::<PoolBuf>();
    // Whatever the allocator is: it is not in the buffer.
    fn movable<T: Unpin>() {}
    movable::<PoolBuf<Pinned>>();
    assert!(size_of::<PoolBuf>() <= 32);
    assert_eq!(size_of::<Option<PoolBuf>>(), size_of::<PoolBuf>());
}
