//! The fourth phase: sequences of operations as in `tests/promises/operations.rs`, each on pools of its own, many at a time. What they share is
//! the process: threads' ids, the barrier, the epoch.

use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng as Choices;

use crate::common::ops;

/// How many operations there were.
pub fn operations(time: Duration, seed: u64, threads: u64) -> u64 {
    let start = Instant::now();
    let sequences = move |n: u64| {
        let mut choices = Choices::with_seed(seed ^ n << 32);
        let (mut sequences, mut operations) = (0_u64, 0);
        while sequences == 0 || start.elapsed() < time {
            let mut bytes = vec![0; choices.usize(..1500)];
            choices.fill(&mut bytes);
            operations += ops::play(&bytes);
            sequences += 1;
        }
        (sequences, operations)
    };
    let threads: Vec<_> = (0..threads).map(|n| thread::spawn(move || sequences(n))).collect();
    let done = threads.into_iter().map(|thread| thread.join().expect("no thread fails"));
    let (sequences, operations) = done.fold((0, 0), |sum, done| (sum.0 + done.0, sum.1 + done.1));
    println!("stress: operations: {operations} in {sequences} sequences");
    operations
}
