//! How much of the process is resident, sampled on a thread of its own that allocates nothing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Default)]
pub struct Sample {
    pub seconds: f64,
    pub kib: usize,
}

/// Has the memory that the samples will need.
pub struct Recorder {
    every: Duration,
    samples: Vec<Sample>,
    statm: Statm,
}

pub struct Recording {
    start: Instant,
    stop: Arc<AtomicBool>,
    sampler: JoinHandle<Vec<Sample>>,
    statm: Statm,
}

#[derive(Clone)]
struct Statm {
    file: Arc<File>,
    page_kib: usize,
}

impl Recorder {
    pub fn new(every: Duration, at_most: Duration) -> Self {
        let count = at_most.as_nanos().div_ceil(every.as_nanos()) as usize;
        // Written to, so that it is resident from the start.
        let samples = vec![Sample { seconds: 1.0, kib: 1 }; count];
        // SAFETY: takes an integer.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let file = Arc::new(File::open("/proc/self/statm").expect("Linux has one"));
        Self { every, samples, statm: Statm { file, page_kib: page >> 10 } }
    }

    pub fn start(self) -> Recording {
        let Self { every, mut samples, statm } = self;
        let stop = Arc::new(AtomicBool::new(false));
        let (start, stopped, asked) = (Instant::now(), Arc::clone(&stop), statm.clone());
        let sampler = thread::spawn(move || {
            let mut taken = 0;
            while taken < samples.len() && !stopped.load(Relaxed) {
                samples[taken] = Sample { seconds: start.elapsed().as_secs_f64(), kib: asked.resident_kib() };
                taken += 1;
                thread::sleep(every);
            }
            samples.truncate(taken);
            samples
        });
        Recording { start, stop, sampler, statm }
    }
}

impl Recording {
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn resident_kib(&self) -> usize {
        self.statm.resident_kib()
    }

    pub fn stop(self) -> Vec<Sample> {
        self.stop.store(true, Relaxed);
        self.sampler.join().expect("the sampler ends")
    }
}

impl Statm {
    fn resident_kib(&self) -> usize {
        let mut text = [0; 128];
        let length = self.file.read_at(&mut text, 0).expect("it can be read again and again");
        let pages = text[..length].split(|byte| *byte == b' ').nth(1).expect("the second figure");
        pages.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')) * self.page_kib
    }
}
