//! Who has each block: an allocator that knows for every block that is out whether the pool has it or which hand. A block
//! in two hands, or one that is used after it was released, is found at once, whatever was written to it.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use millpond::alloc::{AllocError, Allocator};

use super::ledger::Ledger;

/// More blocks than this are never out at a time.
const CELLS: usize = 1 << 16;

/// The owner of a block that the pool has.
const POOL: u64 = 0;

/// Every access is relaxed, so that what the pool must order is ordered by nothing else. A block's accesses have an order
/// if the pool keeps its promise, and a swap sees the last one.
pub struct Owners {
    pub ledger: Ledger,
    cells: Box<[Cell]>,
}

#[derive(Default)]
struct Cell {
    /// The address of a block that is out; 0 for none. It does not move while the block is out.
    block: AtomicUsize,
    /// [`POOL`], or whoever got it.
    owner: AtomicU64,
}

impl Owners {
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger, cells: (0..CELLS).map(|_| Cell::default()).collect() }
    }

    /// `owner` (not 0) got the block.
    pub fn gotten(&self, block: *const u8, owner: u64) {
        self.pass(block, POOL, owner);
    }

    /// `owner` is about to drop the block.
    pub fn dropped(&self, block: *const u8, owner: u64) {
        self.pass(block, owner, POOL);
    }

    fn pass(&self, block: *const u8, from: u64, to: u64) -> &Cell {
        let Some(cell) = self.cell(block.addr(), block.addr()) else {
            fail(&format!("{block:?} passes from {from:#x} to {to:#x} after it was released"));
        };
        let found = cell.owner.swap(to, Relaxed);
        if found != from {
            fail(&format!("{block:?} is in two hands: it passes from {from:#x} to {to:#x}, and {found:#x} has it"));
        }
        cell
    }

    /// The first cell on the way of `block` that holds `held`.
    fn cell(&self, block: usize, held: usize) -> Option<&Cell> {
        // The product's upper bits: neighbours land apart.
        let start = (block as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - CELLS.ilog2());
        let (before, after) = self.cells.split_at(usize::try_from(start).expect("below `CELLS`"));
        after.iter().chain(before).find(|cell| cell.block.load(Relaxed) == held)
    }
}

/// Not a panic: the pool catches those of its allocator.
pub fn fail(what: &str) -> ! {
    eprintln!("stress: CAUGHT: {what}");
    std::process::abort();
}

// SAFETY: memory comes from the ledger, unchanged.
unsafe impl Allocator for Owners {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.ledger.allocate(layout)?;
        let address = block.cast::<u8>().as_ptr().addr();
        let enters = |cell: &Cell| cell.block.compare_exchange(0, address, Relaxed, Relaxed).is_ok();
        while !enters(self.cell(address, 0).expect("a cell for each block that is out")) {}
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.pass(block.as_ptr(), POOL, POOL).block.store(0, Relaxed);
        // SAFETY: passed on.
        unsafe { self.ledger.deallocate(block, layout) };
    }
}
