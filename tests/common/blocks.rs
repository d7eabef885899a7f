//! Blocks of an allocator that is itself under test, and what a vector beside each of them says that they hold.
#![allow(clippy::disallowed_methods, reason = "an allocator is tested")]

use std::alloc::Layout;
use std::hint::black_box;
use std::ptr::NonNull;

use arbitrary::{Arbitrary, Unstructured};
use millpond::alloc::{AllocError, Allocator};

use super::drawn;

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A block that is out, and what it must hold.
pub struct Block {
    pub at: NonNull<[u8]>,
    pub layout: Layout,
    holds: Vec<u8>,
}

// SAFETY: it has its memory alone.
unsafe impl Send for Block {}

impl Block {
    pub fn new(allocator: &impl Allocator, layout: Layout, zeroed: bool) -> Self {
        Self::try_new(allocator, layout, zeroed).unwrap()
    }

    pub fn try_new(allocator: &impl Allocator, layout: Layout, zeroed: bool) -> Result<Self, AllocError> {
        let at = if zeroed { allocator.allocate_zeroed(layout) } else { allocator.allocate(layout) }?;
        let block = Self { at, layout, holds: vec![0; at.len()] };
        block.check_place();
        if zeroed {
            block.check();
        }
        Ok(block)
    }

    fn check_place(&self) {
        assert_eq!(self.at.cast::<u8>().addr().get() % self.layout.align(), 0, "{:?}", self.layout);
        assert!(self.at.len() >= self.layout.size(), "{:?}", self.layout);
    }

    /// Writes to all that was reported, which `check` then wants to see.
    #[expect(clippy::cast_possible_truncation, reason = "any bytes will do")]
    pub fn fill(&mut self, seed: usize) {
        self.holds.clear();
        self.holds.resize(self.at.len(), seed as u8);
        self.holds.iter_mut().step_by(1000).enumerate().for_each(|(n, byte)| *byte = n as u8);
        // SAFETY: both are so long, and apart.
        unsafe { self.at.cast::<u8>().as_ptr().copy_from_nonoverlapping(self.holds.as_ptr(), self.holds.len()) };
    }

    pub fn check(&self) {
        // SAFETY: `fill` or `allocate_zeroed` wrote to so many.
        let bytes = unsafe { std::slice::from_raw_parts(self.at.cast::<u8>().as_ptr(), self.holds.len()) };
        assert!(bytes == self.holds, "{:?} does not hold what was written", self.layout);
    }

    /// To another size, zeroed or filled where it is new. If that fails the block is as it was.
    fn resize(
        &mut self,
        allocator: &impl Allocator,
        from: Layout,
        to: Layout,
        zeroed: bool,
        seed: usize,
    ) -> Result<(), AllocError> {
        let at = self.at.cast();
        let resized = if to.size() < from.size() {
            // SAFETY: the block is out, with a layout that fits; the new size is smaller.
            unsafe { allocator.shrink(at, from, to) }
        } else if zeroed {
            // SAFETY: as above; the new size is not smaller.
            unsafe { allocator.grow_zeroed(at, from, to) }
        } else {
            // SAFETY: as above.
            unsafe { allocator.grow(at, from, to) }
        };
        if resized.is_ok() {
            self.holds.truncate(from.size().min(to.size()));
        }
        (self.at, self.layout) = (resized.unwrap_or(self.at), if resized.is_ok() { to } else { self.layout });
        self.check_place();
        self.check();
        resized?;
        if zeroed && to.size() >= from.size() {
            self.holds.resize(self.at.len(), 0);
            self.check();
        }
        self.fill(seed);
        Ok(())
    }

    /// With the least or the greatest size that fits.
    pub fn free(self, allocator: &impl Allocator, greatest: bool) {
        self.free_as(allocator, if greatest { Fits::Greatest } else { Fits::Least });
    }

    pub fn free_as(self, allocator: &impl Allocator, fits: Fits) {
        self.check();
        // SAFETY: the block is out, and the size between what was asked for and what was got.
        unsafe { allocator.deallocate(self.at.cast(), fits.of(&self)) };
    }
}

/// Which of the sizes that fit a block its owner names.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Fits {
    Least,
    Greatest,
    Between(u16),
}

impl Fits {
    fn of(self, block: &Block) -> Layout {
        let (least, greatest) = (block.layout.size(), block.at.len());
        let size = match self {
            Self::Least => least,
            Self::Greatest => greatest,
            Self::Between(n) => least + usize::from(n) % (greatest - least + 1),
        };
        layout(size, block.layout.align())
    }
}

/// One of a list, a neighbour of one, or any other up to 256 KiB, of which most are small.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Size {
    Listed(u8),
    Near(u8, u8),
    Free { bits: u8, n: u32 },
}

impl Size {
    pub fn bytes(self, listed: &[usize]) -> usize {
        match self {
            Self::Listed(n) => listed[usize::from(n) % listed.len()],
            Self::Near(n, off) => (Self::Listed(n).bytes(listed) + usize::from(off % 5)).saturating_sub(2),
            Self::Free { bits, n } => n as usize % (2 << (bits % 18)),
        }
    }
}

