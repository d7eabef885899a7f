//! The workloads that are loops.

use std::hint::black_box;

use millpond::objects::Given;
use millpond::{ObjectPool, Pooled};
use millpond_benches::args::Args;
use millpond_benches::contest::{Contest, Lane, Work, cores_for, until};

use crate::{THREADS, head, show};

/// As in Go, an object that takes no time to make and that nobody looks at.
type Object = usize;

/// Pairs between two looks at the clock.
const CHUNK: u64 = 256;

/// Objects out at a time, where they are many.
const HELD: usize = 100;

/// Objects that there are for each thread, where they are too few.
const TOO_FEW: usize = 67;

const COLUMNS: [&str; 3] = ["1 T", "2 T", "8 T"];

pub fn ask(args: &Args) {
    head(args, "ns of one core", COLUMNS);
    let loops: [fn() -> Lane; 4] = [pair, overflow, starvation, by_value];
    for (name, lane) in ["pair", "overflow", "starvation", "by value"].into_iter().zip(loops) {
        if args.admits(name) {
            let figures = THREADS.map(|threads| {
                let contest = Contest { args, threads, cores: cores_for(threads) };
                contest.time(&[lane()], &|| {})[0].median()
            });
            show(args, name, COLUMNS, figures);
        }
    }
}

fn lane<M: Send + Sync + 'static>(
    pool: ObjectPool<Object, M>,
    work: impl FnOnce(&'static ObjectPool<Object, M>) -> Work,
) -> Lane {
    // Until the process has collected once, there is a fence on the request path.
    pool.put(1);
    pool.collect();
    let pool: &'static _ = Box::leak(Box::new(pool));
    let leave = || {
        pool.purge();
    };
    Lane::plain("objects", work(pool), leave)
}

/// A get and a drop.
fn pair() -> Lane {
    lane(ObjectPool::new(|| 1), |pool| Box::new(move |_, end| until(end, || chunk(pool))))
}

#[inline(never)]
fn chunk(pool: &'static ObjectPool<Object>) -> u64 {
    for _ in 0..CHUNK {
        black_box(&*pool.get());
    }
    CHUNK
}

/// A hundred gets, then a hundred drops: more than a thread keeps to itself.
fn overflow() -> Lane {
    let work = |pool: &'static ObjectPool<Object>| -> Work {
        Box::new(move |_, end| {
            let mut held = Vec::with_capacity(HELD);
            until(end, || {
                held.extend((0..HELD).map(|_| pool.get()));
                held.clear();
                1
            })
        })
    };
    lane(ObjectPool::new(|| 1), work)
}

/// A hundred gets where there are fewer objects, so that a third of them come away with nothing; then the drops.
fn starvation() -> Lane {
    let work = |pool: &'static ObjectPool<Object, Given>| -> Work {
        Box::new(move |_, end| {
            let mut held = Vec::with_capacity(HELD);
            (0..TOO_FEW).for_each(|_| pool.put(1));
            let operations = until(end, || {
                held.extend((0..HELD).filter_map(|_| pool.try_take()));
                held.clear();
                1
            });
            // The next window is to have as many, whoever has them now.
            while let Some(object) = pool.try_take() {
                black_box(object.detach());
            }
            operations
        })
    };
    lane(ObjectPool::empty(), work)
}

/// What Go's pair is word for word: a value goes in and another comes out. Each gets a box and loses it.
fn by_value() -> Lane {
    let work = |pool: &'static ObjectPool<Object, Given>| -> Work {
        Box::new(move |_, end| {
            until(end, || {
                for _ in 0..CHUNK {
                    pool.put(black_box(1));
                    black_box(pool.try_take().map(Pooled::detach));
                }
                CHUNK
            })
        })
    };
    lane(ObjectPool::empty(), work)
}
