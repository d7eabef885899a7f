//! What does a get and a drop cost once everything is warm? One buffer at a time, the first byte written.
//!
//! One thread first; then two, a core each; then eight, more than there are cores.

use std::hint::black_box;

use millpond_benches::args::Args;
use millpond_benches::baseline::{Contender, One, RawStack, TlsVec};
use millpond_benches::contest::{Contest, Question, Work, cores_for, touch, until};
use millpond_benches::report::{Cell, show};

const SIZES: [(&str, usize); 3] = [("4 KiB", 4 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)];
const THREADS: [usize; 3] = [1, 2, 8];

/// Pairs between two looks at the clock.
const CHUNK: u64 = 256;

struct Pair {
    size: usize,
}

impl Question for Pair {
    const ALIVE: usize = 1;

    fn largest(&self) -> usize {
        self.size
    }

    fn work<C: Contender>(&self, contender: &'static C) -> Work {
        let size = self.size;
        Box::new(move |_, end| until(end, || chunk(contender, size)))
    }
}

#[inline(never)]
fn chunk<C: Contender>(contender: &'static C, size: usize) -> u64 {
    for _ in 0..CHUNK {
        // Never moved, so that nobody is charged for a copy that the caller makes.
        let mut buf = contender.get(black_box(size));
        touch::<C>(&mut buf);
    }
    CHUNK
}

fn main() {
    let args = Args::from_env();
    let references = [TlsVec::<One>::NAME, RawStack::<One>::NAME];
    for threads in THREADS {
        let contest = Contest { args: &args, threads, cores: cores_for(threads) };
        let cells = SIZES.map(|(name, size)| Cell {
            name: format!("{name}, {threads} T"),
            rows: contest.ask::<One, _>(references, &Pair { size }),
        });
        show(&args, "pair", references, &cells);
    }
}
