//! No object is ever in two hands, nor lost, on whatever thread it is dropped and whatever collects meanwhile.
//!
//! G and T with a number are rows of the tests of Go's and Netty's pools; section 10 of `docs/design.md` accounts for all of them.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;

use crate::common::census::{Census, Object};
use crate::common::threads;
use millpond::objects::Given;
use millpond::{Collect, ObjectPool, Pooled, Recycle};

const THREADS: usize = 10;
/// A million in a release build.
const OPERATIONS: usize = if cfg!(miri) {
    100
} else if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};

/// G8: ten threads, a million operations each; what each wrote is what it finds.
#[test]
fn tagged_objects_are_in_one_hand() {
    let census = Census::default();
    let pool = census.pool();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while !done.load(SeqCst) {
                pool.collect();
                thread::yield_now();
            }
        });
        let users: Vec<_> = (0..THREADS)
            .map(|user| {
                scope.spawn({
                    let pool = &pool;
                    move || work(pool, user)
                })
            })
            .collect();
        users.into_iter().for_each(|user| user.join().unwrap());
        done.store(true, SeqCst);
        collector.join().unwrap();
    });
    let objects = pool.stats().objects;
    assert_eq!((objects.misses, objects.in_use), (census.made() as u64, 0), "{objects}");
    assert_eq!(objects.gets(), (THREADS * OPERATIONS) as u64, "{objects}");
    drop(pool);
    census.assert_empty();
}

fn work(pool: &ObjectPool<Object>, user: usize) {
    let mut random = fastrand::Rng::with_seed(user as u64);
    let mut held: Vec<(usize, Pooled<Object>)> = Vec::new();
    for operation in 0..OPERATIONS {
        let tag = user * OPERATIONS + operation;
        let mut object = pool.get();
        object.hold(tag);
        held.push((tag, object));
        while held.len() > random.usize(0..8) {
            let (tag, mut object) = held.swap_remove(random.usize(..held.len()));
            object.let_go(tag);
        }
    }
    held.drain(..).for_each(|(tag, mut object)| object.let_go(tag));
}

/// G9 and G11: each number that one thread puts is taken exactly once, by it or by one of nine others. G10: by it too.
#[test]
fn what_one_puts_is_taken_exactly_once() {
    const TAKERS: usize = 9;
    let count = OPERATIONS / 10;
    let builder = ObjectPool::<usize, Given>::builder_empty().max_idle(4000);
    let pool = builder.collect(Collect::Manual).recycle(Recycle::Always).build().unwrap();
    let seen: Vec<_> = (0..count).map(|_| AtomicUsize::new(0)).collect();
    let (put, left) = (AtomicBool::new(false), AtomicUsize::new(count));
    let take = || match pool.try_take() {
        Some(number) => {
            seen[number.detach()].fetch_add(1, SeqCst);
            left.fetch_sub(1, SeqCst);
            true
        }
        None => false,
    };
    let by_owner = AtomicUsize::new(0);
    threads::scope(|scope| {
        for _ in 0..TAKERS {
            scope.spawn(|| {
                // What the putter keeps to itself is its own to take; and what this thread found with another one is its own.
                loop {
                    let over = put.load(SeqCst);
                    if !take() {
                        if over {
                            break;
                        }
                        thread::yield_now();
                    }
                }
            });
        }
        for number in 0..count {
            pool.put(number);
            // No more of them than the pool has room for, though the takers be slow.
            let ahead = (number + 1).saturating_sub(count - left.load(SeqCst));
            if (number % 10 == 0 || ahead > 1000) && take() {
                by_owner.fetch_add(1, SeqCst);
            }
        }
        while take() {
            by_owner.fetch_add(1, SeqCst);
        }
        put.store(true, SeqCst);
    });
    while take() {}
    assert_eq!(pool.stats().objects.discarded.total(), 0, "{}", pool.stats());
    assert!(seen.iter().all(|seen| seen.load(SeqCst) == 1) && left.load(SeqCst) == 0, "each exactly once");
    assert!(by_owner.load(SeqCst) > 0, "its owner takes some");
}

/// Made by one thread, dropped by another: they come back to be used, by way of the depot.
#[test]
fn a_consumer_feeds_its_producer() {
    let census = Census::default();
    let pool = census.pool();
    let (send, receive) = channel::<Pooled<Object>>();
    let (back, again) = channel();
    threads::scope(|scope| {
        scope.spawn(move || {
            for (count, mut object) in receive.into_iter().enumerate() {
                object.let_go(count);
                drop(object);
                back.send(()).unwrap();
            }
        });
        for count in 0..1000 {
            let mut object = pool.get();
            object.hold(count);
            send.send(object).unwrap();
            again.recv().unwrap();
        }
        drop(send);
    });
    // A thread keeps 64 before it gives some of them to the depot.
    assert!(census.made() <= 100, "{} made for 1000 uses", census.made());
    drop(pool);
    census.assert_empty();
}

/// T3: a thread ends, with an object in its locals, before or after millpond's own part of them.
#[test]
fn objects_in_the_locals_of_threads_that_end() {
    thread_local!(static HELD: RefCell<Option<Pooled<Object>>> = const { RefCell::new(None) });
    let census = Census::default();
    let pool = census.pool();
    for first_used in [true, false] {
        for _ in 0..if cfg!(miri) { 2 } else { 50 } {
            threads::scope(|scope| {
                let pool = &pool;
                scope.spawn(move || {
                    if first_used {
                        HELD.with(|_| ());
                    }
                    let object = pool.get();
                    HELD.set(Some(object));
                });
                scope.spawn(|| drop(pool.get()));
                pool.collect();
            });
        }
    }
    assert_eq!(pool.stats().objects.in_use, 0);
    drop(pool);
    census.assert_empty();
}

/// A pool closes while threads drop its objects.
#[test]
fn a_pool_closes_while_objects_come_back() {
    for _ in 0..if cfg!(miri) { 3 } else { 200 } {
        let census = Census::default();
        let pool = census.pool();
        let held: Vec<Vec<_>> = (0..4).map(|_| (0..20).map(|_| pool.get()).collect()).collect();
        threads::scope(|scope| {
            held.into_iter().for_each(|held| scope.spawn(|| drop(held)));
            drop(pool);
        });
        census.assert_empty();
    }
}
