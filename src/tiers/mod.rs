//! The path of a block. [`Tiers::get`] is the way down and [`Tiers::put`] the way back: local, depot, victim, backing.
//!
//! The stops do not know of each other; blocks pass from one to the next in this file.

pub(crate) mod local;

pub(crate) mod depot;

pub(crate) mod victim;

pub(crate) mod backing;

#[cfg(feature = "arena")]
pub(crate) mod arenas;

pub(crate) mod collect;

mod report;

mod noted;

use core::ptr::NonNull;

use crate::alloc::FallibleBox;
use crate::error::GetError;
use crate::raw::block::Batch;
#[cfg(feature = "arena")]
use crate::raw::bump::Bump;
use crate::raw::chaos::Chaos;
use crate::raw::config::Config;
use crate::raw::contain::contain;
use crate::raw::counters::{Counters, NoRoom, Why, add};
use crate::raw::fork::Origin;
use crate::raw::generation::Generation;
use crate::raw::history::History;
use crate::raw::home::Lent;
use crate::raw::lease::Budget;
use crate::raw::poison::unpoison;
use crate::raw::size_class::{Class, Rank};
use crate::raw::thread_id::ThreadId;
use crate::raw::track::Tracks;
use crate::raw::turn::{Turn, TurnLock};
use crate::raw::units::Units;
use crate::sync::{AtomicBool, AtomicUsize, CachePadded, Ordering::Relaxed};
#[cfg(feature = "arena")]
use crate::tiers::arenas::Arenas;
use crate::tiers::backing::{Allocate, Backing};
use crate::tiers::depot::Depot;
use crate::tiers::local::{Local, Own, Room};
use crate::tiers::victim::Victim;

/// One pool's tiers. What the shared paths write at each block has lines of its own.
#[derive(Debug)]
pub(crate) struct Tiers<B> {
    pub(crate) config: Config,
    /// The process that made the pool.
    origin: Origin,
    local: Local,
    depot: Depot,
    victim: Victim,
    #[cfg(feature = "arena")]
    arenas: Arenas,
    pub(crate) backing: B,
    counters: Counters,
    history: History,
    /// Set when the pool closes: what comes back from then on is released.
    closed: AtomicBool,
    /// The whims of `Recycle::Chaos`.
    pub(crate) chaos: Option<Chaos>,
    /// Whether a drop has nothing to do but to store what it has.
    pub(crate) drop_is_short: bool,
    /// Where what is out was gotten, if that is wanted.
    pub(crate) tracks: Option<FallibleBox<Tracks>>,
    budget: CachePadded<Budget>,
    units: CachePadded<Units>,
    /// Blocks held from the backing, of all classes; and arenas, in use and idle.
    blocks: CachePadded<AtomicUsize>,
    /// A collection has its turn while this is locked. Nobody ever waits for it.
    turn: TurnLock,
}

/// A block that a get found.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) lent: Lent,
    /// It is the only block that the pool holds: from now on there is something to collect.
    pub(crate) first: bool,
}

/// Whether that was the last unit of a closed pool, so that the caller must free the pool.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Last(pub(crate) bool);

impl<B: Backing> Tiers<B> {
    /// For the pool at that address. The backing comes back if there is no memory.
    pub(crate) fn new(config: Config, backing: B, pool: NonNull<()>) -> Result<Self, B> {
        let classes = config.classes.count();
        let generations = (Generation::try_new(classes), Generation::try_new(classes));
        let ((Some(depot), Some(victim)), Some(counters)) = (generations, Counters::try_new(classes)) else {
            return Err(backing);
        };
        let Some(origin) = Origin::here() else { return Err(backing) };
        let tracks = match config.track.map(|one_in| FallibleBox::try_new(Tracks::new(one_in))) {
            Some(Err(_)) => return Err(backing),
            Some(Ok(tracks)) => Some(tracks),
            None => None,
        };
        Ok(Self {
            origin,
            tracks,
            local: Local::new(&config, pool),
            depot: Depot::new(&config, depot),
            victim: Victim::new(config.classes, victim),
            #[cfg(feature = "arena")]
            arenas: Arenas::default(),
            backing,
            counters,
            history: History::default(),
            closed: AtomicBool::new(false),
            chaos: config.chaos.map(Chaos::new),
            drop_is_short: config.drop_is_short(),
            budget: CachePadded::new(Budget::new(config.idle_limit)),
            config,
            units: CachePadded::new(Units::new()),
            blocks: CachePadded::new(AtomicUsize::new(0)),
            turn: TurnLock::new(Turn::default()),
        })
    }

