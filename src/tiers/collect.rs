//! The way out: a collection frees what nobody used through two of them, a purge all that is idle, closing everything.

use core::cell::Cell;
use core::ptr::NonNull;
use std::sync::TryLockError;
use std::time::Instant;

use crate::raw::counters::Why;
use crate::raw::generation::Generation;
use crate::raw::reclaim::can_retire;
use crate::raw::size_class::Class;
use crate::raw::slot::Reach;
use crate::raw::turn::Turn;
use crate::raw::units::Units;
use crate::stats::{Collected, Freed};
use crate::sync::{MutexGuard, Ordering::Relaxed};
use crate::tiers::backing::Backing;
use crate::tiers::{Last, Tiers};

thread_local! {
    /// Whether the thread is in [`Backing::trimmed`], of any pool.
    static TRIMMING: Cell<bool> = const { Cell::new(false) };
}

impl<B: Backing> Tiers<B> {
    /// Collects, and lets the backing give on what that freed. Not for requests: the backing may take its time.
    ///
    /// The turn is over by then, as a get at the limit waits for that, and for 20 ms only. So collections of the backing's own
    /// do free; but they do not come back to it, or one that always has something to free would never end.
    pub(crate) fn collect_and_trim(&self, reach: Reach) -> Collected {
        let collected = self.collect(reach);
        let freed = Freed { blocks: collected.blocks(), bytes: collected.bytes() };
        if freed.blocks > 0 && !TRIMMING.replace(true) {
            self.catch(|| self.backing.trimmed(freed));
            TRIMMING.set(false);
        }
        collected
    }

    /// Collects, unless another thread is at it. The caller holds a handle, so the pool is not closing.
    pub(crate) fn collect(&self, reach: Reach) -> Collected {
        let Some(mut turn) = self.turn() else {
            return Collected { already_running: true, ..Collected::default() };
        };
        let start = Instant::now();
        let mut collected = Collected::default();
        let why = if reach == Reach::All { Why::Purged } else { Why::Trimmed };

        // 1. Each slot: blocks that its owner did not touch since the last collection.
        let release = |class, block| {
            // SAFETY: (I2) the sweep took it out, so it is ours alone.
            unsafe { self.release(class, block, why) };
            collected.local.add(1, self.backing.size(class));
        };
        // SAFETY: the turn is ours, and our caller's handle keeps the pool from closing.
        let swept = unsafe { self.local.sweep(reach, &self.budget, release) };
        collected.slots = swept.visited;
        collected.slots_skipped = swept.skipped;

        if !self.is_inherited() {
            self.collect_shared(&mut turn, reach, why, &mut collected);
        }
        collected.shells_waiting = usize::from(turn.shell.is_some());
        collected.elapsed = start.elapsed();
        match reach {
            Reach::Idle => self.history.collected(&collected),
            Reach::All => self.history.purged(&collected),
        }
        collected
    }

    fn collect_shared(&self, turn: &mut Turn, reach: Reach, why: Why, collected: &mut Collected) {
        // 2. The shell of last time, with what slow readers stored in it; it goes if they have gone.
        self.open_shell(turn, why, &mut collected.victim);

        // 3. The victim; and then the depot becomes the victim, or is emptied too.
        // SAFETY: the turn is ours, so nobody exchanges the generations before `rotate`.
        self.drain(unsafe { self.victim.generation.current() }, why, &mut collected.victim);
        match reach {
            // SAFETY: as above.
            Reach::All => self.drain(unsafe { self.depot.generation.current() }, why, &mut collected.depot),
            Reach::Idle => self.rotate(turn),
        }
        self.open_shell(turn, why, &mut collected.victim);

        // 4. Idle arenas.
        #[cfg(feature = "arena")]
        self.arenas.drain(reach, |bump| {
            collected.arenas.add(1, bump.chunk_bytes());
            self.free_bump(bump);
        });
    }

    /// The turn to collect, unless another thread has it. A panic in a former one left nothing half done.
    fn turn(&self) -> Option<MutexGuard<'_, Turn>> {
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Makes the depot the victim. The emptied victim is retired, or while another shell still waits (or there is no
    /// memory for a new generation) becomes the depot.
    fn rotate(&self, turn: &mut Turn) {
        let holds = |class: Class| self.counters.of(class).allocated.load(Relaxed) > 0;
        let fresh = if turn.shell.is_none() && can_retire() { self.depot.fresh(holds) } else { None };
        let (victim, depot) = (&self.victim.generation, &self.depot.generation);
        match fresh {
            // SAFETY: the turn is ours.
            Some(fresh) => turn.shell = Some(unsafe { victim.rotate(depot, fresh) }),
            // SAFETY: the turn is ours.
            None => unsafe { victim.exchange(depot) },
        }
    }

    fn open_shell(&self, turn: &mut Turn, why: Why, freed: &mut Freed) {
        // Each try moves the epoch on by a step; where no reader is slow, two are enough.
        for _ in 0..3 {
            let Some(shell) = turn.shell.take() else { return };
            self.drain(shell.value(), why, freed);
            match shell.open() {
                // A slow reader may have stored between the last drain and its leaving.
                Ok(generation) => self.drain(&generation, why, freed),
                Err(shell) => turn.shell = Some(shell),
            }
        }
    }

    fn drain(&self, generation: &Generation, why: Why, freed: &mut Freed) {
        generation.drain(|class, block| {
            // SAFETY: (I2) it was popped, so it is ours alone.
            unsafe { self.release(class, block, why) };
            self.budget.unreserve(self.config.classes.size(class));
            freed.add(1, self.backing.size(class));
        });
    }

    /// Closes the pool: empties it, keeps every slot shut for good, and settles the units. None: an owner could not be
    /// got out of its slot, and the pool must be leaked.
    ///
    /// # Safety
    /// The last handle has gone, with its Acquire load. `tiers` may be freed once the units are settled.
    pub(crate) unsafe fn close(tiers: NonNull<Self>) -> Option<Last> {
        // SAFETY: the bias in the units keeps the tiers until `settle`.
        let this = unsafe { &*tiers.as_ptr() };
        // Relaxed: a hint to late puts; one that misses it leaves its block to `drain_all` in `free`.
        this.closed.store(true, Relaxed);
        let release = |class, block| {
            // SAFETY: (I2) the slot is seized and the block taken out.
            unsafe { this.release(class, block, Why::Passed) };
        };
        // SAFETY: without a handle no collector runs, nor will.
        let slots = unsafe { this.local.close(release) }?;
        this.drain_all();
        #[cfg(feature = "arena")]
        this.arenas.drain(Reach::All, |bump| this.free_bump(bump));
        let units: *const Units = &raw const *this.units;
        // SAFETY: the bias is still there. From here on nothing but this word is touched.
        Some(Last(unsafe { &*units }.settle(slots)))
    }

    /// Releases what lies in the depot, the victim and the shell. The caller closes or frees the pool.
    pub(crate) fn drain_all(&self) {
        let mut freed = Freed::default();
        for generation in [&self.depot.generation, &self.victim.generation] {
            // SAFETY: without a handle nobody exchanges the generations.
            self.drain(unsafe { generation.current() }, Why::Passed, &mut freed);
        }
        if let Some(shell) = self.turn().as_ref().and_then(|turn| turn.shell.as_ref()) {
            self.drain(shell.value(), Why::Passed, &mut freed);
        }
    }
}
