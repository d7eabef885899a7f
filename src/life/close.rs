//! Who keeps a pool alive: handles, and units (blocks that are out). The last handle closes it; whoever counts the last
//! unit after that frees it.

use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;
use core::time::Duration;
use std::sync::OnceLock;

use crate::alloc::FallibleBox;
use crate::life::collector::{self, Calls, Member};
use crate::pressure::Pressure;
use crate::raw::config::{Collect, Config, Signal};
use crate::raw::contain::contain;
use crate::raw::counters::add;
use crate::raw::slot::Reach;
use crate::raw::units::Handles;
use crate::stats::{CollectorState, Stats};
use crate::sync::{Figure, Ordering::Relaxed};
use crate::tiers::backing::Backing;
use crate::tiers::{Last, Tiers};

/// A pool's part on the heap. In C's order, so that a pointer to it is one to its tiers.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Core<B> {
    pub(crate) tiers: Tiers<B>,
    handles: Handles,
    /// The background thread once this pool is on its list, or that it could not be started.
    collector: OnceLock<Option<collector::Waker>>,
    watched: Watched,
}

/// What the background thread saw of the lack of memory, and did about it.
#[derive(Debug, Default)]
struct Watched {
    /// A [`Pressure`].
    memory: Figure,
    collections: Figure,
    purges: Figure,
    panics: Figure,
}

/// Keeps a pool open. Cloning counts; nothing else does.
#[derive(Debug)]
pub(crate) struct Handle<B: Backing>(NonNull<Core<B>>);

// SAFETY: a handle gives shared access to the core, whose parts are all `Sync`, and may be the one that drops it.
unsafe impl<B: Backing> Send for Handle<B> {}
// SAFETY: as above.
unsafe impl<B: Backing> Sync for Handle<B> {}

impl<B: Backing> Handle<B> {
    /// The backing comes back if there is no memory.
    pub(crate) fn new(config: Config, backing: B) -> Result<Self, B> {
        let Ok(place) = FallibleBox::<Core<B>>::try_new_uninit() else { return Err(backing) };
        let place = NonNull::from(FallibleBox::leak(place)).cast::<Core<B>>();
        match Tiers::new(config, backing, place.cast()) {
            Ok(tiers) => {
                let core =
                    Core { tiers, handles: Handles::new(), collector: OnceLock::new(), watched: Watched::default() };
                // SAFETY: just allocated for it.
                unsafe { place.write(core) };
                Ok(Self(place))
            }
            Err(backing) => {
                // SAFETY: as above, and not written to.
                drop(unsafe { FallibleBox::from_raw(place.cast::<MaybeUninit<Core<B>>>().as_ptr()) });
                Err(backing)
            }
        }
    }

    pub(crate) fn tiers(&self) -> &Tiers<B> {
        &self.core().tiers
    }

    /// The handle as a pointer that counts; see [`from_raw`](Self::from_raw).
    pub(crate) fn into_raw(self) -> NonNull<Core<B>> {
        let core = self.0;
        core::mem::forget(self);
        core
    }

    /// The core, for as long as this handle lives.
    #[cfg(feature = "arena")]
    #[inline]
    pub(crate) fn as_raw(&self) -> NonNull<Core<B>> {
        self.0
    }

    /// # Safety
    /// `core` is from `into_raw`, once.
    pub(crate) unsafe fn from_raw(core: NonNull<Core<B>>) -> Self {
        Self(core)
    }

    /// Takes a pool apart that nobody has used.
    ///
    /// # Safety
    /// `core` is from `into_raw`, once, and nobody else knows of it.
    pub(crate) unsafe fn unmake(core: NonNull<Core<B>>) -> B {
        // SAFETY: made by `new`, and the caller's alone.
        let core = unsafe { FallibleBox::from_raw(core.as_ptr()) };
        FallibleBox::into_inner(core).tiers.backing
    }

    pub(crate) fn collector_state(&self) -> CollectorState {
        match (self.tiers().config.collect, self.core().collector.get()) {
            (Collect::Manual, _) => CollectorState::Manual,
            _ if self.tiers().is_inherited() => CollectorState::Failed,
            (Collect::Background(_), None) => CollectorState::NotStarted,
            (Collect::Background(_), Some(None)) => CollectorState::Failed,
            (Collect::Background(_), Some(Some(_))) => CollectorState::Background,
        }
    }

    /// The background thread's part of the statistics.
    pub(crate) fn report(&self, stats: &mut Stats) {
        let Watched { memory, collections, purges, panics } = &self.core().watched;
        let levels = [Pressure::Low, Pressure::Moderate, Pressure::Severe];
        let is_last = |level: &&Pressure| **level as u64 == memory.load(Relaxed);
        stats.collector = self.collector_state();
        stats.scheduling_inherited = stats.collector == CollectorState::Background && collector::inherits_scheduling();
        stats.pressure = levels.iter().find(is_last).copied().unwrap_or_default();
        stats.pressure_collections = collections.load(Relaxed);
        stats.pressure_purges = purges.load(Relaxed);
        stats.pressure_panics = panics.load(Relaxed);
    }