    /// The first step of [`take`](Self::take) alone, where it is short: what is worth having in the caller's code.
    #[inline(always)]
    pub(crate) fn take_local(&self, who: ThreadId, rank: Rank) -> Option<Lent> {
        self.local.take(who, rank)
    }

    /// An idle block of `class`, from the nearest tier that has one. The caller holds a handle or a unit, and has one unit
    /// more afterwards. Err: there is none; the caller's slot, if it has one.
    pub(crate) fn take(&self, who: ThreadId, class: Class) -> Result<Lent, Option<Own<'_>>> {
        // 1. The thread's own magazine, which counts the get as well.
        if let Some(lent) = self.local.take_slow(who, class) {
            return Ok(lent);
        }
        if !self.config.recycle {
            return Err(None);
        }
        let own = self.local.prepare(who, class);
        if self.is_inherited() {
            return Err(own);
        }
        let counters = self.counters.of(class);

        // 2. The depot. As much of the block's batch as the slot can hold comes along.
        // SAFETY: (I2) the blocks of a bucket are of its class, and of this pool.
        let refill = |batch: &mut Batch| unsafe { self.local.refill(own, class, batch, &self.budget) };
        if let Some((block, counted)) = self.depot.take(class, &self.budget, refill) {
            add(&counters.depot_hits);
            if !counted {
                self.count_shared_get(class);
            }
            return Ok(self.lent(block, own, class));
        }

