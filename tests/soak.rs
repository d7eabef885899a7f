//! A server's day: bursts, steady traffic, idle hours, over and over, with the background thread. Through all of it no bound
//! in bytes is passed, in each idle phase all memory goes back to the allocator, and the process does not grow.
//!
//! `MILLPOND_SOAK_SECONDS` (default 2) says for how long. `MILLPOND_SOAK_GROWTH` (default 8) is by how many MiB an idle
//! process may be larger than it was in the first idle phases; AddressSanitizer keeps what was freed.

mod common;

use fastrand::Rng as Choices;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Barrier, LazyLock};
use std::time::{Duration, Instant};

use common::class_size;
use common::ledger::{Hand, Ledger};
use millpond::{Collect, GetError, Pool, PoolBuf, Recycle};

const THREADS: usize = 6;

/// Each is a burst, steady traffic and idleness.
const CYCLES: u32 = 10;

/// Those in which the process comes to its size.
const WARM_UP: u32 = 2;

const LIMIT: usize = 12 << 20;
const IDLE_LIMIT: usize = 8 << 20;

static LEDGER: LazyLock<Ledger> = LazyLock::new(|| Ledger::with_limit(LIMIT));

type Handle = Pool<&'static Ledger>;

/// A buffer, and what the book knows of it, which outlives it.
struct Held(PoolBuf<&'static Ledger>, Hand<'static>);

/// One thread's part of a phase.
struct Worker {
    pool: Handle,
    choices: Choices,
    to_next: SyncSender<Held>,
    from_former: Receiver<Held>,
    gets: u64,
    at_limit: u64,
}

impl Worker {
    fn below(&mut self, n: usize) -> usize {
        self.choices.usize(..n)
    }

    /// Mostly small; now and then huge, and above the largest class.
    fn length(&mut self) -> usize {
        let doublings = if self.below(200) == 0 { 24 } else { 15 };
        let most = 1 << (6 + self.below(doublings - 6));
        1 + self.below(most)
    }

    /// None: the pool is at its limit.
    fn get(&mut self) -> Option<Held> {
        let len = self.length();
        let mut hand = LEDGER.hand(class_size(len));
        self.gets += 1;
        match self.pool.try_get(len) {
            Ok(mut buf) => {
                hand.settle(buf.capacity());
                buf.extend_from_slice(&[7; 16][..len.min(16)]);
                Some(Held(buf, hand))
            }
            Err(error) => {
                assert!(matches!(error, GetError::LimitReached { .. }), "{error}");
                self.at_limit += 1;
                None
            }
        }
    }

    fn grow(&mut self, Held(buf, hand): &mut Held) {
        let more = self.length();
        hand.raise(class_size((buf.len() + more).max(2 * buf.capacity())));
        if buf.try_reserve(more).is_err() {
            self.at_limit += 1;
        }
        hand.settle(buf.capacity());
    }

    /// Many buffers at a time, dropped at once.
    fn burst(&mut self, until: Instant) {
        while Instant::now() < until {
            let count = 100 + self.below(300);
            let held: Vec<_> = (0..count).filter_map(|_| self.get()).collect();
            drop(held);
        }
    }

    /// A few at a time. Some grow, and half of them are the next thread's to drop.
    fn steady(&mut self, until: Instant) {
        let mut held = Vec::new();
        while Instant::now() < until {
            held.extend(self.get());
            if held.len() > 8 {
                let n = self.below(held.len());
                held.swap_remove(n);
            }
            if self.below(8) == 0 {
                if let Some(mut last) = held.pop() {
                    self.grow(&mut last);
                    held.push(last);
                }
            }
            if self.below(2) == 0 {
                if let Some(Err(TrySendError::Full(back))) = held.pop().map(|last| self.to_next.try_send(last)) {
                    drop(back);
                }
            }
            drop(self.from_former.try_recv());
        }
    }
}

