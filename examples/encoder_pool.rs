//! Compressors are dear to make and cheap to reset: where pooling pays most. With the pool and without, side by side.
//!
//! `cargo run --release --example encoder_pool`

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use flate2::{Compress, CompressError, Compression, Decompress, FlushCompress, FlushDecompress};
use millpond::ObjectPool;

fn compressor() -> Compress {
    Compress::new(Compression::fast(), true)
}

/// The state of one is a quarter of a megabyte, so no more are kept than may work at a time.
fn pool() -> ObjectPool<Compress> {
    ObjectPool::builder(compressor).reset(Compress::reset).max_idle(32).build().expect("sound")
}

fn compress(with: &mut Compress, message: &[u8]) -> Result<Vec<u8>, CompressError> {
    let mut compressed = Vec::with_capacity(message.len() + 64);
    with.compress_vec(message, &mut compressed, FlushCompress::Finish)?;
    Ok(compressed)
}

/// The median time of a message with the pool and without, over rounds that take turns.
fn compare(pool: &ObjectPool<Compress>, message: &[u8]) -> [Duration; 2] {
    const ROUNDS: usize = 9;
    const MESSAGES: u32 = 50;
    let time = |compress_one: &dyn Fn()| {
        let start = Instant::now();
        (0..MESSAGES).for_each(|_| compress_one());
        start.elapsed() / MESSAGES
    };
    let with = || drop(black_box(compress(&mut pool.get(), message)));
    let without = || drop(black_box(compress(&mut compressor(), message)));
    let mut times = [[Duration::ZERO; ROUNDS]; 2];
    let [with_pool, without_pool] = &mut times;
    for (with_pool, without_pool) in with_pool.iter_mut().zip(without_pool) {
        (*with_pool, *without_pool) = (time(&with), time(&without));
    }
    times.map(|mut times| {
        times.sort();
        times[ROUNDS / 2]
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = pool();

    // Many threads, each with a compressor while it has a message.
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let pool = &pool;
                scope.spawn(move || {
                    for i in 0..100 {
                        let message = format!("message {i} of thread {n}, ").repeat(10);
                        let compressed = compress(&mut pool.get(), message.as_bytes()).expect("compresses");
                        assert_eq!(decompress(&compressed), message.as_bytes(), "the one before has left nothing");
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no thread fails"));
    });
    println!("{}", pool.stats());
    assert!(pool.stats().objects.misses <= 4, "one for each thread at most");

    if cfg!(debug_assertions) {
        println!("in a debug build compressing takes all the time; try --release");
    }
    for len in [100, 1000, 10_000, 100_000] {
        let message: Vec<u8> = (0..len).map(|i| b"abcdefghijklmnop"[(i * i + i / 7) % 16]).collect();
        let [with, without] = compare(&pool, &message);
        let ratio = without.as_secs_f64() / with.as_secs_f64();
        println!("{len:>6} B: {with:>10.1?} a message with the pool, {without:>10.1?} without: {ratio:.1} times");
    }
    Ok(())
}

fn decompress(compressed: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(64 << 10);
    Decompress::new(true).decompress_vec(compressed, &mut message, FlushDecompress::Finish).expect("was compressed");
    message
}
