//! Local: the calling thread's own slot. A hit touches no shared cache line, takes no lock and pins nothing.

use core::ptr::NonNull;
use core::time::Duration;

use crate::raw::barrier;
use crate::raw::block::Batch;
use crate::raw::chaos;
use crate::raw::config::Config;
use crate::raw::home::{Home, Lent};
use crate::raw::lease::Budget;
use crate::raw::magazine::{Inside, MAGAZINE, Magazine};
use crate::raw::size_class::{Class, MAX_CLASSES, Rank, SizeClasses};
use crate::raw::slot::{Reach, Slot};
use crate::raw::slot_table::SlotTable;
use crate::raw::thread_id::ThreadId;

/// Slots that one sweep revokes together, under one heavy fence. A bound on how long an owner is kept out.
const SWEPT_TOGETHER: usize = 64;

/// How long closing waits for an owner that does not leave its slot: it is stopped there, or gone in a child of which we
/// were not told (see `fork`).
const PATIENCE: Duration = if cfg!(loom) { Duration::MAX } else { Duration::from_secs(1) };

#[derive(Debug)]
pub(crate) struct Local {
    slots: SlotTable,
    sizes: SizeClasses,
    /// Bytes that one slot may lease.
    limit: usize,
    /// How many of them at once.
    lease: usize,
    /// Blocks that a magazine of each class may hold; 0: the class has no magazine.
    capacities: [u8; MAX_CLASSES],
    /// Where a block belongs that no slot counted; the last is for oversize ones.
    homes: [Home; MAX_CLASSES + 1],
    /// Whether a drop may take the short way, for which a magazine says whose it is.
    drop_is_short: bool,
    /// Or a short way after a reset.
    reset_is_short: bool,
}

/// The calling thread's slot, and its magazine of one class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own<'slot> {
    slot: &'slot Slot,
    magazine: NonNull<Magazine>,
}

/// Whether a slot can take a block that its magazine had no credit for.
#[derive(Debug)]
pub(crate) enum Room<'slot> {
    /// It can, now.
    Here(Inside<'slot>),
    /// It could after a flush of this class.
    AfterFlushOf(Class),
    /// It cannot, or the owner is kept out.
    Refused,
}

/// What a sweep of all slots met.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    pub(crate) visited: usize,
    pub(crate) skipped: usize,
}

impl<'slot> Own<'slot> {
    pub(crate) fn home(self) -> NonNull<Home> {
        Magazine::home(self.magazine)
    }

    pub(crate) fn enter(self) -> Option<Inside<'slot>> {
        // SAFETY: a magazine is freed with its slot.
        unsafe { self.magazine.as_ref() }.enter_slow()
    }
}

impl Local {
    /// `pool` is what the slots' homes will point to.
    pub(crate) fn new(config: &Config, pool: NonNull<()>) -> Self {
        let mut capacities = [0; MAX_CLASSES];
        let mut homes = [Home::oversize(pool); MAX_CLASSES + 1];
        for class in config.classes.all() {
            let size = config.classes.size(class);
            homes[class.index()] = Home::shared(class, size, pool);
            // Even, so that half a magazine is a whole number; and at least four, or the class is too large.
            let fits = (config.local_limit / size).min(MAGAZINE) & !1;
            if config.recycle && fits >= 4 {
                #[expect(clippy::cast_possible_truncation, reason = "at most `MAGAZINE`")]
                let capacity = if config.chaos.is_some() { chaos::MAGAZINE } else { fits } as u8;
                capacities[class.index()] = capacity;
            }
        }
        Self {
            slots: SlotTable::new(),
            sizes: config.classes,
            limit: config.local_limit,
            lease: config.lease,
            capacities,
            homes,
            drop_is_short: config.drop_is_short(),
            reset_is_short: config.chaos.is_none(),
        }
    }

    /// The home of blocks of a class that no slot counted, or of oversize ones.
    pub(crate) fn shared_home(&self, class: Option<Class>) -> NonNull<Home> {
        NonNull::from(&self.homes[class.map_or(MAX_CLASSES, Class::index)])
    }

    /// Takes a block from the calling thread's magazine and counts the get there, where that is all there is to do: its
    /// thread is not one of very many, and the block not one that lay idle since the last collection.
    #[inline(always)]
    pub(crate) fn take(&self, who: ThreadId, rank: Rank) -> Option<Lent> {
        let magazine = self.slots.get_near(who)?.near(rank)?;
        // SAFETY: a magazine is freed with its slot, and that with the table.
        let block = unsafe { magazine.as_ref() }.enter()?.take()?;
        Some(Lent { block, home: Magazine::home(magazine) })
    }

