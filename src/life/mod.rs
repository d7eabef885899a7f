//! What surrounds the path: who keeps a pool alive, who collects it, and what a get does when memory runs short.

pub(crate) mod schedule;

#[cfg(not(loom))]
pub(crate) mod collector;

// loom does not see std's locks and threads.
#[cfg(loom)]
#[path = "../loom_models/list.rs"]
pub(crate) mod collector;

pub(crate) mod close;

// Models start with a handle.
#[cfg(not(loom))]
pub(crate) mod root;

#[cfg(not(loom))]
mod layout;

use core::ptr::NonNull;
use core::time::Duration;
use std::time::Instant;

use crate::alloc::Allocator;
#[cfg(feature = "arena")]
use crate::alloc::FallibleBox;
use crate::error::GetError;
use crate::life::close::Core;
#[cfg(feature = "arena")]
use crate::life::close::Handle;
#[cfg(feature = "arena")]
use crate::raw::bump::Bump;
use crate::raw::chaos::Whim;
use crate::raw::config::Collect;
use crate::raw::home::Lent;
use crate::raw::poison::unpoison;
use crate::raw::size_class::{Class, Rank};
use crate::raw::slot::Reach;
use crate::raw::thread_id;
#[cfg(feature = "arena")]
use crate::raw::thread_id::ThreadId;
use crate::sync::yield_now;
use crate::tiers::backing::{Allocate, Backing, Bytes};
use crate::tiers::{Got, Last, Tiers};

/// How long a get at the limit waits for another thread's collection. A bound, as that one may wait for this thread: the
/// allocator's `deallocate` is user code.
const PATIENCE: Duration = if cfg!(loom) { Duration::MAX } else { Duration::from_millis(20) };

/// Of a core that a function here takes a pointer to, the caller holds a handle or a unit.
impl<B: Backing> Core<B> {
    /// The first step of [`get`](Self::get), for the caller's own code.
    ///
    /// # Safety
    /// The caller holds a handle or a unit.
    #[inline(always)]
    pub(crate) unsafe fn take_local(core: NonNull<Self>, rank: Rank) -> Option<Lent> {
        // SAFETY: the caller's handle or unit keeps the core.
        unsafe { core.as_ref() }.tiers.take_local(thread_id::current(), rank)
    }

    /// Hands out an idle block, and with it a unit. None: there is none.
    ///
    /// # Safety
    /// The caller holds a handle or a unit.
    pub(crate) unsafe fn take(core: NonNull<Self>, class: Class) -> Option<Lent> {
        // SAFETY: the caller's handle or unit keeps the core.
        unsafe { core.as_ref() }.tiers.take(thread_id::current(), class).ok()
    }

    /// Makes a block from elsewhere one that is out, with its unit.
    ///
    /// # Safety
    /// The caller holds a handle, and owns the block, which the backing can release as one of this class.
    pub(crate) unsafe fn adopt(core: NonNull<Self>, class: Class, block: NonNull<u8>) -> Lent {
        // SAFETY: the caller's handle keeps the core.
        let got = unsafe { core.as_ref() }.tiers.adopt(thread_id::current(), class, block);
        // SAFETY: passed on.
        unsafe { Self::hand_out(core, got) }
    }

    /// # Safety
    /// The caller holds a handle or a unit.
    unsafe fn hand_out(core: NonNull<Self>, got: Got) -> Lent {
        if got.first {
            // SAFETY: passed on.
            unsafe { Self::wake_collector(core) };
        }
        got.lent
    }

    /// What a get that failed does: at the limit it purges and tries again, and what came of it is counted.
    ///
    /// # Safety
    /// The caller holds a handle or a unit.
    unsafe fn purge_for<R>(
        core: NonNull<Self>,
        error: GetError,
        again: impl Fn() -> Result<R, GetError>,
    ) -> Result<R, GetError> {
        let GetError::LimitReached { requested, limit, .. } = error else { return Err(error) };
        // SAFETY: passed on.
        let result = if requested <= limit { unsafe { Self::purge_and_try(core, error, again) } } else { Err(error) };
        if matches!(result, Ok(_) | Err(GetError::LimitReached { .. })) {
            // SAFETY: the caller's handle or unit keeps the core.
            unsafe { core.as_ref() }.tiers.count_at_limit(result.is_ok());
        }
        result
    }

