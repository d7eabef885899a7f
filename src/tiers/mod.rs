//! The path of a block. [`Tiers::get`] is the way down and [`Tiers::put`] the way back: local, depot, victim, backing.
//!
//! The stops do not know of each other; blocks pass from one to the next in this file.

pub(crate) mod local;

pub(crate) mod depot;

pub(crate) mod victim;

pub(crate) mod backing;

pub(crate) mod collect;

mod report;

use core::ptr::NonNull;

use crate::error::GetError;
use crate::raw::block::Batch;
use crate::raw::config::Config;
use crate::raw::contain::contain;
use crate::raw::counters::{Counters, Why, add};
use crate::raw::fork::Origin;
use crate::raw::generation::Generation;
use crate::raw::lease::Budget;
use crate::raw::size_class::Class;
use crate::raw::slot::Slot;
use crate::raw::thread_id::ThreadId;
use crate::raw::turn::{Turn, TurnLock};
use crate::raw::units::Units;
use crate::sync::{AtomicBool, AtomicUsize, CachePadded, Ordering::Relaxed};
use crate::tiers::backing::Backing;
use crate::tiers::depot::Depot;
use crate::tiers::local::{Local, Room};
use crate::tiers::victim::Victim;

/// One pool's tiers. Fields that every get reads come first; those that the shared paths write have lines of their own.
#[derive(Debug)]
pub(crate) struct Tiers<B> {
    pub(crate) config: Config,
    /// The process that made the pool.
    origin: Origin,
    local: Local,
    depot: Depot,
    victim: Victim,
    pub(crate) backing: B,
    counters: Counters,
    /// Set when the pool closes: what comes back from then on is released.
    closed: AtomicBool,
    budget: CachePadded<Budget>,
    units: CachePadded<Units>,
    /// Blocks held from the backing, of all classes.
    blocks: CachePadded<AtomicUsize>,
    /// A collection has its turn while this is locked. Nobody ever waits for it.
    turn: TurnLock,
}

/// A block that a get found.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) block: NonNull<u8>,
    /// It is the only block that the pool holds: from now on there is something to collect.
    pub(crate) first: bool,
}

/// Whether that was the last unit of a closed pool, so that the caller must free the pool.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Last(pub(crate) bool);

impl<B: Backing> Tiers<B> {
    /// The backing comes back if there is no memory.
    pub(crate) fn new(config: Config, backing: B) -> Result<Self, B> {
        let classes = config.classes.count();
        let generations = (Generation::try_new(classes), Generation::try_new(classes));
        let ((Some(depot), Some(victim)), Some(origin)) = (generations, Origin::here()) else {
            return Err(backing);
        };
        Ok(Self {
            config,
            origin,
            local: Local::new(&config),
            depot: Depot::new(&config, depot),
            victim: Victim::new(config.classes, victim),
            backing,
            counters: Counters::new(classes),
            closed: AtomicBool::new(false),
            budget: CachePadded::new(Budget::new(config.idle_limit)),
            units: CachePadded::new(Units::new()),
            blocks: CachePadded::new(AtomicUsize::new(0)),
            turn: TurnLock::new(Turn::default()),
        })
    }

    /// The first step of [`get`](Self::get) alone, for all but very many threads: what is worth having in the caller's code.
    #[inline(always)]
    pub(crate) fn take_local(&self, who: ThreadId, class: Class) -> Option<NonNull<u8>> {
        self.local.near_slot(who)?.enter()?.take(class)
    }

    /// A block of `class`, from the nearest tier that has one. The caller holds a handle or a unit, and has one unit
    /// more afterwards.
    pub(crate) fn get(&self, who: ThreadId, class: Class) -> Result<Got, GetError> {
        // 1. The thread's own magazine, which counts the get as well.
        if let Some(block) = self.local.take(who, class) {
            return Ok(Got { block, first: false });
        }
        if !self.config.recycle {
            return self.get_new(None, class);
        }
        let slot = self.local.prepare(who, class);
        if self.is_inherited() {
            return self.get_new(slot, class);
        }
        let counters = self.counters.of(class);

        // 2. The depot. As much of the block's batch as the slot can hold comes along.
        // SAFETY: (I2) the blocks of a bucket are of its class, and of this pool.
        let refill = |batch: &mut Batch| unsafe { self.local.refill(slot, class, batch, &self.budget) };
        if let Some((block, counted)) = self.depot.take(class, &self.budget, refill) {
            add(&counters.depot_hits);
            if !counted {
                self.count_shared_get(class);
            }
            return Ok(Got { block, first: false });
        }

        // 3. The victim, after the depot so that its blocks age out.
        if let Some(block) = self.victim.take(class, &self.budget) {
            add(&counters.victim_hits);
            self.count_get(slot, class);
            return Ok(Got { block, first: false });
        }

        // 4. The backing.
        self.get_new(slot, class)
    }

    fn get_new(&self, slot: Option<&Slot>, class: Class) -> Result<Got, GetError> {
        let block = self.backing.allocate(class)?;
        add(&self.counters.of(class).misses);
        add(&self.counters.of(class).allocated);
        let first = self.blocks.fetch_add(1, Relaxed) == 0;
        self.count_get(slot, class);
        Ok(Got { block, first })
    }