    /// The same for every thread and every block. A thread's first get registers it: its slot may hold what a former thread left.
    pub(crate) fn take_slow(&self, who: ThreadId, class: Class) -> Option<Lent> {
        let who = if self.capacities[class.index()] > 0 { who.or_register() } else { return None };
        let magazine = self.magazine(who, class)?;
        // SAFETY: as above.
        let block = unsafe { magazine.as_ref() }.enter_slow()?.take_below_floor()?;
        Some(Lent { block, home: Magazine::home(magazine) })
    }

    /// Stores a block in the magazine that it was gotten through and counts the put there, if that is the calling thread's,
    /// has credit for it, nobody keeps the owner out, and there is nothing to do with the block first. False: it is still the
    /// caller's.
    ///
    /// # Safety
    /// (I2) the caller owns the block, which belongs to this home, and a unit.
    #[inline(always)]
    pub(crate) unsafe fn store(who: ThreadId, lent: Lent) -> bool {
        // SAFETY: the unit keeps the home until it is counted back.
        let owner = unsafe { lent.home.as_ref() }.owner_at_once();
        // SAFETY: passed on.
        owner == who && unsafe { Self::store_own(lent) }
    }

    /// As [`store`](Self::store), for a block that was reset.
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub(crate) unsafe fn store_reset(who: ThreadId, lent: Lent) -> bool {
        // SAFETY: as above.
        let owner = unsafe { lent.home.as_ref() }.owner();
        // SAFETY: passed on.
        owner == who && unsafe { Self::store_own(lent) }
    }

    /// # Safety
    /// As for `store`; the home is the calling thread's.
    #[inline(always)]
    unsafe fn store_own(Lent { block, home }: Lent) -> bool {
        // SAFETY: only the heads of magazines have an owner. After the store below the reference may outlive what it points
        // to, but is not used.
        let Some(mut inside) = unsafe { home.cast::<Magazine>().as_ref() }.enter() else { return false };
        // SAFETY: (I2) passed on.
        unsafe { inside.store(block) }
    }

    /// As [`store`](Self::store), for a block of which nobody knows the home but only the rank of its length.
    ///
    /// # Safety
    /// (I2) the caller owns the block, which is of this pool and of the class of that length, a unit that ends here, and a handle
    /// that does not.
    #[inline(always)]
    pub(crate) unsafe fn store_near(&self, who: ThreadId, rank: Rank, block: NonNull<u8>) -> bool {
        let near = || self.slots.get_near(who)?.near(rank);
        let Some(magazine) = near() else { return false };
        // SAFETY: a magazine is freed with its slot, and that with the table.
        let Some(mut inside) = unsafe { magazine.as_ref() }.enter() else { return false };
        // SAFETY: (I2) passed on.
        unsafe { inside.store(block) }
    }

