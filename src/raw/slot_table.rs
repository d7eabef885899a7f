//! The table of slots, indexed by thread id: the first ids in place, the others in segments that double, so that no slot
//! ever moves.

use core::ptr::NonNull;

use crate::alloc::FallibleBox;
use crate::raw::place::Place;
use crate::raw::slot::Slot;
use crate::raw::thread_id::{MAX_THREADS, ThreadId};

/// Ids whose cells are in the table itself, so that their threads are one load away from their slot; threads beyond them
/// pay a few nanoseconds more. A power of two, and the length of the first segment as well.
const FIRST: usize = if cfg!(loom) { 1 } else { 256 };

const SEGMENTS: usize = segment_of(MAX_THREADS - 1).0 + 1;

type Cell = Place<Slot>;

#[derive(Debug)]
pub(crate) struct SlotTable {
    first: [Cell; FIRST],
    /// The first cell of each segment.
    segments: [Place<Cell>; SEGMENTS],
}

/// The segment of an index from [`FIRST`] on, and the place in it.
const fn segment_of(index: usize) -> (usize, usize) {
    let segment = (index.ilog2() - FIRST.ilog2()) as usize;
    (segment, index - (FIRST << segment))
}

#[inline(always)]
fn slot_in(cell: &Cell) -> Option<&Slot> {
    // SAFETY: slots live as long as the table, and so do its cells.
    Some(unsafe { cell.get()?.as_ref() })
}

impl SlotTable {
    pub(crate) fn new() -> Self {
        Self { first: core::array::from_fn(|_| Place::new()), segments: core::array::from_fn(|_| Place::new()) }
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
        let cells = self.segments.get(segment)?.get()?;
        // SAFETY: a segment has `FIRST << segment` cells, and `place` is below that.
        let cell = unsafe { cells.add(place) };
        // SAFETY: segments live as long as the table.
        Some(unsafe { cell.as_ref() })
    }

    /// The slot of a thread, made if there is none. None: no id, no memory, or the pool is closed.
    #[cold]
    pub(crate) fn get_or_make(&self, id: ThreadId) -> Option<&Slot> {
        let index = id.index()?;
        let cell = match self.first.get(index) {
            Some(cell) => cell,
            None => {
                let (segment, _) = segment_of(index);
                self.segments.get(segment)?.install(|| make_cells(segment), |cells| drop_cells(cells, segment))?;
                self.far(id)?
            }
        };
        let slot = cell.install(make_slot, drop_slot)?;
        // SAFETY: slots live as long as the table.
        Some(unsafe { slot.as_ref() })
    }

    /// All slots that there are now.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.cells().filter_map(slot_in)
    }

    /// Closes every empty place, so that no slot appears any more.
    pub(crate) fn seal(&self) {
        self.segments.iter().for_each(Place::close);
        self.cells().for_each(Place::close);
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        let far = self.segments.iter().enumerate().flat_map(|(segment, cells)| {
            // SAFETY: a segment has `FIRST << segment` cells and lives as long as the table.
            let cells =
                cells.get().map(|cells| unsafe { NonNull::slice_from_raw_parts(cells, FIRST << segment).as_ref() });
            cells.unwrap_or_default()
        });
        self.first.iter().chain(far)
    }
}

fn make_cells(segment: usize) -> Option<NonNull<Cell>> {
    let mut cells: Vec<Cell> = Vec::new();
    cells.try_reserve_exact(FIRST << segment).ok()?;
    cells.resize_with(FIRST << segment, Place::new);
    NonNull::new(Box::into_raw(cells.into_boxed_slice()).cast())
}

fn drop_cells(cells: NonNull<Cell>, segment: usize) {
    let cells = NonNull::slice_from_raw_parts(cells, FIRST << segment);
    // SAFETY: made by `make_cells` for this segment, and nobody refers to it.
    drop(unsafe { Box::from_raw(cells.as_ptr()) });
}

fn make_slot() -> Option<NonNull<Slot>> {
    NonNull::new(FallibleBox::into_raw(FallibleBox::try_new(Slot::new()).ok()?))
}

fn drop_slot(slot: NonNull<Slot>) {
    // SAFETY: made by `make_slot`, and nobody refers to it.
    drop(unsafe { FallibleBox::from_raw(slot.as_ptr()) });
}

impl Drop for SlotTable {
    fn drop(&mut self) {
        self.cells().filter_map(Place::get).for_each(drop_slot);
        for (segment, cells) in self.segments.iter().enumerate() {
            if let Some(cells) = cells.get() {
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
