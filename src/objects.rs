//! Pools of objects: encoders, parsers, connections, scratch structures.

mod builder;

mod clear;

mod pooled;

mod source;

use core::fmt;
use core::panic::AssertUnwindSafe;
use core::ptr::NonNull;
use std::sync::Arc;

use crate::buf::or_failed;
use crate::error::GetError;
use crate::life::close::{Core, Handle};
use crate::life::root::Root;
use crate::raw::config::{Collect, Config, Recycle};
use crate::raw::contain::{Closure, contain};
use crate::raw::slot::Reach;
use crate::stats::{Collected, ObjectStats, Outstanding, Stats};
use crate::tiers::backing::objects::{OBJECT, Objects, Reset};

pub use self::builder::ObjectBuilder;
pub use self::clear::{Clear, Verdict};
pub use self::pooled::Pooled;
pub use self::source::{Given, Making};

/// A pool of reusable objects of type `T`: Go's `sync.Pool`.
///
/// A handle, as [`Pool`](crate::Pool) is: cloning it gives the same pool, the last handle to go closes it, and objects that are
/// still out stay valid. It stands on the same engine: each thread has idle objects of its own, what nobody used through two
/// collections is dropped, and `max_idle` bounds how many are kept, 1024 by default. An object is counted as one, whatever it owns.
/// It must own what it has (`T: 'static`), as a [`Pooled`] may outlive the pool, and the background thread drops objects.
///
/// ```
/// use millpond::ObjectPool;
///
/// static LINES: ObjectPool<Vec<String>> = ObjectPool::new(Vec::new);
///
/// let pool = ObjectPool::with(|| String::with_capacity(64), String::clear);
/// let mut name = pool.get();
/// name.push_str("millpond");
/// drop(name); // reset here, and back to the pool
/// assert!(pool.get().is_empty());
/// # drop(LINES.get());
/// ```
///
/// What `sync.Pool` can only ask for does not compile here. An object that went back cannot be used,
///
/// ```compile_fail,E0382
/// # let pool = millpond::ObjectPool::with(String::new, String::clear);
/// let name = pool.get();
/// drop(name);
/// println!("{name}");
/// ```
///
/// nor given back twice, nor to a pool of something else; and what borrows from it ends before:
///
/// ```compile_fail,E0505
/// # let pool = millpond::ObjectPool::with(String::new, String::clear);
/// let name = pool.get();
/// let first = name.chars();
/// drop(name);
/// drop(first);
/// ```
///
/// # When an object does not go back
/// It is dropped, by the thread that had it, where its reset says no or panics; where all of `max_idle` is spoken for, by what is idle
/// and by what other threads may keep; where the pool does not recycle, or is gone; and where the thread is unwinding from a panic: what
/// was in its hands may be half changed. What is idle is dropped by whoever collects, or by who drops the last handle. A panic of a
/// drop is caught and counted.
///
/// `M` says where objects come from: [`Making`] has a function that makes one if none is idle, [`Given`] has not.
pub struct ObjectPool<T: Send + 'static, M = Making<T>> {
    root: Root<Objects<T>>,
    make: AssertUnwindSafe<M>,
    /// What the first use makes the core of; none in a clone.
    seed: AssertUnwindSafe<Option<Seed<T>>>,
}

#[derive(Debug)]
struct Seed<T> {
    config: Config,
    reset: Reset<T>,
}

