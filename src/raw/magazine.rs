//! A magazine: a small stack of idle blocks of one class, in one slot, behind a gate.

#[cfg(all(test, not(loom)))]
mod tests;

use core::ptr::{self, NonNull};

use crate::raw::block::{BATCH, Batch};
use crate::raw::counters::add_owned;
use crate::raw::gate::{Entered, Gate};
use crate::raw::home::Home;
use crate::sync::{CachePadded, Figure, Ordering::Relaxed, UnsafeCell};

/// The most blocks in a magazine, as long as the slot's limit in bytes allows. With 32, a thread that holds 64 buffers at a
/// time goes to the depot for half of them: 1.5 times as slow, measured.
pub(crate) const MAGAZINE: usize = if cfg!(loom) { 4 } else { 64 };

/// One local get, in the owner's word; bits 0 to 6 say where the stack ends, bit 7 is the gate's.
const GET: u64 = 1 << 8;

/// Whoever holds the magazine (I3) may touch what is in cells: its owner inside the gate, or a collector or closer that revoked
/// it and saw it left. Figures that statistics read from outside are relaxed atomics.
///
/// The head lies in a cell as well, so that a reference to a magazine promises nothing of its memory: inside the call that
/// leaves the gate one may outlive the pool.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Magazine {
    /// On lines of its own: threads that drop buffers from here read it while the owner writes the rest.
    home: CachePadded<core::cell::UnsafeCell<Home>>,
    /// Its word is where the stack ends, and how many gets it served.
    gate: Gate,
    bounds: UnsafeCell<Bounds>,
    /// Where the stack begins. A collector takes from there and cannot write where it ends; the owner's next slow visit
    /// moves it back to 0.
    bottom: Figure,
    /// How many blocks the slot's credit covers here; not below the length.
    room: Figure,
    /// Gets that another tier served, counted here.
    served: Figure,
    /// Blocks that have left, but for those still counted in `bottom`, less those that came from another tier; wraps.
    moved: Figure,
    /// Idle blocks from `bottom` on, oldest first; the others are meaningless.
    cells: UnsafeCell<[*mut u8; MAGAZINE]>,
}

/// Between which ends of the stack the owner has the short way.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// The lowest end since the last collection: what lies below was idle since then. So there is no mark to keep.
    floor: u32,
    /// As far as the credit and the cells go.
    ceiling: u32,
    /// The most blocks that may ever lie here, at most `MAGAZINE`.
    capacity: u32,
}

// SAFETY: what is in cells is touched by one thread at a time (I3); the head is never written.
unsafe impl Send for Magazine {}
// SAFETY: as above.
unsafe impl Sync for Magazine {}

/// The owner holds the magazine, until this is dropped.
#[derive(Debug)]
pub(crate) struct Inside<'magazine> {
    magazine: &'magazine Magazine,
    entered: Entered<'magazine>,
}

/// A collector or the closer holds the magazine, until it reinstates the owner.
#[derive(Debug)]
pub(crate) struct Seized<'magazine>(&'magazine Magazine);

impl Magazine {
    /// An empty one for at most `capacity` blocks, none of them covered yet.
    pub(crate) fn new(home: Home, capacity: usize) -> Self {
        Self {
            home: CachePadded::new(core::cell::UnsafeCell::new(home)),
            gate: Gate::new(),
            bounds: UnsafeCell::new(Bounds { floor: 0, ceiling: 0, capacity: figure(capacity.min(MAGAZINE)) }),
            bottom: Figure::new(0),
            room: Figure::new(0),
            served: Figure::new(0),
            moved: Figure::new(0),
            cells: UnsafeCell::new([ptr::null_mut(); MAGAZINE]),
        }
    }

    /// What buffers keep that come from here: the magazine's own address.
    #[inline(always)]
    pub(crate) fn home(magazine: NonNull<Self>) -> NonNull<Home> {
        const { assert!(core::mem::offset_of!(Self, home) == 0) };
        magazine.cast()
    }

