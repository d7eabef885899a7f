//! What does a request cost that needs many small pieces and a few large ones? 40 of 16 to 200 B and four of 2 to 64 KiB are
//! taken, the first byte of each is written, and all are given back: by an arena, a `Bump` of its own, or piece by piece.

use std::alloc::{GlobalAlloc, Layout, System};
use std::array;
use std::cell::Cell;
use std::hint::black_box;
use std::ptr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use bumpalo::Bump;
use millpond::{Arena, Pool};
use millpond_benches::args::Args;
use millpond_benches::contest::cores_for;
use millpond_benches::report::median;

const LARGE: [usize; 4] = [2 << 10, 8 << 10, 24 << 10, 64 << 10];
const PIECES: usize = 40 + LARGE.len();
const THREADS: [usize; 3] = [1, 2, 8];

/// Requests between two looks at the clock.
const CHUNK: u64 = 32;

/// What one request takes its memory from.
trait Region {
    fn take(&self, layout: Layout) -> *mut u8;
}

impl Region for Arena {
    #[inline(always)]
    fn take(&self, layout: Layout) -> *mut u8 {
        self.alloc_layout(layout).as_ptr()
    }
}

impl Region for Bump {
    #[inline(always)]
    fn take(&self, layout: Layout) -> *mut u8 {
        self.alloc_layout(layout).as_ptr()
    }
}

/// An allocator, and what to give back to it.
struct Pieces<G: GlobalAlloc> {
    of: G,
    taken: [Cell<(*mut u8, Layout)>; PIECES],
    count: Cell<usize>,
}

impl<G: GlobalAlloc> Pieces<G> {
    #[inline(always)]
    fn new(of: G) -> Self {
        let none = (ptr::null_mut(), Layout::new::<()>());
        Self { of, taken: array::from_fn(|_| Cell::new(none)), count: Cell::new(0) }
    }
}

impl<G: GlobalAlloc> Region for Pieces<G> {
    #[inline(always)]
    fn take(&self, layout: Layout) -> *mut u8 {
        // SAFETY: no piece is empty.
        let piece = unsafe { self.of.alloc(layout) };
        assert!(!piece.is_null());
        self.taken[self.count.get()].set((piece, layout));
        self.count.set(self.count.get() + 1);
        piece
    }
}

impl<G: GlobalAlloc> Drop for Pieces<G> {
    #[inline(always)]
    fn drop(&mut self) {
        for taken in &self.taken[..self.count.get()] {
            let (piece, layout) = taken.get();
            // SAFETY: taken with this layout.
            unsafe { self.of.dealloc(piece, layout) };
        }
    }
}

/// The region goes with the request.
#[inline(always)]
fn request(region: impl Region, sizes: &[usize; PIECES]) {
    for size in sizes {
        let layout = Layout::from_size_align(*size, 8).expect("small enough");
        // SAFETY: just taken, and not empty.
        unsafe { black_box(region.take(layout)).write(1) };
    }
}

/// One contender: its name, and requests until the time is over.
type Contender = (&'static str, fn(&Pool, &[usize; PIECES], Instant) -> u64);

const CONTENDERS: [Contender; 5] = [
    ("arena", |pool, sizes, end| until(end, || request(pool.arena(), sizes))),
    ("`Bump` per request", |_, sizes, end| until(end, || request(Bump::new(), sizes))),
    ("malloc", |_, sizes, end| until(end, || request(Pieces::new(System), sizes))),
    ("jemalloc", |_, sizes, end| until(end, || request(Pieces::new(tikv_jemallocator::Jemalloc), sizes))),
    ("mimalloc", |_, sizes, end| until(end, || request(Pieces::new(mimalloc::MiMalloc), sizes))),
];

#[inline(always)]
fn until(end: Instant, request: impl Fn()) -> u64 {
    let mut requests = 0;
    while Instant::now() < end {
        (0..CHUNK).for_each(|_| request());
        requests += CHUNK;
    }
    requests
}

/// Nanoseconds of one core per request, for each contender: all rounds but the first, which warms up.
fn measure(args: &Args, threads: usize) -> [Vec<f64>; CONTENDERS.len()] {
    let pool = Pool::new();
    // As long as the process lives, so that gates have no fence.
    pool.get(1);
    pool.collect();
    // A large one after every tenth piece.
    let large = |n: usize| LARGE.get(n / 11).copied().filter(|_| n % 11 == 10);
    let sizes = array::from_fn(|n| large(n).unwrap_or(16 + n * 37 % 185));
    let mut times = [const { Vec::new() }; CONTENDERS.len()];
    for round in 0..=args.rounds() {
        for place in 0..CONTENDERS.len() {
            let contender = (place + round) % CONTENDERS.len();
            let time = window(args.window(), threads, |end| CONTENDERS[contender].1(&pool, black_box(&sizes), end));
            if round > 0 {
                times[contender].push(time * cores_for(threads) as f64);
            }
        }
    }
    times
}

/// Nanoseconds per request of all threads.
fn window(window: Duration, threads: usize, work: impl Fn(Instant) -> u64 + Sync) -> f64 {
    let meet = Barrier::new(threads);
    thread::scope(|scope| {
        let run = || {
            // What a thread's first requests make is not measured.
            work(Instant::now() + window / 10);
            meet.wait();
            let start = Instant::now();
            (work(start + window), start, Instant::now())
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let logs: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no request fails")).collect();
        let requests: u64 = logs.iter().map(|log| log.0).sum();
        let start = logs.iter().map(|log| log.1).min().expect("there is a thread");
        let end = logs.iter().map(|log| log.2).max().expect("there is a thread");
        (end - start).as_secs_f64() * 1e9 / requests as f64
    })
}

fn main() {
    let args = Args::from_env();
    if args.json {
        eprintln!("usage: [--quick]");
        std::process::exit(2)
    }
    let cells = THREADS.map(|threads| measure(&args, threads));
    println!("\n| a request, ns (times the arena) | 1 T | 2 T | 8 T |\n|---|---:|---:|---:|");
    for (n, (name, _)) in CONTENDERS.iter().enumerate() {
        print!("| {name} |");
        for times in &cells {
            let ratio = median(times[n].iter().zip(&times[0]).map(|(own, arena)| own / arena));
            print!(" {:.0} ({ratio:.1}) |", median(times[n].iter().copied()));
        }
        println!();
    }
}
