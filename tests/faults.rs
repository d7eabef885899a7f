//! The allocator may fail, or panic, at any single call: the pool stays usable, and nothing is lost.

mod common;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use allocator_api2::collections::TryReserveError;
use allocator_api2::vec::Vec as VecIn;

use common::flaky::Flaky;
use common::ledger::Ledger;
use hashbrown::{DefaultHashBuilder, HashMap};
use millpond::{Collect, GetError, Pool, PoolBuf, Recycle};

fn pool(allocator: &Flaky, recycle: Recycle) -> Pool<Flaky> {
    Pool::builder_in(allocator.clone())
        .idle_limit(1 << 20)
        .local_limit(64 << 10)
        .collect(Collect::Manual)
        .recycle(recycle)
        .build()
        .unwrap()
}

const MODES: [Recycle; 3] = [Recycle::Always, Recycle::Never, Recycle::Chaos(3)];

/// What a user does until the allocator fails. Nothing of it is held afterwards.
type Scenario = fn(&Pool<Flaky>) -> Result<(), Failed>;

/// There was no memory.
#[derive(Debug)]
struct Failed;

impl From<GetError> for Failed {
    fn from(error: GetError) -> Self {
        assert!(matches!(error, GetError::OutOfMemory { .. }), "{error}");
        Self
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{error}");
        Self
    }
}

impl From<TryReserveError> for Failed {
    fn from(_: TryReserveError) -> Self {
        Self
    }
}

impl From<hashbrown::TryReserveError> for Failed {
    fn from(_: hashbrown::TryReserveError) -> Self {
        Self
    }
}

const SCENARIOS: [(&str, Scenario); 6] = [
    ("buffers", buffers),
    ("collections", collections),
    ("threads", threads),
    ("a reader", reader),
    #[cfg(feature = "bytes")]
    ("bytes", bytes),
    #[cfg(not(feature = "bytes"))]
    ("buffers again", buffers),
    #[cfg(feature = "arena")]
    ("arenas", arenas),
    #[cfg(not(feature = "arena"))]
    ("buffers again", buffers),
];

/// Every way in which a pool of buffers that is open calls its allocator; closing is the drop that follows.
fn buffers(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut held: Vec<PoolBuf<Flaky>> = Vec::new();
    for len in [1, 4096, 4096, 30_000, 1 << 20, (4 << 20) + 1] {
        held.push(pool.try_get(len)?);
    }
    for buf in &mut held {
        buf.try_extend_from_slice(b"kept")?;
        let room = buf.capacity();
        let grown = buf.try_reserve(room);
        assert_eq!(*buf, "kept");
        grown?;
    }
    held.truncate(3);
    pool.collect();
    held.extend((0..40).map_while(|_| pool.try_get(4096).ok()));
    drop(held);
    pool.collect();
    pool.purge();
    drop(pool.try_get(4096)?);
    Ok(())
}

/// From the smallest class up, so that nothing is resized by the allocator itself: a panic there ends the process. Nor is anything shrunk: a
/// vector ends the process where that fails.
fn collections(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut words: VecIn<u64, _> = VecIn::new_in(pool);
    for len in [40, 500, 5000, 50_000] {
        words.try_reserve(len - words.len())?;
        words.extend(words.len() as u64..len as u64);
        assert!(words.iter().copied().eq(0..len as u64));
    }
    let mut map: HashMap<u64, u64, DefaultHashBuilder, _> = HashMap::new_in(pool);
    for n in 0..300 {
        map.try_reserve(1)?;
        map.insert(n, n);
    }
    assert!((0..300).all(|n| map[&n] == n));
    Ok(())
}

/// One after another, each with buffers of those before.
fn threads(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut held: Vec<PoolBuf<Flaky>> = Vec::new();
    for len in [100, 5000, 100_000] {
        let mut mine = std::mem::take(&mut held);
        held = thread::scope(|scope| {
            let thread = scope.spawn(move || {
                drop(mine.split_off(mine.len() / 2));
                for _ in 0..5 {
                    mine.push(pool.try_get(len)?);
                }
                Ok::<_, Failed>(mine)
            });
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })?;
    }
    pool.collect();
    Ok(())
}

fn reader(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut buf = pool.try_get(10)?;
    buf.read_from(&[7; 100_000][..], 1 << 20)?;
    assert_eq!(*buf, [7; 100_000]);
    Ok(())
}

#[cfg(feature = "bytes")]
fn bytes(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut parts = Vec::new();
    for len in [10, 3000, 70_000] {
        let mut buf = pool.try_get(len)?;
        buf.try_extend_from_slice(&vec![1; len])?;
        let mut frozen = buf.freeze();
        parts.push(frozen.split_to(len / 2));
        parts.push(frozen);
    }
    parts.swap(0, 3);
    assert!(parts.iter().all(|part| part.iter().all(|byte| *byte == 1)));
    Ok(())
}

