//! Rounds, interleaved over all contenders, so that what the machine does meanwhile falls on all of them alike.

use std::collections::HashSet;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::allocations;
use crate::args::Args;
use crate::baseline::{Contender, Sizes, Visitor, visit_all};
use crate::report::{Row, Times};

/// Buffers gotten to see whether addresses repeat.
const SAMPLED: usize = 8192;

/// What one thread does in a window: it gets the thread's number and when to end, and returns the pairs done.
pub type Work = Box<dyn Fn(usize, Instant) -> u64 + Send + Sync>;

/// What is asked of every contender.
pub trait Question {
    /// Buffers alive at a time, per thread.
    const ALIVE: usize;

    /// The largest request.
    fn largest(&self) -> usize;

    /// Whether it can be asked of a contender that keeps all that its thread drops, without bound.
    const HOARDERS: bool = true;

    fn work<C: Contender>(&self, contender: &'static C) -> Work;
}

/// How the rounds are run.
pub struct Contest<'a> {
    pub args: &'a Args,
    pub threads: usize,
    /// Cores that the time is counted for.
    pub cores: usize,
}

/// A contender at work.
pub struct Lane {
    name: &'static str,
    is_allocator: bool,
    work: Work,
    repeats: Box<dyn Fn() -> bool + Send + Sync>,
    leave: Box<dyn Fn() + Send + Sync>,
}

/// One contender's part of a round, as one thread saw it.
struct Sample {
    lane: usize,
    round: usize,
    start: Instant,
    end: Instant,
    pairs: u64,
    /// By all threads; known to thread 0.
    allocations: u64,
}

/// What one thread brings back.
struct Log {
    samples: Vec<Sample>,
    /// For each lane whether addresses repeat; thread 0 looks.
    repeats: Vec<bool>,
}

/// Cores that a number of threads can keep busy.
#[must_use]
pub fn cores_for(threads: usize) -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(threads)
}

/// Does `chunk` until the time is over.
pub fn until(end: Instant, mut chunk: impl FnMut() -> u64) -> u64 {
    let mut pairs = 0;
    while Instant::now() < end {
        pairs += chunk();
    }
    pairs
}

/// Writes the first byte, and keeps the optimiser from seeing which.
#[inline(always)]
pub fn touch<C: Contender>(buf: &mut C::Buf) {
    if let Some(byte) = C::first_byte(buf) {
        black_box(byte).write(1);
    }
}

/// Writes a byte of each cache line, and keeps the optimiser from seeing that nobody reads them.
#[inline(always)]
pub fn touch_lines(bytes: &mut [MaybeUninit<u8>]) {
    for byte in black_box(&mut *bytes).iter_mut().step_by(64) {
        byte.write(1);
    }
    // What is freed next need not be written.
    black_box(bytes);
}

