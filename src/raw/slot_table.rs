//! The table of slots, indexed by thread id: the first ids in place, the others in segments that double, so that no slot
//! ever moves.

use core::ptr;

use crate::alloc::FallibleBox;
use crate::raw::slot::Slot;
use crate::raw::thread_id::{MAX_THREADS, ThreadId};
use crate::sync::{AtomicPtr, Ordering};

/// Ids whose cells are in the table itself, so that their threads are one load away from their slot; threads beyond them
/// pay a few nanoseconds more. A power of two, and the length of the first segment as well.
const FIRST: usize = if cfg!(loom) { 1 } else { 256 };

const SEGMENTS: usize = segment_of(MAX_THREADS - 1).0 + 1;

/// A segment, or a cell, is null until its first use and holds `CLOSED` once the pool closes without it.
const CLOSED: usize = 1;

type Cell = AtomicPtr<Slot>;

#[derive(Debug)]
pub(crate) struct SlotTable {
    first: [Cell; FIRST],
    /// The first cell of each segment.
    segments: [AtomicPtr<Cell>; SEGMENTS],
}

/// The segment of an index from [`FIRST`] on, and the place in it.
const fn segment_of(index: usize) -> (usize, usize) {
    let segment = (index.ilog2() - FIRST.ilog2()) as usize;
    (segment, index - (FIRST << segment))
}

/// A pointer that is neither null nor `CLOSED`.
#[inline(always)]
fn real<T>(pointer: *mut T) -> Option<*mut T> {
    (pointer.addr() > CLOSED).then_some(pointer)
}

#[inline(always)]
fn slot_in(cell: &Cell) -> Option<&Slot> {
    // Acquire: pairs with the Release of `install`.
    let slot = real(cell.load(Ordering::Acquire))?;
    // SAFETY: slots live as long as the table, and so do its cells.
    Some(unsafe { &*slot })
}

impl SlotTable {
    pub(crate) fn new() -> Self {
        Self {
            first: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            segments: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
        }
    }

    /// The slot of a thread with one of the first ids, if it has one: what is worth having in the caller's code.
    #[inline(always)]
    pub(crate) fn get_near(&self, id: ThreadId) -> Option<&Slot> {
        slot_in(self.first.get(id.number())?)
    }

    /// The slot of a thread, if it has one.
    pub(crate) fn get(&self, id: ThreadId) -> Option<&Slot> {
        self.get_near(id).or_else(|| slot_in(self.far(id)?))
    }

    /// The cell of an id from [`FIRST`] on, if its segment is there.
    fn far(&self, id: ThreadId) -> Option<&Cell> {
        let index = id.index().filter(|index| *index >= FIRST)?;
        let (segment, place) = segment_of(index);
        // Acquire: pairs with the Release of `install`.
        let cells = real(self.segments.get(segment)?.load(Ordering::Acquire))?;
        // SAFETY: a segment has `FIRST << segment` cells, and `place` is below that.
        let cell = unsafe { cells.add(place) };
        // SAFETY: segments live as long as the table.
        Some(unsafe { &*cell })
    }

    /// The slot of a thread, made if there is none. None: no id, no memory, or the pool is closed.
    #[cold]
    pub(crate) fn get_or_make(&self, id: ThreadId) -> Option<&Slot> {
        let index = id.index()?;
        let cell = match self.first.get(index) {
            Some(cell) => cell,
            None => {
                let (segment, _) = segment_of(index);
                install(self.segments.get(segment)?, || make_cells(segment), |cells| drop_cells(cells, segment))?;
                self.far(id)?
            }
        };
        let slot = install(cell, || FallibleBox::try_new(Slot::new()).ok().map(FallibleBox::into_raw), drop_slot)?;
        // SAFETY: slots live as long as the table.
        Some(unsafe { &*slot })
    }

    /// All slots that there are now.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.cells().filter_map(slot_in)
    }

    /// Closes every empty place, so that no slot appears any more.
    pub(crate) fn seal(&self) {
        self.segments.iter().for_each(close_if_empty);
        self.cells().for_each(close_if_empty);
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        let far = self.segments.iter().enumerate().flat_map(|(segment, cells)| {
            // Acquire: pairs with the Release of `install`.
            let cells = real(cells.load(Ordering::Acquire));
            // SAFETY: a segment has `FIRST << segment` cells and lives as long as the table.
            cells.map_or(&[][..], |cells| unsafe { core::slice::from_raw_parts(cells, FIRST << segment) })
        });
        self.first.iter().chain(far)
    }
}

/// Fills an empty place. The loser of a race frees its own; nobody waits.
fn install<T>(
    place: &AtomicPtr<T>,
    make: impl FnOnce() -> Option<*mut T>,
    free: impl FnOnce(*mut T),
) -> Option<*mut T> {
    // Acquire: pairs with the Release of the winner.
    let there = place.load(Ordering::Acquire);
    if !there.is_null() {
        return real(there);
    }
    let made = make()?;
    // Release: what is behind the pointer comes first. Acquire: pairs with another's Release, or with the closer's.
    match place.compare_exchange(ptr::null_mut(), made, Ordering::Release, Ordering::Acquire) {
        Ok(_) => Some(made),
        Err(there) => {
            free(made);
            real(there)
        }
    }
}

fn close_if_empty<T>(place: &AtomicPtr<T>) {
    let closed = ptr::without_provenance_mut(CLOSED);
    // Acquire on failure: pairs with the Release of `install`: the closer visits what was installed.
    let _ = place.compare_exchange(ptr::null_mut(), closed, Ordering::Acquire, Ordering::Acquire);
}

fn make_cells(segment: usize) -> Option<*mut Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    cells.try_reserve_exact(FIRST << segment).ok()?;
    cells.resize_with(FIRST << segment, || AtomicPtr::new(ptr::null_mut()));
    Some(Box::into_raw(cells.into_boxed_slice()).cast())
}

fn drop_cells(cells: *mut Cell, segment: usize) {
    let cells = ptr::slice_from_raw_parts_mut(cells, FIRST << segment);
    // SAFETY: made by `make_cells` for this segment, and nobody refers to it.
    drop(unsafe { Box::from_raw(cells) });
}

fn drop_slot(slot: *mut Slot) {
    // SAFETY: made by `get_or_make`, and nobody refers to it.
    drop(unsafe { FallibleBox::from_raw(slot) });
}

impl Drop for SlotTable {
    fn drop(&mut self) {
        // Relaxed throughout: whoever drops the table has it alone.
        self.cells().filter_map(|cell| real(cell.load(Ordering::Relaxed))).for_each(drop_slot);
        for (segment, cells) in self.segments.iter().enumerate() {
            if let Some(cells) = real(cells.load(Ordering::Relaxed)) {
                drop_cells(cells, segment);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_thread_id_has_a_cell_of_its_own() {
        let mut expected = (0, 0);
        for index in FIRST..MAX_THREADS {
            assert_eq!(segment_of(index), expected);
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(segment_of(MAX_THREADS - 1).0 + 1, SEGMENTS);
    }
}
