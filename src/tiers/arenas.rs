//! Idle arenas: bounded queues of their chunks, the *shelves*. A thread takes from and stores to its own one first, so that it
//! finds what is in its cache, and only then the others'.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use crate::alloc::FallibleBox;
use crate::raw::bump::Bump;
use crate::raw::slot::Reach;
use crate::raw::thread_id::ThreadId;
use crate::sync::{ArrayQueue, AtomicUsize, CachePadded, Ordering::Relaxed};

/// With 16 of them threads up to as many share none.
const SHELVES: usize = 16;

/// The most that may be idle on one: 64 on all. What comes and goes in a steady state are the swings in how many are in use, and
/// not their number.
const ARENAS: usize = 4;

/// The most bytes of an idle arena's chunk: 16 MiB for all.
const CHUNK: usize = 256 << 10;

#[derive(Debug, Default)]
pub(crate) struct Arenas {
    /// Made by the first arena that comes back.
    shelves: OnceLock<Box<[CachePadded<Shelf>]>>,
}

#[derive(Debug)]
struct Shelf {
    /// Each has been reset.
    idle: ArrayQueue<FallibleBox<Bump>>,
    /// The fewest that were idle at any time since the last collection: so many nobody needed.
    low: AtomicUsize,
    /// Of the idle ones' chunks. Raised before one is stored, lowered after one was taken.
    bytes: AtomicUsize,
}

impl Arenas {
    #[inline]
    pub(crate) fn take(&self, who: ThreadId) -> Option<FallibleBox<Bump>> {
        self.from(who).find_map(Shelf::take)
    }

    /// The bump comes back if it is too large, if there is no room, or no memory for the shelves.
    #[inline]
    pub(crate) fn store(&self, who: ThreadId, mut bump: FallibleBox<Bump>) -> Result<(), FallibleBox<Bump>> {
        let bytes = bump.chunk_bytes();
        if bytes > CHUNK || self.shelves.get().is_none() && !self.make() {
            return Err(bump);
        }
        for shelf in self.from(who) {
            match shelf.store(bump, bytes) {
                Ok(()) => return Ok(()),
                Err(back) => bump = back,
            }
        }
        Err(bump)
    }

    /// Takes out those that nobody needed since the last collection, or all.
    pub(crate) fn drain(&self, reach: Reach, mut out: impl FnMut(FallibleBox<Bump>)) {
        for shelf in self.shelves() {
            let count = if reach == Reach::All { ARENAS } else { shelf.low.load(Relaxed) };
            (0..count).map_while(|_| shelf.pop()).for_each(&mut out);
            shelf.low.store(shelf.idle.len(), Relaxed);
        }
    }

    /// How many are idle, and the bytes of their chunks.
    pub(crate) fn idle(&self) -> (usize, usize) {
        let add =
            |(count, bytes), shelf: &CachePadded<Shelf>| (count + shelf.idle.len(), bytes + shelf.bytes.load(Relaxed));
        self.shelves().iter().fold((0, 0), add)
    }

    fn shelves(&self) -> &[CachePadded<Shelf>] {
        self.shelves.get().map_or(&[], |shelves| shelves)
    }

    /// All shelves, the thread's own one first.
    #[inline]
    fn from(&self, who: ThreadId) -> impl Iterator<Item = &Shelf> {
        let shelves = self.shelves();
        let (others, own) = shelves.split_at(if shelves.is_empty() { 0 } else { who.number() % SHELVES });
        own.iter().chain(others).map(|shelf| &**shelf)
    }

    /// False: no memory.
    #[cold]
    fn make(&self) -> bool {
        let mut shelves = Vec::new();
        // `ArrayQueue::new` aborts where there is no memory. Asking for as much just before makes that unlikely.
        let buffers = Vec::<[usize; 2]>::new().try_reserve_exact(SHELVES * ARENAS);
        if buffers.is_err() || shelves.try_reserve_exact(SHELVES).is_err() {
            return false;
        }
        shelves.extend((0..SHELVES).map(|_| CachePadded::new(Shelf::new())));
        // Another thread may have been faster.
        let _ = self.shelves.set(shelves.into_boxed_slice());
        true
    }
}

impl Shelf {
    fn new() -> Self {
        Self { idle: ArrayQueue::new(ARENAS), low: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    #[inline]
    fn take(&self) -> Option<FallibleBox<Bump>> {
        let bump = self.pop()?;
        let left = self.idle.len();
        if left < self.low.load(Relaxed) {
            self.low.fetch_min(left, Relaxed);
        }
        Some(bump)
    }

    #[inline]
    fn store(&self, bump: FallibleBox<Bump>, bytes: usize) -> Result<(), FallibleBox<Bump>> {
        self.bytes.fetch_add(bytes, Relaxed);
        self.idle.push(bump).inspect_err(|_| {
            self.bytes.fetch_sub(bytes, Relaxed);
        })
    }

    #[inline]
    fn pop(&self) -> Option<FallibleBox<Bump>> {
        let bump = self.idle.pop()?;
        self.bytes.fetch_sub(bump.chunk_bytes(), Relaxed);
        Some(bump)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::alloc::Layout;

    use super::*;

    fn used(size: usize) -> FallibleBox<Bump> {
        let mut bump = Bump::new(false).expect("there is memory");
        bump.allocate(Layout::from_size_align(size, 1).unwrap()).expect("there is memory");
        bump.reset();
        bump
    }

    #[test]
    fn so_many_of_so_many_bytes_are_kept() {
        let arenas = Arenas::default();
        assert!(arenas.take(ThreadId::NOBODY).is_none());
        assert!(arenas.store(ThreadId::NOBODY, used(CHUNK + 1)).is_err(), "too large");
        for n in 0..2 * ARENAS * SHELVES {
            assert_eq!(arenas.store(ThreadId::NOBODY, used(1000)).is_ok(), n < ARENAS * SHELVES);
        }
        let (count, bytes) = arenas.idle();
        assert_eq!(count, 64);
        assert!((64_000..=16 << 20).contains(&bytes), "{bytes}");
        arenas.drain(Reach::All, drop);
        assert_eq!(arenas.idle(), (0, 0));
    }

    /// Those that were needed since the last collection stay, however often each was.
    #[test]
    fn what_nobody_needed_through_a_collection_goes() {
        let arenas = Arenas::default();
        let drained = |reach| {
            let mut count = 0;
            arenas.drain(reach, |_| count += 1);
            count
        };
        (0..10).for_each(|_| arenas.store(ThreadId::NOBODY, used(100)).unwrap());
        assert_eq!(drained(Reach::Idle), 0, "they were in use since");
        for _ in 0..20 {
            let taken: Vec<_> = (0..3).map(|_| arenas.take(ThreadId::NOBODY).expect("idle")).collect();
            taken.into_iter().for_each(|bump| arenas.store(ThreadId::NOBODY, bump).unwrap());
        }
        assert_eq!(drained(Reach::Idle), 7);
        assert_eq!(drained(Reach::Idle), 3);
        assert_eq!((drained(Reach::Idle), arenas.idle()), (0, (0, 0)));
    }
}
