//! What a collection of 100 000 objects costs, and whom.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use millpond::objects::Given;
use millpond::{Collect, ObjectPool, Recycle};
use millpond_benches::args::Args;
use millpond_benches::histogram::Histogram;

use crate::{head, show};

const IDLE: usize = 100_000;

/// As a depot takes 16 384 objects at most. The objects of two collections are idle at a time.
const POOLS: usize = 7;

const UNWATCHED: usize = usize::MAX - 1;
const ENDED: usize = usize::MAX;

type Pools = [ObjectPool<usize, Given>; POOLS];

pub fn ask(args: &Args) {
    let rounds = if args.quick { 2 } else { 40 };
    let pool = || {
        let builder = ObjectPool::builder_empty().max_idle(1 << 16).collect(Collect::Manual);
        builder.recycle(Recycle::Always).build().expect("sound")
    };
    let pools: Pools = std::array::from_fn(|_| pool());
    // What the first collection drops was idle through another.
    fill(&pools);
    collect(&pools);

    let stretch = Arc::new(AtomicUsize::new(UNWATCHED));
    let seen = {
        let (pool, stretch) = (pools[0].clone(), Arc::clone(&stretch));
        thread::spawn(move || requests(&pool, &stretch, 2 * rounds))
    };
    let mut whole = Vec::new();
    for round in 0..rounds {
        fill(&pools);
        let start = Instant::now();
        stretch.store(2 * round, Relaxed);
        let dropped = collect(&pools);
        let took = start.elapsed();
        stretch.store(2 * round + 1, Relaxed);
        let start = Instant::now();
        while start.elapsed() < took {}
        stretch.store(UNWATCHED, Relaxed);
        assert!(dropped > IDLE / 10 * 9, "{dropped}");
        whole.push(took);
    }
    stretch.store(ENDED, Relaxed);
    let seen = seen.join().expect("no get fails");

    let columns = ["least", "p50", "p95"];
    let longest = |kind| quantiles(seen.longest.iter().skip(kind).step_by(2).copied().collect());
    let each = |kind: usize| [f64::MIN_POSITIVE, 0.5, 0.95].map(|share| seen.all[kind].quantile(share) as f64);
    head(args, "a collection that drops 100 000, ns", columns);
    show(args, "clear, pair", columns, each(0));
    show(args, "clear, pair without", columns, each(1));
    show(args, "clear, longest pair", columns, longest(0));
    show(args, "clear, longest pair without", columns, longest(1));
    show(args, "clear, whole", columns, quantiles(whole));
}

fn fill(pools: &Pools) {
    (0..IDLE).for_each(|n| pools[n % POOLS].put(n));
}

fn collect(pools: &Pools) -> usize {
    pools.iter().map(|pool| pool.collect().blocks()).sum()
}

/// The gets and drops of a thread that does nothing else, in stretches of time: the even ones with a collection.
struct Seen {
    all: [Histogram; 2],
    longest: Vec<Duration>,
}

fn requests(pool: &ObjectPool<usize, Given>, stretch: &AtomicUsize, stretches: usize) -> Seen {
    let mut seen = Seen { all: Default::default(), longest: vec![Duration::ZERO; stretches] };
    pool.put(1);
    let mut then = Instant::now();
    let mut before = UNWATCHED;
    while before != ENDED {
        black_box(pool.try_take());
        let now = Instant::now();
        let after = stretch.load(Relaxed);
        // One that saw the beginning of a stretch counts to it: it may be what was kept waiting.
        let watched = if before < UNWATCHED { before } else { after };
        if let Some(longest) = seen.longest.get_mut(watched) {
            *longest = (*longest).max(now - then);
            seen.all[watched % 2].add(now - then);
        }
        (before, then) = (after, now);
    }
    seen
}

/// Nanoseconds: the least, the median, and what one in twenty is not below.
fn quantiles(mut times: Vec<Duration>) -> [f64; 3] {
    times.sort();
    [0, 50, 95].map(|percent| times[times.len() * percent / 100].as_nanos() as f64)
}