    /// The owner goes in, unless a collector or the closer has revoked the magazine.
    #[inline(always)]
    pub(crate) fn enter(&self) -> Option<Inside<'_>> {
        Some(Inside { magazine: self, entered: self.gate.enter()? })
    }

    /// As [`enter`](Self::enter), for more than one block: the stack begins at 0 then.
    pub(crate) fn enter_slow(&self) -> Option<Inside<'_>> {
        let mut inside = self.enter()?;
        inside.settle();
        Some(inside)
    }

    pub(crate) fn revoke(&self) {
        self.gate.revoke();
    }

    /// After `revoke` and a heavy fence that worked: takes the magazine if the owner has left it.
    ///
    /// # Safety
    /// The caller revoked it, a heavy fence has succeeded since, and it is the only collector or the closer.
    pub(crate) unsafe fn seize(&self) -> Option<Seized<'_>> {
        self.gate.left().then_some(Seized(self))
    }

    pub(crate) fn reinstate(&self) {
        self.gate.reinstate();
    }

    /// How many blocks lie here; beside the owner or a collector about so many.
    pub(crate) fn len(&self) -> usize {
        end(self.gate.glance()).saturating_sub(self.bottom())
    }

    /// The older half of that, one batch at most.
    pub(crate) fn older_half(&self) -> usize {
        self.len().div_ceil(2).min(BATCH)
    }

    /// For how many blocks there is no credit any more once that half is gone and the rest is covered exactly.
    pub(crate) fn given_up(&self) -> usize {
        self.room().saturating_sub(self.len()) + self.older_half()
    }

    /// How many blocks are covered.
    pub(crate) fn room(&self) -> usize {
        cells(self.room.load(Relaxed))
    }

    /// Gets and puts that were counted here, whatever tier they used. Their difference is the magazine's units.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let (word, moved) = (self.gate.glance(), self.moved.load(Relaxed));
        let local = word / GET;
        // A block that was put here was taken again, lies here or has left.
        (local + self.served.load(Relaxed), (local + end(word) as u64).wrapping_add(moved))
    }

    fn bottom(&self) -> usize {
        cells(self.bottom.load(Relaxed))
    }

    /// # Safety
    /// The caller holds the magazine.
    #[inline(always)]
    unsafe fn bounds<R>(&self, f: impl FnOnce(&mut Bounds) -> R) -> R {
        // SAFETY: (I3) the caller holds the magazine, so nobody else refers to the bounds.
        self.bounds.with_mut(|bounds| f(unsafe { &mut *bounds }))
    }

    /// # Safety
    /// The caller holds the magazine; `index` is below [`MAGAZINE`].
    #[inline(always)]
    unsafe fn cell<R>(&self, index: usize, f: impl FnOnce(&mut *mut u8) -> R) -> R {
        self.cells.with_mut(|cells| {
            // SAFETY: (I3) the caller holds the magazine, so nobody else refers to the cells.
            let cells = unsafe { &mut *cells };
            // SAFETY: passed on.
            f(unsafe { cells.get_unchecked_mut(index) })
        })
    }

    /// Takes the `count` oldest blocks out, of which there are as many.
    ///
    /// # Safety
    /// The caller holds the magazine.
    unsafe fn take_oldest(&self, count: usize, out: impl FnMut(NonNull<u8>)) {
        let bottom = self.bottom();
        self.cells.with_mut(|cells| {
            // SAFETY: (I3) the caller holds the magazine, so nobody else refers to the cells.
            let cells = unsafe { &*cells };
            cells.iter().skip(bottom).take(count).copied().filter_map(NonNull::new).for_each(out);
        });
        self.bottom.store((bottom + count) as u64, Relaxed);
    }

    /// Covers `room` blocks, and lets the stack end as high as that.
    ///
    /// # Safety
    /// The caller holds the magazine, and its slot's credit covers as many.
    unsafe fn set_room(&self, room: usize) {
        self.room.store(room as u64, Relaxed);
        let ceiling = figure((self.bottom() + room).min(MAGAZINE));
        // SAFETY: (I3) passed on.
        unsafe { self.bounds(|bounds| bounds.ceiling = ceiling) };
    }
}