/// Up to 2 MiB, few of them large.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Align(u8);

impl Align {
    pub fn bytes(self) -> usize {
        1 << if self.0 < 224 { self.0 % 9 } else { self.0 % 22 }
    }
}

/// Indices are taken modulo what there is.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Op {
    Allocate { size: Size, align: Align, zeroed: bool },
    Resize { which: u8, fits: Fits, size: Size, align: Align, zeroed: bool },
    Free { which: u8, fits: Fits },
}

/// Blocks that are out at a time.
const BLOCKS: usize = 32;

/// An allocation, or a change of a block from a layout that fits it.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    pub from: Option<Layout>,
    pub to: Layout,
    pub refused: bool,
}

impl Op {
    /// What it tried to get; none if it did not.
    pub fn step(
        self,
        allocator: &impl Allocator,
        sizes: &[usize],
        blocks: &mut Vec<Block>,
        seed: usize,
    ) -> Option<Tried> {
        match self {
            Self::Allocate { size, align, zeroed } if blocks.len() < BLOCKS => {
                let to = layout(size.bytes(sizes), align.bytes());
                let block = Block::try_new(allocator, to, zeroed);
                let tried = Tried { from: None, to, refused: block.is_err() };
                blocks.extend(block);
                if let Some(block) = blocks.last_mut().filter(|_| !tried.refused) {
                    block.fill(seed);
                }
                Some(tried)
            }
            Self::Resize { which, fits, size, align, zeroed } => {
                let len = blocks.len().max(1);
                let block = blocks.get_mut(usize::from(which) % len)?;
                let (from, to) = (fits.of(block), layout(size.bytes(sizes), align.bytes()));
                let resized = block.resize(allocator, from, to, zeroed, seed);
                Some(Tried { from: Some(from), to, refused: resized.is_err() })
            }
            Self::Free { which, fits } => {
                take(blocks, which)?.free_as(allocator, fits);
                None
            }
            Self::Allocate { .. } => None,
        }
    }
}

pub fn take(blocks: &mut Vec<Block>, which: u8) -> Option<Block> {
    let len = blocks.len();
    (len > 0).then(|| blocks.swap_remove(usize::from(which) % len))
}

/// Does all that the bytes say, none of which may be refused, and frees what is left.
pub fn run(allocator: &impl Allocator, sizes: &[usize], bytes: &[u8]) {
    let mut blocks = Vec::new();
    for (seed, op) in drawn::<Op>(Unstructured::new(bytes)).enumerate() {
        let tried = op.step(allocator, sizes, &mut blocks, seed);
        assert!(tried.is_none_or(|tried| !tried.refused), "{tried:?}");
    }
    blocks.into_iter().for_each(|block| block.free(allocator, false));
}

/// Every size with every alignment up to a huge page, all out at once.
pub fn all_at_once(allocator: &impl Allocator, sizes: &[usize]) {
    let mut blocks = Vec::new();
    for size in sizes {
        for align in (0..=21).map(|shift| 1 << shift) {
            let mut block = Block::new(allocator, layout(*size, align), align % 4 == 1);
            block.fill(blocks.len());
            blocks.push(block);
        }
    }
    blocks.iter().for_each(Block::check);
    for (n, block) in blocks.into_iter().enumerate() {
        block.free(allocator, n % 2 == 0);
    }
}

/// What was freed is given out again, and must not be seen.
pub fn zeroed_again(allocator: &impl Allocator, sizes: &[usize]) {
    for round in 0..3 {
        let new = |size: &usize| Block::new(allocator, layout(*size, 64), true);
        let mut blocks: Vec<_> = sizes.iter().map(new).collect();
        blocks.iter_mut().for_each(|block| block.fill(round + 1));
        blocks.into_iter().for_each(|block| block.free(allocator, true));
    }
}

/// No block can be so long; and a growth that fails leaves the block as it was. Where an address has 32 bits there may be as much.
pub fn too_large(allocator: &impl Allocator) {
    if usize::BITS < 64 {
        return;
    }
    for align in [1, 4 << 10, 2 << 20, 1 << (usize::BITS - 24)] {
        let most = isize::MAX as usize - (align - 1);
        for size in [most, most / 2, 1 << (usize::BITS - 4)] {
            // A `malloc` whose block nobody uses is optimised away, and then never fails.
            assert!(black_box(allocator.allocate(layout(size, align))).is_err(), "{size} aligned to {align}");
            assert!(black_box(allocator.allocate_zeroed(layout(size, align))).is_err(), "{size} aligned to {align}");
        }
    }
    let mut block = Block::new(allocator, layout(1 << 20, 1), false);
    block.fill(1);
    for align in [1, 64] {
        // SAFETY: the block is out with this layout; as it fails, it stays out.
        let grown = unsafe { allocator.grow(block.at.cast(), block.layout, layout(1 << (usize::BITS - 4), align)) };
        assert!(black_box(grown).is_err());
    }
    block.free(allocator, false);
}
