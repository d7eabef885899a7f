//! What does it cost when sizes vary? Log-normal, from 256 B to 256 KiB, half of them below 8 KiB; eight buffers alive,
//! and each get is followed by the drop of the oldest.

use std::f64::consts::TAU;
use std::hint::black_box;
use std::sync::Arc;

use millpond_benches::args::Args;
use millpond_benches::baseline::{Contender, Doublings, RawStack, TlsVec};
use millpond_benches::contest::{Contest, Question, Work, cores_for, touch, until};
use millpond_benches::report::{Cell, show};

const SMALLEST: f64 = 256.0;
const LARGEST: f64 = (256 << 10) as f64;
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
        LARGEST as usize
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

/// The same on every run, so that runs can be compared.
fn draw() -> Arc<[usize]> {
    let mut state = 0x6d69_6c6c_706f_6e64;
    let mut uniform = || (splitmix64(&mut state) >> 11) as f64 / (1_u64 << 53) as f64;
    let middle = (SMALLEST * LARGEST).sqrt();
    // The bounds are three standard deviations away.
    let deviation = (LARGEST / middle).ln() / 3.0;
    let mut size = || {
        // Box and Muller; one minus, as the logarithm of zero is none.
        let normal = (-2.0 * (1.0 - uniform()).ln()).sqrt() * (TAU * uniform()).cos();
        ((normal * deviation).exp() * middle).clamp(SMALLEST, LARGEST) as usize
    };
    (0..DRAWN).map(|_| size()).collect()
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn main() {
    let args = Args::from_env();
    let references = [TlsVec::<Doublings>::NAME, RawStack::<Doublings>::NAME];
    let question = Mixed { sizes: draw() };
    let cells = THREADS.map(|threads| {
        let contest = Contest { args: &args, threads, cores: cores_for(threads), references };
        Cell { name: format!("256 B to 256 KiB, {threads} T"), rows: contest.ask::<Doublings, _>(&question) }
    });
    show(&args, "mixed", references, &cells);
}
