//! A magazine: a small stack of idle blocks of one class, in one slot.

use core::ptr::{self, NonNull};

use crate::raw::block::Batch;
use crate::raw::counters::add_owned;
use crate::sync::{AtomicU64, AtomicUsize, Ordering::Relaxed, UnsafeCell};

/// The most blocks in a magazine, as long as the slot's limit in bytes allows. With 32, a thread that holds 64 buffers at a
/// time goes to the depot for half of them: 1.5 times as slow, measured.
pub(crate) const MAGAZINE: usize = if cfg!(loom) { 4 } else { 64 };

/// The caller of every `unsafe fn` here holds the slot (I3): it is the owner, inside the gate, or a collector or
/// closer that revoked the slot and saw it left. Figures that statistics read from outside are relaxed atomics.
#[derive(Debug)]
pub(crate) struct Magazine {
    /// Idle blocks, oldest first; those from `len` on are meaningless.
    cells: UnsafeCell<[*mut u8; MAGAZINE]>,
    len: AtomicUsize,
    /// How many blocks the slot's credit covers here; `len <= room <= capacity <= MAGAZINE`.
    room: AtomicUsize,
    /// The least `len` since the last collection: so many of the oldest blocks lay idle since then.
    low: AtomicUsize,
    /// Gets and puts that this slot counted, whatever tier they used. Their difference is the slot's units.
    gets: AtomicU64,
    puts: AtomicU64,
    capacity: usize,
}

impl Magazine {
    /// An empty one for at most `capacity` blocks, none of them covered yet.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            cells: UnsafeCell::new([ptr::null_mut(); MAGAZINE]),
            len: AtomicUsize::new(0),
            room: AtomicUsize::new(0),
            low: AtomicUsize::new(0),
            gets: AtomicU64::new(0),
            puts: AtomicU64::new(0),
            capacity: capacity.min(MAGAZINE),
        }
    }

    /// Takes the newest block and counts a get.
    ///
    /// # Safety
    /// The caller holds the slot.
    #[inline(always)]
    pub(crate) unsafe fn take(&self) -> Option<NonNull<u8>> {
        let len = self.len.load(Relaxed).checked_sub(1)?;
        // SAFETY: (I3) passed on; `len` was above, and is at most `MAGAZINE`.
        let block = unsafe { self.cell(len, |cell| *cell) };
        self.len.store(len, Relaxed);
        if len < self.low.load(Relaxed) {
            self.low.store(len, Relaxed);
        }
        add_owned(&self.gets);
        // SAFETY: what `store` and `refill` put there came from a `NonNull`.
        Some(unsafe { NonNull::new_unchecked(block) })
    }

    /// Stores a block and counts a put, or gives it back if no credit covers it.
    ///
    /// # Safety
    /// The caller holds the slot and owns the block, which is of the magazine's class.
    #[inline(always)]
    pub(crate) unsafe fn store(&self, block: NonNull<u8>) -> Result<(), NonNull<u8>> {
        let len = self.len.load(Relaxed);
        if len >= self.room.load(Relaxed) {
            return Err(block);
        }
        // SAFETY: (I3) passed on; `room` is at most `MAGAZINE`.
        unsafe { self.cell(len, |cell| *cell = block.as_ptr()) };
        self.len.store(len + 1, Relaxed);
        add_owned(&self.puts);
        Ok(())
    }

    /// Moves what fits of `batch` into the magazine; counts nothing.
    ///
    /// # Safety
    /// The caller holds the slot; the blocks are of the magazine's class.
    pub(crate) unsafe fn refill(&self, batch: &mut Batch) {
        let mut len = self.len.load(Relaxed);
        while len < self.room.load(Relaxed) {
            let Some(block) = batch.pop() else { break };
            // SAFETY: (I3) passed on; `room` is at most `MAGAZINE`.
            unsafe { self.cell(len, |cell| *cell = block.as_ptr()) };
            len += 1;
        }
        self.len.store(len, Relaxed);
    }

    /// # Safety
    /// The caller holds the slot; `index` is below [`MAGAZINE`].
    #[inline(always)]
    unsafe fn cell<R>(&self, index: usize, f: impl FnOnce(&mut *mut u8) -> R) -> R {
        self.cells.with_mut(|cells| {
            // SAFETY: (I3) the caller holds the slot, so nobody else refers to the cells.
            let cells = unsafe { &mut *cells };
            // SAFETY: passed on.
            f(unsafe { cells.get_unchecked_mut(index) })
        })
    }

    /// Takes out the `count` oldest blocks, or all if there are fewer. They leave the idle mark with them.
    ///
    /// # Safety
    /// The caller holds the slot.
    pub(crate) unsafe fn take_oldest(&self, count: usize, mut out: impl FnMut(NonNull<u8>)) {
        let len = self.len.load(Relaxed);
        let count = count.min(len);
        self.cells.with_mut(|cells| {
            // SAFETY: (I3) the caller holds the slot, so nobody else refers to the cells.
            let cells = unsafe { &mut *cells };
            cells.iter().take(count).copied().filter_map(NonNull::new).for_each(&mut out);
            cells.copy_within(count..len, 0);
        });
        self.len.store(len - count, Relaxed);
        self.low.store(self.low.load(Relaxed).saturating_sub(count), Relaxed);
    }

    /// How many blocks nobody took since the last call; the mark starts again.
    ///
    /// # Safety
    /// The caller holds the slot.
    pub(crate) unsafe fn restart_mark(&self) -> usize {
        let len = self.len.load(Relaxed);
        self.low.swap(len, Relaxed)
    }

    /// Changes how many blocks are covered.
    ///
    /// # Safety
    /// The caller holds the slot, and its credit covers `room` blocks here, which is not below `len`.
    pub(crate) unsafe fn set_room(&self, room: usize) {
        debug_assert!(self.len() <= room && room <= self.capacity);
        self.room.store(room, Relaxed);
    }

    /// Counts a get, or a put, that another tier served for the slot's owner.
    ///
    /// # Safety
    /// The caller is the owner, inside the gate.
    pub(crate) unsafe fn count_get(&self) {
        add_owned(&self.gets);
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    pub(crate) fn room(&self) -> usize {
        self.room.load(Relaxed)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn gets(&self) -> u64 {
        self.gets.load(Relaxed)
    }

    pub(crate) fn puts(&self) -> u64 {
        self.puts.load(Relaxed)
    }
}
