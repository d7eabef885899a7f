//! When a retired generation may be dropped: once no thread that could have loaded it is pinned (I4).
//!
//! The epoch collector is our own. With crossbeam's default one, our requests would run other crates' garbage and
//! other crates' guards would hold our memory. Nothing is dropped by a deferred function either: it lets a token go, and
//! whoever keeps the shell looks for the token.
//!
//! A child of `fork` has a collector of its own: in its parent's, a thread that was pinned then is pinned for ever.

#[cfg(not(loom))]
use core::alloc::Layout;
use core::cell::RefCell;
use core::mem;

use crossbeam_epoch::{Collector, Guard, LocalHandle};

use crate::alloc::FallibleBox;
use crate::raw::fork::Origin;
use crate::sync::{Arc, AtomicPtr, Ordering};

#[cfg(not(loom))]
fn collector() -> &'static Collector {
    static COLLECTOR: crate::raw::fork::PerProcess<Collector> = crate::raw::fork::PerProcess::new();
    COLLECTOR.get(Collector::new).unwrap_or_else(|| std::alloc::handle_alloc_error(Layout::new::<Collector>()))
}

// One for each execution of a model, so that none meets what another left.
#[cfg(loom)]
crate::sync::lazy_static! {
    static ref COLLECTOR: Collector = Collector::new();
}

#[cfg(loom)]
fn collector() -> &'static Collector {
    &COLLECTOR
}

/// A thread's registration with the collector.
struct Mine {
    origin: Option<Origin>,
    handle: LocalHandle,
}

impl Mine {
    fn new() -> Self {
        Self { origin: Origin::here(), handle: collector().register() }
    }
}

crate::sync::thread_local! {
    static MINE: RefCell<Mine> = RefCell::new(Mine::new());
}

/// While the guard lives, nothing that was current after this call leaves its [`Shell`]. Nothing here calls
/// `A` or user code under it. A bucket may be allocated: what the program's allocator does then only keeps shells longer.
fn pin_epoch() -> Guard {
    let pin = |mine: &RefCell<Mine>| {
        if mine.borrow().origin != Origin::here() {
            // The parent's is left as it is: giving it up would run what other threads left to the parent's collector.
            mem::forget(mine.replace(Mine::new()));
        }
        mine.borrow().handle.pin()
    };
    // While the thread ends its handle may be gone already: then one for this guard alone.
    MINE.try_with(pin).unwrap_or_else(|_| collector().register().pin())
}

#[cfg(any(not(loom), crossbeam_loom))]
use pin_epoch as pin;

#[cfg(all(loom, not(crossbeam_loom)))]
use model::pin;

/// Where loom does not see into crossbeam-epoch it is told of the fences there. Without the first a reader that pins after
/// a retirement could still load the retired pointer; without the second its visit would not come before the drop.
#[cfg(all(loom, not(crossbeam_loom)))]
mod model {
    use super::Guard;
    use crate::sync::{Ordering, fence};

    pub(super) struct Pinned(Guard);

    pub(super) fn pin() -> Pinned {
        let guard = super::pin_epoch();
        fence(Ordering::SeqCst);
        Pinned(guard)
    }

    impl core::ops::Deref for Pinned {
        type Target = Guard;

        fn deref(&self) -> &Guard {
            &self.0
        }
    }

    impl Drop for Pinned {
        fn drop(&mut self) {
            fence(Ordering::SeqCst);
        }
    }
}

/// A pointer that readers follow while one thread at a time exchanges it.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    /// From `FallibleBox::into_raw`; never null.
    current: AtomicPtr<T>,
}

/// What was unlinked and waits until its last reader has gone.
#[derive(Debug)]
pub(crate) struct Shell<T> {
    value: *mut T,
    /// The deferred function has the other clone, until no reader is left.
    read: Arc<()>,
}

// SAFETY: a shell owns its value, as a box does.
unsafe impl<T: Send> Send for Shell<T> {}

