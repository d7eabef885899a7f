//! Buffers that outlive every handle stay usable, on threads that never used the pool; the last of them frees it.

use std::sync::Barrier;
use std::thread::spawn;
use std::time::Duration;

use crate::common::ledger::Ledger;
use crate::common::{pool, threads};
use millpond::{Collect, Pool, PoolBuf, Recycle};

/// One of every way in which a block is held: by a magazine's class, by one too large for a magazine, and oversize.
fn one_of_each(pool: &Pool<Ledger>) -> Vec<PoolBuf<Ledger>> {
    [1, 4096, 100_000, 2 << 20, (4 << 20) + 1].map(|len| pool.get(len)).into()
}

/// G12.
#[test]
fn the_last_one_frees_the_pool_whichever_it_is() {
    for last in 0..5 {
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        drop((0..100).map(|_| pool.get(3000)).collect::<Vec<_>>());
        let mut held = one_of_each(&pool);
        drop(pool);
        assert_eq!(ledger.live(), 5, "what was idle went with the last handle");
        let mut last = held.swap_remove(last);
        spawn(move || drop(held)).join().unwrap();
        assert_eq!((ledger.live(), ledger.clones()), (1, 2), "one buffer keeps the pool");
        spawn(move || {
            last.extend_from_slice(&[7; 200_000]);
            assert_eq!(last.clone(), [7; 200_000]);
        })
        .join()
        .unwrap();
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "the pool is freed");
    }
}

#[test]
fn many_threads_drop_them_at_once() {
    for round in 0..if cfg!(miri) { 2 } else { 100 } {
        let ledger = Ledger::new();
        let interval = Collect::Background(Duration::from_micros(50));
        let collect = if round % 2 == 0 { interval } else { Collect::Manual };
        let pool = Pool::builder_in(ledger.clone()).collect(collect).recycle(Recycle::Always).build().unwrap();
        let barrier = Barrier::new(8);
        let buffers: Vec<_> = (0..8).map(|_| one_of_each(&pool)).collect();
        drop(pool);
        threads::scope(|scope| {
            for mut held in buffers {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    held[0].resize(10_000, 1);
                    drop(held);
                });
            }
        });
        // The background thread may be collecting, and then it is the one that frees the pool.
        assert!(ledger.wait_until_empty());
        ledger.assert_empty();
    }
}

/// The thread has used millpond, but another pool.
#[test]
fn a_thread_with_a_pool_of_its_own_drops_them() {
    let (ledger, other_ledger) = (Ledger::new(), Ledger::new());
    let other = pool(&other_ledger);
    drop(one_of_each(&other));
    let pool = spawn({
        let ledger = ledger.clone();
        move || pool(&ledger)
    });
    let pool = pool.join().unwrap();
    let held = spawn(move || one_of_each(&pool)).join().unwrap();
    assert_eq!(ledger.live(), 5);
    drop(held);
    ledger.assert_empty();
    assert_eq!(ledger.clones(), 1, "the pool is freed");
    drop(other);
    other_ledger.assert_empty();
}