        // 3. The victim, after the depot so that its blocks age out.
        if let Some(block) = self.victim.take(class, &self.budget) {
            add(&counters.victim_hits);
            self.count_get(own, class);
            return Ok(self.lent(block, own, class));
        }
        Err(own)
    }

    /// Counts a new block in, as one that a get found. The caller holds a handle, and has one unit more afterwards.
    pub(crate) fn adopt(&self, who: ThreadId, class: Class, block: NonNull<u8>) -> Got {
        let own = if self.config.recycle { self.local.prepare(who, class) } else { None };
        self.count_in(own, class, block)
    }

    fn count_in(&self, own: Option<Own<'_>>, class: Class, block: NonNull<u8>) -> Got {
        self.counters.allocated(class);
        let first = self.blocks.fetch_add(1, Relaxed) == 0;
        self.count_get(own, class);
        Got { lent: self.lent(block, own, class), first }
    }

    /// A block that came from a shared tier. Its home is the thread's own magazine all the same, so that it is dropped there.
    fn lent(&self, block: NonNull<u8>, own: Option<Own<'_>>, class: Class) -> Lent {
        Lent { block, home: own.map_or_else(|| self.local.shared_home(Some(class)), Own::home) }
    }

    /// The first step of [`put`](Self::put) alone, where it is short. True: the block is stored, and counted. False: it is
    /// still the caller's, and so is its unit.
    ///
    /// # Safety
    /// (I2) the caller owns the block, which belongs to this home, and its unit, which it gives up if the block is stored.
    #[inline(always)]
    pub(crate) unsafe fn store_local(who: ThreadId, lent: Lent) -> bool {
        // SAFETY: passed on.
        unsafe { Local::store(who, lent) }
    }

    /// As [`store_local`](Self::store_local), for a block that was reset.
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub(crate) unsafe fn store_reset(who: ThreadId, lent: Lent) -> bool {
        // SAFETY: passed on.
        unsafe { Local::store_reset(who, lent) }
    }

    /// As [`store_local`](Self::store_local), for a block of which only the length is known.
    ///
    /// # Safety
    /// (I2) as there; the block is of this pool, and of the class of a length of this rank; the caller has a handle, as the unit
    /// may end before this returns. What is put back must not have to be overwritten first.
    #[inline(always)]
    pub(crate) unsafe fn store_near(&self, who: ThreadId, rank: Rank, block: NonNull<u8>) -> bool {
        // SAFETY: passed on.
        unsafe { self.local.store_near(who, rank, block) }
    }

    /// Takes a block back, into the nearest tier that has room.
    ///
    /// # Safety
    /// The caller owns the block, which `get` handed out for this class, and its unit, which it gives up. `tiers` may be
    /// freed as soon as that is counted, so this is no method: no reference to the tiers is touched afterwards.
    pub(crate) unsafe fn put(tiers: NonNull<Self>, who: ThreadId, class: Class, block: NonNull<u8>) -> Last {
        // SAFETY: the unit keeps the tiers; it is counted back in the last line, or by the slot.
        let this = unsafe { &*tiers.as_ptr() };
        // 1. The thread's own magazine, which counts the put as well. Most blocks that come here were another thread's.
        if let Some(mut inside) = this.local.enter(who, class) {
            // SAFETY: (I2) the caller owns it.
            if unsafe { inside.store(block) } {
                return Last(false);
            }
        }
        // Relaxed: a hint. A closer that it misses drains the queues again before it frees.
        if this.config.recycle && !this.closed.load(Relaxed) {
            // The same after a new lease or a flush to the depot, if that is what it takes.
            // SAFETY: (I2) passed on.
            if unsafe { Self::store_local_slow(tiers, who, class, block) } {
                return Last(false);
            }
            // 2. The depot, alone in its batch.
            if let Err(no_room) = this.store_shared(class, 1, |batch| batch.add(block)) {
                // 3. No room: the block in hand goes back to the backing.
                // SAFETY: (I2) the depot did not take it.
                unsafe { this.release(class, block, Why::Discarded(no_room)) };
            }
        } else {
            // SAFETY: passed on.
            return unsafe { Self::pass(tiers, class, block) };
        }
        add(&this.counters.of(class).shared_puts);
        // SAFETY: the unit is given up here, and nothing is touched afterwards.
        unsafe { Self::count_back(tiers) }
    }

    /// Takes a block back that is not to be kept.
    ///
    /// # Safety
    /// As for `put`.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn pass(tiers: NonNull<Self>, class: Class, block: NonNull<u8>) -> Last {
        {
            // SAFETY: the unit keeps the tiers until it is counted back.
            let this = unsafe { &*tiers.as_ptr() };
            // SAFETY: (I2) the caller owns it.
            unsafe { this.release(class, block, Why::Passed) };
            add(&this.counters.of(class).shared_puts);
        }
        // SAFETY: the unit is given up here, and nothing is touched afterwards.
        unsafe { Self::count_back(tiers) }
    }

    /// Counts a block out that was released while it was in use.
    ///
    /// # Safety
    /// As for `put`; the block is of this class, and no more.
    pub(crate) unsafe fn forget(tiers: NonNull<Self>, class: Class) -> Last {
        {
            // SAFETY: the unit keeps the tiers until it is counted back.
            let this = unsafe { &*tiers.as_ptr() };
            this.counters.released(class, Why::InUse);
            this.blocks.fetch_sub(1, Relaxed);
            add(&this.counters.of(class).shared_puts);
        }
        // SAFETY: the unit is given up here, and nothing is touched afterwards.
        unsafe { Self::count_back(tiers) }
    }

    /// As [`store_local`](Self::store_local), for every thread and from every home, and after a new lease or a flush if that is
    /// what it takes.
    ///
    /// # Safety
    /// As for `put`.
    unsafe fn store_local_slow(tiers: NonNull<Self>, who: ThreadId, class: Class, block: NonNull<u8>) -> bool {
        // SAFETY: the unit keeps the tiers until `store` has counted it back, and nothing follows that.
        let this = unsafe { &*tiers.as_ptr() };
        let Some(own) = this.local.prepare(who, class) else { return false };
        let mut room = this.local.room(own, class, &this.budget);
        if let Room::AfterFlushOf(flushed) = room {
            // The block is in hand and its unit not counted back: that is what keeps the pool during the flush.
            let most = this.local.older_half(own, flushed);
            // Another class gives its credit up too.
            let cut = (flushed != class).then_some(&*this.budget);
            let flush = |batch: &mut Batch| this.local.flush(own, flushed, most, cut, batch);
            if this.store_shared(flushed, most, flush).is_err() {
                return false;
            }
            room = this.local.room(own, class, &this.budget);
        }
        let Room::Here(mut inside) = room else { return false };
        // SAFETY: (I2) passed on.
        unsafe { inside.store(block) }
    }

    /// Stores what `fill` makes in the depot, if that has room.
    fn store_shared(&self, class: Class, most: usize, fill: impl FnOnce(&mut Batch)) -> Result<(), NoRoom> {
        if self.is_inherited() { Err(NoRoom::Depot) } else { self.depot.store(class, most, &self.budget, fill) }
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
        // SAFETY: (I2) the block is the caller's.
        unsafe { unpoison(block, self.backing.size(class)) };
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

    /// Counts a get that met the limit: a purge saved it, or it failed.
    pub(crate) fn count_at_limit(&self, saved: bool) {
        add(if saved { &self.counters.limit_saved } else { &self.counters.limit_failed });
    }

    fn count_get(&self, own: Option<Own<'_>>, class: Class) {
        match own.and_then(Own::enter) {
            Some(inside) => inside.count_get(),
            None => self.count_shared_get(class),
        }
    }

    fn count_shared_get(&self, class: Class) {
        add(&self.counters.of(class).shared_gets);
        self.units.count_out();
    }

    /// Hands out a block that no class and no slot knows: an oversize one.
    pub(crate) fn lend_oversize(&self, block: NonNull<u8>) -> Lent {
        self.units.count_out();
        Lent { block, home: self.local.shared_home(None) }
    }

    /// Whether the pool holds a block of any class or an arena, idle or out: then there is, or may be, something to collect.
    pub(crate) fn holds_blocks(&self) -> bool {
        self.blocks.load(Relaxed) > 0
    }
}

