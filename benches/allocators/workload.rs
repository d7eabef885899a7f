//! What is done with an allocator. Of every vector a byte of each cache line is written.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};

use allocator_api2::vec::Vec as VecIn;
use crossbeam_channel::{Receiver, Sender, bounded};
use millpond::alloc::Allocator;
use millpond_benches::contest::{Work, touch_lines, until};
use millpond_benches::draw::{Random, log_normal};
use millpond_benches::heap::Place;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    Pair,
    Held,
    Pipe,
    Exchange,
    Mixed,
    Growth,
    Request,
}

type Bytes<A> = VecIn<u8, A>;

const PAIR: usize = 4 << 10;

const HELD: usize = 64;
const HELD_BYTES: usize = 16 << 10;

const DEPTH: usize = 64;
const MESSAGE: usize = 16 << 10;

/// Vectors that a thread holds; how many it replaces until it passes all of them on.
const SLOTS: usize = 512;
const REPLACED: usize = 4096;
const EXCHANGED: [usize; 2] = [64, 8 << 10];

const ALIVE: usize = 8;
const MIXED: [usize; 2] = [256, 256 << 10];
const DRAWN: usize = 4096;

const GROWN: [usize; 2] = [1 << 10, 1 << 20];

const SMALL: usize = 40;
const SMALL_BYTES: [usize; 2] = [16, 200];
/// After each ten small ones.
const LARGE: [usize; 4] = [2 << 10, 8 << 10, 24 << 10, 64 << 10];
/// Requests drawn in advance.
const REQUESTS: usize = 64;

impl Workload {
    pub const ALL: [Self; 7] =
        [Self::Pair, Self::Held, Self::Pipe, Self::Exchange, Self::Mixed, Self::Growth, Self::Request];

    /// Also the name of its picture.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Held => "held",
            Self::Pipe => "pipe",
            Self::Exchange => "exchange",
            Self::Mixed => "mixed",
            Self::Growth => "growth",
            Self::Request => "request",
        }
    }

    /// What the time is per.
    pub fn per(self) -> &'static str {
        match self {
            Self::Pair => "4 KiB, got and freed",
            Self::Held => "16 KiB, 64 of them held and then freed",
            Self::Pipe => "16 KiB, sent to another thread through a channel of 64 and freed there",
            Self::Exchange => "64 B to 8 KiB, one of 512 replaced by a thread, which passes all on after 4096",
            Self::Mixed => "256 B to 256 KiB, log-normal, eight alive",
            Self::Growth => "vector extended by 1 KiB from 1 KiB to 1 MiB, its capacity doubling",
            Self::Request => "40 of 16 to 200 B and four of 2 to 64 KiB, held until the last has come",
        }
    }

    pub fn threads(self) -> usize {
        if matches!(self, Self::Pipe | Self::Exchange) { 2 } else { 1 }
    }

    /// In the pipe it is the time that a message takes, whichever of the two threads it is spent on.
    pub fn cores(self) -> usize {
        if self == Self::Pipe { 1 } else { millpond_benches::contest::cores_for(self.threads()) }
    }

    pub fn on(self, place: impl Place) -> Work {
        match self {
            Self::Pair => Box::new(move |_, end| until(end, || pair(place))),
            Self::Held => Box::new(move |_, end| {
                let mut held = Vec::with_capacity(HELD);
                until(end, || hold(place, &mut held))
            }),
            Self::Pipe => pipe(place),
            Self::Exchange => exchange(place),
            Self::Mixed => {
                let sizes = log_normal(MIXED[0], MIXED[1], DRAWN);
                Box::new(move |_, end| until(end, || mixed(place, &sizes)))
            }
            Self::Growth => Box::new(move |_, end| until(end, || grow(place))),
            Self::Request => requests(move |sizes| request(place, sizes)),
        }
    }
}

#[inline(always)]
fn written<A: Allocator>(len: usize, place: A) -> Bytes<A> {
    let len = black_box(len);
    let mut bytes = Bytes::with_capacity_in(len, place);
    touch_lines(&mut bytes.spare_capacity_mut()[..len]);
    bytes
}

