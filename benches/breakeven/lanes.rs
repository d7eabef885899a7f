//! The contenders at one size.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::Mutex;

use allocator_api2::vec::Vec as VecIn;
use millpond::{Builder, Pool};
use millpond_benches::args::Args;
use millpond_benches::baseline::{Heap, Jemalloc, Malloc, Mimalloc};
use millpond_benches::contest::{Lane, Work, touch_lines, until};
use millpond_benches::heap::{Bare, Place, bare, pool_over};

/// Blocks that a request holds.
pub const REQUEST: usize = 40;

const WRITING: &str = "writing";
const GET: &str = "pool, get";
const AS_ALLOCATOR: &str = "pool, Allocator";
const ARENA: &str = "arena";

pub const ALLOCATORS: [&str; 3] = [Malloc::NAME, Jemalloc::NAME, Mimalloc::NAME];
pub const RECYCLES: &[&str] = &[GET, AS_ALLOCATOR, ARENA];

/// Bytes asked for between two looks at the clock, in so many allocations at most: a look costs as much as one of them, and a
/// window must not end late.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK: usize = 320;

/// All, with so many blocks alive at a time.
pub fn all(args: &Args, size: usize, alive: usize) -> Vec<Lane> {
    let mut lanes = vec![writing(size, alive), over::<Malloc>(size, alive)];
    lanes.extend([over::<Jemalloc>(size, alive), over::<Mimalloc>(size, alive)]);
    let pool = pool(size);
    let get = move |len| pool.get(len);
    lanes.push(lane(GET, pool, work(size, alive, get, move |buf| &mut buf.spare_capacity_mut()[..size])));
    let pool = self::pool(size);
    lanes.push(lane(AS_ALLOCATOR, pool, vectors(size, alive, pool)));
    if alive == REQUEST {
        let pool = self::pool(size);
        lanes.push(lane(ARENA, pool, arena(size, pool)));
    }
    lanes.into_iter().filter(|lane| args.admits(lane.name())).collect()
}

/// Whose smallest class is no larger than the size: the question is what pooling it would cost. Over malloc, as most programs are.
fn pool(size: usize) -> &'static Pool<Bare<Malloc>> {
    pool_over::<Malloc>(|builder: Builder<_>| {
        // All that the knobs allow is 64 classes, four per doubling.
        if size < 256 { builder.min_class(size).max_class(64 << 10) } else { builder }
    })
}

fn lane(name: &'static str, pool: &'static Pool<Bare<Malloc>>, work: Work) -> Lane {
    Lane::plain(name, work, || _ = pool.purge())
}

/// What is left of the time if blocks cost nothing. Shown, not subtracted.
fn writing(size: usize, alive: usize) -> Lane {
    let blocks: Vec<_> = (0..alive).map(|_| vec![MaybeUninit::uninit(); size]).collect();
    // Only for the type: there is one thread.
    let blocks = Mutex::new(blocks);
    let work = move |_, end| {
        let mut blocks = blocks.lock().expect("nobody else has it");
        until(end, || {
            for _ in 0..rounds(size, alive) {
                blocks.iter_mut().for_each(|block| touch_lines(block));
            }
            (rounds(size, alive) * alive) as u64
        })
    };
    Lane::plain(WRITING, Box::new(work), || {})
}

fn over<H: Heap>(size: usize, alive: usize) -> Lane {
    Lane::plain(H::NAME, vectors(size, alive, bare::<H>()), || {})
}

fn vectors(size: usize, alive: usize, place: impl Place) -> Work {
    let get = move |len| VecIn::<u8, _>::with_capacity_in(len, place);
    work(size, alive, get, move |vec| &mut vec.spare_capacity_mut()[..size])
}

/// Batches between two looks at the clock.
fn rounds(size: usize, alive: usize) -> usize {
    (CHUNK_BYTES / (size * alive)).clamp(1, CHUNK / alive)
}

fn work<B>(
    size: usize,
    alive: usize,
    get: impl Fn(usize) -> B + Copy + Send + Sync + 'static,
    bytes: impl Fn(&mut B) -> &mut [MaybeUninit<u8>] + Copy + Send + Sync + 'static,
) -> Work {
    let rounds = rounds(size, alive);
    if alive == 1 {
        let chunk = move || {
            for _ in 0..rounds {
                touch_lines(bytes(&mut get(black_box(size))));
            }
            rounds as u64
        };
        return Box::new(move |_, end| until(end, chunk));
    }
    Box::new(move |_, end| {
        let mut held = Vec::with_capacity(alive);
        until(end, || {
            for _ in 0..rounds {
                held.extend((0..alive).map(|_| {
                    let mut block = get(black_box(size));
                    touch_lines(bytes(&mut block));
                    block
                }));
                held.clear();
            }
            (rounds * alive) as u64
        })
    })
}

/// A request's 40 in an arena that ends with it.
fn arena(size: usize, pool: &'static Pool<Bare<Malloc>>) -> Work {
    let rounds = rounds(size, REQUEST);
    Box::new(move |_, end| {
        let mut held = Vec::with_capacity(REQUEST);
        until(end, || {
            for _ in 0..rounds {
                held.clear();
                let arena = pool.arena();
                for _ in 0..REQUEST {
                    let block = arena.alloc_slice_fill_with(black_box(size), |_| MaybeUninit::uninit());
                    touch_lines(block);
                    held.push(std::ptr::from_ref(block));
                }
            }
            (rounds * REQUEST) as u64
        })
    })
}
