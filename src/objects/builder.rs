//! The knobs of a pool of objects, checked when it is built.
#![forbid(unsafe_code)]

use std::fmt;

use super::clear::cleared;
use super::{Clear, Given, Making, ObjectPool, Verdict, reset_by};
use crate::builder::{at_least, sound, tracked};
use crate::error::BuildError;
use crate::pressure::Pressure;
use crate::raw::config::{Collect, Config, Recycle, Signal};
use crate::tiers::backing::objects::Reset;

/// Settings for a pool of objects; from [`ObjectPool::builder`] or [`ObjectPool::builder_empty`].
///
/// ```
/// use millpond::{Collect, ObjectPool};
///
/// let pool = ObjectPool::builder(|| Vec::<u8>::with_capacity(100))
///     .clear(4096)
///     .max_idle(64)
///     .collect(Collect::Manual)
///     .build()?;
/// drop(pool.get());
///
/// let error = ObjectPool::builder(String::new).max_idle(0).build().unwrap_err();
/// assert_eq!(error.to_string(), "`max_idle` is 0, it must be at least 1");
/// # Ok::<(), millpond::BuildError>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct ObjectBuilder<T, M = Making<T>> {
    make: M,
    reset: Reset<T>,
    max_idle: usize,
    collect: Collect,
    pressure: Option<Signal>,
    recycle: Recycle,
    track: Option<u32>,
}

impl<T: Send + 'static> ObjectPool<T> {
    /// Settings for a pool that calls `make` where no object is idle.
    pub fn builder(make: impl Fn() -> T + Send + Sync + 'static) -> ObjectBuilder<T> {
        ObjectBuilder::new(Making::closure(make))
    }
}

impl<T: Send + 'static> ObjectPool<T, Given> {
    /// Settings for a pool that makes no objects; see [`empty`](Self::empty).
    pub fn builder_empty() -> ObjectBuilder<T, Given> {
        ObjectBuilder::new(Given)
    }
}

impl<T: Send + 'static, M> ObjectBuilder<T, M> {
    fn new(make: M) -> Self {
        Self {
            make,
            reset: Reset::Keep,
            max_idle: Config::DEFAULT_MAX_IDLE,
            collect: Collect::DEFAULT,
            pressure: None,
            recycle: Recycle::Auto,
            track: None,
        }
    }

    /// What to do with an object that comes back, before it is stored. If this returns `false`, or panics, the object is dropped. Many threads
    /// may call it at once. Default: nothing.
    pub fn reset<V: Verdict>(mut self, reset: impl Fn(&mut T) -> V + Send + Sync + 'static) -> Self {
        self.reset = reset_by(reset);
        self
    }

    /// Empties a collection that comes back, and drops one that has grown beyond `max_capacity`; see [`ObjectPool::clearing`].
    pub fn clear(mut self, max_capacity: usize) -> Self
    where
        T: Clear,
    {
        self.reset = Reset::Clear(cleared::<T>, max_capacity);
        self
    }

    /// The most objects that the pool keeps idle, over all threads; half of them at most in the threads' own caches, which exist from 4
    /// on. From 1. Default 1024.
    pub fn max_idle(mut self, objects: usize) -> Self {
        self.max_idle = objects;
        self
    }

    /// When to drop what nobody used through two collections. Default: in the background, every 10 s.
    pub fn collect(mut self, collect: Collect) -> Self {
        self.collect = collect;
        self
    }

    /// What tells the background thread that memory runs short, when idle objects are dropped early; see
    /// [`Builder::pressure`](crate::Builder::pressure). Default: [`Pressure::of_system`].
    pub fn pressure(mut self, signal: impl Fn() -> Pressure + Send + Sync + 'static) -> Self {
        self.pressure = Some(Signal::new(signal));
        self
    }

    /// Whether to recycle objects at all. Default: [`Recycle::Auto`].
    pub fn recycle(mut self, recycle: Recycle) -> Self {
        self.recycle = recycle;
        self
    }

    /// Whether to note, for every object that is out, where in the program it was gotten: [`ObjectPool::outstanding`]. As
    /// [`Builder::track`](crate::Builder::track). Default: no. Objects of no size are not noted.
    pub fn track(self, yes: bool) -> Self {
        Self { track: yes.then_some(1), ..self }
    }

    /// As [`track`](Self::track), for one get in so many; see [`Builder::track_one_in`](crate::Builder::track_one_in).
    pub fn track_one_in(self, gets: u32) -> Self {
        Self { track: Some(gets), ..self }
    }

    /// The pool. Nothing is allocated until its first get.
    ///
    /// # Errors
    /// A knob is out of bounds; the error names it, its value and the bound.
    pub fn build(self) -> Result<ObjectPool<T, M>, BuildError> {
        at_least("max_idle", self.max_idle, 1)?;
        sound(self.collect)?;
        let mut config = Config::of_objects(self.max_idle, self.collect, self.recycle);
        config.pressure = self.pressure;
        config.track = tracked(self.track)?;
        Ok(ObjectPool::seeded(self.make, config, self.reset))
    }
}

impl<T, M: Clone> Clone for ObjectBuilder<T, M> {
    fn clone(&self) -> Self {
        let (make, reset, pressure) = (self.make.clone(), self.reset.clone(), self.pressure.clone());
        Self { make, reset, pressure, ..*self }
    }
}

impl<T, M: fmt::Debug> fmt::Debug for ObjectBuilder<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBuilder")
            .field("make", &self.make)
            .field("reset", &self.reset)
            .field("max_idle", &self.max_idle)
            .field("collect", &self.collect)
            .field("pressure", &self.pressure)
            .field("recycle", &self.recycle)
            .field("track", &self.track)
            .finish()
    }
}