#[inline(never)]
fn pair(place: impl Place) -> u64 {
    for _ in 0..64 {
        drop(written(PAIR, place));
    }
    64
}

#[inline(never)]
fn hold<A: Place>(place: A, held: &mut Vec<Bytes<A>>) -> u64 {
    held.extend((0..HELD).map(|_| written(HELD_BYTES, place)));
    held.clear();
    HELD as u64
}

fn pipe<A: Place>(place: A) -> Work {
    type Ends<A> = (Sender<Option<Bytes<A>>>, Receiver<Option<Bytes<A>>>);
    let (sender, receiver): Ends<A> = bounded(DEPTH);
    Box::new(move |thread, end| {
        if thread == 1 {
            while let Ok(Some(bytes)) = receiver.recv() {
                drop(bytes);
            }
            return 0;
        }
        let send = |message| assert!(sender.send(message).is_ok(), "the receiver lives as long");
        let sent = until(end, || {
            (0..DEPTH).for_each(|_| send(Some(written(MESSAGE, place))));
            DEPTH as u64
        });
        send(None);
        sent
    })
}

/// As in larson: what one thread allocated another frees, in no order. Threads do not end in between, as they do there.
fn exchange<A: Place>(place: A) -> Work {
    let sizes = log_normal(EXCHANGED[0], EXCHANGED[1], DRAWN);
    let passed: Mutex<Option<Vec<Bytes<A>>>> = Mutex::new(None);
    Box::new(move |thread, end| {
        let mut random = Random::seeded(thread as u64);
        let fresh = || sizes[..SLOTS].iter().map(|&size| written(size, place)).collect::<Vec<_>>();
        let passed = || passed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slots = fresh();
        let replaced = until(end, || {
            for &size in &sizes[..REPLACED] {
                slots[random.below(SLOTS)] = written(size, place);
            }
            let others = passed().replace(std::mem::take(&mut slots));
            slots = others.unwrap_or_else(fresh);
            REPLACED as u64
        });
        let last = passed().take();
        drop(last);
        replaced
    })
}

#[inline(never)]
fn mixed<A: Place>(place: A, sizes: &[usize]) -> u64 {
    let mut alive: [Option<Bytes<A>>; ALIVE] = [const { None }; ALIVE];
    for (n, &size) in sizes.iter().enumerate() {
        alive[n % ALIVE] = Some(written(size, place));
    }
    sizes.len() as u64
}

/// Not by `extend_from_slice`, which is a loop over bytes here and hides all else.
#[inline(never)]
fn grow(place: impl Place) -> u64 {
    let piece = black_box([MaybeUninit::new(1); GROWN[0]]);
    let mut bytes = Bytes::with_capacity_in(GROWN[0], place);
    while bytes.len() < GROWN[1] {
        bytes.reserve(piece.len());
        bytes.spare_capacity_mut()[..piece.len()].copy_from_slice(&piece);
        // SAFETY: reserved and written.
        unsafe { bytes.set_len(bytes.len() + piece.len()) };
    }
    black_box(bytes.as_slice());
    1
}

/// The sizes of a request, in order.
pub type Sizes = [usize; SMALL + LARGE.len()];

/// One request after the other.
pub fn requests(request: impl Fn(&Sizes) + Send + Sync + 'static) -> Work {
    let mut random = Random::default();
    let mut size = |n: usize| match n % 11 {
        10 => LARGE[n / 11],
        _ => SMALL_BYTES[0] + random.below(SMALL_BYTES[1] - SMALL_BYTES[0] + 1),
    };
    let drawn: Arc<[Sizes]> = (0..REQUESTS).map(|_| std::array::from_fn(&mut size)).collect();
    Box::new(move |_, end| {
        until(end, || {
            drawn.iter().for_each(&request);
            REQUESTS as u64
        })
    })
}

/// One request in vectors.
#[inline(never)]
pub fn request<A: Allocator + Copy>(place: A, sizes: &Sizes) {
    drop(sizes.map(|size| written(size, place)));
}