impl<T> Shared<T> {
    pub(crate) fn new(value: FallibleBox<T>) -> Self {
        Self { current: AtomicPtr::new(FallibleBox::into_raw(value)) }
    }

    /// Lets `f` see the current value.
    pub(crate) fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        let _guard = pin();
        // Acquire: pairs with the Release of `replace`.
        let current = self.current.load(Ordering::Acquire);
        // SAFETY: (I4) it was current after the pin, so its shell does not open before the guard goes.
        f(unsafe { &*current })
    }

    /// The current value, without a pin.
    ///
    /// # Safety
    /// While the reference lives nobody calls `rotate` or `exchange`.
    pub(crate) unsafe fn current(&self) -> &T {
        // Acquire: pairs with the Release of `replace`.
        // SAFETY: it is not replaced, hence not retired, while the reference lives.
        unsafe { &*self.current.load(Ordering::Acquire) }
    }

    /// Moves the value of `from` here and `fresh` to `from`, and retires what was here.
    ///
    /// In this order: a reader that asks `from` and then here may meet a value twice, but misses none.
    ///
    /// # Safety
    /// One thread at a time.
    pub(crate) unsafe fn rotate(&self, from: &Self, fresh: FallibleBox<T>) -> Shell<T> {
        // Relaxed: nobody else writes it now, and our turn comes after the last writer's.
        let old = self.replace(from.current.load(Ordering::Relaxed));
        from.replace(FallibleBox::into_raw(fresh));
        Shell::new(old)
    }

    /// As [`rotate`](Self::rotate), with what was here in the place of a fresh value: nothing is retired.
    ///
    /// # Safety
    /// One thread at a time.
    pub(crate) unsafe fn exchange(&self, from: &Self) {
        // Relaxed: as in `rotate`.
        let old = self.replace(from.current.load(Ordering::Relaxed));
        from.replace(old);
    }

    fn replace(&self, value: *mut T) -> *mut T {
        // Release: pairs with the Acquire of `read`. Acquire: as there, for the value that comes out.
        self.current.swap(value, Ordering::AcqRel)
    }
}

/// Whether there is memory for what retires a value: a token, and a bag of the epoch's. Neither can report that there is none; asking
/// for as much just before makes that unlikely.
pub(crate) fn can_retire() -> bool {
    // 64 deferred functions of four words; and somewhat more.
    const BAG: usize = 64 * 4 * size_of::<usize>() + 128;
    Vec::<u8>::new().try_reserve_exact(BAG).is_ok()
}

impl<T> Shell<T> {
    fn new(value: *mut T) -> Self {
        let read = Arc::new(());
        let token = Arc::clone(&read);
        let guard = pin();
        guard.defer(move || drop(token));
        guard.flush();
        Self { value, read }
    }

    /// What is in the shell; slow readers may be at it as well.
    pub(crate) fn value(&self) -> &T {
        // SAFETY: the shell owns it.
        unsafe { &*self.value }
    }

    /// Gives the value up if no reader can be at it any more, and helps that moment to come.
    pub(crate) fn open(mut self) -> Result<FallibleBox<T>, Self> {
        pin().flush();
        // `get_mut` synchronises with the drop of the other clone, hence with all readers.
        if Arc::get_mut(&mut self.read).is_none() {
            return Err(self);
        }
        // SAFETY: (I4) the deferred function has run.
        Ok(unsafe { self.open_now() })
    }

    /// Gives the value up at once.
    ///
    /// # Safety
    /// No reader is left: the pool has neither handle nor unit (I4).
    pub(crate) unsafe fn open_now(self) -> FallibleBox<T> {
        // SAFETY: from `into_raw`, and given up once, as `self` ends here.
        unsafe { FallibleBox::from_raw(self.value) }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Relaxed: whoever drops it has it alone (I4).
        let current = self.current.load(Ordering::Relaxed);
        // SAFETY: from `into_raw`, and not retired.
        drop(unsafe { FallibleBox::from_raw(current) });
    }
}