impl Inside<'_> {
    /// Takes the newest block and counts a get, unless that leaves fewer than lay here since the last collection.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Option<NonNull<u8>> {
        let end = end(self.entered.word);
        // SAFETY: (I3) the gate is held.
        if end <= unsafe { self.magazine.bounds(|bounds| bounds.floor as usize) } {
            return None;
        }
        // SAFETY: above the floor the stack is not empty.
        Some(unsafe { self.take_newest() })
    }

    /// As [`take`](Self::take), however few are left.
    pub(crate) fn take_below_floor(&mut self) -> Option<NonNull<u8>> {
        if self.len() == 0 {
            return None;
        }
        let end = figure(end(self.entered.word) - 1);
        // SAFETY: (I3) the gate is held.
        unsafe { self.magazine.bounds(|bounds| bounds.floor = bounds.floor.min(end)) };
        // SAFETY: not empty.
        Some(unsafe { self.take_newest() })
    }

    /// # Safety
    /// There is one.
    #[inline(always)]
    unsafe fn take_newest(&mut self) -> NonNull<u8> {
        // SAFETY: (I3) the gate is held; the stack ends at `MAGAZINE` at most, and not at 0.
        let block = unsafe { self.magazine.cell(end(self.entered.word) - 1, |cell| *cell) };
        self.entered.word = self.entered.word.wrapping_add(GET - 1);
        // SAFETY: what `store` and `refill` put there came from a `NonNull`.
        unsafe { NonNull::new_unchecked(block) }
    }

    /// Stores a block and counts a put; false if no credit covers it.
    ///
    /// # Safety
    /// The caller owns the block, which is of this class and pool.
    #[inline(always)]
    pub(crate) unsafe fn store(&mut self, block: NonNull<u8>) -> bool {
        let end = end(self.entered.word);
        // SAFETY: (I3) the gate is held.
        let fits = end < unsafe { self.magazine.bounds(|bounds| bounds.ceiling as usize) };
        if fits {
            // SAFETY: as above; the ceiling is at most `MAGAZINE`.
            unsafe { self.magazine.cell(end, |cell| *cell = block.as_ptr()) };
            self.entered.word += 1;
        }
        fits
    }

    fn len(&self) -> usize {
        end(self.entered.word) - self.magazine.bottom()
    }

    /// Moves the stack back to where the cells begin, after a collector has taken from its bottom.
    fn settle(&mut self) {
        let (bottom, end) = (self.magazine.bottom(), end(self.entered.word));
        if bottom == 0 {
            return;
        }
        self.magazine.cells.with_mut(|cells| {
            // SAFETY: (I3) the gate is held, so nobody else refers to the cells.
            unsafe { &mut *cells }.copy_within(bottom..end, 0);
        });
        self.entered.word -= bottom as u64;
        self.magazine.bottom.store(0, Relaxed);
        self.count_moved(bottom as i64);
        // SAFETY: (I3) the gate is held.
        unsafe { self.magazine.bounds(|bounds| bounds.floor = bounds.floor.saturating_sub(figure(bottom))) };
        // SAFETY: (I3) the gate is held; as much credit as before.
        unsafe { self.magazine.set_room(self.magazine.room()) };
    }

    /// Moves what fits of `batch` in; counts no put.
    ///
    /// # Safety
    /// The blocks are of this class and pool.
    pub(crate) unsafe fn refill(&mut self, batch: &mut Batch) {
        while self.space() > 0 {
            let Some(block) = batch.pop() else { break };
            // SAFETY: passed on. There is space, so it is stored.
            unsafe { self.store(block) };
            self.count_moved(-1);
        }
    }

    fn count_moved(&self, blocks: i64) {
        let moved = self.magazine.moved.load(Relaxed);
        self.magazine.moved.store(moved.wrapping_add_signed(blocks), Relaxed);
    }

    /// Counts a get that another tier served.
    pub(crate) fn count_get(&self) {
        add_owned(&self.magazine.served);
    }

    fn capacity(&self) -> usize {
        // SAFETY: (I3) the gate is held.
        unsafe { self.magazine.bounds(|bounds| bounds.capacity as usize) }
    }

    /// How many more blocks may be covered.
    pub(crate) fn coverable(&self) -> usize {
        self.capacity() - self.magazine.room()
    }

    /// Covers so many more blocks, at most [`coverable`](Self::coverable), with credit that the caller leased.
    pub(crate) fn cover(&self, blocks: usize) {
        debug_assert!(blocks <= self.coverable());
        // SAFETY: (I3) the gate is held; the credit was just leased.
        unsafe { self.magazine.set_room(self.magazine.room() + blocks) };
    }

    /// Whether only a flush makes room.
    pub(crate) fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// How many blocks would fit under the present credit.
    pub(crate) fn space(&self) -> usize {
        self.magazine.room() - self.len()
    }

    /// Takes the older half out, `most` at most, which is no more than a batch. The room stays.
    pub(crate) fn take_older_half(&mut self, most: usize, batch: &mut Batch) {
        // SAFETY: (I3) the gate is held; there are as many.
        unsafe { self.magazine.take_oldest(self.len().div_ceil(2).min(most), |block| batch.add(block)) };
        self.settle();
    }

    /// Uncovers all that covers no block, and returns for how many blocks that is.
    #[must_use]
    pub(crate) fn uncover(&self) -> usize {
        let space = self.space();
        // SAFETY: (I3) the gate is held; less credit than before.
        unsafe { self.magazine.set_room(self.len()) };
        space
    }
}

impl Seized<'_> {
    /// Takes the blocks out that nobody took since the last collection, oldest first, or `all`; the mark starts again. Returns
    /// how many blocks are not covered any more.
    #[must_use]
    pub(crate) fn sweep(&self, all: bool, out: impl FnMut(NonNull<u8>)) -> usize {
        let Self(magazine) = *self;
        // The owner is outside, so this is exact.
        let end = end(magazine.gate.glance());
        // SAFETY: (I3) the magazine is seized.
        let floor = unsafe { magazine.bounds(|bounds| core::mem::replace(&mut bounds.floor, figure(end))) };
        let idle = if all { end } else { floor as usize }.saturating_sub(magazine.bottom());
        // SAFETY: (I3) the magazine is seized; the floor is not above the end.
        unsafe { magazine.take_oldest(idle, out) };
        let (room, len) = (magazine.room(), magazine.len());
        // SAFETY: (I3) the magazine is seized; less credit than before.
        unsafe { magazine.set_room(len) };
        room - len
    }
}

/// Where the stack ends.
#[inline(always)]
fn end(word: u64) -> usize {
    // The gate's own bit is not set in what the owner has and what a glance gives.
    (word % GET) as usize
}

/// A count of cells, as figures have it.
#[expect(clippy::cast_possible_truncation, reason = "at most `MAGAZINE`")]
fn cells(figure: u64) -> usize {
    figure as usize
}

/// A count of cells, as bounds have it.
#[expect(clippy::cast_possible_truncation, reason = "at most `MAGAZINE`")]
fn figure(count: usize) -> u32 {
    count as u32
}
