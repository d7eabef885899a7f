//! No block is ever in two hands, and none is lost, in four phases. The gate: owners do nothing but get and drop while another
//! thread purges without pause. The churn: many more threads than cores get, grow, send and drop buffers, clone and drop
//! handles, collect and purge, are born and die, while pools come and go. At every call of the allocator no more than
//! `idle_limit` is idle then, and `limit` out. Objects: the same, shorter, with a pool of objects. Operations: any sequence of them, as
//! in `tests/promises/operations.rs`, on many threads at a time.
//!
//! `MILLPOND_STRESS_SECONDS` (default 2) says for how long, `MILLPOND_STRESS_SEED` replays a run's choices, chaos among them,
//! `MILLPOND_STRESS_RECYCLE` (`always`, `never` or `chaos`) how the pools recycle, `MILLPOND_STRESS_PHASE` (`gate`, `churn`, `objects`
//! or `operations`) asks for one phase alone, and `MILLPOND_STRESS_THREADS` says how many threads there are in all but the gate.

mod common;

#[path = "common/cores.rs"]
mod cores;

#[path = "stress/objects.rs"]
mod objects;

#[path = "stress/operations.rs"]
mod operations;

use fastrand::Rng as Choices;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use common::class_size;
use common::ledger::{Hand, Ledger};
use common::owners::{Owners, fail};
use crossbeam_queue::ArrayQueue;
use millpond::{Builder, Collect, GetError, Pool, PoolBuf, Recycle};
use objects::objects;
use operations::operations;

/// What a pool with a limit may hold; the churn runs into it.
const LIMIT: usize = 4 << 20;

/// Statics, so that no reference count of the test's own orders what the pool must order.
static FREE: LazyLock<Owners> = LazyLock::new(|| Owners::new(Ledger::new()));
static LIMITED: LazyLock<Owners> = LazyLock::new(|| Owners::new(Ledger::with_limit(LIMIT)));

type Handle = Pool<&'static Owners>;

/// A buffer that holds nothing but its tag, and whose block is its tag's in the book of owners.
struct Tagged {
    buffer: PoolBuf<&'static Owners>,
    owners: &'static Owners,
    tag: u64,
    /// After the buffer, so that it is dropped last.
    hand: Hand<'static>,
}

impl Tagged {
    fn new(buffer: PoolBuf<&'static Owners>, owners: &'static Owners, tag: u64, mut hand: Hand<'static>) -> Self {
        owners.gotten(buffer.as_ptr(), tag);
        hand.settle(buffer.capacity());
        Self { buffer, owners, tag, hand }
    }

    /// Adds `words` words. At the limit it stays as it is.
    fn extend(&mut self, words: usize) {
        let grows = self.buffer.capacity() - self.buffer.len() < 8 * words;
        if grows {
            self.owners.dropped(self.buffer.as_ptr(), self.tag);
            self.hand.raise(class_size((self.buffer.len() + 8 * words).max(2 * self.buffer.capacity())));
        }
        let reserved = self.buffer.try_reserve(8 * words);
        if grows {
            self.hand.settle(self.buffer.capacity());
            self.owners.gotten(self.buffer.as_ptr(), self.tag);
        }
        match reserved {
            Ok(()) => (0..words).for_each(|_| self.buffer.extend_from_slice(&self.tag.to_ne_bytes())),
            Err(error) => assert!(matches!(error, GetError::LimitReached { .. }), "{error}"),
        }
    }

    fn check(&self) {
        if !self.buffer.chunks_exact(8).all(|word| word == self.tag.to_ne_bytes()) {
            fail(&format!("another hand wrote to {:?}, which {:#x} has", self.buffer.as_ptr(), self.tag));
        }
    }
}

impl Drop for Tagged {
    fn drop(&mut self) {
        self.check();
        self.owners.dropped(self.buffer.as_ptr(), self.tag);
    }
}

fn main() {
    let time = Duration::from_secs(from_env("MILLPOND_STRESS_SECONDS", 2));
    let seed = *SEED;
    let phase = std::env::var("MILLPOND_STRESS_PHASE").unwrap_or_default();
    let threads = from_env("MILLPOND_STRESS_THREADS", (4 * cores::count()).clamp(12, 64) as u64);
    let barrier = if cores::have_barrier() { "a" } else { "no" };
    println!("stress: {time:?} {phase}, {:?}, MILLPOND_STRESS_SEED={seed}, the system has {barrier} barrier", *RECYCLE);
    // std's and crossbeam's lazy statics are made here, where the spawned threads' start orders it.
    warm_up();
    let total = match phase.as_str() {
        "" => {
            gate(time / 4, seed)
                + churn(time * 3 / 8, seed, threads)
                + objects(time * 3 / 16, seed, threads)
                + operations(time * 3 / 16, seed, threads)
        }
        "gate" => gate(time, seed),
        "churn" => churn(time, seed, threads),
        "objects" => objects(time, seed, threads),
        "operations" => operations(time, seed, threads),
        other => panic!("MILLPOND_STRESS_PHASE is {other}: no such phase"),
    };
    println!("stress: {total} operations");
    println!("stress: no block lost or doubled");
}

