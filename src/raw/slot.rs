//! A slot: what one thread keeps of one pool. One magazine per class in use, the credit that covers them, and a gate.

use core::ptr::{self, NonNull};

use crate::alloc::FallibleBox;
use crate::raw::block::{BATCH, Batch};
use crate::raw::gate::{Entered, Gate};
use crate::raw::lease::Budget;
use crate::raw::magazine::Magazine;
use crate::raw::size_class::{Class, MAX_CLASSES, SizeClasses};
use crate::sync::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// Every field is an atomic: a reference to a slot may outlive, inside the call that leaves the gate, the pool itself.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Slot {
    gate: Gate,
    /// The classes that have a magazine, one bit each. Written by the owner.
    used: AtomicU64,
    /// Bytes of credit leased from the budget: what the magazines' `room` covers. Written by whoever holds the slot.
    leased: AtomicUsize,
    /// Written by the owner, once each, outside the gate; freed with the slot.
    magazines: [AtomicPtr<Magazine>; MAX_CLASSES],
}

/// The owner holds the slot, until this is dropped.
#[derive(Debug)]
pub(crate) struct Inside<'slot> {
    slot: &'slot Slot,
    _entered: Entered<'slot>,
}

/// How much a collection takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// What was idle since the last collection, in a slot, or lies in the victim.
    Idle,
    /// All that is idle.
    All,
}

/// A collector or the closer holds the slot, until it reinstates the owner.
#[derive(Debug)]
pub(crate) struct Seized<'slot>(&'slot Slot);

impl Slot {
    pub(crate) fn new() -> Self {
        Self {
            gate: Gate::new(),
            used: AtomicU64::new(0),
            leased: AtomicUsize::new(0),
            magazines: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
        }
    }

    /// The owner goes in, unless a collector or the closer has revoked the slot.
    #[inline(always)]
    pub(crate) fn enter(&self) -> Option<Inside<'_>> {
        Some(Inside { slot: self, _entered: self.gate.enter()? })
    }

    /// Makes the magazine of a class if there is none; called by the owner outside the gate. False: no memory.
    pub(crate) fn prepare(&self, class: Class, capacity: usize) -> bool {
        if self.magazine(class).is_some() {
            return true;
        }
        let Ok(made) = FallibleBox::try_new(Magazine::new(capacity)) else { return false };
        // Release: pairs with the Acquire of `magazine` in a collector or in the statistics.
        self.magazines[class.index()].store(FallibleBox::into_raw(made), Ordering::Release);
        // Release: pairs with the Acquire in `used`. Only the owner writes it.
        self.used.store(self.used.load(Ordering::Relaxed) | class.bit(), Ordering::Release);
        true
    }

    /// The classes that have a magazine.
    pub(crate) fn used(&self) -> impl Iterator<Item = (Class, &Magazine)> {
        // Acquire: pairs with the Release of `prepare`.
        let used = self.used.load(Ordering::Acquire);
        Class::each_in(used).filter_map(|class| Some((class, self.magazine(class)?)))
    }

    /// Whether a collector would find something: blocks, or credit. A glance from outside.
    pub(crate) fn has_something(&self) -> bool {
        self.used().any(|(_, magazine)| magazine.room() > 0)
    }

    pub(crate) fn revoke(&self) {
        self.gate.revoke();
    }

    /// After `revoke` and a heavy fence that worked: takes the slot if the owner has left it.
    ///
    /// # Safety
    /// The caller revoked this slot, a heavy fence has succeeded since, and it is the only collector or the closer.
    pub(crate) unsafe fn seize(&self) -> Option<Seized<'_>> {
        self.gate.left().then_some(Seized(self))
    }

    pub(crate) fn reinstate(&self) {
        self.gate.reinstate();
    }

    #[inline(always)]
    fn magazine(&self, class: Class) -> Option<&Magazine> {
        // Acquire: pairs with the Release of `prepare`; the owner itself would not need it.
        let magazine = self.magazines[class.index()].load(Ordering::Acquire);
        // SAFETY: a magazine, once there, is freed with the slot, which the borrow keeps.
        unsafe { magazine.as_ref() }
    }

    /// Takes the `count` oldest blocks of a class out, and from the slot's credit all that then covers no block. Returns
    /// those bytes; the caller ends their lease, once the blocks are covered otherwise or released.
    ///
    /// # Safety
    /// The caller holds the slot.
    #[must_use]
    unsafe fn cut(&self, class: Class, size: usize, count: usize, out: impl FnMut(NonNull<u8>)) -> usize {
        let Some(magazine) = self.magazine(class) else { return 0 };
        // SAFETY: (I3) passed on.
        unsafe { magazine.take_oldest(count, out) };
        let freed = (magazine.room() - magazine.len()) * size;
        // SAFETY: (I3) passed on; `len` blocks stay covered.
        unsafe { magazine.set_room(magazine.len()) };
        self.leased.store(self.leased.load(Ordering::Relaxed) - freed, Ordering::Relaxed);
        freed
    }
}

