//! The system call behind the fast gate is refused, by a seccomp filter: from the start or later, to all threads or to one.
//! Each case has a process of its own, as a filter is for life and the answer to the first call is remembered.
#![cfg(all(target_os = "linux", not(miri)))]

mod common;

#[path = "common/seccomp.rs"]
mod seccomp;

use std::sync::Barrier;
use std::time::{Duration, Instant};

use common::ledger::Ledger;
use common::pool;
use common::process::alone;
use common::threads;
use millpond::Pool;
use seccomp::{ALL_THREADS, filter};

const MEMBARRIER: &[libc::c_long] = &[libc::SYS_membarrier];

const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();

/// Three threads get, fill, check and drop buffers, while this one does `meanwhile`, once at least.
fn beside_requests(pool: &Pool<Ledger>, mut meanwhile: impl FnMut()) {
    let requests = |tag: u8| {
        for n in 0..3000 {
            let mut held = [500, 3000, 3000].map(|len| pool.get(len));
            held.iter_mut().for_each(|buf| buf.resize(100, tag));
            if n % 50 == 0 {
                drop((0..60).map(|_| pool.get(3000)).collect::<Vec<_>>());
            }
            assert!(held.iter().all(|buf| *buf == [tag; 100]), "a block is in two hands");
        }
    };
    std::thread::scope(|scope| {
        let threads = [1, 2, 3].map(|tag| scope.spawn(move || requests(tag)));
        loop {
            meanwhile();
            if threads.iter().all(|thread| thread.is_finished()) {
                break;
            }
        }
    });
}

/// One thread goes in and out of its slot, another looks into it: a fence that is missing may show as a block in two
/// hands.
fn collect_beside_an_owner_for_a_second(pool: &Pool<Ledger>) {
    threads::scope(|scope| {
        let start = Instant::now();
        let second = move || start.elapsed() < Duration::from_secs(1);
        scope.spawn(move || {
            while second() {
                (0..1000).for_each(|_| drop([500; 3].map(|len| pool.get(len))));
            }
        });
        while second() {
            (0..100).for_each(|_| _ = pool.collect());
        }
    });
}

/// Leaves blocks in the magazines of three threads, one of them this one, and in the depot.
fn leave_idle(pool: &Pool<Ledger>) {
    // All at once, or one thread would go by the id of another that has ended.
    let barrier = Barrier::new(3);
    let leave = || {
        drop((0..100).map(|_| pool.get(3000)).collect::<Vec<_>>());
        barrier.wait();
    };
    threads::scope(|scope| {
        scope.spawn(leave);
        scope.spawn(leave);
        leave();
    });
}

#[test]
fn from_the_start_collections_and_closing_still_empty_every_slot() {
    alone("from_the_start_collections_and_closing_still_empty_every_slot", || {
        if !filter(ALL_THREADS, MEMBARRIER, REFUSE) {
            return;
        }
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        collect_beside_an_owner_for_a_second(&pool);
        beside_requests(&pool, || _ = pool.purge());
        leave_idle(&pool);
        pool.collect();
        let collected = pool.collect();
        assert_eq!((collected.slots_skipped, ledger.live()), (0, 0), "{collected}");
        leave_idle(&pool);
        drop(pool);
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "the pool is freed");
    });
}

/// The call has worked once, so owners of slots leave the fence to it from then on.
#[cfg(feature = "fast-barrier")]
mod later {
    use std::sync::OnceLock;

    use millpond::PoolBuf;

    use super::*;

    /// A filter for the calling thread.
    const ONE_THREAD: libc::c_ulong = 0;

    /// Keeps a pool that is leaked in reach of a leak checker.
    static KEPT: OnceLock<PoolBuf<Ledger>> = OnceLock::new();

