//! A slot: what one thread keeps of one pool. One magazine per class in use, and the credit that covers them.

use core::ptr::NonNull;
use core::time::Duration;

use crate::alloc::FallibleBox;
use crate::raw::block::Batch;
use crate::raw::counters::add_owned;
use crate::raw::lease::Budget;
use crate::raw::magazine::{Inside, Magazine};
use crate::raw::patience::Patience;
use crate::raw::place::Place;
use crate::raw::size_class::{Class, RANKS, Rank, SizeClasses};
use crate::sync::{AtomicU64, AtomicUsize, Figure, Ordering};

#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Slot {
    /// Filled by the owner, once each. Lengths below the smallest class have cells that lead to its magazine too, so that
    /// a get asks nothing but the rank of its length.
    cells: [Place<Magazine>; RANKS],
    /// The classes that have a magazine, one bit each. Written by the owner.
    used: AtomicU64,
    /// Bytes of credit leased from the budget: what the magazines' `room` covers. Raised by the owner only.
    leased: AtomicUsize,
    pub(crate) credit: Credit,
}

/// What came of asking for credit: figures that only the owner writes.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    /// The most bytes that were leased.
    pub(crate) peak: Figure,
    /// Times that not one block more could be covered: the slot has leased all that it may.
    pub(crate) refused_slot: Figure,
    /// The same, and the slots together have leased all that they may, or the budget is used up.
    pub(crate) refused_budget: Figure,
}

/// How much a collection takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// What was idle since the last collection, in a slot, or lies in the victim.
    Idle,
    /// All that is idle.
    All,
}

/// The magazines of one slot that a collector revoked together, one bit for each class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Revoked<'slot>(&'slot Slot, u64);

impl Slot {
    pub(crate) fn new() -> Self {
        Self {
            cells: core::array::from_fn(|_| Place::new()),
            used: AtomicU64::new(0),
            leased: AtomicUsize::new(0),
            credit: Credit::default(),
        }
    }

    /// Bytes of credit leased now.
    pub(crate) fn leased(&self) -> usize {
        self.leased.load(Ordering::Relaxed)
    }

    /// The magazine for a length, if there is one already.
    #[inline(always)]
    pub(crate) fn near(&self, rank: Rank) -> Option<NonNull<Magazine>> {
        self.cells.get(rank.index())?.get()
    }

    /// The magazine of a class, made by the owner if there is none. None: no memory, or the pool is closed.
    pub(crate) fn prepare(
        &self,
        class: Class,
        sizes: &SizeClasses,
        make: impl FnOnce() -> Magazine,
    ) -> Option<NonNull<Magazine>> {
        let cell = self.cells.get(sizes.rank(class)?.index())?;
        if let Some(magazine) = cell.get() {
            return Some(magazine);
        }
        let boxed = || FallibleBox::try_new(make()).ok().and_then(|made| NonNull::new(FallibleBox::into_raw(made)));
        let magazine = cell.install(boxed, drop_magazine)?;
        for alias in sizes.aliases(class) {
            self.cells.get(alias.index())?.point_to(magazine);
        }
        // Release: pairs with the Acquire in `used`. Only the owner writes it.
        self.used.store(self.used.load(Ordering::Relaxed) | class.bit(), Ordering::Release);
        Some(magazine)
    }

    /// The classes that have a magazine, without one that is just being made.
    pub(crate) fn used(&self, sizes: &SizeClasses) -> impl Iterator<Item = (Class, &Magazine)> {
        // Acquire: pairs with the Release of `prepare`.
        self.magazines(Class::each_in(self.used.load(Ordering::Acquire)), sizes)
    }

    fn magazines(
        &self,
        classes: impl Iterator<Item = Class>,
        sizes: &SizeClasses,
    ) -> impl Iterator<Item = (Class, &Magazine)> {
        classes.filter_map(|class| Some((class, self.magazine(class, sizes)?)))
    }

    fn magazine(&self, class: Class, sizes: &SizeClasses) -> Option<&Magazine> {
        let magazine = self.near(sizes.rank(class)?)?;
        // SAFETY: a magazine, once there, is freed with the slot, which the borrow keeps.
        Some(unsafe { magazine.as_ref() })
    }

