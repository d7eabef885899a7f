//! A pool's settings, validated by the builder.
#![forbid(unsafe_code)]

use core::alloc::Layout;
use core::fmt;
use core::num::NonZeroU32;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::time::Duration;
use std::sync::Arc;

use crate::pressure::Pressure;
use crate::raw::contain::Closure;
use crate::raw::size_class::SizeClasses;
use crate::stats::CollectorState;

/// When a pool collects: frees what nobody used through two collections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Collect {
    /// A thread, one for all pools of the process, collects at this interval, give or take an eighth so that pools do not
    /// collect in step, while the pool has blocks; and at once when memory runs short, see
    /// [`Builder::pressure`](crate::Builder::pressure).
    ///
    /// The first miss starts it. While no pool has a block it sleeps without a timer, and with the last pool it ends. It runs
    /// with the cores, the policy and the niceness of the process's main thread, and blocks signals.
    ///
    /// An interval of less than a millisecond is taken as one.
    Background(Duration),
    /// Only [`Pool::collect`](crate::Pool::collect) and [`Pool::purge`](crate::Pool::purge) collect; and a get at the `limit`, which purges
    /// before it fails, and [`Recycle::Chaos`], which does at random.
    Manual,
}

/// [`Background`](Collect::Background), every 10 s.
impl Default for Collect {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Collect {
    pub(crate) const DEFAULT: Self = Self::Background(Duration::from_secs(10));

    /// Who collects a pool that was never used.
    pub(crate) fn before_use(self) -> CollectorState {
        match self {
            Self::Manual => CollectorState::Manual,
            Self::Background(_) => CollectorState::NotStarted,
        }
    }
}

/// Whether buffers that come back are kept for the next get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Recycle {
    /// `Never` under Miri and `cfg(fuzzing)`, so that pooling does not hide a bug from the tools; else `Always`.
    #[default]
    Auto,
    /// A drop keeps its block for the next get, as far as the limits allow.
    Always,
    /// Pass-through: every get allocates, every drop frees.
    Never,
    /// As `Always`, but nothing can be relied on: a quarter of the drops free their block, some collect or purge first, and each
    /// cache has room for a few blocks only. The number is a seed; one thread that does the same things gets the same chaos. For tests and
    /// fuzz targets, where bugs that need a block to come back and bugs that need it to be gone both show: see
    /// [the guide](crate::docs::guide#pooling-without-hiding-bugs). Every drop takes a longer way, and may take as long as a collection; in a
    /// pool of objects it may then drop others that are idle, on its own thread.
    Chaos(u64),
}

/// A user's own signal of how short memory is.
#[derive(Clone)]
pub(crate) struct Signal(Closure<dyn Fn() -> Pressure + Send + Sync>);

impl Signal {
    pub(crate) fn new(signal: impl Fn() -> Pressure + Send + Sync + 'static) -> Self {
        Self(Closure::new(Arc::new(signal)))
    }

    /// Runs user code.
    pub(crate) fn ask(&self) -> Pressure {
        (self.0)()
    }
}

// A panic of it is caught where it is asked, and what it leaves behind is the signal's own affair.
impl UnwindSafe for Signal {}
impl RefUnwindSafe for Signal {}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signal")
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) classes: SizeClasses,
    /// Bound in bytes on all that the pool retains.
    pub(crate) idle_limit: usize,
    /// Bound in bytes on what one slot retains.
    pub(crate) local_limit: usize,
    /// Bytes of credit that a slot leases at once, so that it asks rarely; at least for one block.
    pub(crate) lease: usize,
    /// Bound in bytes on idle and in use together; `usize::MAX` for none.
    pub(crate) limit: usize,
    pub(crate) align: usize,
    pub(crate) zero_on_return: bool,
    /// What comes back has to be reset.
    pub(crate) resets: bool,
    pub(crate) collect: Collect,
    /// What tells that memory runs short; none: the system.
    pub(crate) pressure: Option<Signal>,
    pub(crate) recycle: bool,
    /// The seed of [`Recycle::Chaos`].
    pub(crate) chaos: Option<u64>,
    /// Of so many gets one is noted, see `track`; none: no get is.
    pub(crate) track: Option<NonZeroU32>,
}

impl Config {
    pub(crate) const DEFAULT_MIN_CLASS: usize = 256;
    pub(crate) const DEFAULT_MAX_CLASS: usize = 4 << 20;
    pub(crate) const DEFAULT_IDLE_LIMIT: usize = 64 << 20;
    pub(crate) const DEFAULT_LOCAL_LIMIT: usize = 4 << 20;
    /// A cache line: two threads never write to one line through neighbouring blocks.
    pub(crate) const DEFAULT_ALIGN: usize = 64;

    pub(crate) const DEFAULT: Self = Self {
        classes: SizeClasses::new(Self::DEFAULT_MIN_CLASS, Self::DEFAULT_MAX_CLASS),
        idle_limit: Self::DEFAULT_IDLE_LIMIT,
        local_limit: Self::DEFAULT_LOCAL_LIMIT,
        lease: Self::lease(Self::DEFAULT_IDLE_LIMIT),
        limit: usize::MAX,
        align: Self::DEFAULT_ALIGN,
        zero_on_return: false,
        resets: false,
        collect: Collect::DEFAULT,
        pressure: None,
        recycle: Recycle::Auto.resolve(),
        chaos: None,
        track: None,
    };
}

impl Config {
    pub(crate) const DEFAULT_MAX_IDLE: usize = 1024;

    /// For a pool of objects: one class, in which an object counts as one.
    pub(crate) const fn of_objects(max_idle: usize, collect: Collect, recycle: Recycle) -> Self {
        Self {
            classes: SizeClasses::new(1, 1),
            idle_limit: max_idle,
            local_limit: max_idle,
            lease: Self::lease(max_idle),
            limit: usize::MAX,
            align: 1,
            zero_on_return: false,
            resets: false,
            collect,
            pressure: None,
            recycle: recycle.resolve(),
            chaos: recycle.seed(),
            track: None,
        }
    }

    /// Whether a drop has nothing to do but to store what it has, where its thread's magazine takes that.
    pub(crate) const fn drop_is_short(&self) -> bool {
        !self.zero_on_return && !self.resets && self.chaos.is_none()
    }

    /// 64 KiB, or so much that 128 threads can have as much under a smaller limit.
    pub(crate) const fn lease(idle_limit: usize) -> usize {
        let of_each = idle_limit / 256;
        if of_each < 64 << 10 { of_each } else { 64 << 10 }
    }

    /// Whether a block for this layout is one of a class, if there is a class of its size. Below half of the smallest one, most
    /// of the block would be waste.
    #[inline(always)]
    pub(crate) fn pools(&self, layout: Layout) -> bool {
        layout.size() >= self.classes.min() / 2 && layout.align() <= self.align
    }

    /// The bound as statistics give it.
    pub(crate) fn limit_if_any(&self) -> Option<usize> {
        (self.limit != usize::MAX).then_some(self.limit)
    }
}

impl Recycle {
    pub(crate) const fn resolve(self) -> bool {
        match self {
            Self::Always | Self::Chaos(_) => true,
            Self::Never => false,
            Self::Auto => !cfg!(any(miri, fuzzing)),
        }
    }

    pub(crate) const fn seed(self) -> Option<u64> {
        if let Self::Chaos(seed) = self { Some(seed) } else { None }
    }
}
