//! A small dense id for each thread, reused after the thread ends.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering};

const WORDS: usize = if cfg!(loom) { 1 } else { 1023 };

/// How many threads can have an id at one time. The others use the shared tiers.
pub(crate) const MAX_THREADS: usize = if cfg!(loom) { 4 } else { WORDS * 64 };

/// A thread's id, or a number that is none: at or above [`MAX_THREADS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadId(u32);

impl ThreadId {
    /// No thread ever goes by it.
    pub(crate) const NOBODY: Self = Self(u32::MAX - 2);

    /// The bare number, which may be none's.
    #[inline(always)]
    pub(crate) const fn number(self) -> usize {
        self.0 as usize
    }

    pub(crate) const fn index(self) -> Option<usize> {
        if (self.0 as usize) < MAX_THREADS { Some(self.0 as usize) } else { None }
    }

    /// The calling thread's, with an id if it can have one.
    #[inline]
    pub(crate) fn or_register(self) -> Self {
        if self.index().is_some() { self } else { register() }
    }
}

/// One bit for each id. A thread takes the lowest that is free, so ids stay dense; no lock, so a fork or a thread that
/// ends cannot leave one behind.
#[derive(Debug)]
pub(crate) struct Registry {
    taken: [AtomicU64; WORDS],
}

impl Registry {
    pub(crate) fn take(&self) -> Option<ThreadId> {
        let mut base = 0;
        for word in &self.taken {
            // Acquire: pairs with the Release of `give_back`: the thread that had the id before is done with its slots.
            let lowest = |bits: u64| (bits != u64::MAX).then(|| bits | (bits + 1));
            if let Ok(before) = word.fetch_update(Ordering::Acquire, Ordering::Relaxed, lowest) {
                return Some(ThreadId(base + before.trailing_ones()));
            }
            base += u64::BITS;
        }
        None
    }

    /// The last act of a thread's guard.
    pub(crate) fn give_back(&self, id: ThreadId) {
        if let Some(word) = self.taken.get(id.0 as usize / 64) {
            // Release: pairs with the Acquire of `take`.
            word.fetch_and(!(1 << (id.0 % 64)), Ordering::Release);
        }
    }
}

#[cfg(not(loom))]
mod here {
    use super::{Registry, ThreadId, WORDS};
    use crate::sync::AtomicU64;
    use core::cell::Cell;

    static REGISTRY: Registry = Registry { taken: [const { AtomicU64::new(0) }; WORDS] };

    const UNREGISTERED: ThreadId = ThreadId(u32::MAX);
    /// For the rest of the thread: it runs its TLS destructors and gave its id back, or all ids were taken.
    const NEVER: ThreadId = ThreadId(u32::MAX - 1);

    /// Gives the id back when the thread ends.
    struct Guard(Option<ThreadId>);

    impl Drop for Guard {
        fn drop(&mut self) {
            CURRENT.set(NEVER);
            if let Some(id) = self.0 {
                REGISTRY.give_back(id);
            }
        }
    }

    thread_local! {
        // Without a destructor, so that a read is a plain load, also while the thread ends.
        static CURRENT: Cell<ThreadId> = const { Cell::new(UNREGISTERED) };
        static GUARD: Guard = Guard(REGISTRY.take());
    }

    /// The calling thread's id, or none if it has not registered.
    #[inline(always)]
    pub(crate) fn current() -> ThreadId {
        CURRENT.get()
    }

    /// Gives the calling thread an id if it has none. None is left while the thread ends, or when all are taken.
    #[cold]
    pub(crate) fn register() -> ThreadId {
        if CURRENT.get() == UNREGISTERED {
            let id = GUARD.try_with(|guard| guard.0).ok().flatten();
            CURRENT.set(id.unwrap_or(NEVER));
        }
        CURRENT.get()
    }

    /// The id of a thread that is not there, by which another one goes for a while: so a fuzz target crosses from slot to
    /// slot thousands of times a second. The registry keeps the id from all others, and `&mut` from two at a time.
    #[cfg(fuzzing)]
    #[derive(Debug)]
    pub struct StandIn(ThreadId);

    #[cfg(fuzzing)]
    impl StandIn {
        /// A thread begins. None: all ids are taken.
        #[must_use]
        pub fn begin() -> Option<Self> {
            REGISTRY.take().map(Self)
        }

        /// `f` runs as that thread.
        pub fn run<R>(&mut self, f: impl FnOnce() -> R) -> R {
            struct Back(ThreadId);

            impl Drop for Back {
                fn drop(&mut self) {
                    CURRENT.set(self.0);
                }
            }

            let _back = Back(CURRENT.replace(self.0));
            f()
        }
    }

    #[cfg(fuzzing)]
    impl Drop for StandIn {
        /// The thread ends.
        fn drop(&mut self) {
            REGISTRY.give_back(self.0);
        }
    }
}

#[cfg(all(fuzzing, not(loom)))]
pub use here::StandIn;

#[cfg(not(loom))]
pub(crate) use here::{current, register};

#[cfg(loom)]
mod here {
    use super::{Registry, ThreadId};
    use crate::sync::{AtomicU64, thread_local};
    use core::cell::Cell;

    thread_local! {
        static CURRENT: Cell<ThreadId> = Cell::new(ThreadId::NONE);
    }

    impl ThreadId {
        pub(crate) const NONE: Self = Self(u32::MAX);

        pub(crate) const fn fake(number: u32) -> Self {
            Self(number)
        }
    }

    impl Registry {
        pub(crate) fn new() -> Self {
            Self { taken: [AtomicU64::new(0)] }
        }
    }

    /// Models say themselves by which id a thread goes.
    #[cfg(test)]
    pub(crate) fn go_by(id: ThreadId) {
        CURRENT.with(|current| current.set(id));
    }

    pub(crate) fn current() -> ThreadId {
        CURRENT.with(Cell::get)
    }

    pub(crate) fn register() -> ThreadId {
        current()
    }
}

#[cfg(all(test, loom))]
pub(crate) use here::go_by;

#[cfg(loom)]
pub(crate) use here::{current, register};

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn registry() -> Registry {
        Registry { taken: [const { AtomicU64::new(0) }; WORDS] }
    }

    #[test]
    fn ids_are_dense_and_the_lowest_free_one_is_reused() {
        let registry = registry();
        let ids: Vec<_> = (0..200).map(|_| registry.take().unwrap()).collect();
        assert!(ids.iter().enumerate().all(|(n, id)| id.index() == Some(n)));
        registry.give_back(ids[130]);
        registry.give_back(ids[7]);
        assert_eq!(registry.take(), Some(ids[7]));
        assert_eq!(registry.take(), Some(ids[130]));
    }

    #[test]
    fn when_all_are_taken_there_is_none() {
        let registry = registry();
        for _ in 0..MAX_THREADS {
            assert!(registry.take().is_some());
        }
        assert_eq!(registry.take(), None);
        registry.give_back(ThreadId(64));
        assert_eq!(registry.take(), Some(ThreadId(64)));
    }

    #[test]
    fn a_thread_keeps_its_id_and_gives_it_back() {
        let first = std::thread::spawn(|| {
            assert_eq!(current().index(), None);
            let id = register();
            assert_eq!(register(), id);
            assert_eq!(current(), id);
            id.index().unwrap()
        });
        assert!(first.join().unwrap() < MAX_THREADS);
    }
}