    /// Keeps the owner out of every magazine in which there is something to take: blocks, or credit. None: nowhere.
    pub(crate) fn revoke(&self, sizes: &SizeClasses) -> Option<Revoked<'_>> {
        let mut classes = 0;
        for (class, magazine) in self.used(sizes).filter(|(_, magazine)| magazine.room() > 0) {
            magazine.revoke();
            classes |= class.bit();
        }
        (classes != 0).then_some(Revoked(self, classes))
    }

    /// Keeps the owner out of every magazine for good, and from making another.
    pub(crate) fn close(&self, sizes: &SizeClasses) {
        let cells = sizes.all().filter_map(|class| self.cells.get(sizes.rank(class)?.index()));
        cells.for_each(Place::close);
        self.magazines(sizes.all(), sizes).for_each(|(_, magazine)| magazine.revoke());
    }

    /// Empties a closed slot. Returns the units that it counted, out less back; none if an owner did not leave one of its
    /// magazines within `patience`.
    ///
    /// # Safety
    /// The caller is the closer, and since its `close` a heavy fence has worked.
    pub(crate) unsafe fn empty(
        &self,
        sizes: &SizeClasses,
        patience: Duration,
        mut out: impl FnMut(Class, NonNull<u8>),
    ) -> Option<i64> {
        let mut units = 0;
        for (class, magazine) in self.magazines(sizes.all(), sizes) {
            // For each anew: to release what the others held may have taken long.
            let mut waiting = Patience::new();
            let seized = loop {
                // SAFETY: no magazine was made since `close`, which revoked them all; the rest is passed on.
                if let Some(seized) = unsafe { magazine.seize() } {
                    break seized;
                }
                if !waiting.wait(patience) {
                    return None;
                }
            };
            let _uncovered = seized.sweep(true, |block| out(class, block));
            let (gets, puts) = magazine.counts();
            units += gets.wrapping_sub(puts) as i64;
        }
        Some(units)
    }

    /// Leases credit for up to `blocks` more blocks of a class; at least for one, or it says no.
    pub(crate) fn lease(&self, inside: &Inside<'_>, size: usize, blocks: usize, limit: usize, budget: &Budget) -> bool {
        // Relaxed: only collectors write it meanwhile, and they lower it.
        let within = limit.saturating_sub(self.leased.load(Ordering::Relaxed)) / size;
        let wanted = blocks.min(inside.coverable());
        if wanted == 0 {
            return false;
        }
        let most = wanted.min(within);
        if most == 0 {
            add_owned(&self.credit.refused_slot);
            return false;
        }
        let blocks = if budget.lease(most * size) {
            most
        } else if most > 1 && budget.lease(size) {
            1
        } else {
            add_owned(&self.credit.refused_budget);
            return false;
        };
        let bytes = blocks * size;
        // Relaxed: a figure.
        let leased = self.leased.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.credit.peak.store(self.credit.peak.load(Ordering::Relaxed).max(leased as u64), Ordering::Relaxed);
        inside.cover(blocks);
        true
    }

    /// The class that gives up most bytes of credit by a flush with a cut, if those are `least` or more.
    pub(crate) fn heaviest(&self, sizes: &SizeClasses, least: usize) -> Option<Class> {
        let bytes = |(class, magazine): (Class, &Magazine)| (magazine.given_up() * sizes.size(class), class);
        self.used(sizes).map(bytes).filter(|(bytes, _)| *bytes >= least).max().map(|(_, class)| class)
    }

    /// How many blocks a flush of a class would take.
    pub(crate) fn older_half(&self, class: Class, sizes: &SizeClasses) -> usize {
        self.magazine(class, sizes).map_or(0, Magazine::older_half)
    }

    /// Takes the older half of a class's magazine out, `most` at most. `cut`: it gives back the credit that then covers no
    /// block, as the depot has covered the blocks already.
    pub(crate) fn flush(
        &self,
        class: Class,
        most: usize,
        sizes: &SizeClasses,
        cut: Option<&Budget>,
        batch: &mut Batch,
    ) {
        let Some(mut inside) = self.magazine(class, sizes).and_then(Magazine::enter_slow) else { return };
        inside.take_older_half(most, batch);
        if let Some(budget) = cut {
            let freed = inside.uncover() * sizes.size(class);
            // Relaxed: a figure.
            self.leased.fetch_sub(freed, Ordering::Relaxed);
            budget.end_lease(freed);
        }
    }
}

/// What a sweep of one slot's magazines brought.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// Bytes of credit that the slot gave up. The caller ends their lease once the blocks are released.
    pub(crate) freed: usize,
    /// Magazines whose owner was inside.
    pub(crate) skipped: usize,
}

impl Revoked<'_> {
    /// Takes what `reach` says out of the magazines, oldest first, and lets the owner in again. `fenced`: a heavy fence has
    /// worked since they were revoked; without it none is touched.
    ///
    /// # Safety
    /// `fenced` is true only if that is so, and the caller is the only collector.
    pub(crate) unsafe fn sweep(
        self,
        fenced: bool,
        reach: Reach,
        sizes: &SizeClasses,
        mut out: impl FnMut(Class, NonNull<u8>),
    ) -> Swept {
        let mut swept = Swept::default();
        for (class, magazine) in self.0.magazines(Class::each_in(self.1), sizes) {
            // SAFETY: passed on.
            match if fenced { unsafe { magazine.seize() } } else { None } {
                Some(seized) => {
                    swept.freed += seized.sweep(reach == Reach::All, |block| out(class, block)) * sizes.size(class);
                }
                None => swept.skipped += 1,
            }
            magazine.reinstate();
        }
        // Relaxed: a figure.
        self.0.leased.fetch_sub(swept.freed, Ordering::Relaxed);
        swept
    }
}

fn drop_magazine(magazine: NonNull<Magazine>) {
    // SAFETY: made by `prepare`, and nobody refers to it.
    drop(unsafe { FallibleBox::from_raw(magazine.as_ptr()) });
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut former = None;
        for magazine in self.cells.iter().filter_map(Place::get) {
            // Cells that lead to one magazine are neighbours.
            if former.replace(magazine) != Some(magazine) {
                drop_magazine(magazine);
            }
        }
    }
}
