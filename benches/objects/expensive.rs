//! How often an object is made that is expensive to make.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use millpond::{Collect, ObjectPool, Recycle};
use millpond_benches::args::Args;

use crate::{THREADS, head, show};

/// Objects that each thread has out at a time.
const HELD: usize = 100;

/// What is allocated for each object, as its use would.
const WORK: usize = 32 << 10;

/// What Go's collector lets be allocated before it runs, in pieces of such work: with 8 MiB alive, as much again.
const DUE: usize = (8 << 20) / WORK;

const COLUMNS: [&str; 2] = ["made", "collections"];

pub fn ask(args: &Args) {
    let operations = if args.quick { 5 } else { 300 };
    head(args, "per operation", COLUMNS);
    for (kind, often) in [("expensive", true), ("expensive by default", false)] {
        for threads in THREADS {
            show(args, &format!("{kind}, {threads} T"), COLUMNS, run(threads, operations, often));
        }
    }
}

/// What was made, and how often it was collected, per operation of a hundred objects. `often`: whenever Go's collector would be due, by
/// the thread that finds out; else the settings are the default ones.
fn run(threads: usize, operations: usize, often: bool) -> [f64; 2] {
    let made = Arc::new(AtomicUsize::new(0));
    let make = {
        let made = Arc::clone(&made);
        move || {
            thread::sleep(Duration::from_millis(1));
            made.fetch_add(1, Relaxed)
        }
    };
    let mut builder = ObjectPool::builder(make).recycle(Recycle::Always);
    if often {
        builder = builder.collect(Collect::Manual);
    }
    let pool = builder.build().expect("sound");
    let worked = AtomicUsize::new(0);
    let user = || {
        let mut held = Vec::with_capacity(HELD);
        for _ in 0..operations {
            for _ in 0..HELD {
                held.push(pool.get());
                black_box(vec![0_u8; WORK]);
                if worked.fetch_add(1, Relaxed) % DUE == DUE - 1 && often {
                    pool.collect();
                }
            }
            held.clear();
        }
    };
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(user))));
    let all = (threads * operations) as f64;
    [made.load(Relaxed) as f64 / all, pool.stats().collections as f64 / all]
}
