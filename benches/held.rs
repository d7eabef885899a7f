//! What does it cost to hold many? 64 buffers of 64 KiB are gotten, then all are dropped; per get and drop.

use std::hint::black_box;

use millpond_benches::args::Args;
use millpond_benches::baseline::{Contender, One, RawStack, TlsVec};
use millpond_benches::contest::{Contest, Question, Work, cores_for, touch, until};
use millpond_benches::report::{Cell, show};

const SIZE: usize = 64 << 10;
const HELD: usize = 64;
const THREADS: [usize; 3] = [1, 2, 8];

struct Held;

impl Question for Held {
    const ALIVE: usize = HELD;

    fn largest(&self) -> usize {
        SIZE
    }

    fn work<C: Contender>(&self, contender: &'static C) -> Work {
        Box::new(move |_, end| {
            let mut held = Vec::with_capacity(HELD);
            until(end, || batch(contender, &mut held))
        })
    }
}

#[inline(never)]
fn batch<C: Contender>(contender: &'static C, held: &mut Vec<C::Buf>) -> u64 {
    // Not one push after the other: a push can fail, and what the compiler does about that costs some contenders more
    // than the get.
    held.extend((0..HELD).map(|_| contender.get(black_box(SIZE))));
    held.iter_mut().for_each(touch::<C>);
    held.clear();
    HELD as u64
}

fn main() {
    let args = Args::from_env();
    let references = [TlsVec::<One>::NAME, RawStack::<One>::NAME];
    let cells = THREADS.map(|threads| {
        let contest = Contest { args: &args, threads, cores: cores_for(threads) };
        Cell { name: format!("64 of 64 KiB, {threads} T"), rows: contest.ask::<One, _>(references, &Held) }
    });
    show(&args, "held", references, &cells);
}