    fn works_here() -> bool {
        // SAFETY: takes integers only.
        let commands = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_QUERY, 0, 0) };
        let works = commands > 0 && commands & libc::c_long::from(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
        if !works {
            // A child's libtest captures nothing, so this is seen.
            eprintln!("\nSKIPPED: this machine has no membarrier");
        }
        works
    }

    /// What `f` returns on a thread that is refused the call, while the others are not.
    fn on_a_filtered_thread<R: Send>(f: impl FnOnce() -> R + Send) -> Option<R> {
        std::thread::scope(|scope| scope.spawn(|| filter(ONE_THREAD, MEMBARRIER, REFUSE).then(f)).join().unwrap())
    }

    fn collected_once(ledger: &Ledger) -> Pool<Ledger> {
        let pool = pool(ledger);
        leave_idle(&pool);
        let collected = pool.collect();
        assert_eq!((collected.slots, collected.slots_skipped), (3, 0), "{collected}");
        pool
    }

    /// The last handle goes, and nothing with it; every buffer stays usable, and its block is released when it goes.
    fn close_and_leak(pool: Pool<Ledger>, ledger: &Ledger, close: impl FnOnce(Pool<Ledger>)) {
        let mut held: Vec<_> = (0..50).map(|_| pool.get(3000)).collect();
        held.iter_mut().for_each(|buf| buf.resize(3000, 9));
        let idle = ledger.live() - held.len();
        assert!(idle > 0, "there is something to leak");
        close(pool);
        assert_eq!(ledger.live(), idle + 50, "closing touches nothing");
        for buf in &mut held {
            buf.resize(50_000, 9);
            assert_eq!(buf.clone(), [9; 50_000]);
        }
        KEPT.set(held.swap_remove(0)).unwrap();
        std::thread::spawn(move || drop(held)).join().unwrap();
        assert_eq!(ledger.live(), idle + 1, "what was idle is leaked, what was out is released");
        assert_eq!(ledger.clones(), 2, "the pool is leaked");
        ledger.assert_sound();
    }

    #[test]
    fn collections_skip_every_slot_and_closing_leaks() {
        alone("later::collections_skip_every_slot_and_closing_leaks", || {
            if !works_here() {
                return;
            }
            let ledger = Ledger::new();
            let pool = collected_once(&ledger);
            let mut refused = None;
            beside_requests(&pool, || {
                if *refused.get_or_insert_with(|| filter(ALL_THREADS, MEMBARRIER, REFUSE)) {
                    let purged = pool.purge();
                    assert_eq!((purged.slots_skipped, purged.local.blocks), (purged.slots, 0), "{purged}");
                }
            });
            if refused == Some(false) {
                return;
            }
            leave_idle(&pool);
            pool.collect();
            let collected = pool.collect();
            assert!(collected.slots > 0 && collected.slots_skipped == collected.slots, "{collected}");
            let stats = pool.stats();
            assert_eq!((stats.collections, stats.collections_skipping), (3, 2), "{stats}");
            assert!(collected.victim.blocks > 0, "the shared tiers need no call: {collected}");
            let allocations = ledger.allocations();
            drop((0..10).map(|_| pool.get(3000)).collect::<Vec<_>>());
            assert_eq!(ledger.allocations(), allocations, "what a slot keeps is used again");
            close_and_leak(pool, &ledger, drop);
        });
    }

    #[test]
    fn to_one_thread_only_its_collections_skip() {
        alone("later::to_one_thread_only_its_collections_skip", || {
            if !works_here() {
                return;
            }
            let (ledger, leaked_ledger) = (Ledger::new(), Ledger::new());
            let (pool, leaked) = (collected_once(&ledger), collected_once(&leaked_ledger));
            leave_idle(&leaked);
            for _ in 0..2 {
                leave_idle(&pool);
                let Some(purged) = on_a_filtered_thread(|| pool.purge()) else { return };
                assert!(purged.slots > 0 && purged.slots_skipped == purged.slots, "{purged}");
                let purged = pool.purge();
                assert_eq!((purged.slots_skipped, ledger.live()), (0, 0), "{purged}");
            }
            beside_requests(&pool, || _ = pool.purge());
            drop(pool);
            ledger.assert_empty();
            assert_eq!(ledger.clones(), 1, "the pool is freed");
            close_and_leak(leaked, &leaked_ledger, |pool| on_a_filtered_thread(|| drop(pool)).unwrap());
        });
    }

    /// The first collection of the process is refused the call; then nobody makes it again, and fences do for all.
    #[test]
    fn to_the_first_collector_only_fences_do_for_all() {
        alone("later::to_the_first_collector_only_fences_do_for_all", || {
            let (ledger, other_ledger) = (Ledger::new(), Ledger::new());
            let (pool, other) = (pool(&ledger), pool(&other_ledger));
            leave_idle(&pool);
            leave_idle(&other);
            let Some(purged) = on_a_filtered_thread(|| pool.purge()) else { return };
            assert_eq!((purged.slots_skipped, ledger.live()), (0, 0), "{purged}");
            beside_requests(&pool, || _ = pool.purge());
            leave_idle(&pool);
            let purged = pool.purge();
            assert_eq!((purged.slots_skipped, ledger.live()), (0, 0), "{purged}");
            drop(pool);
            on_a_filtered_thread(|| drop(other)).unwrap();
            for ledger in [ledger, other_ledger] {
                ledger.assert_empty();
                assert_eq!(ledger.clones(), 1, "the pool is freed");
            }
        });
    }
}

/// A policy that kills for the call is what the feature is turned off for.
#[cfg(not(feature = "fast-barrier"))]
#[test]
fn without_the_feature_the_call_is_never_made() {
    alone("without_the_feature_the_call_is_never_made", || {
        if !filter(ALL_THREADS, MEMBARRIER, libc::SECCOMP_RET_KILL_PROCESS) {
            return;
        }
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        beside_requests(&pool, || _ = pool.purge());
        drop(pool);
        ledger.assert_empty();
    });
}