impl Inside<'_> {
    /// Takes the newest block of a class and counts a get.
    #[inline(always)]
    pub(crate) fn take(&self, class: Class) -> Option<NonNull<u8>> {
        // SAFETY: (I3) the gate is held.
        unsafe { self.slot.magazine(class)?.take() }
    }

    /// Stores a block and counts a put, or gives it back if there is no magazine or no credit for it.
    ///
    /// # Safety
    /// The caller owns the block, which is of this class and of the slot's pool.
    #[inline(always)]
    pub(crate) unsafe fn store(&self, class: Class, block: NonNull<u8>) -> Result<(), NonNull<u8>> {
        let Some(magazine) = self.slot.magazine(class) else { return Err(block) };
        // SAFETY: (I3) the gate is held; (I2) passed on.
        unsafe { magazine.store(block) }
    }

    /// Counts a get that another tier served. False if the class has no magazine to count in.
    pub(crate) fn count_get(&self, class: Class) -> bool {
        let Some(magazine) = self.slot.magazine(class) else { return false };
        // SAFETY: (I3) the gate is held, by the owner.
        unsafe { magazine.count_get() };
        true
    }

    /// Moves what fits of `batch` into the class's magazine.
    ///
    /// # Safety
    /// The blocks are of this class and of the slot's pool.
    pub(crate) unsafe fn refill(&self, class: Class, batch: &mut Batch) {
        if let Some(magazine) = self.slot.magazine(class) {
            // SAFETY: (I3) the gate is held; (I2) the batch owns its blocks.
            unsafe { magazine.refill(batch) };
        }
    }

    /// Leases credit for up to `blocks` more blocks of a class; at least for one, or it says no.
    pub(crate) fn lease(&self, class: Class, size: usize, blocks: usize, limit: usize, budget: &Budget) -> bool {
        let Some(magazine) = self.slot.magazine(class) else { return false };
        let room = magazine.room();
        let leased = self.slot.leased.load(Ordering::Relaxed);
        let most = blocks.min(magazine.capacity() - room).min(limit.saturating_sub(leased) / size);
        if most == 0 {
            return false;
        }
        let blocks = if budget.lease(most * size) {
            most
        } else if most > 1 && budget.lease(size) {
            1
        } else {
            return false;
        };
        self.slot.leased.store(leased + blocks * size, Ordering::Relaxed);
        // SAFETY: (I3) the gate is held; the credit was just leased.
        unsafe { magazine.set_room(room + blocks) };
        true
    }

    /// Whether the class's magazine is at its capacity, so that only a flush of it makes room.
    pub(crate) fn is_full(&self, class: Class) -> bool {
        self.slot.magazine(class).is_some_and(|magazine| magazine.len() == magazine.capacity())
    }

    /// How many blocks would fit into the class's magazine under its present credit.
    pub(crate) fn space(&self, class: Class) -> usize {
        self.slot.magazine(class).map_or(0, |magazine| magazine.room() - magazine.len())
    }

    /// The class whose magazine covers most bytes, if any has something to give up.
    pub(crate) fn heaviest(&self, sizes: &SizeClasses) -> Option<Class> {
        let bytes = |(class, magazine): (Class, &Magazine)| (magazine.room() * sizes.size(class), class);
        self.slot.used().map(bytes).filter(|(bytes, _)| *bytes > 0).max().map(|(_, class)| class)
    }

    /// Takes the older half of a class's magazine, whose room stays.
    pub(crate) fn take_older_half(&self, class: Class, batch: &mut Batch) {
        let Some(magazine) = self.slot.magazine(class) else { return };
        // SAFETY: (I3) the gate is held.
        unsafe { magazine.take_oldest(half(magazine), |block| batch.add(block)) };
    }

    /// As [`take_older_half`](Self::take_older_half), and gives back the credit that then covers no block. The depot has
    /// covered the blocks already.
    pub(crate) fn give_up_older_half(&self, class: Class, size: usize, budget: &Budget, batch: &mut Batch) {
        let Some(magazine) = self.slot.magazine(class) else { return };
        // SAFETY: (I3) the gate is held.
        budget.end_lease(unsafe { self.slot.cut(class, size, half(magazine), |block| batch.add(block)) });
    }
}

impl Seized<'_> {
    /// Takes out, oldest first, the blocks that nobody used since the last collection, or all of them. Returns the bytes
    /// of credit that the slot gives up; the caller ends their lease once the blocks are released.
    #[must_use]
    pub(crate) fn sweep(&self, reach: Reach, sizes: &SizeClasses, mut out: impl FnMut(Class, NonNull<u8>)) -> usize {
        let mut freed = 0;
        for (class, magazine) in self.0.used() {
            // SAFETY: (I3) the slot is seized.
            let idle = unsafe { magazine.restart_mark() };
            let count = if reach == Reach::All { magazine.len() } else { idle };
            // SAFETY: (I3) the slot is seized.
            freed += unsafe { self.0.cut(class, sizes.size(class), count, |block| out(class, block)) };
        }
        freed
    }

    /// Blocks that the slot counted out, less those that it counted back.
    pub(crate) fn units(&self) -> i64 {
        self.0.units()
    }
}

/// The older half of a magazine: what one batch holds at most.
fn half(magazine: &Magazine) -> usize {
    magazine.len().div_ceil(2).min(BATCH)
}

impl Slot {
    /// See [`Seized::units`]; a glance from outside.
    fn units(&self) -> i64 {
        let difference = |(_, magazine): (Class, &Magazine)| magazine.gets().wrapping_sub(magazine.puts()) as i64;
        self.used().map(difference).sum()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        for magazine in &self.magazines {
            // Relaxed: whoever frees the slot has it alone.
            let magazine = magazine.load(Ordering::Relaxed);
            if !magazine.is_null() {
                // SAFETY: made by `prepare` with `into_raw`, freed only here.
                drop(unsafe { FallibleBox::from_raw(magazine) });
            }
        }
    }
}