    /// At the limit, frees what is idle and tries again. While another thread is collecting it tries until that one is
    /// done, and then purges itself; all for [`PATIENCE`] at most.
    ///
    /// # Safety
    /// The caller holds a handle or a unit.
    unsafe fn purge_and_try<R>(
        core: NonNull<Self>,
        error: GetError,
        again: impl Fn() -> Result<R, GetError>,
    ) -> Result<R, GetError> {
        // Collecting needs a handle, or it could run beside the closer.
        // SAFETY: passed on.
        let Some(handle) = (unsafe { Self::upgrade(core) }) else { return Err(error) };
        let start = Instant::now();
        loop {
            // Without `Backing::trimmed`: this is a request's thread, and what was freed is about to be allocated again.
            let purged = !handle.tiers().collect(Reach::All).already_running;
            match again() {
                Err(GetError::LimitReached { .. }) if !purged && start.elapsed() < PATIENCE => yield_now(),
                result => return result,
            }
        }
    }

    /// The pool holds a block again, so there is something to collect.
    ///
    /// # Safety
    /// The caller holds a handle or a unit.
    unsafe fn wake_collector(core: NonNull<Self>) {
        // SAFETY: the caller's handle or unit keeps the core.
        let tiers = unsafe { &core.as_ref().tiers };
        let Collect::Background(interval) = tiers.config.collect else { return };
        // The background thread of an inherited pool is in another process.
        if tiers.config.recycle && !tiers.is_inherited() {
            // SAFETY: passed on.
            if let Some(handle) = unsafe { Self::upgrade(core) } {
                handle.join_collector(interval);
            }
        }
    }

    /// The first step of [`put`](Self::put), for the caller's own code. False: the block is still the caller's.
    ///
    /// # Safety
    /// As for `put`.
    #[inline(always)]
    pub(crate) unsafe fn store_local(lent: Lent) -> bool {
        // SAFETY: passed on.
        unsafe { Tiers::<B>::store_local(thread_id::current(), lent) }
    }

    /// As [`store_local`](Self::store_local), for a block that was reset.
    ///
    /// # Safety
    /// As for `put`.
    #[inline]
    pub(crate) unsafe fn store_reset(lent: Lent) -> bool {
        // SAFETY: passed on.
        unsafe { Tiers::<B>::store_reset(thread_id::current(), lent) }
    }

    /// Takes a block back, and with it its unit.
    ///
    /// # Safety
    /// The caller owns the block, which `get` handed out for this class, and gives its unit up.
    pub(crate) unsafe fn put(core: NonNull<Self>, class: Class, block: NonNull<u8>) {
        let tiers = Self::tiers_of(core);
        // SAFETY: the unit keeps the core.
        let last = if unsafe { core.as_ref() }.tiers.chaos.is_some() && unsafe { Self::is_discarded(core) } {
            // SAFETY: passed on: the unit keeps the core until it is counted back.
            unsafe { Tiers::pass(tiers, class, block) }
        } else {
            // SAFETY: as above.
            unsafe { Tiers::put(tiers, thread_id::current(), class, block) }
        };
        // SAFETY: passed on.
        unsafe { Self::end(core, last) };
    }

    /// What chaos does before a block comes back; whether it is to be released.
    ///
    /// # Safety
    /// The caller holds a handle or a unit.
    #[cold]
    #[inline(never)]
    unsafe fn is_discarded(core: NonNull<Self>) -> bool {
        // SAFETY: the caller's handle or unit keeps the core.
        let Some(chaos) = (unsafe { &core.as_ref().tiers.chaos }) else { return false };
        let reach = match chaos.whim() {
            Whim::Keep => return false,
            Whim::Discard => return true,
            Whim::Collect => Reach::Idle,
            Whim::Purge => Reach::All,
        };
        // SAFETY: passed on. Collecting needs a handle.
        if let Some(handle) = unsafe { Self::upgrade(core) } {
            // Without `Backing::trimmed`: this may be a request's thread.
            handle.tiers().collect(reach);
        }
        false
    }

