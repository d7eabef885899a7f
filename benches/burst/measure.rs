//! What happens to each contender, and the table.

use std::env;
use std::hint::black_box;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use millpond::alloc::{Allocator, Jemalloc, Pages};
use millpond::{Builder, Collect, Pool, PoolBuf};
use millpond_benches::args::Args;
use millpond_benches::resident::{Recorder, Sample};

use crate::plot;

/// Says to a process of this program which contender it is.
const CHILD: &str = "MILLPOND_BURST";

/// Sizes that are asked for, in turn. Each is one of the pool's classes, so nothing of a block stays untouched.
const SIZES_KIB: [usize; 10] = [64, 80, 112, 160, 256, 448, 640, 1024, 1792, 4096];

/// While the buffers are held, the rest of the program allocates so many of its own, which stay: connections that come in.
/// It does not write to them, so that they are hardly part of the figures.
const OTHERS: usize = 8;
const OTHER: usize = 64 << 10;

/// What it does in its own process.
type Contender = fn(&Schedule);

/// What comes before is the same in small: an eighth.
const SMALL: usize = 8;

const CONTENDERS: [(&str, Contender); 6] = [
    ("malloc, alone", |schedule| measure(Pool::builder(), 0, SMALL, schedule)),
    ("malloc", |schedule| measure(Pool::builder(), OTHERS, SMALL, schedule)),
    ("malloc, malloc_trim", |schedule| {
        // SAFETY: it may be called at any time.
        measure(Pool::builder().trimmed(|_, _| _ = unsafe { libc::malloc_trim(0) }), OTHERS, SMALL, schedule);
    }),
    ("Pages", |schedule| measure(Pool::builder_in(Pages::new()), OTHERS, SMALL, schedule)),
    ("Jemalloc", |schedule| measure(Pool::builder_in(Jemalloc::new()), OTHERS, SMALL, schedule)),
    // jemalloc's tables grow with the addresses that were ever in use, and stay: after one burst they are there.
    ("Jemalloc, 2nd burst", |schedule| measure(Pool::builder_in(Jemalloc::new()), OTHERS, 1, schedule)),
];

/// What happens when, from the start of the recording. The lines of a plot meet there.
pub struct Schedule {
    /// Bytes held at once.
    bytes: usize,
    sample_every: Duration,
    step: Duration,
}

/// In steps of the schedule.
const BURST: u32 = 1;
const DROP: u32 = 6;
const COLLECTION: [u32; 2] = [7, 8];
const END: u32 = 10;

impl Schedule {
    fn new(quick: bool) -> Self {
        let (bytes, step) = if quick { (64 << 20, 50) } else { (1 << 30, 500) };
        Self { bytes, sample_every: Duration::from_millis(step / 50), step: Duration::from_millis(step) }
    }
}

/// What one contender did.
pub struct Record {
    pub name: &'static str,
    pub samples: Vec<Sample>,
    /// KiB resident at the end of each phase: before, held, dropped, after the first collection, after the second.
    phases: [usize; 5],
    /// How long the burst took, and the second collection with its hook, in milliseconds.
    took: [f64; 2],
}

pub fn main() {
    let args = Args::from_env();
    let schedule = Schedule::new(args.quick);
    if let Ok(name) = env::var(CHILD) {
        let contender = CONTENDERS.iter().find(|(contender, _)| *contender == name).expect("a contender's name");
        return contender.1(&schedule);
    }
    let records: Vec<_> = CONTENDERS.map(|(name, _)| name).into_iter().filter(|name| args.admits(name)).collect();
    let records: Vec<_> = records.into_iter().map(|name| record(name, &args)).collect();
    show(&records, &args);
    if let Some(path) = &args.svg {
        let seconds = |step: u32| (schedule.step * step).as_secs_f64();
        let events = [
            ("burst", seconds(BURST)),
            ("drop", seconds(DROP)),
            ("collect", seconds(COLLECTION[0])),
            ("collect", seconds(COLLECTION[1])),
        ];
        plot::draw(path, &records, &events, seconds(END)).expect("a picture can be drawn there");
    }
}

/// Runs a contender in a process of its own.
fn record(name: &'static str, args: &Args) -> Record {
    let mut child = Command::new(env::current_exe().expect("the program has a path"));
    child.env(CHILD, name).args(args.quick.then_some("--quick"));
    let output = child.output().expect("the program can be run again");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{name}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    let mut record = Record { name, samples: Vec::new(), phases: [0; 5], took: [0.0; 2] };
    for line in said.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["phase", n, kib] => record.phases[number(n) as usize] = number(kib) as usize,
            ["took", n, ms] => record.took[number(n) as usize] = number(ms),
            ["sample", seconds, kib] => {
                record.samples.push(Sample { seconds: number(seconds), kib: number(kib) as usize });
            }
            _ => panic!("{name} said `{line}`"),
        }
    }
    record
}