impl<B: Allocate> Tiers<B> {
    /// A block of `class`, from the nearest tier that has one, or else a new one. The caller holds a handle or a unit, and has
    /// one unit more afterwards.
    pub(crate) fn get(&self, who: ThreadId, class: Class) -> Result<Got, GetError> {
        match self.take(who, class) {
            Ok(lent) => Ok(Got { lent, first: false }),
            // 4. The backing.
            Err(own) => Ok(self.count_in(own, class, self.backing.allocate(class)?)),
        }
    }
}

#[cfg(feature = "arena")]
impl<B: Backing> Tiers<B> {
    /// The chunks of an arena, idle ones if there are any; and whether they are the first thing that the pool holds, as in
    /// [`Got`]. None: no memory.
    #[inline]
    pub(crate) fn take_bump(&self, who: ThreadId) -> Option<(FallibleBox<Bump>, bool)> {
        let idle = if self.is_inherited() { None } else { self.arenas.take(who) };
        match idle {
            Some(bump) => Some((bump, false)),
            None => Some((Bump::new(self.config.zero_on_return)?, self.blocks.fetch_add(1, Relaxed) == 0)),
        }
    }

    /// Takes the chunks of an arena back, which has reset them. Where there is no room they are freed.
    #[inline]
    pub(crate) fn store_bump(&self, who: ThreadId, bump: FallibleBox<Bump>) {
        let discarded = self.chaos.as_ref().is_some_and(Chaos::discards);
        let keeps = self.config.recycle && !self.is_inherited() && !discarded;
        let refused = if keeps { self.arenas.store(who, bump).err() } else { Some(bump) };
        if let Some(bump) = refused {
            self.free_bump(bump);
        }
    }

    #[cold]
    fn free_bump(&self, bump: FallibleBox<Bump>) {
        drop(bump);
        self.blocks.fetch_sub(1, Relaxed);
    }
}

impl<B> Tiers<B> {
    /// Counts a block back that no slot counts.
    ///
    /// # Safety
    /// The caller gives its unit up; as for [`Tiers::put`] otherwise.
    pub(crate) unsafe fn count_back(tiers: NonNull<Self>) -> Last {
        // SAFETY: the unit keeps the tiers until it is counted; the reference is to that word alone.
        let units: &Units = unsafe { &(*tiers.as_ptr()).units };
        Last(units.count_back())
    }
}
