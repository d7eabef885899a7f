//! With `zero_on_return` what was put into an arena in small pieces is overwritten when the arena ends: its chunks are the program's
//! allocator's; none comes back with a secret, and none that is idle has one. A binary of its own: it looks at all that is allocated.
#![cfg(feature = "arena")]
#![allow(clippy::disallowed_types, reason = "an allocator of its own, with a lock")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::resume_unwind;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use allocator_api2::vec::Vec as VecIn;
use common::ledger::Ledger;
use millpond::{Arena, Collect, Pool, Recycle};

/// So many bytes of a secret are a piece of one. No fewer: what the compiler compares with may lie on the stack, and from there in the
/// padding of what moves to the heap.
const PIECE: usize = 64;

/// Pieces in what was freed.
static SEEN: AtomicUsize = AtomicUsize::new(0);

/// What is allocated and may be a chunk: where, and how long. A place without has zeroes.
static OUT: Mutex<[(usize, usize); 1 << 12]> = Mutex::new([(0, 0); 1 << 12]);

/// More was allocated than there are places for. Not a panic, as one that is told allocates as much.
static UNKNOWN: AtomicBool = AtomicBool::new(false);

/// One test at a time: they look at what all threads free.
static ALONE: Mutex<()> = Mutex::new(());

/// No chunk is smaller.
const LEAST: usize = 256;

struct Watching;

fn out() -> MutexGuard<'static, [(usize, usize); 1 << 12]> {
    OUT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// They are readable, and nobody writes to them.
unsafe fn secrets_in(block: *const u8, len: usize) -> usize {
    // SAFETY: passed on.
    let bytes = unsafe { slice::from_raw_parts(block, len) };
    bytes.chunks_exact(PIECE).filter(|piece| piece.iter().all(|byte| *byte == 0xA5)).count()
}

// SAFETY: memory comes from `System`, zeroed.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // So that all of it can be read.
        // SAFETY: passed on.
        let block = unsafe { System.alloc_zeroed(layout) };
        if layout.size() >= LEAST {
            let mut out = out();
            match out.iter_mut().find(|place| place.0 == 0) {
                Some(place) => *place = (block.expose_provenance(), layout.size()),
                None => UNKNOWN.store(true, SeqCst),
            }
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() >= LEAST {
            out().iter_mut().filter(|place| place.0 == block.addr()).for_each(|place| *place = (0, 0));
            // SAFETY: the block is so long, zeroed at first, and nobody's any more. What somebody moved there has padding, of which
            // MemorySanitizer says that nobody wrote it: any byte will do.
            SEEN.fetch_add(unsafe { secrets_in(block, layout.size()) }, SeqCst);
        }
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static WATCHING: Watching = Watching;

/// In all that is allocated now, while no arena is out.
fn idle_secrets() -> usize {
    if cfg!(millpond_asan) {
        // It is poisoned: even to look is an error.
        return 0;
    }
    let secrets = |(at, len): &(usize, usize)| {
        // SAFETY: it is out of this allocator, which the lock keeps, and nobody who writes a secret has it.
        unsafe { secrets_in(std::ptr::with_exposed_provenance(*at), *len) }
    };
    out().iter().filter(|place| place.0 != 0).map(secrets).sum()
}

fn secret(arena: &Arena<Ledger>) {
    for _ in 0..1000 {
        arena.alloc_slice_copy(&[0xA5_u8; 100]);
    }
}

/// On which an arena ends that had secrets.
type Way = fn(&Pool<Ledger>);

const WAYS: [(&str, Way); 8] = [
    ("a drop", |pool| secret(&pool.arena())),
    ("a reset, and little afterwards", |pool| {
        let mut arena = pool.arena();
        secret(&arena);
        arena.reset();
        arena.alloc_str("no secret");
    }),
    // Moved, freed and shrunk on the way.
    ("a vector that grows and shrinks", |pool| {
        let arena = pool.arena();
        let mut grown = VecIn::new_in(&arena);
        (0..250).for_each(|_| grown.push(0xA5_u8));
        grown.truncate(3);
        grown.shrink_to_fit();
        arena.alloc_str("no secret");
    }),
    ("a single piece, freed at once", |pool| {
        let arena = pool.arena();
        let mut vec = VecIn::with_capacity_in(200, &arena);
        vec.resize(200, 0xA5_u8);
    }),
    ("another thread", |pool| {
        let arena = pool.arena();
        secret(&arena);
        thread::spawn(move || drop(arena)).join().unwrap();
    }),
    ("a thread that unwinds", |pool| {
        let arena = pool.arena();
        let unwinds = move || {
            secret(&arena);
            resume_unwind(Box::new("half way"));
        };
        assert!(thread::spawn(unwinds).join().is_err());
    }),
    ("many at a time", |pool| {
        let arenas: Vec<_> = (0..100).map(|_| pool.arena()).collect();
        for arena in &arenas {
            (0..10).for_each(|_| _ = arena.alloc_slice_copy(&[0xA5_u8; 100]));
        }
    }),
    ("one too large to be kept", |pool| {
        let arena = pool.arena();
        (0..5).for_each(|_| secret(&arena));
    }),
];

/// Secrets that are idle after each end of an arena, and in all that is freed from the first arena to the end of the pool.
fn secrets(zero: bool, recycle: Recycle, way: Way) -> (usize, usize) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let ledger = Ledger::new();
    let builder = Pool::builder_in(ledger.clone()).zero_on_return(zero).collect(Collect::Manual);
    let pool = builder.recycle(recycle).build().unwrap();
    let (mut idle, before) = (0, SEEN.load(SeqCst));
    for end in [Pool::collect, Pool::purge, Pool::collect] {
        way(&pool);
        idle += idle_secrets();
        end(&pool);
        idle += idle_secrets();
    }
    drop(pool);
    ledger.assert_empty();
    assert_eq!(idle_secrets(), 0, "nothing that had one is left");
    assert!(!UNKNOWN.load(SeqCst), "no test has so many");
    (idle, SEEN.load(SeqCst) - before)
}

#[test]
fn no_secret_is_in_a_chunk_that_is_idle_or_freed() {
    for (name, way) in WAYS {
        for recycle in [Recycle::Always, Recycle::Never, Recycle::Chaos(2)] {
            assert_eq!(secrets(true, recycle, way), (0, 0), "{name}, {recycle:?}");
        }
    }
}

/// The test can fail, on each way.
#[test]
fn without_it_there_are() {
    for (name, way) in WAYS {
        let (idle, freed) = secrets(false, Recycle::Always, way);
        assert!(freed > 0, "{name}");
        assert!(idle > 0 || name == "one too large to be kept" || cfg!(millpond_asan), "{name}");
    }
}

/// An arena that has the last handle of its pool.
#[test]
fn nor_in_one_that_ends_with_its_pool() {
    for zero in [true, false] {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let ledger = Ledger::new();
        let pool = Pool::builder_in(ledger.clone()).zero_on_return(zero).collect(Collect::Manual).build().unwrap();
        let (arena, before) = (pool.arena(), SEEN.load(SeqCst));
        secret(&arena);
        drop(pool);
        drop(arena);
        ledger.assert_empty();
        assert_eq!(SEEN.load(SeqCst) == before, zero);
    }
}