fn number(word: &str) -> f64 {
    word.parse().unwrap_or_else(|_| panic!("`{word}` is no number"))
}

/// One contender, in its own process, which had such a burst in so many times smaller; prints what [`record`] reads.
fn measure<A>(builder: Builder<A>, others: usize, smaller: usize, schedule: &Schedule)
where
    A: Allocator + Send + Sync + 'static,
{
    // Where blocks lie alone in a batch, as the largest do, the depot has room for a part of the bytes.
    let pool = builder.idle_limit(4 * schedule.bytes).collect(Collect::Manual).build().expect("the settings fit");
    let mut held: Vec<PoolBuf<A>> = Vec::with_capacity(schedule.bytes / (64 << 10));
    let recorder = Recorder::new(schedule.sample_every, schedule.step * (2 * END));

    // The same before: the pool's tables, code that has not run yet, the first collection's preparations; and what `malloc` learns
    // from the sizes that it is given back.
    fill(&pool, schedule.bytes / smaller, &mut held);
    held.clear();
    let most = pool.stats().idle_bytes;
    (0..3).for_each(|_| _ = pool.collect());
    assert!(most > 0 && pool.stats().allocated_bytes == 0, "{}", pool.stats());

    let recording = recorder.start();
    let until = |step: u32| thread::sleep((schedule.step * step).saturating_sub(recording.elapsed()));
    let phase = |n: usize| println!("phase {n} {}", recording.resident_kib());
    until(BURST);
    phase(0);
    let start = Instant::now();
    fill(&pool, schedule.bytes, &mut held);
    let burst = start.elapsed();
    let others: Vec<_> = (0..others).map(|_| black_box(Vec::<u8>::with_capacity(OTHER))).collect();
    until(DROP);
    phase(1);
    held.clear();
    let idle = pool.stats();
    assert_eq!(idle.idle_bytes, idle.allocated_bytes, "all is kept\n{idle}");
    assert!(idle.idle_bytes >= schedule.bytes, "all is kept\n{idle}");
    until(COLLECTION[0]);
    phase(2);
    pool.collect();
    until(COLLECTION[1]);
    phase(3);
    let start = Instant::now();
    pool.collect();
    let collection = start.elapsed();
    until(END);
    phase(4);
    assert_eq!(pool.stats().allocated_bytes, 0);
    for (n, time) in [burst, collection].into_iter().enumerate() {
        println!("took {n} {:.1}", time.as_secs_f64() * 1e3);
    }
    let samples = recording.stop();
    drop(others);
    for sample in samples {
        println!("sample {:.3} {}", sample.seconds, sample.kib);
    }
}

/// Holds so many bytes in all, and touches every page.
fn fill<A>(pool: &Pool<A>, bytes: usize, held: &mut Vec<PoolBuf<A>>)
where
    A: Allocator + Send + Sync + 'static,
{
    let mut left = bytes;
    for size in SIZES_KIB.map(|kib| kib << 10).into_iter().cycle() {
        let mut buf = pool.get(size);
        buf.spare_capacity_mut().iter_mut().step_by(4096).for_each(|byte| _ = byte.write(1));
        held.push(buf);
        left = left.saturating_sub(size);
        if left == 0 {
            return;
        }
    }
}

fn show(records: &[Record], args: &Args) {
    let mib = |kib: usize| kib as f64 / 1024.0;
    if !args.json {
        println!("\nburst: MiB resident; ms that the burst and the second collection took\n");
        println!(
            "| {:<20} | {:>7} | {:>8} | {:>8} | {:>8} | {:>8} | {:>12} | {:>8} | {:>8} |",
            "contender", "before", "peak", "dropped", "after 1", "after 2", "after/before", "burst ms", "2nd ms"
        );
        println!("|:{}|{}", "-".repeat(21), [9, 10, 10, 10, 10, 14, 10, 10].map(|n| "-".repeat(n - 1) + ":|").concat());
    }
    for Record { name, samples, phases, took } in records {
        let peak = samples.iter().map(|sample| sample.kib).chain(*phases).max().unwrap_or_default();
        let [before, _, dropped, first, second] = phases.map(mib);
        let (peak, ratio, [burst, collection]) = (mib(peak), second / before, took);
        if args.json {
            println!(
                "{{\"question\":\"burst\",\"contender\":\"{name}\",\"before\":{before:.3},\"peak\":{peak:.3},\
                 \"dropped\":{dropped:.3},\"after_1\":{first:.3},\"after_2\":{second:.3},\"ratio\":{ratio:.4},\
                 \"burst_ms\":{burst},\"second_ms\":{collection}}}"
            );
        } else {
            println!(
                "| {name:<20} | {before:>7.2} | {peak:>8.1} | {dropped:>8.1} | {first:>8.1} | {second:>8.2} | \
                 {ratio:>11.3}x | {burst:>8.0} | {collection:>8.1} |"
            );
        }
    }
}
