//! No get, growth or drop gives more back to the allocator than the block in its hand, and none does while there is room.
//! What does is named here, test by test: a get at the limit, and the drop of the last handle.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

use fastrand::Rng as Choices;
use std::alloc::Layout;
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use crate::common::class_size;
use crate::common::ledger::Ledger;
use crossbeam_queue::ArrayQueue;
use millpond::alloc::{AllocError, Allocator};
use millpond::{Builder, Collect, GetError, Pool, PoolBuf, Recycle};

thread_local!(static RELEASED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) });

/// A ledger that knows what each thread gave back.
#[derive(Clone)]
struct ByThread(Ledger);

// SAFETY: memory comes from the ledger, unchanged.
unsafe impl Allocator for ByThread {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.0.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        RELEASED.with_borrow_mut(|released| released.push(block.as_ptr().addr()));
        // SAFETY: passed on.
        unsafe { self.0.deallocate(block, layout) };
    }
}

type Buf = PoolBuf<ByThread>;

/// The blocks that this thread gave back in `operation`.
fn released_by<R>(operation: impl FnOnce() -> R) -> (R, Vec<usize>) {
    RELEASED.take();
    let result = operation();
    (result, RELEASED.take())
}

fn builder(ledger: &Ledger) -> Builder<ByThread> {
    Pool::builder_in(ByThread(ledger.clone())).collect(Collect::Manual).recycle(Recycle::Always)
}

/// Some operations on any buffers, each of which says what it gave back.
struct Request<'a> {
    pool: &'a Pool<ByThread>,
    held: Vec<Buf>,
    /// Buffers on their way to other threads.
    passed: &'a ArrayQueue<Buf>,
    /// xorshift64.
    choices: Choices,
    /// No operation may give anything back.
    has_room: bool,
    most_held: usize,
    longest: usize,
}

impl Request<'_> {
    fn below(&mut self, n: usize) -> usize {
        self.choices.usize(..n)
    }

    fn len(&mut self) -> usize {
        let doubling = self.below(self.longest.ilog2() as usize - 7);
        self.longest >> doubling
    }

    /// Returns how many blocks were given back: 0 or 1.
    fn step(&mut self) -> usize {
        match self.below(10) {
            0..4 if self.held.len() < self.most_held => {
                let len = self.len();
                let (buf, released) = released_by(|| self.pool.get(len));
                assert_eq!(released, [], "a get gives nothing back");
                self.held.push(buf);
                0
            }
            4 if !self.held.is_empty() => {
                let (n, len) = (self.below(self.held.len()), self.len());
                let buf = &mut self.held[n];
                let before = buf.as_ptr().addr();
                buf.clear();
                let ((), released) = released_by(|| buf.reserve(len));
                self.at_most(before, &released)
            }
            5 => match self.held.pop().map(|buf| self.passed.push(buf)) {
                // The queue is full.
                Some(Err(buf)) => self.drop(buf),
                _ => 0,
            },
            6 | 7 => self.passed.pop().map_or(0, |buf| self.drop(buf)),
            8 => {
                let ((), released) = released_by(|| drop((self.pool.clone(), self.pool.stats())));
                assert_eq!(released, []);
                0
            }
            _ if !self.held.is_empty() => {
                let n = self.below(self.held.len());
                let buf = self.held.swap_remove(n);
                self.drop(buf)
            }
            _ => 0,
        }
    }

    fn drop(&self, buf: Buf) -> usize {
        let block = buf.as_ptr().addr();
        let ((), released) = released_by(|| drop(buf));
        self.at_most(block, &released)
    }

    fn at_most(&self, block: usize, released: &[usize]) -> usize {
        assert!(released.is_empty() || *released == [block], "{block:x} was in hand: {released:x?}");
        assert!(!self.has_room || released.is_empty(), "there is room\n{}", self.pool.stats());
        released.len()
    }
}

/// Four threads and one that collects without pause. Returns what the four gave back.
fn mix(pool: &Pool<ByThread>, has_room: bool, most_held: usize, longest: usize) -> usize {
    let (passed, over, released) = (ArrayQueue::new(16), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while !over.load(SeqCst) {
                pool.collect();
                pool.purge();
                pool.collect();
            }
        });
        let requests: Vec<_> = (1..=4)
            .map(|n| {
                let (passed, released) = (&passed, &released);
                scope.spawn(move || {
                    let choices = Choices::with_seed(n);
                    let mut request = Request { pool, held: Vec::new(), passed, choices, has_room, most_held, longest };
                    for _ in 0..20_000 {
                        released.fetch_add(request.step(), SeqCst);
                    }
                    while let Some(buf) = request.held.pop() {
                        released.fetch_add(request.drop(buf), SeqCst);
                    }
                })
            })
            .collect();
        let ends: Vec<_> = requests.into_iter().map(|request| request.join()).collect();
        over.store(true, SeqCst);
        collector.join().unwrap();
        ends.into_iter().for_each(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
    drop(passed);
    released.into_inner()
}

