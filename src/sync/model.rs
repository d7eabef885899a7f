//! loom's atomics and cells, and stand-ins for what loom cannot see into: `ArrayQueue`, and the system call `membarrier`.
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::ops::Deref;

/// Not loom's: the order of accesses to figures is nothing to search.
pub(crate) use core::sync::atomic::AtomicU64 as Figure;

pub(crate) use loom::cell::UnsafeCell;
/// In whose hands the epoch's token is, loom must see if it sees into the epoch.
#[cfg(crossbeam_loom)]
pub(crate) use loom::sync::Arc;
pub(crate) use loom::sync::atomic::{Ordering, fence};
pub(crate) use loom::sync::{Mutex, MutexGuard};
pub(crate) use loom::thread::yield_now;
pub(crate) use loom::{lazy_static, thread_local};
#[cfg(not(crossbeam_loom))]
pub(crate) use std::sync::Arc;

/// A panic is a failed check, and ends the model.
pub(crate) fn catch_unwind<R>(f: impl FnOnce() -> R) -> std::thread::Result<R> {
    Ok(f())
}

/// Atomics that fail the model when they are dropped before the last access has happened, or used later.
macro_rules! checked {
    ($($name:ident $(<$t:ident>)?($value:ty);)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name$(<$t>)? {
            value: loom::sync::atomic::$name$(<$t>)?,
            order: loom::sync::atomic::AtomicUsize,
            /// Found by a later use, as the models' allocator keeps what an execution frees.
            dropped: std::sync::atomic::AtomicBool,
        }

        impl$(<$t>)? $name$(<$t>)? {
            #[track_caller]
            pub(crate) fn new(value: $value) -> Self {
                Self {
                    value: loom::sync::atomic::$name::new(value),
                    order: loom::sync::atomic::AtomicUsize::new(0),
                    dropped: std::sync::atomic::AtomicBool::new(false),
                }
            }
        }

        impl$(<$t>)? Deref for $name$(<$t>)? {
            type Target = loom::sync::atomic::$name$(<$t>)?;

            #[track_caller]
            fn deref(&self) -> &Self::Target {
                assert!(!self.dropped.load(Ordering::Relaxed), "used after its drop");
                if stringify!($name) == "AtomicPtr" {
                    search_both_orders(&self.order);
                }
                &self.value
            }
        }

        impl$(<$t>)? Drop for $name$(<$t>)? {
            fn drop(&mut self) {
                if !std::thread::panicking() {
                    assert!(!self.dropped.swap(true, Ordering::Relaxed), "dropped twice");
                    self.value.with_mut(|_| ());
                }
            }
        }
    )*};
}

checked! {
    AtomicI64(i64);
    AtomicUsize(usize);
    AtomicU64(u64);
    AtomicPtr<T>(*mut T);
}

/// Orders an access among the others for loom's search. loom forgets another thread's load when a thread loads what it
/// stores next (loom issues 166 and 392), and then does not try that store before the other's load. Here this matters
/// where a pointer is installed. A compare-exchange that fails publishes and learns nothing.
fn search_both_orders(order: &loom::sync::atomic::AtomicUsize) {
    let _ = order.compare_exchange(1, 1, Ordering::Relaxed, Ordering::Relaxed);
}

impl Default for AtomicUsize {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Default for AtomicU64 {
    fn default() -> Self {
        Self::new(0)
    }
}

/// What gates are made of: beside each access the thread may have to pass a barrier; see [`heavy`].
macro_rules! gates {
    ($($(#[$doc:meta])* $name:ident($value:ty) in $word:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name($word);

        impl $name {
            #[track_caller]
            pub(crate) fn new(value: $value) -> Self {
                Self($word::new(value.into()))
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                pass_barrier();
                let value = self.0.load(order);
                pass_barrier();
                value.try_into().unwrap()
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                pass_barrier();
                self.0.store(value.into(), order);
            }
        }
    )*};
}

gates! {
    AtomicU8(u8) in AtomicUsize;
    /// The owner's word.
    Word(u64) in AtomicU64;
}

/// Made of the above, as loom's own does not check its end.
#[derive(Debug)]
pub(crate) struct AtomicBool(AtomicU8);

impl AtomicBool {
    #[track_caller]
    pub(crate) fn new(value: bool) -> Self {
        Self(AtomicU8::new(value.into()))
    }

    #[track_caller]
    pub(crate) fn load(&self, order: Ordering) -> bool {
        self.0.load(order) != 0
    }

    #[track_caller]
    pub(crate) fn store(&self, value: bool, order: Ordering) {
        self.0.store(value.into(), order);
    }
}

/// A bag of so many cells. It promises no order, and a call that fails publishes and learns nothing: less than
/// `ArrayQueue` gives.
#[derive(Debug)]
pub(crate) struct ArrayQueue<T> {
    cells: Box<[Place<T>]>,
}

#[derive(Debug)]
struct Place<T> {
    full: AtomicUsize,
    /// Hidden from loom, so changed together with `full`: loom switches threads before an operation, not after.
    value: std::sync::Mutex<Option<T>>,
}

impl<T> ArrayQueue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let empty = |_| Place { full: AtomicUsize::new(0), value: std::sync::Mutex::new(None) };
        Self { cells: (0..capacity).map(empty).collect() }
    }

