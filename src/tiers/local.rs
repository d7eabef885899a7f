//! Local: the calling thread's own slot. A hit touches no shared cache line, takes no lock and pins nothing.

use core::ptr::NonNull;
use std::time::{Duration, Instant};

use crate::raw::barrier;
use crate::raw::block::{BATCH, Batch};
use crate::raw::config::Config;
use crate::raw::lease::{Budget, LEASE};
use crate::raw::magazine::MAGAZINE;
use crate::raw::size_class::{Class, MAX_CLASSES, SizeClasses};
use crate::raw::slot::{Inside, Reach, Slot};
use crate::raw::slot_table::SlotTable;
use crate::raw::thread_id::{self, ThreadId};
use crate::sync::yield_now;

/// Slots that one sweep revokes together, under one heavy fence. A bound on how long an owner is kept out.
const SWEPT_TOGETHER: usize = 64;

/// How long closing waits for an owner that does not leave its slot: it was killed there, or this is a child after
/// `fork`.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Local {
    slots: SlotTable,
    sizes: SizeClasses,
    /// Bytes that one slot may lease.
    limit: usize,
    /// Blocks that a magazine of each class may hold; 0: the class has no magazine.
    capacities: [u8; MAX_CLASSES],
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

impl Local {
    pub(crate) fn new(config: &Config) -> Self {
        let mut capacities = [0; MAX_CLASSES];
        if config.recycle {
            for class in config.classes.all() {
                let size = config.classes.size(class);
                // Even, so that half a magazine is a whole number; and at least four, or the class is too large.
                let fits = (config.local_limit / size).min(MAGAZINE) & !1;
                #[expect(clippy::cast_possible_truncation, reason = "at most `MAGAZINE`")]
                let capacity = if fits >= 4 { fits as u8 } else { 0 };
                capacities[class.index()] = capacity;
            }
        }
        Self { slots: SlotTable::new(), sizes: config.classes, limit: config.local_limit, capacities }
    }

    /// Takes a block from the calling thread's magazine and counts the get there.
    pub(crate) fn take(&self, who: ThreadId, class: Class) -> Option<NonNull<u8>> {
        self.slots.get(who)?.enter()?.take(class)
    }

    /// The calling thread's slot, if it has one and is not one of very many threads.
    #[inline(always)]
    pub(crate) fn near_slot(&self, who: ThreadId) -> Option<&Slot> {
        self.slots.get_near(who)
    }

    /// The calling thread's slot with a magazine for the class, made if need be. None: the thread, the class or the
    /// closed pool has none, or there is no memory for it; then the shared tiers serve.
    pub(crate) fn prepare(&self, who: ThreadId, class: Class) -> Option<&Slot> {
        let capacity = usize::from(self.capacities[class.index()]);
        if capacity == 0 {
            return None;
        }
        let who = if who.index().is_some() { who } else { thread_id::register() };
        self.slots.get_or_make(who).filter(|slot| slot.prepare(class, capacity))
    }

    /// Counts a get that another tier served. False if the slot cannot: then the caller counts it elsewhere.
    pub(crate) fn count_get(&self, slot: Option<&Slot>, class: Class) -> bool {
        slot.and_then(Slot::enter).is_some_and(|inside| inside.count_get(class))
    }

    /// Moves what it can of a batch from the depot into the slot, and counts the get of the block that the caller
    /// keeps. False if the slot did neither.
    ///
    /// # Safety
    /// The blocks are of this class and pool.
    pub(crate) unsafe fn refill(&self, slot: Option<&Slot>, class: Class, batch: &mut Batch, budget: &Budget) -> bool {
        let Some(inside) = slot.and_then(Slot::enter) else { return false };
        let size = self.sizes.size(class);
        let missing = batch.len().saturating_sub(inside.space(class));
        if missing > 0 {
            inside.lease(class, size, missing, self.limit, budget);
        }
        // SAFETY: (I2) passed on.
        unsafe { inside.refill(class, batch) };
        inside.count_get(class)
    }

    /// Makes room for one block of a class, with a new lease if need be.
    pub(crate) fn room<'slot>(&self, slot: &'slot Slot, class: Class, budget: &Budget) -> Room<'slot> {
        let Some(inside) = slot.enter() else { return Room::Refused };
        let size = self.sizes.size(class);
        if inside.is_full(class) {
            return Room::AfterFlushOf(class);
        }
        if inside.space(class) == 0 && !inside.lease(class, size, (LEASE / size).max(1), self.limit, budget) {
            return inside.heaviest(&self.sizes).map_or(Room::Refused, Room::AfterFlushOf);
        }
        Room::Here(inside)
    }

    /// The most blocks of a class that a flush takes.
    pub(crate) fn half(&self, class: Class) -> usize {
        usize::from(self.capacities[class.index()] / 2).min(BATCH)
    }

    /// Takes the older half of a magazine out, for a block of `wanted` that waits for room. A magazine of another class
    /// gives its credit up too.
    pub(crate) fn flush(&self, slot: &Slot, class: Class, wanted: Class, budget: &Budget, batch: &mut Batch) {
        if let Some(inside) = slot.enter() {
            if class == wanted {
                inside.take_older_half(class, batch);
            } else {
                inside.give_up_older_half(class, self.sizes.size(class), budget, batch);
            }
        }
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
        let mut swept = Swept::default();
        let mut taken = Vec::new();
        let mut slots = self.slots.iter().filter(|slot| slot.has_something()).peekable();
        while slots.peek().is_some() {
            let mut group = [None; SWEPT_TOGETHER];
            // `zip` asks the places first, so it takes no slot for which there is none.
            for (place, slot) in group.iter_mut().zip(&mut slots) {
                slot.revoke();
                *place = Some(slot);
                swept.visited += 1;
            }
            let fenced = barrier::heavy();
            let mut freed = 0;
            for slot in group.into_iter().flatten() {
                // SAFETY: revoked above, the fence has worked, and the caller is the only collector.
                let seized = if fenced { unsafe { slot.seize() } } else { None };
                match seized {
                    Some(seized) => {
                        freed += seized.sweep(reach, &self.sizes, |class, block| {
                            if taken.try_reserve(1).is_ok() {
                                taken.push((class, block));
                            } else {
                                release(class, block);
                            }
                        });
                    }
                    None => swept.skipped += 1,
                }
                slot.reinstate();
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
    pub(crate) unsafe fn close(&self, budget: &Budget, mut out: impl FnMut(Class, NonNull<u8>)) -> Option<i64> {
        self.slots.seal();
        self.slots.iter().for_each(Slot::revoke);
        if !barrier::heavy() {
            return None;
        }
        let mut units = 0;
        for slot in self.slots.iter() {
            let start = Instant::now();
            let seized = loop {
                // SAFETY: revoked above, the fence has worked, and the caller is the closer.
                if let Some(seized) = unsafe { slot.seize() } {
                    break seized;
                }
                if start.elapsed() > PATIENCE {
                    return None;
                }
                yield_now();
            };
            units += seized.units();
            budget.end_lease(seized.sweep(Reach::All, &self.sizes, &mut out));
        }
        Some(units)
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }
}
