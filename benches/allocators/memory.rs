//! Resident memory of one contender under one workload, in a process of its own.

use std::env;
use std::process::Command;
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use millpond_benches::args::Args;
use millpond_benches::resident::Recorder;

use crate::contenders::{ALL, Contender, Running};
use crate::workload::Workload;

/// Says to a process of this program what it is asked.
const CHILD: &str = "MILLPOND_ALLOCATORS";

const SAMPLE_EVERY: Duration = Duration::from_millis(1);

/// KiB above what the process had before there was a contender.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    pub peak: usize,
    /// All is freed, the threads are still there.
    pub kept: usize,
    /// After two collections.
    pub collected: usize,
}

/// Asks a process of its own.
pub fn of(contender: &Contender, workload: Workload, args: &Args) -> Memory {
    let mut child = Command::new(env::current_exe().expect("the program has a path"));
    child.env(CHILD, format!("{}/{}", workload.name(), contender.name)).args(args.quick.then_some("--quick"));
    let output = child.output().expect("the program can be run again");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = || format!("{}: {}\n{}", contender.name, said, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", complaint());
    let figures: Option<Vec<usize>> = said.split_whitespace().map(|word| word.parse().ok()).collect();
    let Some([peak, kept, collected]) = figures.as_deref() else { panic!("{}", complaint()) };
    Memory { peak: *peak, kept: *kept, collected: *collected }
}

/// Whether this is such a process; if so it has answered.
pub fn answered(args: &Args) -> bool {
    let Ok(asked) = env::var(CHILD) else { return false };
    let (workload, contender) = asked.split_once('/').expect("a workload and a contender");
    let workload = Workload::ALL.into_iter().find(|other| other.name() == workload).expect("a workload's name");
    let contender = ALL.iter().find(|other| other.name == contender).expect("a contender's name");
    let Memory { peak, kept, collected } = measure(contender, workload, args);
    println!("{peak} {kept} {collected}");
    true
}

fn measure(contender: &Contender, workload: Workload, args: &Args) -> Memory {
    let window = args.window() * 5;
    let recorder = Recorder::new(SAMPLE_EVERY, window * 10);
    let meet = Barrier::new(workload.threads() + 1);
    let running: OnceLock<Running> = OnceLock::new();
    thread::scope(|scope| {
        for thread in 0..workload.threads() {
            let (meet, running) = (&meet, &running);
            scope.spawn(move || {
                meet.wait();
                let running = running.get().expect("set before they meet");
                (running.work)(thread, Instant::now() + window);
                meet.wait();
                meet.wait();
            });
        }
        let recording = recorder.start();
        // The sampler's stack.
        thread::sleep(10 * SAMPLE_EVERY);
        let before = recording.resident_kib();
        let running = running.get_or_init(|| (contender.start)(workload));
        meet.wait();
        meet.wait();
        let kept = recording.resident_kib();
        (0..2).for_each(|_| (running.collect)());
        let collected = recording.resident_kib();
        let peak = recording.stop().iter().map(|sample| sample.kib).fold(kept, usize::max);
        meet.wait();
        let above = |kib: usize| kib.saturating_sub(before);
        Memory { peak: above(peak), kept: above(kept), collected: above(collected) }
    })
}