impl Contest<'_> {
    /// Asks every contender. Ratios refer to the two that are named.
    pub fn ask<S: Sizes, Q: Question>(&self, references: [&'static str; 2], question: &Q) -> Vec<Row> {
        let mut entries = Entries { contest: self, references, question, lanes: Vec::new() };
        visit_all::<S>(&mut entries);
        let lanes = entries.lanes;
        self.rows(references, &lanes, &self.run(&lanes, &|| {}))
    }

    /// Asks contenders of another kind. `tick` is called after each of them in each round, so `rounds() + 1` times for each.
    pub fn time(&self, lanes: &[Lane], tick: &(dyn Fn() + Sync)) -> Vec<Times> {
        let logs = self.run(lanes, tick);
        (0..lanes.len()).map(|lane| self.times(lane, lanes, &logs)).collect()
    }

    fn run(&self, lanes: &[Lane], tick: &(dyn Fn() + Sync)) -> Vec<Log> {
        let barrier = Barrier::new(self.threads);
        thread::scope(|scope| {
            let spawn = |thread| {
                let barrier = &barrier;
                scope.spawn(move || self.thread(thread, lanes, barrier, tick))
            };
            let threads: Vec<_> = (0..self.threads).map(spawn).collect();
            threads.into_iter().map(|thread| thread.join().expect("a contender panicked")).collect()
        })
    }

    /// All rounds on one thread; the first only warms up.
    fn thread(&self, thread: usize, lanes: &[Lane], barrier: &Barrier, tick: &(dyn Fn() + Sync)) -> Log {
        let mut samples = Vec::with_capacity((self.args.rounds() + 1) * lanes.len());
        for round in 0..=self.args.rounds() {
            for place in 0..lanes.len() {
                // Nobody is always the first after the threads have met.
                let lane = (place + round) % lanes.len();
                let before = allocations::so_far();
                barrier.wait();
                let start = Instant::now();
                let pairs = (lanes[lane].work)(thread, start + self.args.window());
                let end = Instant::now();
                barrier.wait();
                let allocations = allocations::so_far() - before;
                samples.push(Sample { lane, round, start, end, pairs, allocations });
                if thread == 0 {
                    tick();
                }
            }
        }
        let repeats = lanes.iter().filter(|_| thread == 0).map(|lane| (lane.repeats)()).collect();
        lanes.iter().for_each(|lane| (lane.leave)());
        Log { samples, repeats }
    }

    fn rows(&self, references: [&str; 2], lanes: &[Lane], logs: &[Log]) -> Vec<Row> {
        let row = |(n, lane): (usize, &Lane)| {
            let times = self.times(n, lanes, logs);
            let ratios = references.map(|name| {
                let other = lanes.iter().position(|lane| lane.name == name).expect("a reference always runs");
                times.ratio_to(&self.times(other, lanes, logs))
            });
            let allocations = (!lane.is_allocator).then(|| allocations_per_pair(n, logs));
            Row { times, ratios, allocations, repeats: logs[0].repeats[n] }
        };
        lanes.iter().enumerate().map(row).collect()
    }

    /// Nanoseconds of one core per pair, round by round.
    fn times(&self, lane: usize, lanes: &[Lane], logs: &[Log]) -> Times {
        let round = |round| {
            let samples =
                || logs.iter().flat_map(|log| &log.samples).filter(move |s| s.lane == lane && s.round == round);
            let start = samples().map(|s| s.start).min().expect("there is a thread");
            let end = samples().map(|s| s.end).max().expect("there is a thread");
            let pairs: u64 = samples().map(|s| s.pairs).sum();
            end.duration_since(start).as_secs_f64() * 1e9 * self.cores as f64 / pairs as f64
        };
        Times { contender: lanes[lane].name, ns: (1..=self.args.rounds()).map(round).collect() }
    }
}

/// Collects the contenders that are asked.
struct Entries<'a, Q> {
    contest: &'a Contest<'a>,
    references: [&'static str; 2],
    question: &'a Q,
    lanes: Vec<Lane>,
}

impl<Q: Question> Visitor for Entries<'_, Q> {
    fn visit<C: Contender>(&mut self) {
        let wanted = self.references.contains(&C::NAME) || self.contest.args.admits(C::NAME);
        if wanted && (Q::HOARDERS || !C::HOARDS) {
            self.lanes.push(Lane::new::<C, Q>(self.question));
        }
    }
}

/// Over all rounds but the first.
fn allocations_per_pair(lane: usize, logs: &[Log]) -> f64 {
    let warm = |log: &'_ Log, figure: fn(&Sample) -> u64| -> u64 {
        log.samples.iter().filter(|s| s.lane == lane && s.round > 0).map(figure).sum()
    };
    let pairs: u64 = logs.iter().map(|log| warm(log, |s| s.pairs)).sum();
    warm(&logs[0], |s| s.allocations) as f64 / pairs as f64
}

impl Lane {
    /// One that is asked for its time only. `leave` frees what it keeps.
    pub fn plain(name: &'static str, work: Work, leave: impl Fn() + Send + Sync + 'static) -> Self {
        Self { name, is_allocator: true, work, repeats: Box::new(|| true), leave: Box::new(leave) }
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn new<C: Contender, Q: Question>(question: &Q) -> Self {
        // Never freed, so that buffers that borrow from it can be sent to any thread.
        let contender: &'static C = Box::leak(Box::new(C::new(question.largest())));
        let largest = question.largest();
        Self {
            name: C::NAME,
            is_allocator: C::IS_ALLOCATOR,
            work: question.work(contender),
            repeats: Box::new(move || addresses_repeat(contender, largest, Q::ALIVE)),
            leave: Box::new(|| contender.leave()),
        }
    }
}

/// Whether at most half of the buffers gotten one after the other, `alive` at a time, lie where no other did.
fn addresses_repeat<C: Contender>(contender: &'static C, len: usize, alive: usize) -> bool {
    let mut seen = HashSet::new();
    let mut held = Vec::new();
    for n in 0..SAMPLED {
        let mut buf = contender.get(len);
        seen.extend(C::first_byte(&mut buf).map(|byte| byte.as_ptr().addr()));
        held.push(buf);
        if n % alive == alive - 1 {
            held.clear();
        }
    }
    seen.len() <= SAMPLED / 2
}
