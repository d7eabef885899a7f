//! The end of a pool frees what is idle, and the end of what outlives it the rest. Whatever the allocator does meanwhile, all of it
//! goes, and only who asks for memory hears of it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use crate::common::flaky::{Call, Flaky};
use crate::common::ledger::Ledger;
use crate::scenarios::{MODES, is_on_cue};
use millpond::{Collect, Pool, PoolBuf, Recycle};

/// The largest class.
const LARGEST: usize = 64 << 10;

fn pool(allocator: &Flaky, recycle: Recycle) -> Pool<Flaky> {
    let builder = Pool::builder_in(allocator.clone()).max_class(LARGEST).idle_limit(1 << 20).local_limit(64 << 10);
    builder.collect(Collect::Manual).recycle(recycle).build().unwrap()
}

/// In every tier, in this thread's slot and in another's.
fn leave_idle(pool: &Pool<Flaky>) {
    let leave = |len, count| drop((0..count).map(|_| pool.get(len)).collect::<Vec<_>>());
    // More than a magazine holds, and one collection later.
    leave(4096, 30);
    pool.collect();
    leave(500, 50);
    thread::scope(|scope| scope.spawn(|| leave(1000, 5)).join().unwrap());
}

#[test]
fn there_is_something_in_every_tier() {
    let ledger = Ledger::new();
    let pool = pool(&Flaky::failing(&ledger), Recycle::Always);
    leave_idle(&pool);
    let purged = pool.purge();
    assert_eq!(purged.slots, 2, "{purged}");
    assert!([purged.local, purged.depot, purged.victim].iter().all(|freed| freed.blocks > 0), "{purged}");
    drop(pool);
    ledger.assert_empty();
}

/// `prepare` gets a pool with idle blocks, and says what its end is: each call of that has its turn to panic.
fn at_every_call(prepare: impl Fn(Pool<Flaky>) -> Box<dyn FnOnce()>) {
    for recycle in MODES {
        let ledger = Ledger::new();
        let allocator = Flaky::panicking(&ledger);
        for nth in 1.. {
            allocator.arm(0);
            let pool = pool(&allocator, recycle);
            leave_idle(&pool);
            let end = prepare(pool);
            allocator.arm(nth);
            let result = catch_unwind(AssertUnwindSafe(end));
            let wrong = allocator.went_wrong();
            let place = format!("{recycle:?}, call {nth}, {wrong:?}");
            let came_out = result.map_or_else(|panic| is_on_cue(&*panic) || resume_unwind(panic), |()| false);
            assert_eq!(came_out, wrong == Some(Call::Allocation), "{place}");
            ledger.assert_empty();
            assert_eq!(ledger.clones(), 2, "the pool is freed: {place}");
            if allocator.is_armed() {
                assert!(nth > 3, "the end calls the allocator: {place}");
                break;
            }
        }
    }
}

/// What is out when the last handle goes: of classes, and oversize.
fn late(pool: &Pool<Flaky>) -> Vec<PoolBuf<Flaky>> {
    let mut late: Vec<_> = [500, 500, 20_000, LARGEST + 1].map(|len| pool.get(len)).into();
    late.iter_mut().for_each(|buf| buf.extend_from_slice(b"kept"));
    late
}

#[test]
fn a_panic_at_any_call_of_closing_is_contained() {
    at_every_call(|pool| {
        let late = late(&pool);
        Box::new(move || {
            drop((pool.clone(), pool));
            assert!(late.iter().all(|buf| *buf == "kept"));
        })
    });
}

#[test]
fn a_panic_at_any_call_is_contained_where_other_threads_end_a_pool() {
    at_every_call(|pool| {
        let late = late(&pool);
        Box::new(move || {
            thread::spawn(move || drop(pool)).join().unwrap();
            thread::spawn(move || drop(late)).join().unwrap();
        })
    });
}

#[test]
fn a_panic_at_any_call_comes_out_of_growth_alone_once_the_pool_is_closed() {
    at_every_call(|pool| {
        let mut late = late(&pool);
        Box::new(move || {
            drop(pool);
            for buf in &mut late {
                buf.reserve(buf.capacity());
                assert_eq!(*buf, "kept");
            }
        })
    });
}

#[cfg(feature = "bytes")]
#[test]
fn a_panic_at_any_call_is_contained_where_bytes_end_a_pool() {
    for elsewhere in [false, true] {
        at_every_call(|pool| {
            let mut frozen: Vec<_> = late(&pool).into_iter().map(PoolBuf::freeze).collect();
            frozen.extend(frozen.clone());
            Box::new(move || {
                drop(pool);
                assert!(frozen.iter().all(|part| part == "kept"));
                if elsewhere {
                    thread::spawn(move || drop(frozen)).join().unwrap();
                }
            })
        });
    }
}

/// An arena keeps its pool open: its own end is the pool's.
#[cfg(feature = "arena")]
#[test]
fn a_panic_at_any_call_is_contained_where_an_arena_ends_a_pool() {
    for elsewhere in [false, true] {
        at_every_call(|pool| {
            let arenas = [(); 3].map(|()| pool.arena());
            for arena in &arenas {
                [10, 300, 5000, LARGEST + 1].iter().for_each(|len| _ = arena.alloc_bytes(*len));
            }
            let [last, ..] = arenas;
            Box::new(move || {
                drop(pool);
                if elsewhere {
                    thread::spawn(move || drop(last)).join().unwrap();
                }
            })
        });
    }
}
