//! Many more threads than cores get, grow, send and drop buffers, clone and drop handles, collect and purge, are born and
//! die, while pools come and go: no block is ever in two hands, and none is lost.
//!
//! `MILLPOND_STRESS_SECONDS` (default 2) says for how long, `MILLPOND_STRESS_SEED` replays a run's choices.

mod common;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use common::ledger::Ledger;
use crossbeam_queue::ArrayQueue;
use millpond::{Collect, Pool, PoolBuf, Recycle};

const THREADS: u64 = 12;

/// A static, so that no reference count of the test's own orders what the pool must order.
static LEDGER: LazyLock<Ledger> = LazyLock::new(Ledger::new);

type Buffer = PoolBuf<&'static Ledger>;

/// xorshift64*: choices that a seed repeats.
struct Choices(u64);

impl Choices {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }
}

/// A buffer whose every eighth byte-group is its tag, so that another writer would be seen.
struct Tagged {
    buffer: Buffer,
    tag: u64,
}

impl Tagged {
    fn new(mut buffer: Buffer, tag: u64, words: usize) -> Self {
        for _ in 0..words {
            buffer.extend_from_slice(&tag.to_ne_bytes());
        }
        Self { buffer, tag }
    }

    fn check(&self) {
        let words = self.buffer.chunks_exact(8);
        assert!(words.into_iter().all(|word| word == self.tag.to_ne_bytes()), "a block is in two hands");
    }
}

impl Drop for Tagged {
    fn drop(&mut self) {
        self.check();
    }
}

fn main() {
    let from_env = |name: &str, default: u64| std::env::var(name).map_or(default, |value| value.parse().expect(name));
    let time = Duration::from_secs(from_env("MILLPOND_STRESS_SECONDS", 2));
    let seed = from_env("MILLPOND_STRESS_SEED", 1 + u64::from(std::process::id()));
    println!("stress: {time:?}, MILLPOND_STRESS_SEED={seed}");
    // std's and crossbeam's lazy statics are made here, where the spawned threads' start orders it.
    warm_up();
    let (start, mut rounds, mut operations) = (Instant::now(), 0, 0);
    while start.elapsed() < time {
        rounds += 1;
        operations += round(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(rounds));
    }
    println!("stress: {rounds} pools, {operations} operations, no block lost or doubled");
}

fn warm_up() {
    let pool = Pool::builder().collect(Collect::Manual).build().expect("sound");
    drop((0..100).map(|_| pool.get(4096)).collect::<Vec<_>>());
    pool.collect();
}

/// One pool from its first get to its end; threads outlive their handles, and buffers the pool.
fn round(seed: u64) -> u64 {
    let ledger: &'static Ledger = &LEDGER;
    let mut choices = Choices(seed | 1);
    let mut builder = Pool::builder_in(ledger).collect(Collect::Manual).recycle(Recycle::Always);
    if choices.below(2) == 0 {
        builder = builder.max_class(16 << 10).idle_limit(256 << 10).local_limit(64 << 10);
    }
    let pool = builder.build().expect("sound");
    let sent = Arc::new(ArrayQueue::new(64));
    let workers: Vec<_> = (0..THREADS)
        .map(|n| {
            let (pool, sent, seed) = (pool.clone(), sent.clone(), choices.below(u64::MAX >> 33) << 8 | n);
            std::thread::spawn(move || worker(pool, &sent, Choices(seed | 1 << 50), n))
        })
        .collect();
    drop(pool);
    // This thread never gets: all that it drops was another thread's.
    while !sent.is_empty() || workers.iter().any(|worker| !worker.is_finished()) {
        if sent.pop().is_none() {
            std::thread::yield_now();
        }
    }
    let operations = workers.into_iter().map(|worker| worker.join().expect("no worker fails")).sum();
    ledger.assert_empty();
    operations
}

fn worker(pool: Pool<&'static Ledger>, sent: &ArrayQueue<Tagged>, mut choices: Choices, n: u64) -> u64 {
    let mut held: Vec<Tagged> = Vec::new();
    let mut pool = Some(pool);
    let operations = 2000 + choices.below(2000);
    for operation in 0..operations {
        let Some(handle) = &pool else { break };
        match choices.below(100) {
            0..40 => {
                let size = 1 << choices.below(17);
                let words = usize::try_from(choices.below(size / 8 + 1)).expect("small");
                let buffer = handle.get(usize::try_from(size).expect("small"));
                held.push(Tagged::new(buffer, n << 32 | operation, words));
            }
            40..70 if !held.is_empty() => {
                let index = usize::try_from(choices.below(held.len() as u64)).expect("small");
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
                    let tag = tagged.tag;
                    (0..choices.below(600)).for_each(|_| tagged.buffer.extend_from_slice(&tag.to_ne_bytes()));
                }
            }
            90..92 => drop(handle.clone()),
            92..94 => _ = handle.collect(),
            94 => _ = handle.stats(),
            95 => _ = handle.purge(),
            96 => {
                // A short life, which inherits an id and a slot and leaves them.
                let handle = handle.clone();
                let short = std::thread::spawn(move || drop(Tagged::new(handle.get(3000), 7, 300)));
                short.join().expect("no thread fails");
            }
            97 if operation > 1000 => {
                pool = None;
            }
            98 if held.len() > 40 => held.clear(),
            _ => held.iter().for_each(Tagged::check),
        }
    }
    operations
}