#[test]
fn while_there_is_room_nothing_is_released() {
    let ledger = Ledger::new();
    // Blocks of the largest class have no magazine and lie in the depot alone, as do all that come back while a collection is
    // in a slot. Fewer are out than a bucket has cells; magazines overflow all the same.
    let pool = builder(&ledger).idle_limit(256 << 20).local_limit(16 << 10).build().unwrap();
    assert_eq!(mix(&pool, true, 24, 8192), 0);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn without_room_the_block_in_hand_is_released_and_no_other() {
    for (idle_limit, local_limit) in [(32 << 10, 32 << 10), (256 << 10, 16 << 10), (256, 256)] {
        let ledger = Ledger::new();
        let pool =
            builder(&ledger).max_class(64 << 10).idle_limit(idle_limit).local_limit(local_limit).build().unwrap();
        // Up to twice the largest class: oversize ones, and growth to them.
        let released = mix(&pool, false, 100, 128 << 10);
        let discarded: u64 = pool.stats().classes.iter().map(|class| class.discarded.total()).sum();
        assert!(discarded > 0 && released as u64 > discarded, "{released}\n{}", pool.stats());
        drop(pool);
        ledger.assert_empty();
    }
}

/// The depot takes batches until it is full. Then each drop lets go of its own block.
#[test]
fn a_full_depot_releases_from_its_first_block_too_many() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).idle_limit(1 << 20).build().unwrap();
    let mut held: Vec<_> = (0..300).map(|_| pool.get(4096)).collect();
    while let Some(buf) = held.pop() {
        let idle = pool.stats().idle_bytes;
        let block = buf.as_ptr().addr();
        let ((), released) = released_by(|| drop(buf));
        if idle <= (1 << 20) / 2 {
            assert_eq!(released, [], "half of the bytes may be idle anywhere");
        } else if idle == 1 << 20 {
            assert_eq!(released, [block], "full is full");
        } else {
            assert!(released.is_empty() || released == [block]);
        }
    }
    assert!(pool.stats().classes[0].discarded.total() >= 300 - 256);
    drop(pool);
    ledger.assert_empty();
}

/// While a collection hangs in the midst of what it frees, requests give back no more than at other times.
#[test]
fn requests_do_not_do_the_work_of_a_collection() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).build().unwrap();
    drop((0..200).map(|_| pool.get(4096)).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        // The book is the collector's first stop; it gets no further while we have it.
        let collector = ledger.alone(|| {
            let collector = scope.spawn(|| pool.purge());
            crate::common::wait_until("the collector has begun", || pool.stats().idle_bytes < 200 * 4096);
            for _ in 0..50 {
                let (buf, released) = released_by(|| pool.get(4096));
                assert_eq!(released, []);
                assert_eq!(released_by(|| drop(buf)).1, []);
            }
            assert!(!collector.is_finished());
            collector
        });
        // A scope alone does not wait for the locals of its threads.
        collector.join().unwrap();
    });
    drop(pool);
    ledger.assert_empty();
}

/// The first exception: what is idle makes room for a get at the limit, or a growth, and the thread that asks frees it.
#[test]
fn a_get_at_the_limit_releases_what_is_idle() {
    const LIMIT: usize = 1 << 20;
    let ledger = Ledger::with_limit(LIMIT);
    let pool = builder(&ledger).limit(LIMIT).build().unwrap();
    let (mut held, mut many, mut choices) = (Vec::new(), 0, Choices::with_seed(1));
    for _ in 0..20_000 {
        let len = 256 << choices.usize(..10);
        let fits = ledger.live_bytes() + class_size(len) <= LIMIT;
        if choices.bool() {
            let (got, released) = released_by(|| pool.try_get(len));
            assert!(!fits || released.is_empty(), "{len} bytes fit");
            many += usize::from(released.len() > 1);
            match got {
                Ok(buf) => held.push(buf),
                Err(error) => assert!(matches!(error, GetError::LimitReached { .. }), "{error}"),
            }
        } else if let Some(buf) = held.pop() {
            assert_eq!(released_by(|| drop(buf)).1, [], "there is room, at the limit too");
        }
    }
    assert!(many > 10, "{many}");
    drop((held, pool));
    ledger.assert_empty();
}

/// The second: it releases all that is idle. Any other handle's drop releases nothing, and later buffers one block each.
#[test]
fn the_drop_of_the_last_handle_releases_what_is_idle() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).build().unwrap();
    let mut held: Vec<_> = (0..150).map(|_| pool.get(4096)).collect();
    held.truncate(50);
    let others = [(); 10].map(|()| pool.clone());
    assert_eq!(released_by(|| drop(others)).1, []);
    assert_eq!(released_by(|| drop(pool)).1.len(), 100);
    for buf in held {
        let block = buf.as_ptr().addr();
        assert_eq!(released_by(|| drop(buf)).1, [block], "the last one too");
    }
    ledger.assert_empty();
}

/// Nor does a thread release anything when it ends, or when it takes the place of one that ended.
#[test]
fn a_thread_that_ends_releases_nothing() {
    let ledger = Ledger::new();
    let pool = Arc::new(builder(&ledger).build().unwrap());
    for _ in 0..10 {
        let pool = pool.clone();
        std::thread::spawn(move || drop((0..100).map(|_| pool.get(4096)).collect::<Vec<_>>())).join().unwrap();
        assert_eq!(ledger.deallocations(), 0);
    }
    drop(pool);
    ledger.assert_empty();
}

/// A pool that passes through, and one that overwrites: the block in hand, and none.
#[test]
fn settings_change_nothing_of_it() {
    for (recycle, expected) in [(Recycle::Never, 1), (Recycle::Always, 0)] {
        let ledger = Ledger::new();
        let pool = builder(&ledger).recycle(recycle).zero_on_return(true).build().unwrap();
        let mut buf = pool.get(300);
        assert_eq!(released_by(|| buf.resize(5000, 1)).1.len(), expected);
        assert_eq!(released_by(|| drop(buf)).1.len(), expected);
        drop(pool);
        ledger.assert_empty();
    }
}
