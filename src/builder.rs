//! The knobs of a pool, checked when it is built.
#![forbid(unsafe_code)]

use core::num::NonZeroU32;
use core::time::Duration;

use crate::alloc::{Allocator, Global};
use crate::error::BuildError;
use crate::pool::Pool;
use crate::pressure::Pressure;
use crate::raw::config::{Collect, Config, Recycle, Signal};
use crate::raw::size_class::{MAX_CLASSES, SizeClasses};
use crate::stats::Freed;
use crate::tiers::backing::Trimmed;

/// The smallest `min_class`: four classes per doubling need steps of whole words.
const LEAST_CLASS: usize = 16;
/// The largest `max_class`: far beyond what an allocator serves, far from overflow, and a length that a float holds exactly
/// (see `size_class`).
const LARGEST_CLASS: usize = 1 << if usize::BITS == 64 { 52 } else { usize::BITS - 4 };
/// The largest `align`: a huge page.
const LARGEST_ALIGN: usize = 2 << 20;

/// Settings for a pool; from [`Pool::builder`] or [`Pool::builder_in`]. What each is good for, and which figure says so:
/// [`docs::tuning`](crate::docs::tuning).
///
/// ```
/// use millpond::{Collect, Pool};
///
/// let pool = Pool::builder()
///     .max_class(64 << 10)
///     .idle_limit(8 << 20)
///     .limit(256 << 20)
///     .collect(Collect::Manual)
///     .build()?;
/// assert!(pool.get(5000).capacity() >= 5000);
///
/// let error = Pool::builder().min_class(0).build().unwrap_err();
/// assert_eq!(error.to_string(), "`min_class` is 0, it must be at least 16");
/// # Ok::<(), millpond::BuildError>(())
/// ```
///
/// A `static` pool with settings is built at its first use:
///
/// ```
/// use std::sync::LazyLock;
/// use millpond::Pool;
///
/// static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::builder().limit(256 << 20).build().expect("the limit holds a block"));
///
/// assert!(POOL.try_get(300 << 20).is_err());
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<A = Global> {
    allocator: A,
    min_class: usize,
    max_class: usize,
    idle_limit: usize,
    local_limit: usize,
    limit: Option<usize>,
    align: usize,
    zero_on_return: bool,
    collect: Collect,
    pressure: Option<Signal>,
    recycle: Recycle,
    trimmed: Option<Trimmed<A>>,
    track: Option<u32>,
}

impl Pool {
    /// Settings for a pool on the global allocator.
    pub const fn builder() -> Builder {
        Self::builder_in(Global)
    }
}

impl<A: Allocator + Send + Sync + 'static> Pool<A> {
    /// Settings for a pool on `allocator`.
    pub const fn builder_in(allocator: A) -> Builder<A> {
        Builder {
            allocator,
            min_class: Config::DEFAULT_MIN_CLASS,
            max_class: Config::DEFAULT_MAX_CLASS,
            idle_limit: Config::DEFAULT_IDLE_LIMIT,
            local_limit: Config::DEFAULT_LOCAL_LIMIT,
            limit: None,
            align: Config::DEFAULT_ALIGN,
            zero_on_return: false,
            collect: Collect::DEFAULT,
            pressure: None,
            recycle: Recycle::Auto,
            trimmed: None,
            track: None,
        }
    }
}

