//! What does it cost when sizes vary? Log-normal, from 256 B to 256 KiB, half of them below 8 KiB; eight buffers alive,
//! and each get is followed by the drop of the oldest.

use std::hint::black_box;
use std::sync::Arc;

use millpond_benches::args::Args;
use millpond_benches::baseline::{Contender, Doublings, RawStack, TlsVec};
use millpond_benches::contest::{Contest, Question, Work, cores_for, touch, until};
use millpond_benches::draw::log_normal;
use millpond_benches::report::{Cell, show};

const SMALLEST: usize = 256;
const LARGEST: usize = 256 << 10;
const ALIVE: usize = 8;
const THREADS: [usize; 3] = [1, 2, 8];

/// Sizes drawn in advance; too many for a branch predictor to learn.
const DRAWN: usize = 4096;

struct Mixed {
    sizes: Arc<[usize]>,
}

impl Question for Mixed {
    const ALIVE: usize = ALIVE;

    fn largest(&self) -> usize {
        LARGEST
    }

    fn work<C: Contender>(&self, contender: &'static C) -> Work {
        let sizes = Arc::clone(&self.sizes);
        Box::new(move |_, end| until(end, || pass(contender, &sizes)))
    }
}

#[inline(never)]
fn pass<C: Contender>(contender: &'static C, sizes: &[usize]) -> u64 {
    let mut alive: [Option<C::Buf>; ALIVE] = [const { None }; ALIVE];
    for (n, &size) in sizes.iter().enumerate() {
        let mut buf = contender.get(black_box(size));
        touch::<C>(&mut buf);
        alive[n % ALIVE] = Some(buf);
    }
    sizes.len() as u64
}

fn main() {
    let args = Args::from_env();
    let references = [TlsVec::<Doublings>::NAME, RawStack::<Doublings>::NAME];
    let question = Mixed { sizes: log_normal(SMALLEST, LARGEST, DRAWN) };
    let cells = THREADS.map(|threads| {
        let contest = Contest { args: &args, threads, cores: cores_for(threads) };
        Cell {
            name: format!("256 B to 256 KiB, {threads} T"),
            rows: contest.ask::<Doublings, _>(references, &question),
        }
    });
    show(&args, "mixed", references, &cells);
}
