//! Ten thousand pools made, used and dropped leave no memory, no thread and nothing on the list of pools behind.
//!
//! One test, so that all that the process holds is its own.
#![cfg(all(target_os = "linux", not(miri)))]

mod common;

#[path = "common/heap.rs"]
mod heap;

use std::time::{Duration, Instant};

use common::ledger::Ledger;
use common::{threads, wait_until};
use millpond::{Collect, CollectorState, Pool, Recycle};

const POOLS: usize = 10_000;

/// A few bytes a pool: nothing that each of them leaves.
const SLACK: usize = 128 << 10;

#[test]
fn leave_nothing_behind() {
    let often = Collect::Background(Duration::from_millis(2));
    // Only the last pool's end wakes the background thread.
    let never = Collect::Background(Duration::from_secs(3600));
    for (threads, collect) in [(1, Collect::Manual), (8, Collect::Manual), (1, never), (8, often)] {
        // What std, the threads' locals and the epochs keep is there from now on.
        make_use_and_drop(POOLS / 10, threads, collect);
        let (memory, start) = (heap::held(), Instant::now());
        make_use_and_drop(POOLS, threads, collect);
        let (grown, elapsed) = (heap::held().saturating_sub(memory), start.elapsed());
        println!("{collect:?}, {threads} threads: {elapsed:?}, {grown} bytes more");
        assert!(grown < SLACK, "{grown} bytes more than before, {collect:?}, {threads} threads");
        assert!(elapsed < Duration::from_secs(60), "{elapsed:?}, {collect:?}, {threads} threads");
    }
}

fn make_use_and_drop(pools: usize, threads: usize, collect: Collect) {
    let others = os_threads();
    let some = || {
        let ledger = Ledger::new();
        for n in 0..pools / threads {
            one(&ledger, collect, n);
        }
        // The background thread may be collecting, and is then the one that closes the pool.
        assert!(ledger.wait_until_empty());
        wait_until("every pool is freed", || ledger.clones() == 1);
        ledger.assert_empty();
    };
    threads::scope(|scope| {
        (1..threads).for_each(|_| scope.spawn(some));
        some();
    });
    // The background thread ends when its list is empty, so nothing is left on that either.
    wait_until("every thread has ended", || os_threads() == others);
}

fn one(ledger: &Ledger, collect: Collect, n: usize) {
    let pool = Pool::builder_in(ledger.clone()).collect(collect).recycle(Recycle::Always).build().unwrap();
    let outliving = pool.get(5000);
    drop([1, 5000].map(|len| pool.get(len)));
    if n % 64 == 0 {
        drop((0..100).map(|_| pool.get(300)).collect::<Vec<_>>());
        pool.collect();
    }
    assert_ne!(pool.stats().collector, CollectorState::Failed);
    drop(pool);
    drop(outliving);
}

fn os_threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
