//! Idle arenas: a bounded queue of their chunks, which every thread takes from and stores to.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use crate::alloc::FallibleBox;
use crate::raw::bump::Bump;
use crate::raw::slot::Reach;
use crate::sync::{ArrayQueue, AtomicUsize, Ordering::Relaxed};

/// The most that may be idle. What comes and goes in a steady state are the swings in how many are in use, and not their number.
const ARENAS: usize = 64;

/// The most bytes of an idle arena's chunk: 16 MiB for all.
const CHUNK: usize = 256 << 10;

#[derive(Debug, Default)]
pub(crate) struct Arenas {
    /// Made by the first arena that comes back. Each has been reset.
    idle: OnceLock<ArrayQueue<FallibleBox<Bump>>>,
    /// The fewest that were idle at any time since the last collection: so many nobody needed.
    low: AtomicUsize,
    /// Of the idle ones' chunks. Raised before one is stored, lowered after one was taken.
    bytes: AtomicUsize,
}

impl Arenas {
    pub(crate) fn take(&self) -> Option<FallibleBox<Bump>> {
        let idle = self.idle.get()?;
        let bump = self.pop(idle)?;
        let left = idle.len();
        if left < self.low.load(Relaxed) {
            self.low.fetch_min(left, Relaxed);
        }
        Some(bump)
    }

    /// The bump comes back if it is too large, if there is no room, or no memory for the queue.
    pub(crate) fn store(&self, bump: FallibleBox<Bump>) -> Result<(), FallibleBox<Bump>> {
        let bytes = bump.chunk_bytes();
        let Some(idle) = self.idle.get().or_else(|| self.make()).filter(|_| bytes <= CHUNK) else { return Err(bump) };
        self.bytes.fetch_add(bytes, Relaxed);
        idle.push(bump).inspect_err(|_| {
            self.bytes.fetch_sub(bytes, Relaxed);
        })
    }

    /// Takes out those that nobody needed since the last collection, or all.
    pub(crate) fn drain(&self, reach: Reach, mut out: impl FnMut(FallibleBox<Bump>)) {
        let Some(idle) = self.idle.get() else { return };
        let count = if reach == Reach::All { ARENAS } else { self.low.load(Relaxed) };
        (0..count).map_while(|_| self.pop(idle)).for_each(&mut out);
        self.low.store(idle.len(), Relaxed);
    }

    /// How many are idle, and the bytes of their chunks.
    pub(crate) fn idle(&self) -> (usize, usize) {
        (self.idle.get().map_or(0, ArrayQueue::len), self.bytes.load(Relaxed))
    }

    fn pop(&self, idle: &ArrayQueue<FallibleBox<Bump>>) -> Option<FallibleBox<Bump>> {
        let bump = idle.pop()?;
        self.bytes.fetch_sub(bump.chunk_bytes(), Relaxed);
        Some(bump)
    }

    #[cold]
    fn make(&self) -> Option<&ArrayQueue<FallibleBox<Bump>>> {
        // `ArrayQueue::new` aborts where there is no memory. Asking for as much just before makes that unlikely.
        Vec::<(usize, FallibleBox<Bump>)>::new().try_reserve_exact(ARENAS).ok()?;
        // Another thread may have been faster.
        let _ = self.idle.set(ArrayQueue::new(ARENAS));
        self.idle.get()
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
        assert!(arenas.take().is_none());
        assert!(arenas.store(used(CHUNK + 1)).is_err(), "too large");
        for n in 0..2 * ARENAS {
            assert_eq!(arenas.store(used(1000)).is_ok(), n < ARENAS);
        }
        let (count, bytes) = arenas.idle();
        assert_eq!(count, ARENAS);
        assert!((ARENAS * 1000..=ARENAS * CHUNK).contains(&bytes), "{bytes}");
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
        (0..10).for_each(|_| arenas.store(used(100)).unwrap());
        assert_eq!(drained(Reach::Idle), 0, "they were in use since");
        for _ in 0..20 {
            let taken: Vec<_> = (0..3).map(|_| arenas.take().expect("idle")).collect();
            taken.into_iter().for_each(|bump| arenas.store(bump).unwrap());
        }
        assert_eq!(drained(Reach::Idle), 7);
        assert_eq!(drained(Reach::Idle), 3);
        assert_eq!((drained(Reach::Idle), arenas.idle()), (0, (0, 0)));
    }
}
