//! The handle: where a buffer comes from.

mod allocator;

use core::fmt;
use core::mem::{self, MaybeUninit};
use core::panic::AssertUnwindSafe;
use core::ptr::{self, NonNull};

use crate::alloc::{Allocator, Global};
use crate::buf::{PoolBuf, or_failed};
use crate::error::GetError;
use crate::life::close::{Core, Handle};
use crate::life::root::Root;
use crate::raw::config::Config;
use crate::raw::contain::contain;
use crate::raw::home::Lent;
use crate::raw::slot::Reach;
use crate::stats::{Collected, Outstanding, Stats};
use crate::tiers::backing::{Bytes, Trimmed};

/// A pool of reusable byte buffers.
///
/// A handle: cloning it is cheap and gives the same pool. The pool is closed when the last handle goes: idle blocks are
/// freed then, and buffers that are still out stay valid and free their block when they are dropped.
///
/// Nothing is allocated until the first get, so a pool can be a `static`:
///
/// ```
/// use millpond::Pool;
///
/// static POOL: Pool = Pool::new();
///
/// let mut buf = POOL.get(4096);
/// buf.extend_from_slice(b"hello");
/// assert_eq!(buf, "hello");
/// drop(buf); // the block goes back, and the next get on this thread has it
/// assert!(POOL.get(4096).is_empty());
/// ```
///
/// The allocator is used from all threads, so it must be `Send` and `Sync`:
///
/// ```compile_fail,E0277
/// # use std::{alloc::Layout, ptr::NonNull, rc::Rc};
/// # use millpond::{Pool, alloc::{AllocError, Allocator, Global}};
/// struct OfOneThread(Rc<()>);
/// # unsafe impl Allocator for OfOneThread {
/// #     fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> { Global.allocate(layout) }
/// #     unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) { unsafe { Global.deallocate(block, layout) } }
/// # }
/// let pool = Pool::new_in(OfOneThread(Rc::new(())));
/// ```
pub struct Pool<A: Allocator + Send + Sync + 'static = Global> {
    root: Root<Bytes<A>>,
    /// What the first use makes the core of; none in a clone. Never written: the allocator is in the core once there is one,
    /// and this is then a stale copy.
    seed: AssertUnwindSafe<Option<Seed<A>>>,
}

struct Seed<A> {
    allocator: MaybeUninit<A>,
    config: Config,
    trimmed: Option<Trimmed<A>>,
}

impl Pool {
    /// A pool on the global allocator with the default settings; see [`Builder`](crate::Builder) for them.
    #[must_use]
    pub const fn new() -> Self {
        Self::new_in(Global)
    }
}