    /// The calling thread's magazine of a class, entered, if there is one and nobody keeps the owner out.
    pub(crate) fn enter(&self, who: ThreadId, class: Class) -> Option<Inside<'_>> {
        let magazine = self.magazine(who, class)?;
        // SAFETY: a magazine is freed with its slot, and that with the table.
        unsafe { magazine.as_ref() }.enter()
    }

    /// The calling thread's magazine of a class, if there is one already.
    fn magazine(&self, who: ThreadId, class: Class) -> Option<NonNull<Magazine>> {
        self.slots.get(who)?.near(self.sizes.rank(class)?)
    }

    /// The calling thread's slot with a magazine for the class, made if need be. None: the thread, the class or the
    /// closed pool has none, or there is no memory for it; then the shared tiers serve.
    pub(crate) fn prepare(&self, who: ThreadId, class: Class) -> Option<Own<'_>> {
        let capacity = usize::from(self.capacities[class.index()]);
        if capacity == 0 {
            return None;
        }
        let who = who.or_register();
        let slot = self.slots.get_or_make(who)?;
        let home = self.homes[class.index()];
        let home = if self.reset_is_short { home.of(who, self.drop_is_short) } else { home };
        let make = || Magazine::new(home, capacity);
        Some(Own { slot, magazine: slot.prepare(class, &self.sizes, make)? })
    }

    /// Moves what it can of a batch from the depot into the slot, and counts the get of the block that the caller
    /// keeps. False if the slot did neither.
    ///
    /// # Safety
    /// The blocks are of this class and pool.
    pub(crate) unsafe fn refill(&self, own: Option<Own<'_>>, class: Class, batch: &mut Batch, budget: &Budget) -> bool {
        let Some((own, mut inside)) = own.and_then(|own| Some((own, own.enter()?))) else { return false };
        let missing = batch.len().saturating_sub(inside.space());
        if missing > 0 {
            own.slot.lease(&inside, self.sizes.size(class), missing, self.limit, budget);
        }
        // SAFETY: (I2) passed on.
        unsafe { inside.refill(batch) };
        inside.count_get();
        true
    }

    /// Makes room for one block of a class, with a new lease if need be.
    pub(crate) fn room<'slot>(&self, own: Own<'slot>, class: Class, budget: &Budget) -> Room<'slot> {
        let Some(inside) = own.enter() else { return Room::Refused };
        if inside.is_full() {
            return Room::AfterFlushOf(class);
        }
        let size = self.sizes.size(class);
        if inside.space() == 0 && !own.slot.lease(&inside, size, (self.lease / size).max(1), self.limit, budget) {
            // Only what it leaves behind says how many blocks a magazine has that a collection emptied.
            drop(inside);
            return own.slot.heaviest(&self.sizes, size).map_or(Room::Refused, Room::AfterFlushOf);
        }
        Room::Here(inside)
    }

    /// How many blocks a flush of a class would take.
    pub(crate) fn older_half(&self, own: Own<'_>, class: Class) -> usize {
        own.slot.older_half(class, &self.sizes)
    }

    /// Takes the older half of a magazine out, `most` at most. `cut`: it gives up the credit that then covers no block.
    pub(crate) fn flush(&self, own: Own<'_>, class: Class, most: usize, cut: Option<&Budget>, batch: &mut Batch) {
        own.slot.flush(class, most, &self.sizes, cut, batch);
    }

    /// Takes the idle part of every slot, or all of it. `release` is user code: it runs when the owners are let in again,
    /// unless there is no memory to remember a block until then.
    ///
    /// # Safety
    /// The caller is the only collector, and the pool is not closing.
    pub(crate) unsafe fn sweep(
        &self,
        reach: Reach,
        budget: &Budget,
        mut release: impl FnMut(Class, NonNull<u8>),
    ) -> Swept {
        if self.slots.iter().next().is_some() {
            // Before an owner is kept out, and not while it is.
            barrier::prepare();
        }
        let mut swept = Swept::default();
        let mut taken = Vec::new();
        let mut revoked = self.slots.iter().filter_map(|slot| slot.revoke(&self.sizes)).fuse();
        loop {
            let mut group = [None; SWEPT_TOGETHER];
            // `zip` asks the places first, so it revokes no slot for which there is none.
            for (place, slot) in group.iter_mut().zip(&mut revoked) {
                *place = Some(slot);
                swept.visited += 1;
            }
            if group[0].is_none() {
                break;
            }
            let fenced = barrier::heavy();
            let mut freed = 0;
            for slot in group.into_iter().flatten() {
                // SAFETY: revoked above, and the caller is the only collector.
                let took = unsafe {
                    slot.sweep(fenced, reach, &self.sizes, |class, block| {
                        if taken.try_reserve(1).is_ok() {
                            taken.push((class, block));
                        } else {
                            release(class, block);
                        }
                    })
                };
                freed += took.freed;
                swept.skipped += usize::from(took.skipped > 0);
            }
            taken.drain(..).for_each(|(class, block)| release(class, block));
            budget.end_lease(freed);
        }
        swept
    }

    /// Closes the table, revokes every slot for good and empties it. Returns the units that the slots counted, out less
    /// back. None if a slot could not be taken from its owner in time, or the fence failed: then the pool must not be
    /// freed.
    ///
    /// # Safety
    /// The caller closes the pool; no collector runs, nor will.
    pub(crate) unsafe fn close(&self, mut out: impl FnMut(Class, NonNull<u8>)) -> Option<i64> {
        self.slots.seal();
        self.slots.iter().for_each(|slot| slot.close(&self.sizes));
        // Sealed without a slot, the table has no owner to keep out, and gets none.
        if self.slots.iter().next().is_some() && !barrier::heavy() {
            return None;
        }
        let mut units = 0;
        for slot in self.slots.iter() {
            // SAFETY: closed above, the fence has worked, and the caller is the closer.
            units += unsafe { slot.empty(&self.sizes, PATIENCE, &mut out) }?;
        }
        Some(units)
    }

    pub(crate) fn used(&self) -> impl Iterator<Item = (Class, &Magazine)> {
        self.slots.iter().flat_map(|slot| slot.used(&self.sizes))
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }
}