#[cfg(feature = "arena")]
fn arenas(pool: &Pool<Flaky>) -> Result<(), Failed> {
    for _ in 0..2 {
        let mut arena = pool.try_arena()?;
        for len in [10, 300, 5000, 100_000] {
            let text = arena.try_alloc_slice_copy(&vec![3_u8; len])?;
            assert!(text.iter().all(|byte| *byte == 3));
        }
        let mut words: VecIn<u64, _> = VecIn::new_in(&arena);
        for _ in 0..2000 {
            words.try_reserve(1)?;
            words.push(1);
        }
        drop(words);
        arena.reset();
        arena.try_alloc_slice_copy(&[1_u8; 1000])?;
    }
    pool.purge();
    Ok(())
}

/// Over all scenarios and modes: `f` gets a pool whose allocator goes wrong at its nth call, for every n that there is.
fn at_every_call(make: fn(&Ledger) -> Flaky, f: impl Fn(&Pool<Flaky>, Scenario, &str)) {
    for (name, scenario) in SCENARIOS {
        for recycle in MODES {
            let ledger = Ledger::new();
            let allocator = make(&ledger);
            let counted = pool(&allocator, recycle);
            allocator.arm(0);
            scenario(&counted).unwrap();
            drop(counted);
            let calls = allocator.calls();
            assert!(calls >= 3, "{name} calls its allocator");
            for nth in 1..=calls {
                let pool = pool(&allocator, recycle);
                allocator.arm(nth);
                let place = format!("{name}, {recycle:?}, call {nth}");
                f(&pool, scenario, &place);
                assert_eq!(pool.stats().in_use_bytes, 0, "{place}");
                // The last calls of those that were counted are the pool's own end, which comes later here.
                allocator.arm(0);
                scenario(&pool).expect("usable afterwards");
                let stats = pool.stats();
                assert_eq!(stats.allocated_bytes, stats.idle_bytes, "{place}\n{stats}");
                drop(pool);
                ledger.assert_empty();
            }
        }
    }
}

#[test]
fn a_failure_at_any_call_is_an_error_and_loses_nothing() {
    at_every_call(Flaky::failing, |pool, scenario, _| {
        // Not always an error: some scenarios shrug one off, and a buffer that cannot double asks for less.
        _ = scenario(pool);
    });
}

#[test]
fn a_panic_at_any_call_wedges_nothing_and_never_leaves_a_drop() {
    at_every_call(Flaky::panicking, |pool, scenario, place| {
        let result = catch_unwind(AssertUnwindSafe(|| scenario(pool)));
        // Only a call that asks for memory lets the panic out; one in a drop or a collection ends there.
        if result.is_ok() {
            assert!(pool.stats().release_panics <= 1, "{place}");
        }
    });
}

/// The pool's own end frees what is idle, and does not panic either.
#[test]
fn a_panic_at_any_call_of_closing_is_contained() {
    let ledger = Ledger::new();
    let allocator = Flaky::panicking(&ledger);
    for nth in 1..=60 {
        let pool = pool(&allocator, Recycle::Always);
        allocator.arm(0);
        let held: Vec<_> = (0..40).map(|n| pool.get(n * 200)).collect();
        let late = pool.get(500);
        drop(held);
        allocator.arm(nth);
        drop(pool);
        drop(late);
        ledger.assert_empty();
    }
    assert!(allocator.calls() < 60, "every call of closing had its turn");
}

/// The allocator's panic meets a panic that is under way: a second one would abort.
#[test]
fn a_panic_of_the_allocator_in_a_drop_during_unwinding_is_contained() {
    let ledger = Ledger::new();
    let allocator = Flaky::panicking(&ledger);
    let pool = Pool::builder_in(allocator.clone()).recycle(Recycle::Never).build().unwrap();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _held = pool.get(100);
        allocator.arm(1);
        panic!("the request fails");
    }));
    assert!(result.is_err());
    assert_eq!(pool.stats().release_panics, 1);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn panics_while_buffers_are_held_give_them_back() {
    let ledger = Ledger::new();
    let pool = common::pool(&ledger);
    for _ in 0..10 {
        let result = catch_unwind(|| {
            let _held: Vec<_> = (0..5).map(|_| pool.get(1000)).collect();
            panic!("the request fails");
        });
        assert!(result.is_err());
    }
    assert_eq!((pool.stats().in_use_bytes, ledger.allocations()), (0, 5));
    drop(pool);
    ledger.assert_empty();
}