impl<A: Allocator + Send + Sync + 'static> Pool<A> {
    /// A pool on `allocator` with the default settings; see [`Builder`](crate::Builder) for them.
    ///
    /// ```
    /// use millpond::{Pool, alloc::Global};
    ///
    /// static POOL: Pool<Global> = Pool::new_in(Global);
    /// assert!(POOL.get(1).capacity() >= 1);
    /// ```
    #[must_use]
    pub const fn new_in(allocator: A) -> Self {
        Self::with_config(allocator, Config::DEFAULT, None)
    }

    pub(crate) const fn with_config(allocator: A, config: Config, trimmed: Option<Trimmed<A>>) -> Self {
        let seed = Seed { allocator: MaybeUninit::new(allocator), config, trimmed };
        Self { root: Root::new(), seed: AssertUnwindSafe(Some(seed)) }
    }

    /// An empty buffer with room for at least `min_capacity` bytes.
    ///
    /// The capacity is that of the size class, so usually a little more; a buffer always owns a block, so that of no bytes too. A size above the largest class is served too,
    /// exactly, but its block is freed when the buffer is dropped.
    ///
    /// # Panics
    /// Where [`try_get`](Self::try_get) would fail. If the allocator has no memory, the process is treated as `Vec`
    /// would treat it ([`handle_alloc_error`](std::alloc::handle_alloc_error)).
    ///
    /// # Cost
    /// A few nanoseconds if the thread has an idle block of that size. Each of the ways down costs more: tens of
    /// nanoseconds from the shared depot, and from the allocator what it takes. A thread's and a pool's first get make
    /// their tables.
    #[inline(always)]
    #[track_caller]
    pub fn get(&self, min_capacity: usize) -> PoolBuf<A> {
        match self.get_local(min_capacity) {
            Some(buf) => buf,
            // SAFETY: just lent for as much.
            None => unsafe { PoolBuf::of(self.get_slow(min_capacity), min_capacity) },
        }
    }

    /// Not a buffer: that would come back through memory, and keep the caller's out of registers.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn get_slow(&self, min_capacity: usize) -> Lent {
        or_failed(self.lend(min_capacity))
    }

    /// As [`get`](Self::get), with an error where that panics.
    ///
    /// # Errors
    /// The capacity exceeds what an allocation can have, the pool's `limit` is reached, or the allocator has no memory. Before it fails for a
    /// limit that the block alone does not exceed, it frees all idle blocks of all threads, as [`purge`](Self::purge) does, and tries
    /// again; if another thread is collecting at that moment it waits for that one, 20 ms at most.
    ///
    /// ```
    /// use millpond::{GetError, Pool};
    ///
    /// let pool = Pool::builder().limit(64 << 10).build()?;
    /// let held = pool.try_get(40 << 10).expect("fits");
    /// match pool.try_get(40 << 10) {
    ///     Err(GetError::LimitReached { limit, .. }) => assert_eq!(limit, 64 << 10),
    ///     other => panic!("{other:?}"),
    /// }
    /// drop(held);
    /// assert!(pool.try_get(40 << 10).is_ok());
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn try_get(&self, min_capacity: usize) -> Result<PoolBuf<A>, GetError> {
        match self.get_local(min_capacity) {
            Some(buf) => Ok(buf),
            None => self.try_get_slow(min_capacity),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn try_get_slow(&self, min_capacity: usize) -> Result<PoolBuf<A>, GetError> {
        // SAFETY: just lent for as much.
        self.lend(min_capacity).map(|lent| unsafe { PoolBuf::of(lent, min_capacity) })
    }

    #[track_caller]
    fn lend(&self, min_capacity: usize) -> Result<Lent, GetError> {
        let core = self.core_or_start()?;
        // SAFETY: this handle keeps the core.
        let lent = unsafe { PoolBuf::lend(core, min_capacity)? };
        // SAFETY: just lent for as much, and the handle keeps the core.
        Ok(unsafe { PoolBuf::noted(core, lent, min_capacity) })
    }

    #[inline]
    fn core_or_start(&self) -> Result<NonNull<Core<Bytes<A>>>, GetError> {
        self.root.core().map_or_else(|| self.start(), Ok)
    }

    /// The part of a get that is worth having in the caller's code: a local hit.
    #[inline(always)]
    fn get_local(&self, min_capacity: usize) -> Option<PoolBuf<A>> {
        // SAFETY: this handle keeps the core.
        unsafe { PoolBuf::new_local(self.root.near()?, min_capacity) }
    }

    /// Collects once: frees what nobody used through two collections. A block that was used in between is kept.
    ///
    /// Requests go on meanwhile, on all threads. If another thread is collecting, nothing happens.
    ///
    /// # Cost
    /// Grows with the number of threads that use the pool and with what is freed. The first collection of a process
    /// can take 10 ms (Linux prepares `membarrier` then).
    pub fn collect(&self) -> Collected {
        self.root.handle().map_or_else(Collected::default, |handle| handle.tiers().collect_and_trim(Reach::Idle))
    }

    /// Frees all idle blocks of all threads, at once; but for those of a thread that is in its cache at that moment
    /// ([`Collected::slots_skipped`]). If another thread is collecting, nothing happens.
    ///
    /// # Cost
    /// As [`collect`](Self::collect); and the gets that follow have to allocate.
    pub fn purge(&self) -> Collected {
        self.root.handle().map_or_else(Collected::default, |handle| handle.tiers().collect_and_trim(Reach::All))
    }

    /// What the pool has done and holds.
    ///
    /// # Cost
    /// Visits the figures of every thread that uses the pool: for people and scrapers, not for every request.
    pub fn stats(&self) -> Stats {
        if let Some(handle) = self.root.handle() {
            let mut stats = handle.tiers().stats();
            handle.report(&mut stats);
            return stats;
        }
        match &*self.seed {
            Some(Seed { config, .. }) => Stats {
                idle_limit: config.idle_limit,
                local_limit: config.local_limit,
                limit: config.limit_if_any(),
                collector: config.collect.before_use(),
                ..Stats::default()
            },
            None => Stats::default(),
        }
    }

    /// What is out, by the place in the program where it was gotten: nothing, unless the builder said
    /// [`track`](crate::Builder::track) or [`track_one_in`](crate::Builder::track_one_in).
    ///
    /// ```
    /// let pool = millpond::Pool::builder().track(true).build()?;
    /// let kept: Vec<_> = (0..3).map(|_| pool.get(1000)).collect();
    /// let line = line!() - 1;
    /// drop(pool.get(4096));
    ///
    /// let outstanding = pool.outstanding();
    /// println!("{outstanding}");
    /// let site = &outstanding.sites[0];
    /// assert_eq!((outstanding.sites.len(), site.location.line(), site.count, site.bytes), (1, line, 3, 3 << 10));
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    ///
    /// # Cost
    /// Copies all that is noted: for people, not for every request. Gets and drops of what is noted may wait for that.
    #[must_use]
    pub fn outstanding(&self) -> Outstanding {
        match (self.root.handle(), &*self.seed) {
            (Some(handle), _) => handle.tiers().outstanding().unwrap_or_default(),
            (None, Some(Seed { config, .. })) => Outstanding::none_yet(config.track),
            (None, None) => Outstanding::default(),
        }
    }

    /// What a clone of this one is. The first use makes the core.
    #[inline]
    pub(crate) fn handle(&self) -> Result<Handle<Bytes<A>>, GetError> {
        let core = self.core_or_start()?;
        // SAFETY: `core` is from `into_raw`, and this handle keeps it.
        Ok(Handle::clone(&*unsafe { Handle::borrow_raw(core) }))
    }

    /// Makes the core. First uses may race: each makes one around a copy of the allocator, bit by bit, and the one that is
    /// planted turns its copy into the allocator.
    #[cold]
    fn start(&self) -> Result<NonNull<Core<Bytes<A>>>, GetError> {
        let Some(Seed { allocator, config, trimmed }) = &*self.seed else { return Err(no_core::<A>()) };
        // SAFETY: the seed is there and never written; a copy as `MaybeUninit` promises nothing.
        let copy = unsafe { ptr::from_ref(allocator).read() };
        // SAFETY: while there may be another copy, the backing is only carried and forgotten.
        let backing = unsafe { Bytes::new(copy, config, *trimmed) };
        match Handle::new(config.clone(), backing) {
            Ok(handle) => {
                let (core, slower) = self.root.plant(handle);
                mem::forget(slower);
                Ok(core)
            }
            Err(backing) => {
                mem::forget(backing);
                Err(no_core::<A>())
            }
        }
    }
}

/// There is no memory for the pool itself.
fn no_core<A: Allocator + Send + Sync + 'static>() -> GetError {
    GetError::OutOfMemory { requested: size_of::<Core<Bytes<A>>>(), align: align_of::<Core<Bytes<A>>>() }
}

impl<A: Allocator + Send + Sync + 'static> Clone for Pool<A> {
    /// Another handle to the same pool. The first clone of a pool that was never used makes its tables.
    #[track_caller]
    fn clone(&self) -> Self {
        let handle = or_failed(self.handle());
        Self { root: handle.into(), seed: AssertUnwindSafe(None) }
    }
}

impl<A: Allocator + Send + Sync + 'static> Drop for Pool<A> {
    fn drop(&mut self) {
        // The allocator's drop is user code (I10).
        if let (None, Some(seed)) = (self.root.core(), &mut *self.seed) {
            // SAFETY: without a core the allocator is here, and this is its end.
            contain(|| unsafe { seed.allocator.assume_init_drop() });
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Allocator + Send + Sync + 'static> fmt::Debug for Pool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Pool")
            .field("allocated_bytes", &stats.allocated_bytes)
            .field("in_use_bytes", &stats.in_use_bytes)
            .field("idle_bytes", &stats.idle_bytes)
            .finish_non_exhaustive()
    }
}
