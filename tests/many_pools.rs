//! Ten thousand pools made, used and dropped leave no memory, no thread and nothing on the list of pools behind.
//!
//! One test, so that what the process holds is its own.
#![cfg(all(target_os = "linux", not(miri)))]

mod common;

use std::time::{Duration, Instant};

use common::ledger::Ledger;
use millpond::{Collect, CollectorState, Pool, Recycle};

const POOLS: usize = 10_000;

/// A few hundred bytes a pool; the least that a pool itself has is 10 KiB.
const SLACK: usize = 4 << 20;

#[test]
fn leave_nothing_behind() {
    let often = Collect::Background(Duration::from_millis(2));
    // Only the last pool's end wakes the background thread.
    let never = Collect::Background(Duration::from_secs(3600));
    for (threads, collect) in [(1, Collect::Manual), (8, Collect::Manual), (1, never), (8, often)] {
        // What std, the allocator and the thread's locals keep is there from now on.
        make_use_and_drop(POOLS / 10, threads, collect);
        let (memory, start) = (resident(), Instant::now());
        make_use_and_drop(POOLS, threads, collect);
        let (grown, elapsed) = (resident().saturating_sub(memory), start.elapsed());
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
        wait_until(|| ledger.clones() == 1, "every pool is freed");
        ledger.assert_empty();
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| _ = scope.spawn(some));
        some();
    });
    // The background thread ends when its list is empty, so nothing is left on that either.
    wait_until(|| os_threads() == others, "every thread has ended");
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

fn wait_until(condition: impl Fn() -> bool, what: &str) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        std::thread::yield_now();
    }
}

fn os_threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes << 10
}
