//! The third phase: objects that are plain words, which a sanitizer sees written.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use fastrand::Rng as Choices;
use millpond::{Collect, ObjectPool, Pooled};

use crate::common::owners::fail;

static MADE: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Held by nobody: all words are 0. Held: all are its holder's tag.
struct Words([u64; 16]);

impl Words {
    fn new() -> Self {
        MADE.fetch_add(1, Relaxed);
        Self([0; 16])
    }

    fn check(&self, tag: u64) {
        if self.0 != [tag; 16] {
            fail(&format!("an object of {tag:#x} holds {:x?}", self.0));
        }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Relaxed);
    }
}

/// Threads get, send and drop objects, refuse some, and collect and purge. How many operations that were.
pub fn objects(time: Duration, seed: u64, threads: u64) -> u64 {
    let start = Instant::now();
    let mut operations = 0;
    for round in 0.. {
        if start.elapsed() > time && round > 0 {
            break;
        }
        let reset = |words: &mut Words| {
            let kept = words.0[0] % 64 != 63;
            words.0 = [0; 16];
            kept
        };
        let builder = ObjectPool::builder(Words::new).collect(Collect::Manual).recycle(*crate::RECYCLE);
        let pool = if round % 2 == 0 { builder.reset(reset) } else { builder }.build().expect("sound");
        let resets = round % 2 == 0;
        let sent: ArrayQueue<(u64, Pooled<Words>)> = ArrayQueue::new(64);
        let workers = |n| {
            let (pool, sent) = (&pool, &sent);
            move || worker(pool, sent, Choices::with_seed(seed ^ (round << 16) ^ n), n, resets)
        };
        operations += std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|n| scope.spawn(workers(n))).collect();
            workers.into_iter().map(|worker| worker.join().expect("no worker fails")).sum::<u64>()
        });
        while let Some((tag, object)) = sent.pop() {
            give_back(tag, object, resets);
        }
        let stats = pool.stats();
        assert_eq!((stats.objects.in_use, stats.reset_panics), (0, 0), "{stats}");
        assert!(stats.objects.idle <= stats.max_idle, "{stats}");
        drop(pool);
        assert_eq!(MADE.load(Relaxed), DROPPED.load(Relaxed), "each is dropped once");
    }
    println!("stress: objects: {operations} operations in {:.1?}", start.elapsed());
    operations
}

/// What the next holder finds is 0: by the reset, or by its last holder.
fn give_back(tag: u64, mut object: Pooled<Words>, resets: bool) {
    object.check(tag);
    if !resets {
        object.0 = [0; 16];
    }
}

fn worker(
    pool: &ObjectPool<Words>,
    sent: &ArrayQueue<(u64, Pooled<Words>)>,
    mut choices: Choices,
    n: u64,
    resets: bool,
) -> u64 {
    const OPERATIONS: u64 = 5000;
    let mut held: Vec<(u64, Pooled<Words>)> = Vec::new();
    for operation in 1..=OPERATIONS {
        let tag = n << 32 | operation;
        match choices.u64(..100) {
            0..45 => {
                let mut object = pool.get();
                object.check(0);
                object.0 = [tag; 16];
                held.push((tag, object));
            }
            45..75 if !held.is_empty() => {
                let (tag, object) = held.swap_remove(choices.usize(..held.len()));
                give_back(tag, object, resets);
            }
            75..90 => {
                let passed = held.pop().and_then(|mine| sent.force_push(mine));
                if let Some((tag, object)) = passed.or_else(|| sent.pop()) {
                    give_back(tag, object, resets);
                }
            }
            90..92 => _ = pool.collect(),
            92 => _ = pool.purge(),
            93 => held.pop().into_iter().for_each(|(tag, object)| object.detach().check(tag)),
            94 => pool.put(Words::new()),
            95 if held.len() > 100 => held.drain(..).for_each(|(tag, object)| give_back(tag, object, resets)),
            _ => held.iter().for_each(|(tag, object)| object.check(*tag)),
        }
    }
    held.into_iter().for_each(|(tag, object)| give_back(tag, object, resets));
    OPERATIONS
}
