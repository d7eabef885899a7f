//! A pool is used, collected and closed in the destructors of a thread's locals, whether those run before millpond's own or
//! after it.

mod common;

use std::cell::RefCell;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::ledger::Ledger;
use common::pool;
use millpond::{Collect, CollectorState, Pool, Recycle};

/// When a thread first uses millpond, beside the local whose destructor is under test. Those destructors run last made
/// first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    /// The destructor runs while millpond still knows the thread.
    UsedBefore,
    /// The destructor runs when millpond's own has given the thread's id back.
    UsedAfter,
    /// The destructor is the first use of all.
    NeverUsed,
}

const ORDERS: [Order; 3] = [Order::UsedBefore, Order::UsedAfter, Order::NeverUsed];

struct AtEnd(Option<Box<dyn FnOnce()>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}

thread_local!(static AT_END: RefCell<AtEnd> = const { RefCell::new(AtEnd(None)) });

/// A thread that uses a pool, of its own, in this order, and ends with `act`.
fn thread_that_ends_with(order: Order, act: impl FnOnce() + Send + 'static) {
    let using = move || {
        let ledger = Ledger::new();
        let other = pool(&ledger);
        // More than a magazine holds, so that the shared tiers know the thread as well.
        let used = || drop((0..100).map(|_| other.get(500)).collect::<Vec<_>>());
        if order == Order::UsedBefore {
            used();
        }
        AT_END.with_borrow_mut(|at_end| at_end.0 = Some(Box::new(act)));
        if order == Order::UsedAfter {
            used();
        }
        drop(other);
        ledger.assert_empty();
    };
    std::thread::spawn(using).join().unwrap();
}

/// T3.
#[test]
fn buffers_are_got_grown_and_dropped() {
    for order in ORDERS {
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        let (held, ending) = (pool.get(3000), pool.clone());
        thread_that_ends_with(order, move || {
            drop(held);
            let mut buf = ending.get(3000);
            buf.resize(50_000, 1);
            assert_eq!(buf.clone(), [1; 50_000]);
            drop((0..100).map(|_| ending.get(3000)).collect::<Vec<_>>());
            drop(ending.get(3000));
        });
        let stats = pool.stats();
        assert_eq!((stats.in_use_bytes, stats.release_panics), (0, 0), "{order:?}\n{stats}");
        // The orders are what they say: only a thread that millpond knows has a slot.
        assert_eq!(stats.classes[0].local_hits > 0, order != Order::UsedAfter, "{order:?}\n{stats}");
        drop(pool);
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "{order:?}: the pool is freed");
    }
}

/// Not only the thread's first use, but the pool's: the tables are made there, and the background thread is started.
#[test]
fn a_pool_is_used_for_the_first_time() {
    for order in ORDERS {
        for collect in [Collect::Manual, Collect::Background(Duration::from_millis(1))] {
            let ledger = Ledger::new();
            let unused = Pool::builder_in(ledger.clone()).collect(collect).recycle(Recycle::Always).build().unwrap();
            let (send, receive) = channel();
            thread_that_ends_with(order, move || {
                drop(unused.get(4096));
                let collector = unused.stats().collector;
                send.send((unused, collector)).unwrap();
            });
            let (pool, collector) = receive.recv().unwrap();
            assert_eq!(collector == CollectorState::Background, collect != Collect::Manual, "{order:?}: {collector:?}");
            drop(pool.get(4096));
            drop(pool);
            assert!(ledger.wait_until_empty());
        }
    }
}

#[test]
fn the_last_handle_is_dropped() {
    for order in ORDERS {
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        drop((0..100).map(|_| pool.get(3000)).collect::<Vec<_>>());
        let mut outliving = pool.get(3000);
        thread_that_ends_with(order, move || {
            let held = pool.get(3000);
            drop(pool);
            drop(held);
        });
        assert_eq!(ledger.live(), 1, "{order:?}: closing freed what was idle");
        outliving.resize(50_000, 1);
        drop(outliving);
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "{order:?}: the pool is freed");
    }
}

#[test]
fn collections_and_purges_run() {
    for order in ORDERS {
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        drop((0..100).map(|_| pool.get(3000)).collect::<Vec<_>>());
        let ending = pool.clone();
        thread_that_ends_with(order, move || {
            drop((0..100).map(|_| ending.get(70_000)).collect::<Vec<_>>());
            ending.collect();
            let collected = ending.collect();
            assert_eq!((collected.slots_skipped, ending.stats().idle_bytes), (0, 0), "{order:?}: {collected}");
            drop((0..100).map(|_| ending.get(3000)).collect::<Vec<_>>());
            ending.purge();
        });
        assert_eq!(ledger.live(), 0, "{order:?}\n{}", pool.stats());
        drop(pool);
        ledger.assert_empty();
    }
}