    /// Counts a block out that is released while it is in use, and its unit with it.
    ///
    /// # Safety
    /// The caller owned the block, which was handed out for this class, and gives its unit up.
    pub(crate) unsafe fn forget(core: NonNull<Self>, class: Class) {
        // SAFETY: passed on: the unit keeps the core until it is counted back.
        let last = unsafe { Tiers::forget(Self::tiers_of(core), class) };
        // SAFETY: passed on.
        unsafe { Self::end(core, last) };
    }

    /// # Safety
    /// The caller counted a unit back, and that is what came of it.
    unsafe fn end(core: NonNull<Self>, last: Last) {
        if last == Last(true) {
            // SAFETY: it was the last unit of a closed pool.
            unsafe { Self::free(core) };
        }
    }
}

impl<B: Allocate> Core<B> {
    /// Hands out a block, and with it a unit.
    ///
    /// # Safety
    /// The caller holds a handle or a unit.
    pub(crate) unsafe fn get(core: NonNull<Self>, class: Class) -> Result<Lent, GetError> {
        // SAFETY: the caller's handle or unit keeps the core.
        let this = unsafe { core.as_ref() };
        let get = || this.tiers.get(thread_id::current(), class);
        // SAFETY: passed on.
        let got = get().or_else(|error| unsafe { Self::purge_for(core, error, get) })?;
        // SAFETY: passed on.
        Ok(unsafe { Self::hand_out(core, got) })
    }
}

#[cfg(feature = "arena")]
impl<B: Backing> Handle<B> {
    /// The chunks of an arena. None: no memory.
    #[inline]
    pub(crate) fn take_bump(&self) -> Option<FallibleBox<Bump>> {
        let (bump, first) = self.tiers().take_bump(shelf_owner())?;
        if first {
            // SAFETY: this is a handle.
            unsafe { Core::wake_collector(self.as_raw()) };
        }
        Some(bump)
    }

    /// Takes them back, reset.
    #[inline]
    pub(crate) fn store_bump(&self, bump: FallibleBox<Bump>) {
        self.tiers().store_bump(shelf_owner(), bump);
    }
}

/// It is by its id that a thread finds its own shelf.
#[cfg(feature = "arena")]
#[inline]
fn shelf_owner() -> ThreadId {
    thread_id::current().or_register()
}

/// Blocks above the largest class pass the tiers by; they are units all the same.
impl<A: Allocator + Send + Sync + 'static> Core<Bytes<A>> {
    /// # Safety
    /// As for [`get`](Self::get).
    pub(crate) unsafe fn get_oversize(core: NonNull<Self>, size: usize) -> Result<Lent, GetError> {
        // SAFETY: the caller's handle or unit keeps the core.
        let this = unsafe { core.as_ref() };
        let allocate = || this.tiers.backing.allocate_oversize(size);
        // SAFETY: passed on.
        let block = allocate().or_else(|error| unsafe { Self::purge_for(core, error, allocate) })?;
        Ok(this.tiers.lend_oversize(block))
    }

    /// # Safety
    /// The caller owns the block, handed out by `get_oversize` with this size, and gives its unit up.
    pub(crate) unsafe fn put_oversize(core: NonNull<Self>, size: usize, block: NonNull<u8>) {
        {
            // SAFETY: the unit keeps the core.
            let this = unsafe { core.as_ref() };
            // SAFETY: (I2) the block is the caller's.
            unsafe { unpoison(block, size) };
            // SAFETY: (I1) passed on.
            this.tiers.catch(|| unsafe { this.tiers.backing.release_oversize(size, block) });
        }
        // SAFETY: the unit is given up here.
        let last = unsafe { Tiers::count_back(Self::tiers_of(core)) };
        // SAFETY: passed on.
        unsafe { Self::end(core, last) };
    }
}