    /// The first step of [`put`](Self::put) alone, for all but very many threads. True: the block is stored, and counted.
    /// False: it is still the caller's, and so is its unit.
    ///
    /// # Safety
    /// As for `put`.
    #[inline(always)]
    pub(crate) unsafe fn store_local(tiers: NonNull<Self>, who: ThreadId, class: Class, block: NonNull<u8>) -> bool {
        // SAFETY: the unit keeps the tiers until it is counted back.
        let slot = unsafe { &(*tiers.as_ptr()).local }.near_slot(who);
        let Some(inside) = slot.and_then(Slot::enter) else { return false };
        // SAFETY: (I2) passed on.
        unsafe { inside.store(class, block) }.is_ok()
    }

    /// Takes a block back, into the nearest tier that has room.
    ///
    /// # Safety
    /// The caller owns the block, which `get` handed out for this class, and its unit, which it gives up. `tiers` may be
    /// freed as soon as that is counted, so this is no method: no reference to the tiers is touched afterwards.
    pub(crate) unsafe fn put(tiers: NonNull<Self>, who: ThreadId, class: Class, block: NonNull<u8>) -> Last {
        // SAFETY: the unit keeps the tiers; it is counted back in the last line, or by the slot.
        let this = unsafe { &*tiers.as_ptr() };
        // Relaxed: a hint. A closer that it misses drains the queues again before it frees.
        if this.config.recycle && !this.closed.load(Relaxed) {
            // 1. The thread's own magazine, if need be after a new lease or a flush to the depot. It counts the put as well.
            // SAFETY: (I2) passed on.
            if unsafe { Self::store_local_slow(tiers, who, class, block) } {
                return Last(false);
            }
            // 2. The depot, alone in its batch.
            if !this.store_shared(class, 1, |batch| batch.add(block)) {
                // 3. No room: the block in hand goes back to the backing.
                // SAFETY: (I2) the depot did not take it.
                unsafe { this.release(class, block, Why::Discarded) };
            }
        } else {
            // SAFETY: (I2) the caller owns it.
            unsafe { this.release(class, block, Why::Closed) };
        }
        add(&this.counters.of(class).shared_puts);
        // SAFETY: the unit is given up here, and nothing is touched afterwards.
        unsafe { Self::count_back(tiers) }
    }

    /// As [`store_local`](Self::store_local), for every thread, and after a new lease or a flush if that is what it takes.
    ///
    /// # Safety
    /// As there.
    unsafe fn store_local_slow(tiers: NonNull<Self>, who: ThreadId, class: Class, block: NonNull<u8>) -> bool {
        // SAFETY: the unit keeps the tiers until `store` has counted it back, and nothing follows that.
        let this = unsafe { &*tiers.as_ptr() };
        let Some(slot) = this.local.prepare(who, class) else { return false };
        let mut room = this.local.room(slot, class, &this.budget);
        if let Room::AfterFlushOf(flushed) = room {
            // The block is in hand and its unit not counted back: that is what keeps the pool during the flush.
            let flush = |batch: &mut Batch| this.local.flush(slot, flushed, class, &this.budget, batch);
            if !this.store_shared(flushed, this.local.half(flushed), flush) {
                return false;
            }
            room = this.local.room(slot, class, &this.budget);
        }
        let Room::Here(inside) = room else { return false };
        // SAFETY: (I2) passed on.
        unsafe { inside.store(class, block) }.is_ok()
    }

    /// Stores what `fill` makes in the depot, if that has room.
    fn store_shared(&self, class: Class, most: usize, fill: impl FnOnce(&mut Batch)) -> bool {
        !self.is_inherited() && self.depot.store(class, most, &self.budget, fill)
    }

    /// Whether the pool is a parent's, from before a `fork`. Then the tiers that threads share are neither taken from nor
    /// stored to: a thread that is not here may have left a queue in the middle of a step, and the next one there would wait
    /// for it. The slots stay in use, as each has a gate that says whether its owner was inside.
    pub(crate) fn is_inherited(&self) -> bool {
        !self.origin.is_here()
    }

    /// Gives a block back to the backing. A panic of user code stops here; it loses that block at most.
    ///
    /// # Safety
    /// (I2) the caller owns the block, which is of this class and pool.
    unsafe fn release(&self, class: Class, block: NonNull<u8>, why: Why) {
        // SAFETY: (I1) passed on.
        self.catch(|| unsafe { self.backing.release(class, block) });
        self.counters.released(class, why);
        self.blocks.fetch_sub(1, Relaxed);
    }

    /// Runs user code where a panic must not go on (I10).
    pub(crate) fn catch(&self, user_code: impl FnOnce()) {
        if contain(user_code) {
            add(&self.counters.release_panics);
        }
    }

    fn count_get(&self, slot: Option<&Slot>, class: Class) {
        if !self.local.count_get(slot, class) {
            self.count_shared_get(class);
        }
    }

    fn count_shared_get(&self, class: Class) {
        add(&self.counters.of(class).shared_gets);
        self.units.count_out();
    }

    /// Counts a block out that no class and no slot knows: an oversize one.
    pub(crate) fn count_out(&self) {
        self.units.count_out();
    }

    /// Whether the pool holds a block of any class, idle or out: then there is, or may be, something to collect.
    pub(crate) fn holds_blocks(&self) -> bool {
        self.blocks.load(Relaxed) > 0
    }
}

impl<B> Tiers<B> {
    /// Counts a block back that [`count_out`](Tiers::count_out) counted.
    ///
    /// # Safety
    /// The caller gives its unit up; as for [`Tiers::put`] otherwise.
    pub(crate) unsafe fn count_back(tiers: NonNull<Self>) -> Last {
        // SAFETY: the unit keeps the tiers until it is counted; the reference is to that word alone.
        let units: &Units = unsafe { &(*tiers.as_ptr()).units };
        Last(units.count_back())
    }
}