    pub(crate) fn push(&self, value: T) -> Result<(), T> {
        let claim = |cell: &&Place<T>| cell.full.compare_exchange(0, 1, Ordering::Release, Ordering::Relaxed).is_ok();
        let Some(cell) = self.cells.iter().find(claim) else { return Err(value) };
        *cell.value.lock().unwrap() = Some(value);
        Ok(())
    }

    pub(crate) fn pop(&self) -> Option<T> {
        let claim = |cell: &&Place<T>| cell.full.compare_exchange(1, 0, Ordering::Acquire, Ordering::Relaxed).is_ok();
        self.cells.iter().find(claim)?.value.lock().unwrap().take()
    }
}

/// `membarrier`, as far as a program can tell: each running thread passes one full barrier at a point of its own
/// choosing, after the call has begun and before it returns.
#[derive(Debug)]
struct Barrier {
    /// The hint that `registered` gives, where it changes while threads run.
    registered: loom::sync::atomic::AtomicBool,
    /// How many calls there have been.
    asked: loom::sync::atomic::AtomicUsize,
    /// The last call for which each thread has passed a barrier; or `AWAY`, of one that does not run.
    passed: [loom::sync::atomic::AtomicUsize; THREADS],
}

const THREADS: usize = 4;
const AWAY: usize = usize::MAX;

lazy_static! {
    static ref BARRIER: Barrier = Barrier {
        registered: loom::sync::atomic::AtomicBool::new(false),
        asked: loom::sync::atomic::AtomicUsize::new(0),
        passed: core::array::from_fn(|_| loom::sync::atomic::AtomicUsize::new(AWAY)),
    };
}

thread_local! {
    /// The thread's place in `passed`, and the last call that it passed a barrier for.
    static PLACE: Cell<Option<(usize, usize)>> = Cell::new(None);
}

/// Which of the barriers the models run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A fence on either side, as without the feature or where the system refuses.
    Fences,
    /// The system has agreed already: the light half is no fence.
    System,
    /// The first heavy half asks the system, while threads run.
    Registering,
    /// The system has agreed, and refuses from now on.
    Refusing,
}

std::thread_local! {
    /// loom's threads are coroutines of the test's own thread, so this holds for all of them.
    static KIND: Cell<Kind> = const { Cell::new(Kind::Fences) };
}

/// For all threads, from now on; so before any runs, or when one is left.
#[cfg(test)]
pub(crate) fn set_kind(kind: Kind) {
    KIND.set(kind);
}

/// Announces a running thread, before it starts.
#[cfg(test)]
pub(crate) fn announce(place: usize) {
    BARRIER.passed[place].store(0, Ordering::Relaxed);
}

/// The calling thread is the one announced for this place.
#[cfg(test)]
pub(crate) fn arrive(place: usize) {
    PLACE.with(|mine| mine.set(Some((place, 0))));
}

/// The calling thread does nothing more, or only waits for others. A thread that does not run has passed a barrier.
#[cfg(test)]
pub(crate) fn go_away() {
    let Some((place, _)) = PLACE.with(|mine| mine.replace(None)) else { return };
    fence(Ordering::SeqCst);
    BARRIER.passed[place].store(AWAY, Ordering::Relaxed);
}

/// A point at which the thread may choose to pass the barrier that somebody asked for.
fn pass_barrier() {
    if KIND.get() == Kind::Fences {
        return;
    }
    let Some((place, passed)) = PLACE.with(Cell::get) else { return };
    let asked = BARRIER.asked.load(Ordering::Relaxed);
    if asked > passed {
        fence(Ordering::SeqCst);
        BARRIER.passed[place].store(asked, Ordering::Relaxed);
        PLACE.with(|mine| mine.set(Some((place, asked))));
    }
}

pub(crate) fn light() {
    pass_barrier();
}

pub(crate) fn registered() -> bool {
    match KIND.get() {
        Kind::Fences => false,
        Kind::System | Kind::Refusing => true,
        Kind::Registering => BARRIER.registered.load(Ordering::Relaxed),
    }
}

pub(crate) fn prepare() {}

pub(crate) fn heavy() -> bool {
    if KIND.get() == Kind::Registering {
        BARRIER.registered.store(true, Ordering::Relaxed);
    }
    fence(Ordering::SeqCst);
    if KIND.get() == Kind::Refusing {
        return false;
    }
    if KIND.get() != Kind::Fences {
        let call = BARRIER.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let mine = PLACE.with(Cell::get).map(|(place, _)| place);
        for other in (0..THREADS).filter(|place| Some(*place) != mine) {
            while BARRIER.passed[other].load(Ordering::Relaxed) < call {
                pass_barrier();
                yield_now();
            }
        }
        fence(Ordering::SeqCst);
    }
    true
}
