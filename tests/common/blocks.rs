//! Blocks of an allocator that is itself under test, and what a vector beside each of them says that they hold.
//!
//! Named by its path, not in `common`: fuzz targets have that without proptest.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::disallowed_methods, reason = "an allocator is tested")]

use std::alloc::Layout;
use std::hint::black_box;
use std::ptr::NonNull;

use millpond::alloc::Allocator;
use proptest::prelude::*;

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A block that is out, and what it must hold.
pub struct Block {
    pub at: NonNull<[u8]>,
    pub layout: Layout,
    holds: Vec<u8>,
}

impl Block {
    pub fn new(allocator: &impl Allocator, layout: Layout, zeroed: bool) -> Self {
        let at = if zeroed { allocator.allocate_zeroed(layout) } else { allocator.allocate(layout) }.unwrap();
        let block = Self { at, layout, holds: vec![0; layout.size()] };
        block.check_place();
        if zeroed {
            // SAFETY: the block is this long, and zeroed.
            let bytes = unsafe { at.as_ref() };
            assert!(*bytes == vec![0; at.len()], "all of {layout:?}");
        }
        block
    }

    fn check_place(&self) {
        assert_eq!(self.at.cast::<u8>().addr().get() % self.layout.align(), 0, "{:?}", self.layout);
        assert!(self.at.len() >= self.layout.size(), "{:?}", self.layout);
    }

    /// Writes to all that it was asked for, which `check` then wants to see.
    #[expect(clippy::cast_possible_truncation, reason = "any bytes will do")]
    pub fn fill(&mut self, seed: usize) {
        self.holds.fill(seed as u8);
        self.holds.iter_mut().step_by(1000).enumerate().for_each(|(n, byte)| *byte = n as u8);
        // SAFETY: both are so long, and apart.
        unsafe { self.at.cast::<u8>().as_ptr().copy_from_nonoverlapping(self.holds.as_ptr(), self.holds.len()) };
    }

    pub fn check(&self) {
        // SAFETY: `fill` or `allocate_zeroed` wrote to so many.
        let bytes = unsafe { std::slice::from_raw_parts(self.at.cast::<u8>().as_ptr(), self.holds.len()) };
        assert!(bytes == self.holds, "{:?} does not hold what was written", self.layout);
    }

    /// To another size, zeroed or filled where it is new.
    fn resize(&mut self, allocator: &impl Allocator, to: Layout, zeroed: bool, seed: usize) {
        let (at, from) = (self.at.cast(), self.layout);
        let at = if to.size() < from.size() {
            // SAFETY: the block is out, with this layout; the new size is smaller.
            unsafe { allocator.shrink(at, from, to) }
        } else if zeroed {
            // SAFETY: as above; the new size is not smaller.
            unsafe { allocator.grow_zeroed(at, from, to) }
        } else {
            // SAFETY: as above.
            unsafe { allocator.grow(at, from, to) }
        };
        (self.at, self.layout) = (at.unwrap(), to);
        self.check_place();
        let kept = from.size().min(to.size());
        self.holds.truncate(kept);
        self.check();
        self.holds.resize(to.size(), 0);
        if zeroed && to.size() > kept {
            self.check();
        }
        self.fill(seed);
    }

    /// With the least or the greatest size that fits.
    pub fn free(self, allocator: &impl Allocator, greatest: bool) {
        self.check();
        let size = if greatest { self.at.len() } else { self.layout.size() };
        // SAFETY: the block is out, and the size between what was asked for and what was got.
        unsafe { allocator.deallocate(self.at.cast(), layout(size, self.layout.align())) };
    }
}

#[derive(Clone, Debug)]
pub enum Op {
    Allocate { size: usize, align: usize, zeroed: bool },
    Resize { which: prop::sample::Index, size: usize, align: usize, zeroed: bool },
    Free { which: prop::sample::Index, greatest: bool },
}

/// With these sizes, and any others up to 200 KiB.
pub fn ops(sizes: &'static [usize]) -> impl Strategy<Value = Vec<Op>> {
    let size = move || prop_oneof![prop::sample::select(sizes), 0..200_usize << 10];
    let align = || (0..=21_u32).prop_map(|shift| 1 << shift);
    let op = prop_oneof![
        2 => (size(), align(), any::<bool>()).prop_map(|(size, align, zeroed)| Op::Allocate { size, align, zeroed }),
        3 => (any::<prop::sample::Index>(), size(), align(), any::<bool>())
            .prop_map(|(which, size, align, zeroed)| Op::Resize { which, size, align, zeroed }),
        1 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, greatest)| Op::Free { which, greatest }),
    ];
    prop::collection::vec(op, 1..40)
}

/// Does all of it, and frees what is left.
pub fn run(allocator: &impl Allocator, ops: Vec<Op>) {
    let mut blocks: Vec<Block> = Vec::new();
    for (seed, op) in ops.into_iter().enumerate() {
        match op {
            Op::Allocate { size, align, zeroed } => {
                let mut block = Block::new(allocator, layout(size, align), zeroed);
                block.fill(seed);
                blocks.push(block);
            }
            Op::Resize { which, size, align, zeroed } if !blocks.is_empty() => {
                which.get_mut(&mut blocks).resize(allocator, layout(size, align), zeroed, seed);
            }
            Op::Free { which, greatest } if !blocks.is_empty() => {
                blocks.swap_remove(which.index(blocks.len())).free(allocator, greatest);
            }
            _ => {}
        }
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

/// No block can be so long; and a growth that fails leaves the block as it was.
pub fn too_large(allocator: &impl Allocator) {
    for align in [1, 4 << 10, 2 << 20, 1 << 40] {
        let most = isize::MAX as usize - (align - 1);
        for size in [most, most / 2, 1 << 60] {
            // A `malloc` whose block nobody uses is optimised away, and then never fails.
            assert!(black_box(allocator.allocate(layout(size, align))).is_err(), "{size} aligned to {align}");
            assert!(black_box(allocator.allocate_zeroed(layout(size, align))).is_err(), "{size} aligned to {align}");
        }
    }
    let mut block = Block::new(allocator, layout(1 << 20, 1), false);
    block.fill(1);
    for align in [1, 64] {
        // SAFETY: the block is out with this layout; as it fails, it stays out.
        let grown = unsafe { allocator.grow(block.at.cast(), block.layout, layout(1 << 60, align)) };
        assert!(black_box(grown).is_err());
    }
    block.free(allocator, false);
}