fn warm_up() {
    LazyLock::force(&LIMITED);
    let pool = builder(&FREE).build().expect("sound");
    drop((0..100).map(|_| pool.get(4096)).collect::<Vec<_>>());
    pool.collect();
}

/// No background thread: ThreadSanitizer's quick form does not see into what it waits on.
fn builder(owners: &'static Owners) -> Builder<&'static Owners> {
    Pool::builder_in(owners).collect(Collect::Manual).recycle(*RECYCLE)
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}

static SEED: LazyLock<u64> = LazyLock::new(|| from_env("MILLPOND_STRESS_SEED", 1 + u64::from(std::process::id())));

/// Every pool's, read once.
static RECYCLE: LazyLock<Recycle> = LazyLock::new(|| match std::env::var("MILLPOND_STRESS_RECYCLE").as_deref() {
    Err(_) | Ok("always") => Recycle::Always,
    Ok("never") => Recycle::Never,
    Ok("chaos") => Recycle::Chaos(*SEED),
    Ok(other) => panic!("MILLPOND_STRESS_RECYCLE is {other}: no such mode"),
});

/// One warm pool whose owners go in and out of their gates, and a thread that purges without pause. Without the fence that
/// the owners rely on this fails within a second: `.ci/stress` tries it.
///
/// How many gets there were.
fn gate(time: Duration, seed: u64) -> u64 {
    static OVER: AtomicBool = AtomicBool::new(false);
    let pool = builder(&FREE).build().expect("sound");
    let threads = cores::count().saturating_sub(1).max(1);
    // Each on a core of its own, beside the collector's.
    let owners: Vec<_> = (1..=threads)
        .map(|n| (n, pool.clone(), Choices::with_seed(seed.wrapping_add(n as u64))))
        .map(|(n, pool, choices)| {
            std::thread::spawn(move || {
                cores::move_to(n % cores::count());
                owner(&pool, n as u64, choices, &OVER)
            })
        })
        .collect();
    let collector = std::thread::spawn(move || {
        cores::move_to(0);
        let (start, mut choices, mut met) = (Instant::now(), Choices::with_seed(seed), 0);
        while start.elapsed() < time {
            let collected = if choices.u64(..8) == 0 { pool.collect() } else { pool.purge() };
            met += collected.slots;
        }
        met
    });
    let met = collector.join().expect("the collector does not fail");
    OVER.store(true, Relaxed);
    let gets: u64 = owners.into_iter().map(|owner| owner.join().expect("no owner fails")).sum();
    FREE.ledger.assert_empty();
    println!("stress: gate: {met} slots collected in the midst of {gets} gets");
    gets
}

fn owner(pool: &Handle, n: u64, choices: Choices, over: &AtomicBool) -> u64 {
    let mut cold = Cold { lines: (0..COLD_LINES).map(|_| Line::default()).collect(), choices };
    let get = |cold: &mut Cold| {
        cold.store();
        let mut buffer = pool.get(4096);
        FREE.gotten(buffer.as_ptr(), n);
        buffer.extend_from_slice(&n.to_ne_bytes());
        buffer
    };
    let give_back = |cold: &mut Cold, buffer: PoolBuf<&'static Owners>| {
        if *buffer != n.to_ne_bytes() {
            fail(&format!("another hand wrote to {:?}, which {n} has", buffer.as_ptr()));
        }
        FREE.dropped(buffer.as_ptr(), n);
        cold.store();
        drop(buffer);
    };
    let mut gets = 0;
    while !over.load(Relaxed) {
        // So many blocks lie in the magazine, until the next purge.
        let held: Vec<_> = (0..8).map(|_| get(&mut cold)).collect();
        held.into_iter().for_each(|buffer| give_back(&mut cold, buffer));
        for _ in 0..30 {
            let buffer = get(&mut cold);
            give_back(&mut cold, buffer);
        }
        gets += 38;
    }
    gets
}

/// More than a core has cache of its own: 8 MiB.
const COLD_LINES: usize = 8 << 14;

#[derive(Default)]
#[repr(align(64))]
struct Line(AtomicU64);

struct Cold {
    lines: Vec<Line>,
    choices: Choices,
}

impl Cold {
    /// Stores that miss the caches. Until they are done the processor withholds those that follow, such as the owner's that
    /// it is inside, but not the loads: without a fence the moment in which both sides can go wrong is then long.
    fn store(&mut self) {
        for _ in 0..self.choices.u64(..33) {
            let line = self.choices.usize(..=COLD_LINES - 1);
            self.lines[line].0.store(1, Relaxed);
        }
    }
}

/// How many operations there were.
fn churn(time: Duration, seed: u64, threads: u64) -> u64 {
    let (start, mut rounds, mut operations) = (Instant::now(), 0, 0);
    while start.elapsed() < time {
        rounds += 1;
        operations += round(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(rounds), threads);
    }
    println!("stress: churn: {rounds} pools, {threads} threads each, {operations} operations");
    operations
}