fn main() {
    // None is expected. The pool would contain one of the book's, and others would wait for a worker that is gone.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("soak: {panic}");
        std::process::abort();
    }));
    share_one_arena();
    let from_env = |name: &str, default: u32| std::env::var(name).map_or(default, |value| value.parse().expect(name));
    let time = Duration::from_secs(from_env("MILLPOND_SOAK_SECONDS", 2).into());
    let growth = from_env("MILLPOND_SOAK_GROWTH", 8) as usize;
    // Idleness ends when the memory is gone, after two or three collections.
    let phase = time / (2 * CYCLES);
    let interval = (phase / 20).clamp(Duration::from_millis(2), Duration::from_millis(200));
    println!("soak: {time:?}, {THREADS} threads, {phase:?} a phase, a collection each {interval:?}");

    LEDGER.bound_idle(IDLE_LIMIT);
    let builder = Pool::builder_in(&*LEDGER).limit(LIMIT).idle_limit(IDLE_LIMIT).recycle(Recycle::Always);
    let pool = builder.collect(Collect::Background(interval)).build().expect("sound");
    let turns = Turns { begin: Barrier::new(THREADS + 1), sent: Barrier::new(THREADS), end: Barrier::new(THREADS + 1) };
    let (senders, mut receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| sync_channel(64)).unzip();
    receivers.rotate_right(1);
    let (mut gets, mut at_limit) = (0, 0);
    std::thread::scope(|scope| {
        let workers: Vec<_> = senders
            .into_iter()
            .zip(receivers)
            .zip(1..)
            .map(|((to_next, from_former), n)| {
                let choices = Choices::with_seed(n);
                let worker = Worker { pool: pool.clone(), choices, to_next, from_former, gets: 0, at_limit: 0 };
                scope.spawn(|| work(worker, phase, &turns))
            })
            .collect();
        supervise(&pool, &turns, growth.saturating_mul(1 << 20));
        for worker in workers {
            let worker = worker.join().expect("a panic ends the process");
            gets += worker.0;
            at_limit += worker.1;
        }
    });
    println!("soak: {gets} gets and growths, {at_limit} of them at the limit");
    drop(pool);
    // The background thread may just have been in it, and closes it then.
    assert!(LEDGER.wait_until_empty());
    LEDGER.assert_empty();
    println!("soak: no bound was passed, and nothing is left");
}

/// Where all threads meet.
struct Turns {
    begin: Barrier,
    /// The workers alone: nobody sends any more.
    sent: Barrier,
    end: Barrier,
}

/// Returns how many gets there were, and how many of them at the limit.
fn work(mut worker: Worker, phase: Duration, turns: &Turns) -> (u64, u64) {
    for n in 0..2 * CYCLES {
        turns.begin.wait();
        let until = Instant::now() + phase;
        if n % 2 == 0 {
            worker.burst(until);
        } else {
            worker.steady(until);
        }
        turns.sent.wait();
        worker.from_former.try_iter().for_each(drop);
        turns.end.wait();
    }
    (worker.gets, worker.at_limit)
}

fn supervise(pool: &Handle, turns: &Turns, growth: usize) {
    let mut first = 0;
    for cycle in 1..=CYCLES {
        for name in ["burst", "steady"] {
            turns.begin.wait();
            turns.end.wait();
            report(cycle, name, pool);
        }
        assert!(LEDGER.wait_until_empty(), "idle for a minute, and not empty\n{}", pool.stats());
        let resident = report(cycle, "idle", pool);
        if cycle <= WARM_UP {
            first = resident.max(first);
        }
        assert!(
            resident <= first.saturating_add(growth),
            "{resident} bytes are resident, and {first} were at first\n{}",
            pool.stats()
        );
    }
}

/// Prints a line, and returns how many bytes the process has in memory.
fn report(cycle: u32, phase: &str, pool: &Handle) -> usize {
    let (stats, resident) = (pool.stats(), resident());
    assert_eq!((stats.in_use_bytes, stats.release_panics), (0, 0), "{stats}");
    assert!(stats.reserved_bytes <= IDLE_LIMIT && stats.peak_bytes <= LIMIT, "{stats}");
    println!(
        "soak: {cycle:>2} {phase:<6} {:>6} KiB idle, {:>6} KiB resident, {} collections, hit rate {:.1} %",
        stats.idle_bytes >> 10,
        resident >> 10,
        stats.collections,
        100.0 * stats.hit_rate()
    );
    resident
}

/// What glibc's arenas keep of each other's blocks would hide what the pool keeps: with one for each thread an idle process
/// grows by some 20 MiB, with one for all by none.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn share_one_arena() {
    // SAFETY: the call takes two integers, and no other thread runs yet.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn share_one_arena() {}

/// Bytes of the process in memory, without what the system's allocator keeps for later; 0 where nobody says.
fn resident() -> usize {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes an integer, and gives free memory back.
    unsafe {
        libc::malloc_trim(0);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kib.unwrap_or(0) << 10
}