impl<T: Send + 'static> ObjectPool<T> {
    /// A pool that calls `make` where no object is idle. Objects are not reset: each comes out as it went back. Nothing is
    /// made until the first get.
    #[must_use]
    pub const fn new(make: fn() -> T) -> Self {
        Self::seeded(Making::function(make), DEFAULT, Reset::Keep)
    }

    /// A pool that calls `make` where no object is idle, and `reset` with each that comes back, before it is stored. If `reset`
    /// returns `false`, or panics, that one is dropped. The closures may be called by many threads at once.
    ///
    /// ```
    /// use millpond::ObjectPool;
    ///
    /// let pool = ObjectPool::with(Vec::<u64>::new, |list| {
    ///     list.clear();
    ///     list.capacity() <= 4096 // one that outgrew its use is not kept
    /// });
    /// pool.get().extend(0..100_000);
    /// assert_eq!(pool.get().capacity(), 0);
    /// ```
    ///
    /// There is no `zero_on_return` for objects: a reset that overwrites what is secret takes its place, and does not see what an object freed before,
    /// such as the memory that a `Vec` grew out of.
    #[must_use]
    pub fn with<V: Verdict>(
        make: impl Fn() -> T + Send + Sync + 'static,
        reset: impl Fn(&mut T) -> V + Send + Sync + 'static,
    ) -> Self {
        Self::seeded(Making::closure(make), DEFAULT, reset_by(reset))
    }

    /// A pool of collections that are emptied when they come back, and dropped if they have grown beyond `max_capacity`: in elements, of
    /// a `String` in bytes. One huge request does not make every later one keep its memory. Of a hash map or set it is what std calls
    /// its capacity, which elements that were removed one by one may have lowered.
    ///
    /// ```
    /// use millpond::ObjectPool;
    ///
    /// static LINES: ObjectPool<Vec<&str>> = ObjectPool::clearing(1024);
    ///
    /// LINES.get().extend("a\nb".lines());
    /// assert!(LINES.get().is_empty());
    /// ```
    #[must_use]
    pub const fn clearing(max_capacity: usize) -> Self
    where
        T: Default + Clear,
    {
        Self::seeded(Making::function(T::default), DEFAULT, Reset::Clear(clear::cleared::<T>, max_capacity))
    }

    /// An idle object, or else a new one.
    ///
    /// # Panics
    /// If `make` does. If there is no memory for the box that the object lies in, the object is dropped, and the process is treated as
    /// `Box::new` would treat it.
    ///
    /// # Cost
    /// That of [`Pool::get`](crate::Pool::get): nothing is allocated where an object is idle.
    #[inline(always)]
    #[track_caller]
    pub fn get(&self) -> Pooled<T> {
        match self.take_local() {
            Some(object) => object,
            None => self.get_slow(),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn get_slow(&self) -> Pooled<T> {
        or_failed(self.try_get_slow())
    }

    /// As [`get`](Self::get), with an error where there is no memory for the object's box. An object that was made for it is
    /// dropped.
    ///
    /// # Errors
    /// [`GetError::OutOfMemory`].
    ///
    /// # Panics
    /// If `make` does, or the drop of an object that there is no memory for.
    #[inline(always)]
    #[track_caller]
    pub fn try_get(&self) -> Result<Pooled<T>, GetError> {
        match self.take_local() {
            Some(object) => Ok(object),
            None => self.try_get_slow(),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn try_get_slow(&self) -> Result<Pooled<T>, GetError> {
        match self.take_slow() {
            Some(object) => Ok(object),
            None => self.lend(self.make.make()).map_err(|(error, _)| error),
        }
    }
}

impl<T: Send + 'static> ObjectPool<T, Given> {
    /// A pool without a function that makes objects, as `sync.Pool` without `New`: for what cannot be made without an argument, or
    /// without an error.
    ///
    /// ```
    /// use std::net::{SocketAddr, TcpStream};
    /// use millpond::{ObjectPool, Pooled, objects::Given};
    ///
    /// static CONNECTIONS: ObjectPool<TcpStream, Given> = ObjectPool::empty();
    ///
    /// fn connect(to: SocketAddr) -> std::io::Result<Pooled<TcpStream>> {
    ///     match CONNECTIONS.try_take() {
    ///         Some(connection) => Ok(connection),
    ///         None => Ok(CONNECTIONS.adopt(TcpStream::connect(to)?)),
    ///     }
    /// }
    /// # assert!(connect(([127, 0, 0, 1], 1).into()).is_err());
    /// ```
    #[must_use]
    pub const fn empty() -> Self {
        Self::seeded(Given, DEFAULT, Reset::Keep)
    }
}

const DEFAULT: Config = Config::of_objects(Config::DEFAULT_MAX_IDLE, Collect::DEFAULT, Recycle::Auto);

impl<T: Send + 'static, M> ObjectPool<T, M> {
    const fn seeded(make: M, mut config: Config, reset: Reset<T>) -> Self {
        config.resets = !matches!(reset, Reset::Keep);
        Self { root: Root::new(), make: AssertUnwindSafe(make), seed: AssertUnwindSafe(Some(Seed { config, reset })) }
    }

    /// An idle object, if there is one where this thread can reach it: not in the cache of another one.
    ///
    /// ```
    /// let pool = millpond::ObjectPool::with(String::new, String::clear);
    /// assert!(pool.try_take().is_none());
    /// drop(pool.get());
    /// assert!(pool.try_take().is_some());
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn try_take(&self) -> Option<Pooled<T>> {
        match self.take_local() {
            Some(object) => Some(object),
            None => self.take_slow(),
        }
    }

    /// The part that is worth having in the caller's code: a local hit.
    #[inline(always)]
    fn take_local(&self) -> Option<Pooled<T>> {
        // SAFETY: this handle keeps the core.
        unsafe { Pooled::take_local(self.root.near()?) }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn take_slow(&self) -> Option<Pooled<T>> {
        // SAFETY: as above.
        let object = unsafe { Pooled::take(self.root.core()?)? };
        Some(object.noted_here())
    }

    /// Makes an object one of the pool's: it goes there when it is dropped.
    ///
    /// # Panics
    /// Does not, but for the drop of an object that there is no memory for; that lack is treated as `Box::new` would treat it.
    #[track_caller]
    pub fn adopt(&self, object: T) -> Pooled<T> {
        or_failed(self.count_adopted(object).map_err(|(error, _)| error))
    }

    /// As [`adopt`](Self::adopt), with the object itself where there is no memory for its box, or for the pool's own part at its first use.
    ///
    /// # Errors
    /// The object, as it was.
    #[track_caller]
    pub fn try_adopt(&self, object: T) -> Result<Pooled<T>, T> {
        self.count_adopted(object).map_err(|(_, object)| object)
    }

    /// Gives an object to the pool, as if it had come from there. It is reset, and dropped where the pool has no room or there is no memory for its
    /// box.
    ///
    /// # Cost
    /// A small allocation, for the box. An object that comes from the pool has one.
    pub fn put(&self, object: T) {
        // The drop of an object that there is no memory for is user code.
        contain(|| drop(self.count_adopted(object)));
    }

    #[track_caller]
    fn count_adopted(&self, object: T) -> Result<Pooled<T>, (GetError, T)> {
        let adopted = self.lend(object)?;
        adopted.count_adopted();
        Ok(adopted)
    }

    #[track_caller]
    fn lend(&self, object: T) -> Result<Pooled<T>, (GetError, T)> {
        let core = match self.core_or_start() {
            Ok(core) => core,
            Err(error) => return Err((error, object)),
        };
        let boxed = Objects::boxed(object)?;
        // SAFETY: this handle keeps the core, and the block was just made for it.
        let lent = unsafe { Core::adopt(core, OBJECT, boxed.cast()) };
        // SAFETY: as above, and lent.
        Ok(unsafe { Pooled::<T>::of(lent) }.noted_here())
    }

    /// Collects once: drops the objects that nobody used through two collections. One that was used in between is kept.
    ///
    /// Requests go on meanwhile, on all threads. If another thread is collecting, nothing happens. The `bytes` of what it reports are
    /// those of the objects themselves, not of what they own.
    pub fn collect(&self) -> Collected {
        self.root.handle().map_or_else(Collected::default, |handle| handle.tiers().collect_and_trim(Reach::Idle))
    }

    /// Drops all idle objects of all threads, at once; but for those of a thread that is in its cache at that moment
    /// ([`Collected::slots_skipped`]). If another thread is collecting, nothing happens.
    pub fn purge(&self) -> Collected {
        self.root.handle().map_or_else(Collected::default, |handle| handle.tiers().collect_and_trim(Reach::All))
    }

    /// What the pool has done and holds.
    ///
    /// # Cost
    /// As [`Pool::stats`](crate::Pool::stats).
    pub fn stats(&self) -> ObjectStats {
        if let Some(handle) = self.root.handle() {
            let mut told = Stats::default();
            handle.report(&mut told);
            return ObjectStats {
                collector: told.collector,
                scheduling_inherited: told.scheduling_inherited,
                pressure: told.pressure,
                pressure_collections: told.pressure_collections,
                pressure_purges: told.pressure_purges,
                pressure_panics: told.pressure_panics,
                ..handle.tiers().object_stats()
            };
        }
        match &*self.seed {
            Some(Seed { config, .. }) => ObjectStats {
                max_idle: config.idle_limit,
                collector: config.collect.before_use(),
                ..ObjectStats::default()
            },
            None => ObjectStats::default(),
        }
    }

    /// What is out, by the place in the program where it was gotten, taken or adopted: nothing, unless the builder said
    /// [`track`](crate::ObjectBuilder::track). As [`Pool::outstanding`](crate::Pool::outstanding).
    #[must_use]
    pub fn outstanding(&self) -> Outstanding {
        match (self.root.handle(), &*self.seed) {
            (Some(handle), _) => handle.tiers().outstanding().unwrap_or_default(),
            (None, Some(Seed { config, .. })) => Outstanding::none_yet(config.track),
            (None, None) => Outstanding::default(),
        }
    }

    fn core_or_start(&self) -> Result<NonNull<Core<Objects<T>>>, GetError> {
        self.root.core().map_or_else(|| self.start(), Ok)
    }

    #[cold]
    fn start(&self) -> Result<NonNull<Core<Objects<T>>>, GetError> {
        let no_core = || GetError::OutOfMemory {
            requested: size_of::<Core<Objects<T>>>(),
            align: align_of::<Core<Objects<T>>>(),
        };
        let Seed { config, reset } = self.seed.as_ref().ok_or_else(no_core)?;
        let handle = Handle::new(config.clone(), Objects::new(reset.clone())).map_err(|_| no_core())?;
        let (core, _slower) = self.root.plant(handle);
        Ok(core)
    }
}

/// A reset by a closure.
fn reset_by<T, V: Verdict>(reset: impl Fn(&mut T) -> V + Send + Sync + 'static) -> Reset<T> {
    Reset::Closure(Closure::new(Arc::new(move |object: &mut T| reset(object).keeps())))
}

impl<T: Send + 'static, M: Clone> Clone for ObjectPool<T, M> {
    /// Another handle to the same pool. The first clone of a pool that was never used makes its tables.
    #[track_caller]
    fn clone(&self) -> Self {
        let core = or_failed(self.core_or_start());
        // SAFETY: `core` is from `into_raw`, and this handle keeps it.
        let handle = Handle::clone(&*unsafe { Handle::borrow_raw(core) });
        Self { root: handle.into(), make: AssertUnwindSafe(self.make.clone()), seed: AssertUnwindSafe(None) }
    }
}

impl<T: Send + 'static, M> fmt::Debug for ObjectPool<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats().objects;
        f.debug_struct("ObjectPool")
            .field("allocated", &stats.allocated)
            .field("in_use", &stats.in_use)
            .field("idle", &stats.idle)
            .finish_non_exhaustive()
    }
}