/// One pool from its first get to its end. In every other round threads outlive their handles, and buffers the pool.
fn round(seed: u64, threads: u64) -> u64 {
    let mut choices = Choices::with_seed(seed);
    let owners: &'static Owners = if choices.u64(..4) == 0 { &LIMITED } else { &FREE };
    let mut builder = builder(owners);
    if std::ptr::eq(owners, &*LIMITED) {
        builder = builder.limit(LIMIT);
    }
    let idle_limit = [64 << 20, 2 << 20, 256 << 10, 256 << 10][choices.usize(..=3)];
    if idle_limit == 256 << 10 {
        builder = builder.max_class(16 << 10).local_limit(64 << 10);
    }
    owners.ledger.bound_idle(idle_limit);
    let pool = builder.idle_limit(idle_limit).build().expect("sound");
    let sent = Arc::new(ArrayQueue::new(64));
    // However many, they have about as much to do together.
    let operations = 2000 * (4 * cores::count()).clamp(12, 64) as u64 / threads;
    let here = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (1..=threads)
        .map(|n| {
            let (pool, sent, here) = (pool.clone(), sent.clone(), here.clone());
            let mut choices = choices.fork();
            std::thread::spawn(move || {
                drop(get(&pool, owners, 300, n << 32 | u64::MAX >> 32, 0));
                here.fetch_add(1, Relaxed);
                // Each has a slot, and all at the same time.
                while here.load(Relaxed) < threads {
                    std::thread::yield_now();
                }
                let operations = operations + choices.u64(..operations);
                worker(pool, owners, &sent, choices, n, operations);
                operations
            })
        })
        .collect();
    let kept = (choices.u64(..2) == 0).then_some(pool);
    // This thread never gets: all that it drops was another thread's.
    loop {
        // Before the queue is found empty: what a worker sends last is there by then.
        let finished = workers.iter().all(|worker| worker.is_finished());
        match sent.pop() {
            Some(tagged) => drop(tagged),
            None if finished => break,
            None => std::thread::yield_now(),
        }
    }
    let operations = workers.into_iter().map(|worker| worker.join().expect("no worker fails")).sum();
    if let Some(pool) = kept {
        at_rest(&pool, owners);
    }
    owners.ledger.assert_empty();
    operations
}

/// All that the pool holds is idle, and its figures are true.
fn at_rest(pool: &Handle, owners: &Owners) {
    // What a slow reader stored in a retired generation is in no figure until it is found.
    pool.collect();
    let stats = pool.stats();
    assert_eq!((stats.in_use_bytes, stats.release_panics), (0, 0), "{stats}");
    assert_eq!(
        (stats.allocated_bytes, stats.idle_bytes),
        (owners.ledger.live_bytes(), stats.allocated_bytes),
        "{stats}"
    );
    assert!(stats.idle_bytes <= stats.reserved_bytes, "{stats}");
    pool.purge();
    owners.ledger.assert_empty();
}

fn worker(
    pool: Handle,
    owners: &'static Owners,
    sent: &ArrayQueue<Tagged>,
    mut choices: Choices,
    n: u64,
    operations: u64,
) {
    let mut held: Vec<Tagged> = Vec::new();
    let mut pool = Some(pool);
    for operation in 0..operations {
        let Some(handle) = &pool else { break };
        let tag = n << 32 | operation;
        match choices.u64(..100) {
            0..40 => {
                let size = 1 << choices.u64(..17);
                held.extend(get(handle, owners, size, tag, choices.usize(..=size / 8)));
            }
            40..70 if !held.is_empty() => {
                let index = choices.usize(..=held.len() - 1);
                drop(held.swap_remove(index));
            }
            70..85 => {
                if let Some(buffer) = held.pop() {
                    // Full: this thread drops it.
                    drop(sent.push(buffer));
                }
            }
            85..90 => {
                if let Some(tagged) = held.last_mut() {
                    tagged.extend(choices.usize(..=600));
                }
            }
            90..92 => drop(handle.clone()),
            92..94 => _ = handle.collect(),
            94 => _ = handle.stats(),
            95 => _ = handle.purge(),
            96 => {
                // A short life, which inherits an id and a slot and leaves them.
                let handle = handle.clone();
                let short = std::thread::spawn(move || drop(get(&handle, owners, 3000, tag, 300)));
                short.join().expect("no thread fails");
            }
            97 if operation > operations / 3 => pool = None,
            98 if held.len() > 40 => held.clear(),
            99 => {
                let stats = handle.stats();
                assert!(stats.reserved_bytes <= stats.idle_limit, "{stats}");
                assert!(stats.leased_bytes <= stats.idle_limit / 2, "{stats}");
            }
            _ => held.iter().for_each(Tagged::check),
        }
    }
}

/// None: the pool is at its limit.
fn get(pool: &Handle, owners: &'static Owners, size: usize, tag: u64, words: usize) -> Option<Tagged> {
    let hand = owners.ledger.hand(class_size(size));
    match pool.try_get(size) {
        Ok(buffer) => {
            let mut tagged = Tagged::new(buffer, owners, tag, hand);
            tagged.extend(words);
            Some(tagged)
        }
        Err(error) => {
            assert!(matches!(error, GetError::LimitReached { .. }), "{error}");
            None
        }
    }
}
