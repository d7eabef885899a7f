//! Does a request notice a collection? Get and drop, each timed, while another thread collects 100 000 idle blocks, against the
//! same without; and what a collection costs that finds nothing to free.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use millpond::{Collect, Pool, Recycle};
use millpond_benches::args::Args;
use millpond_benches::histogram::Histogram;

const SIZE: usize = 4096;
const IDLE: usize = 100_000;
/// More than one, as a bucket of the depot takes 16 384 blocks at most.
const IDLE_SIZES: [usize; 10] = [256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280];

const USE: &str = "usage: [--quick]";

fn pool() -> Pool {
    let builder = Pool::builder().idle_limit(1 << 30).collect(Collect::Manual).recycle(Recycle::Always);
    builder.build().expect("sound")
}

/// Every get and drop of a thread that does nothing else: without a collection, and beside one.
fn latencies(rounds: usize) -> [Histogram; 2] {
    static COLLECTING: AtomicBool = AtomicBool::new(false);
    static COUNTING: AtomicBool = AtomicBool::new(false);
    static OVER: AtomicBool = AtomicBool::new(false);
    let pool = pool();
    let requests = {
        let pool = pool.clone();
        thread::spawn(move || {
            let mut histograms = [Histogram::default(), Histogram::default()];
            let mut then = Instant::now();
            while !OVER.load(Relaxed) {
                let before = (COUNTING.load(Relaxed), COLLECTING.load(Relaxed));
                black_box(pool.get(black_box(SIZE)).as_mut_ptr());
                let now = Instant::now();
                // One that saw the beginning or the end is of neither kind.
                if before.0 && before == (COUNTING.load(Relaxed), COLLECTING.load(Relaxed)) {
                    histograms[usize::from(before.1)].add(now - then);
                }
                then = now;
            }
            histograms
        })
    };
    for round in 0..rounds {
        let held: Vec<_> = (0..IDLE).map(|n| pool.get(IDLE_SIZES[n % IDLE_SIZES.len()])).collect();
        drop(held);
        pool.collect();
        COUNTING.store(round > 0, Relaxed);
        let start = Instant::now();
        COLLECTING.store(true, Relaxed);
        let collected = pool.collect();
        COLLECTING.store(false, Relaxed);
        assert!(collected.blocks() > IDLE / 10 * 9, "{collected}");
        // As long without one, on a core that is as busy.
        let took = start.elapsed();
        while start.elapsed() < 2 * took {
            black_box(vec![0_u8; 640]);
        }
        COUNTING.store(false, Relaxed);
    }
    OVER.store(true, Relaxed);
    requests.join().expect("no get fails")
}

fn print_latencies(rounds: usize) {
    println!("\n| get and drop of {SIZE} B, ns | samples | p50 | p99 | p99.9 | p99.99 | most |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let [without, beside] = latencies(rounds);
    for (name, histogram) in [("no collection", &without), ("a collection of 100 000 idle blocks", &beside)] {
        print!("| {name} | {} |", histogram.samples());
        [0.5, 0.99, 0.999, 0.9999].iter().for_each(|share| print!(" {} |", histogram.quantile(*share)));
        println!(" {} |", histogram.most);
    }
    println!(
        "| ratio | |{}",
        [0.5, 0.99, 0.999, 0.9999]
            .map(|share| { format!(" {:.2} |", beside.quantile(share) as f64 / without.quantile(share) as f64) })
            .concat()
            + " |"
    );
}

/// Microseconds of a collection that frees nothing, the least of `rounds`: with so many threads, each of which used so many
/// blocks since the last one.
fn idle_collection(threads: usize, blocks: usize, rounds: usize) -> Duration {
    let pool = pool();
    let meet = Arc::new(Barrier::new(threads + 1));
    let over = Arc::new(AtomicU32::new(0));
    let users: Vec<_> = (0..threads)
        .map(|_| {
            let (pool, meet, over) = (pool.clone(), meet.clone(), over.clone());
            let user = move || {
                while over.load(Relaxed) == 0 {
                    drop((0..blocks).map(|_| pool.get(SIZE)).collect::<Vec<_>>());
                    meet.wait();
                    meet.wait();
                }
            };
            thread::Builder::new().stack_size(64 << 10).spawn(user).expect("a thread")
        })
        .collect();
    let mut least = Duration::MAX;
    for round in 0..=rounds {
        meet.wait();
        let collected = pool.collect();
        // The first collection of all finds what the gets of the first round made.
        assert_eq!(collected.blocks(), 0, "{collected}");
        least = least.min(collected.elapsed);
        over.store(u32::from(round == rounds), Relaxed);
        meet.wait();
    }
    users.into_iter().for_each(|user| user.join().expect("no get fails"));
    least
}

fn main() {
    let quick = match Args::from_env() {
        args if args.json => {
            eprintln!("{USE}");
            std::process::exit(2)
        }
        args => args.rounds() == 3,
    };
    print_latencies(if quick { 2 } else { 40 });

    println!("\n| a collection that finds nothing, us | 1 thread | 100 threads | 1000 threads |");
    println!("|---|---:|---:|---:|");
    for blocks in [1, 32] {
        print!("| {blocks} blocks each, all used since the last |");
        for threads in [1, 100, 1000] {
            print!(" {:.1} |", idle_collection(threads, blocks, if quick { 1 } else { 20 }).as_secs_f64() * 1e6);
        }
        println!();
    }
}
