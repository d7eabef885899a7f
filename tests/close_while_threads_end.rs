//! The last handle goes while the threads that used the pool end, with buffers of it in their locals: everything is freed,
//! once.

mod common;

use std::cell::RefCell;
use std::sync::{Arc, Barrier};

use common::ledger::Ledger;
use common::pool;
use millpond::{Pool, PoolBuf};

const THREADS: usize = 8;
const ROUNDS: usize = if cfg!(miri) { 2 } else { 150 };

thread_local!(static LOCAL: RefCell<Vec<PoolBuf<Ledger>>> = const { RefCell::new(Vec::new()) });

/// Leaves `held` buffers in the thread's local, made before or after the thread's first use of the pool: its destructor
/// then runs after or before millpond's own.
fn use_and_leave(pool: &Pool<Ledger>, local_first: bool, held: usize) {
    if local_first {
        LOCAL.set(Vec::new());
    }
    drop((0..40).map(|_| pool.get(2000)).collect::<Vec<_>>());
    LOCAL.set((0..held).map(|n| pool.get(1000 + 100 * n)).collect());
}

#[test]
fn another_thread_drops_the_last_handle() {
    for round in 0..ROUNDS {
        let ledger = Ledger::new();
        let (pool, barrier) = (pool(&ledger), Arc::new(Barrier::new(THREADS + 1)));
        let ending = |n: usize| {
            let (pool, barrier) = (pool.clone(), barrier.clone());
            std::thread::spawn(move || {
                use_and_leave(&pool, (n + round) % 2 == 0, 5 * n);
                drop(pool);
                barrier.wait();
            })
        };
        let threads: Vec<_> = (0..THREADS).map(ending).collect();
        barrier.wait();
        drop(pool);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "the pool is freed");
    }
}

/// Nobody waits for anybody: whichever thread is last closes the pool, beside the ends of the others.
#[test]
fn the_ending_threads_drop_the_handles() {
    for round in 0..ROUNDS {
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        let ending = |n: usize| {
            let pool = pool.clone();
            std::thread::spawn(move || use_and_leave(&pool, (n + round) % 2 == 0, 5 * n))
        };
        let threads: Vec<_> = (0..THREADS).map(ending).collect();
        drop(pool);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "the pool is freed");
    }
}