    /// Somebody else's handle, borrowed: it is not counted and not dropped.
    ///
    /// # Safety
    /// `core` is from `into_raw`, and that handle lives as long as the result is used.
    pub(crate) unsafe fn borrow_raw(core: NonNull<Core<B>>) -> ManuallyDrop<Self> {
        ManuallyDrop::new(Self(core))
    }

    /// Puts the pool on the background thread's list, or wakes the thread if it is there already.
    pub(crate) fn join_collector(&self, interval: Duration) {
        let waker = self
            .core()
            .collector
            .get_or_init(|| collector::join(Member::new(self.0.cast(), Core::<B>::CALLS, interval)));
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn core(&self) -> &Core<B> {
        // SAFETY: the handle keeps the core.
        unsafe { self.0.as_ref() }
    }
}

impl<B: Backing> Clone for Handle<B> {
    fn clone(&self) -> Self {
        self.core().handles.clone_one();
        Self(self.0)
    }
}

impl<B: Backing> Drop for Handle<B> {
    fn drop(&mut self) {
        if self.core().handles.drop_one() {
            // SAFETY: this was the last handle.
            unsafe { Core::close(self.0) };
        }
    }
}

impl<B: Backing> Core<B> {
    /// What the background thread calls. Each takes a pointer to a core of this type, from `Member::new`.
    const CALLS: &Calls = &Calls {
        // SAFETY: the list keeps the core while it is asked.
        holds_blocks: |core| unsafe { core.cast::<Self>().as_ref() }.tiers.holds_blocks(),
        // SAFETY: as above.
        upgrade: |core| unsafe { core.cast::<Self>().as_ref() }.handles.upgrade(),
        // SAFETY: the caller has the handle that `upgrade` made.
        memory: |core, system| unsafe { core.cast::<Self>().as_ref() }.memory(system),
        collect: |core, memory, reach| {
            // SAFETY: `upgrade` made the handle, and this call has it now.
            let handle = unsafe { Handle::<B>::from_raw(core.cast()) };
            handle.core().collect_for(memory, reach)
        },
    };

    fn memory(&self, system: &dyn Fn() -> Pressure) -> Pressure {
        let mut memory = Pressure::Low;
        let ask = || memory = self.tiers.config.pressure.as_ref().map_or_else(system, Signal::ask);
        if contain(ask) {
            add(&self.watched.panics);
        }
        memory
    }

    /// False: somebody else was collecting.
    fn collect_for(&self, memory: Pressure, reach: Option<Reach>) -> bool {
        self.watched.memory.store(memory as u64, Relaxed);
        let Some(reach) = reach else { return true };
        let ran = !self.tiers.collect_and_trim(reach).already_running;
        if memory > Pressure::Low && ran {
            add(if reach == Reach::All { &self.watched.purges } else { &self.watched.collections });
        }
        ran
    }

    /// A handle for somebody who may have a unit only; none once the pool is closing.
    ///
    /// # Safety
    /// The caller holds a handle or a unit.
    pub(crate) unsafe fn upgrade(core: NonNull<Self>) -> Option<Handle<B>> {
        // SAFETY: the caller's handle or unit keeps the core.
        unsafe { core.as_ref() }.handles.upgrade().then(|| Handle(core))
    }

    pub(crate) fn tiers_of(core: NonNull<Self>) -> NonNull<Tiers<B>> {
        const { assert!(core::mem::offset_of!(Self, tiers) == 0) };
        core.cast()
    }

    /// # Safety
    /// The last handle has gone.
    #[cold]
    unsafe fn close(core: NonNull<Self>) {
        // SAFETY: the bias in the units keeps the core until `Tiers::close` has settled them.
        let this = unsafe { core.as_ref() };
        // Leaked: its queues cannot be drained, and units of the parent's other threads never come back. Its buffers stay
        // good. To free blocks that are still shared with the parent would cost memory rather than give it back.
        if this.tiers.is_inherited() {
            return;
        }
        // The list goes first, under its lock: what is on it may be upgraded.
        let listed = this.collector.get().is_some_and(Option::is_some);
        if listed && !collector::leave(core.cast()) {
            return;
        }
        // SAFETY: no handle is left, and none can come: the list was left, and `upgrade` needs one.
        let closed = unsafe { Tiers::close(Self::tiers_of(core)) };
        // None: an owner is stuck in its slot, so the pool is leaked.
        if closed == Some(Last(true)) {
            // SAFETY: closed, and no unit is left.
            unsafe { Self::free(core) };
        }
    }

    /// # Safety
    /// The pool is closed, and the caller counted the last unit.
    #[cold]
    pub(crate) unsafe fn free(core: NonNull<Self>) {
        // A put that had not seen `closed` may have stored a block after the closer's drain.
        // SAFETY: nobody else refers to it any more.
        unsafe { core.as_ref() }.tiers.drain_all();
        // The allocator's own drop is user code (I10). In its place, so that a panic leaves no memory behind.
        // SAFETY: as above, and it is not used again.
        contain(|| unsafe { core.drop_in_place() });
        // SAFETY: made by `Handle::new`, and what was in it is gone.
        drop(unsafe { FallibleBox::from_raw(core.cast::<MaybeUninit<Self>>().as_ptr()) });
    }
}