impl<A: Allocator + Send + Sync + 'static> Builder<A> {
    /// The size of the smallest blocks in bytes; smaller requests get one of these. Rounded up to a power of two, from
    /// 16; with four classes for each doubling up to `max_class`, 64 in all at most. Default 256: below, a good allocator is about as fast.
    pub fn min_class(mut self, bytes: usize) -> Self {
        self.min_class = bytes;
        self
    }

    /// The size of the largest blocks that are pooled, in bytes; rounded up to a size class. A larger request is
    /// served from the allocator, exactly, and freed on drop. Default 4 MiB, of which 16 blocks fit under the default
    /// `idle_limit`.
    pub fn max_class(mut self, bytes: usize) -> Self {
        self.max_class = bytes;
        self
    }

    /// The most bytes that the pool keeps idle, over all threads; half of them at most in the threads' own caches. From one
    /// block of the smallest class. Default 64 MiB: 1024 buffers of 64 KiB, and 8 threads that keep all of `local_limit`.
    pub fn idle_limit(mut self, bytes: usize) -> Self {
        self.idle_limit = bytes;
        self
    }

    /// The most bytes that the pool keeps idle for one thread. Classes above a quarter of it have no per-thread cache.
    /// From one block of the smallest class. Default 4 MiB: the 64 blocks of a class that a thread keeps at most, at 64 KiB
    /// each, and 4 of 1 MiB.
    pub fn local_limit(mut self, bytes: usize) -> Self {
        self.local_limit = bytes;
        self
    }

    /// The most bytes that the pool holds from its allocator, idle and in use together; exact, but for a block of a `Vec` or its
    /// like, larger than the largest class, while the allocator makes a smaller one of it. Beyond it `try_get` fails and `get`
    /// panics. From one block of the smallest class. Default: none, as only the process knows what it may use.
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// The alignment of every block in bytes: a power of two, up to 2 MiB. Default 64, a cache line, so that threads
    /// that write to neighbouring buffers do not slow each other down.
    pub fn align(mut self, bytes: usize) -> Self {
        self.align = bytes;
        self
    }

    /// Overwrites the whole capacity of a buffer with zeroes when it is dropped or grows out of its block. For secrets;
    /// costs what writing the capacity costs. Default: no, as a buffer comes back empty: safe code cannot read what was in
    /// it.
    pub fn zero_on_return(mut self, zero: bool) -> Self {
        self.zero_on_return = zero;
        self
    }

    /// When to collect. Default: in the background, every 10 s, so that memory is free some 10 to 20 s after its last use (9 to 23, as
    /// intervals differ by an eighth): longer than most pauses between bursts.
    pub fn collect(mut self, collect: Collect) -> Self {
        self.collect = collect;
        self
    }

    /// What tells the background thread that memory runs short. Default: [`Pressure::of_system`]. `|| Pressure::Low` turns
    /// it off; with `Collect::Manual` nobody asks.
    ///
    /// The thread asks every second, or at the pool's interval if that is shorter, while the pool has blocks. While memory is
    /// moderately short it collects at each of these looks, so what was used since the last one stays. When it is severely short it purges
    /// once, and again only after there was enough for 10 s (or for the interval, if that is shorter).
    ///
    /// A panic of `signal` is counted, and means that there is enough.
    pub fn pressure(mut self, signal: impl Fn() -> Pressure + Send + Sync + 'static) -> Self {
        self.pressure = Some(Signal::new(signal));
        self
    }

    /// Whether to recycle blocks at all. Default: [`Recycle::Auto`], so that tools which look for misused memory see through
    /// the pool.
    pub fn recycle(mut self, recycle: Recycle) -> Self {
        self.recycle = recycle;
        self
    }

    /// What to call after a collection or a purge that gave the allocator something back, with what that was: one that keeps what
    /// comes back can be told here to give it on to the system. Default: what the allocator has of its own, which is
    /// `Jemalloc::purge` over `alloc::Jemalloc` and nothing over others; `|_, _| ()` turns that off.
    ///
    /// It runs on the thread that collects: the background thread, or the one in [`Pool::collect`] or [`Pool::purge`], once
    /// for each of them and perhaps on several threads at once. Requests go on meanwhile, and it may use the pool. It is not called
    ///
    /// - when a get frees idle blocks because the `limit` is reached: that is a request's thread, and what it freed is about to be
    ///   allocated again;
    /// - for a collection that is made by such a function itself;
    /// - when [`Recycle::Chaos`] collects on a drop, as it is a request's thread too;
    /// - for one that freed idle arenas only, whose memory is not the allocator's;
    /// - when the pool closes.
    ///
    /// A panic in it ends there, and is counted in [`Stats::release_panics`](crate::Stats::release_panics). While it runs on the
    /// background thread, other pools are not collected.
    ///
    /// glibc, for one, keeps most of what a burst leaves; `malloc_trim` gives it back, in milliseconds:
    ///
    #[cfg_attr(all(target_os = "linux", target_env = "gnu"), doc = "```")]
    #[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), doc = "```ignore")]
    /// use millpond::Pool;
    ///
    /// let pool = Pool::builder()
    ///     .trimmed(|_, freed| {
    ///         if freed.bytes >= 1 << 20 {
    ///             // SAFETY: it may be called at any time.
    ///             unsafe { libc::malloc_trim(0) };
    ///         }
    ///     })
    ///     .build()?;
    /// drop(pool.get(2 << 20));
    /// assert_eq!(pool.purge().blocks(), 1);
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    pub fn trimmed(mut self, hook: fn(&A, Freed)) -> Self {
        self.trimmed = Some(hook);
        self
    }

    /// Whether to note, for every buffer that is out, where in the program it was gotten and when: [`Pool::outstanding`] then says who
    /// keeps what. For finding a count that only grows. Default: no, which costs nothing.
    ///
    /// What the pool hands out as an [`Allocator`], and to arenas, is not noted.
    ///
    /// # Cost
    /// A look at the clock, and twice a lock and a table: a warm get and drop take some 20 times as long, 977 instructions in place of 53
    /// (`cargo bench --bench pair -- --only millpond` and `count.sh`, in `benches/`).
    pub fn track(self, yes: bool) -> Self {
        Self { track: yes.then_some(1), ..self }
    }

    /// As [`track`](Self::track), for one get in so many, which chance selects: for production. A leak has as many notes as its share of what is
    /// out, so one of a thousand buffers is seen with one in a hundred.
    ///
    /// # Cost
    /// Each get takes a longer way, and draws a number; drops of what was not noted take the short one. With one in a thousand a warm get and drop take some 5
    /// times as long, 255 instructions in place of 53 (as above).
    pub fn track_one_in(self, gets: u32) -> Self {
        Self { track: Some(gets), ..self }
    }

    /// The pool. Nothing is allocated until its first get.
    ///
    /// # Errors
    /// A knob is out of bounds, or two contradict each other; the error names the knob, its value and the bound.
    pub fn build(self) -> Result<Pool<A>, BuildError> {
        at_least("min_class", self.min_class, LEAST_CLASS)?;
        at_most("max_class", self.max_class, LARGEST_CLASS)?;
        if self.min_class > self.max_class {
            return Err(BuildError::Inverted { min_class: self.min_class, max_class: self.max_class });
        }
        let min_class = self.min_class.next_power_of_two();
        let classes = SizeClasses::new(min_class, self.max_class.max(min_class));
        if classes.count() > MAX_CLASSES {
            return Err(BuildError::TooManyClasses {
                min_class: self.min_class,
                max_class: self.max_class,
                classes: classes.count(),
                max: MAX_CLASSES,
            });
        }
        at_least("idle_limit", self.idle_limit, min_class)?;
        at_least("local_limit", self.local_limit, min_class)?;
        let limit = self.limit.unwrap_or(usize::MAX);
        at_least("limit", limit, min_class)?;
        at_least("align", self.align, 1)?;
        at_most("align", self.align, LARGEST_ALIGN)?;
        if !self.align.is_power_of_two() {
            return Err(BuildError::NotPowerOfTwo { knob: "align", value: self.align });
        }
        sound(self.collect)?;
        let track = tracked(self.track)?;
        let config = Config {
            classes,
            idle_limit: self.idle_limit,
            local_limit: self.local_limit,
            lease: Config::lease(self.idle_limit),
            limit,
            align: self.align,
            zero_on_return: self.zero_on_return,
            resets: false,
            collect: self.collect,
            pressure: self.pressure,
            recycle: self.recycle.resolve(),
            chaos: self.recycle.seed(),
            track,
        };
        Ok(Pool::with_config(self.allocator, config, self.trimmed))
    }
}

pub(crate) fn sound(collect: Collect) -> Result<(), BuildError> {
    if collect == Collect::Background(Duration::ZERO) { Err(BuildError::ZeroInterval) } else { Ok(()) }
}

pub(crate) fn tracked(one_in: Option<u32>) -> Result<Option<NonZeroU32>, BuildError> {
    if one_in == Some(0) {
        at_least("track_one_in", 0, 1)?;
    }
    Ok(one_in.and_then(NonZeroU32::new))
}

pub(crate) fn at_least(knob: &'static str, value: usize, min: usize) -> Result<(), BuildError> {
    if value < min { Err(BuildError::TooSmall { knob, value, min }) } else { Ok(()) }
}

fn at_most(knob: &'static str, value: usize, max: usize) -> Result<(), BuildError> {
    if value > max { Err(BuildError::TooLarge { knob, value, max }) } else { Ok(()) }
}
