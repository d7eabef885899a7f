//! What users do with a pool of buffers, each of it once without a fault and then with one at every call of the allocator. Its own
//! folder, as the fuzz targets share the rest of this one and have not all that users have.

mod allocator;

mod buffers;

#[cfg(feature = "arena")]
mod arenas;

#[cfg(feature = "bytes")]
mod bytes;

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use allocator_api2::collections::TryReserveError;
use millpond::alloc::AllocError;
use millpond::{Builder, Collect, GetError, Pool, Recycle};

use crate::common::flaky::{Call, Flaky, OnCue};
use crate::common::ledger::Ledger;

pub const MODES: [Recycle; 3] = [Recycle::Always, Recycle::Never, Recycle::Chaos(3)];

/// The largest class. Smaller than by default, so that little time goes into filling and comparing.
const LARGEST: usize = 64 << 10;

pub struct Scenario {
    pub name: &'static str,
    /// What its pool has besides.
    setting: fn(Builder<Flaky>) -> Builder<Flaky>,
    /// What a user does until there is no memory. Nothing of it is held afterwards.
    act: fn(&Pool<Flaky>) -> Result<(), Failed>,
    pub bears: Bears,
    /// It starts threads.
    pub threads: bool,
}

/// What an allocator may do at any call. For anything else the process ends, as it would with a `Vec`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bears {
    All,
    /// It has no way to hear that there is no memory.
    Panics,
    /// The allocator resizes blocks itself.
    Failures,
}

/// There was no memory.
#[derive(Debug)]
pub struct Failed;

impl From<GetError> for Failed {
    fn from(error: GetError) -> Self {
        assert!(matches!(error, GetError::OutOfMemory { .. }), "{error}");
        Self
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{error}");
        Self
    }
}

impl From<AllocError> for Failed {
    fn from(_: AllocError) -> Self {
        Self
    }
}

impl From<TryReserveError> for Failed {
    fn from(_: TryReserveError) -> Self {
        Self
    }
}

impl From<hashbrown::TryReserveError> for Failed {
    fn from(_: hashbrown::TryReserveError) -> Self {
        Self
    }
}

impl Scenario {
    const fn new(name: &'static str, act: fn(&Pool<Flaky>) -> Result<(), Failed>) -> Self {
        Self { name, setting: |builder| builder, act, bears: Bears::All, threads: false }
    }

    /// The same in another pool.
    const fn with(self, name: &'static str, setting: fn(Builder<Flaky>) -> Builder<Flaky>) -> Self {
        Self { name, setting, ..self }
    }

    const fn bears(self, bears: Bears) -> Self {
        Self { bears, ..self }
    }

    const fn threads(self) -> Self {
        Self { threads: true, ..self }
    }

    pub fn pool(&self, allocator: &Flaky, recycle: Recycle, collect: Collect) -> Pool<Flaky> {
        let builder = Pool::builder_in(allocator.clone()).max_class(LARGEST).idle_limit(1 << 20).local_limit(64 << 10);
        (self.setting)(builder).collect(collect).recycle(recycle).build().unwrap()
    }

    pub fn run(&self, pool: &Pool<Flaky>) -> Result<(), Failed> {
        (self.act)(pool)
    }

    /// `check` gets a pool whose allocator goes wrong at its nth call, for every n that there is. After it the pool is as good as new.
    fn at_every_call(
        &self,
        (recycle, collect): (Recycle, Collect),
        make: fn(&Ledger) -> Flaky,
        mut check: impl FnMut(&Pool<Flaky>, &Flaky, &str),
    ) {
        let ledger = Ledger::new();
        let allocator = make(&ledger);
        let counted = self.pool(&allocator, recycle, collect);
        self.run(&counted).unwrap();
        drop(counted);
        let calls = allocator.calls();
        assert!(calls >= 3, "{} calls its allocator", self.name);
        for nth in 1..=calls {
            let pool = self.pool(&allocator, recycle, collect);
            allocator.arm(nth);
            let place = format!("{}, {recycle:?}, call {nth}", self.name);
            check(&pool, &allocator, &place);
            assert_eq!((pool.stats().in_use_bytes, pool.outstanding().count()), (0, 0), "{place}");
            // The last calls of those that were counted are the pool's own end, which comes later here.
            allocator.arm(0);
            self.run(&pool).expect("usable afterwards");
            let stats = pool.stats();
            assert_eq!(stats.allocated_bytes, stats.idle_bytes, "{place}\n{stats}");
            drop(pool);
            ledger.assert_empty();
            assert_eq!(ledger.clones(), 2, "the pool is freed: {place}");
        }
    }

    /// There is no memory, once: an error, and nothing else.
    pub fn fail_at_every_call(&self, recycle: Recycle, collect: Collect) {
        if self.bears == Bears::Panics {
            return;
        }
        let mut errors = 0;
        self.at_every_call((recycle, collect), Flaky::failing, |pool, allocator, place| {
            let result = self.run(pool);
            // A buffer that cannot double asks for what it needs, and that there is.
            let heard = allocator.went_wrong().is_some() && !allocator.was_asked_for_less();
            assert_eq!(result.is_err(), heard, "{place}: {:?}", allocator.went_wrong());
            assert_eq!(pool.stats().release_panics, 0, "{place}");
            errors += usize::from(heard);
        });
        assert!(errors > 0, "{}, {recycle:?}: no failure was heard of", self.name);
    }

    /// A panic comes out where memory is asked for, and nowhere else: one of a release, or of a hook, is counted.
    pub fn panic_at_every_call(&self, recycle: Recycle, collect: Collect) {
        if self.bears == Bears::Failures {
            return;
        }
        let mut came_out = 0;
        self.at_every_call((recycle, collect), Flaky::panicking, |pool, allocator, place| {
            let result = catch_unwind(AssertUnwindSafe(|| self.run(pool)));
            let wrong = allocator.went_wrong();
            match result {
                Ok(done) => {
                    assert!(done.is_ok(), "{place}: a panic is no error");
                    assert_ne!(wrong, Some(Call::Allocation), "{place}: the panic is lost");
                }
                Err(panic) => {
                    assert!(is_on_cue(&*panic), "{place}: the scenario itself fails");
                    assert_eq!(wrong, Some(Call::Allocation), "{place}: a panic comes out of a release");
                    came_out += 1;
                }
            }
            let kept = matches!(wrong, Some(Call::Deallocation | Call::Hook));
            assert_eq!(pool.stats().release_panics, u64::from(kept), "{place}: {wrong:?}");
        });
        assert!(came_out > 0, "{}, {recycle:?}: no panic came out", self.name);
    }
}

pub fn is_on_cue(panic: &(dyn Any + Send)) -> bool {
    panic.is::<OnCue>()
}

pub fn scenarios() -> Vec<Scenario> {
    let mut all = buffers::scenarios();
    all.extend(allocator::scenarios());
    #[cfg(feature = "bytes")]
    all.extend(bytes::scenarios());
    #[cfg(feature = "arena")]
    all.extend(arenas::scenarios());
    all
}
