//! What `fork` leaves to a child: all of the memory, and one of the threads. A step that another thread was in the middle
//! of is never finished there, so nothing may wait for it.

/// The process that something was made in: how many forks lie between it and the first pool of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin(usize);

impl Origin {
    /// This process. None: there is no memory to hear of later forks.
    pub(crate) fn here() -> Option<Self> {
        watch().then(|| Self(forks()))
    }

    /// False once this is a child of the process that it stands for.
    pub(crate) fn is_here(self) -> bool {
        self.0 == forks()
    }
}

#[cfg(all(unix, not(any(loom, miri, target_os = "emscripten"))))]
mod system {
    use crate::sync::{AtomicBool, AtomicUsize, Ordering};

    /// Changes only while the process has one thread, so any ordering will do.
    static FORKS: AtomicUsize = AtomicUsize::new(0);

    static WATCHED: AtomicBool = AtomicBool::new(false);

    pub(super) fn forks() -> usize {
        // Relaxed: see `FORKS`.
        FORKS.load(Ordering::Relaxed)
    }

    /// From now on forks are counted. False: no memory for that.
    pub(super) fn watch() -> bool {
        // Acquire: pairs with the Release below: a fork of this thread comes after the registration.
        if WATCHED.load(Ordering::Acquire) {
            return true;
        }
        // Two threads may both come here. Then a fork counts twice, which is as good: only a difference matters.
        // SAFETY: `count` may run in a child at any time, as it does nothing but an atomic addition.
        let watched = unsafe { libc::pthread_atfork(None, None, Some(count)) } == 0;
        if watched {
            // Release: pairs with the Acquire above.
            WATCHED.store(true, Ordering::Release);
        }
        watched
    }

    extern "C" fn count() {
        // Relaxed: see `FORKS`.
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(not(all(unix, not(any(loom, miri, target_os = "emscripten")))))]
mod system {
    //! Without `fork`.

    pub(super) fn forks() -> usize {
        0
    }

    pub(super) fn watch() -> bool {
        true
    }
}

use system::{forks, watch};

#[cfg(not(loom))]
pub(crate) use per_process::PerProcess;

// Models make no process-wide value but the epoch's collector, and loom has a home of its own for that.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct PerProcess<T>(std::sync::OnceLock<T>);

#[cfg(loom)]
impl<T> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(std::sync::OnceLock::new())
    }

    pub(crate) fn get(&'static self, make: impl FnOnce() -> T) -> Option<&'static T> {
        Some(self.0.get_or_init(make))
    }
}

#[cfg(not(loom))]
mod per_process {
    use super::Origin;
    use crate::alloc::FallibleBox;
    use crate::sync::{AtomicPtr, Ordering};

    /// A value of the process, made by its first use. Nobody waits for another's first use, and a child has a value of its own:
    /// the inherited one may be locked, or half changed, for ever.
    #[derive(Debug)]
    pub(crate) struct PerProcess<T: 'static> {
        /// Null, or from `FallibleBox::into_raw` and never freed: a child's copy replaces its parent's.
        made: AtomicPtr<Made<T>>,
    }

    #[derive(Debug)]
    struct Made<T> {
        origin: Origin,
        value: T,
    }

    impl<T: Send + Sync> PerProcess<T> {
        pub(crate) const fn new() -> Self {
            Self { made: AtomicPtr::new(core::ptr::null_mut()) }
        }

        /// The value; `make` makes one if there is none yet, in vain where another thread is faster. None: no memory.
        pub(crate) fn get(&self, make: impl FnOnce() -> T) -> Option<&'static T> {
            // Acquire: pairs with the Release below.
            let there = self.made.load(Ordering::Acquire);
            // SAFETY: null, or never freed.
            if let Some(made) = unsafe { there.as_ref() }.filter(|made| made.origin.is_here()) {
                return Some(&made.value);
            }
            let made = Made { origin: Origin::here()?, value: make() };
            let made = FallibleBox::into_raw(FallibleBox::try_new(made).ok()?);
            // Release: the value comes before the pointer to it. Acquire: pairs with that of a faster thread.
            let made = match self.made.compare_exchange(there, made, Ordering::Release, Ordering::Acquire) {
                Ok(_) => made,
                Err(faster) => {
                    // SAFETY: just made, and never published.
                    drop(unsafe { FallibleBox::from_raw(made) });
                    faster
                }
            };
            // SAFETY: never freed; and it is this process's, as `there` was replaced since the last fork.
            Some(&unsafe { &*made }.value)
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn all_threads_get_the_same_value() {
        static VALUE: PerProcess<String> = PerProcess::new();
        let threads: Vec<_> = (0..8)
            .map(|n| std::thread::spawn(move || core::ptr::from_ref(VALUE.get(|| n.to_string()).unwrap()).addr()))
            .collect();
        let mut places: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        places.dedup();
        assert_eq!(places.len(), 1);
    }
}
