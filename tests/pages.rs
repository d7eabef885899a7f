//! `Pages` keeps the allocator's contract on both sides of its threshold, and what is freed is no longer resident.
#![cfg(all(unix, not(miri)))]
#![allow(clippy::disallowed_methods, reason = "an allocator is tested")]

mod common;

use std::alloc::Layout;
use std::ptr::NonNull;

use millpond::alloc::{Allocator, Pages};
use proptest::prelude::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const THRESHOLD: usize = 64 * KIB;

/// Around the pages of most systems, the default threshold, and a huge page.
const SIZES: [usize; 20] = [
    0,
    1,
    100,
    4 * KIB - 1,
    4 * KIB,
    4 * KIB + 1,
    16 * KIB + 1,
    THRESHOLD - 1,
    THRESHOLD,
    THRESHOLD + 1,
    68 * KIB - 1,
    68 * KIB,
    68 * KIB + 1,
    80 * KIB,
    MIB,
    MIB + 1,
    2 * MIB - 1,
    2 * MIB,
    2 * MIB + 1,
    5 * MIB,
];

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A block that is out, and what it must hold.
struct Block {
    at: NonNull<[u8]>,
    layout: Layout,
    holds: Vec<u8>,
}

impl Block {
    fn new(pages: &Pages, layout: Layout, zeroed: bool) -> Self {
        let at = if zeroed { pages.allocate_zeroed(layout) } else { pages.allocate(layout) }.unwrap();
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
    fn fill(&mut self, seed: usize) {
        self.holds.fill(seed as u8);
        self.holds.iter_mut().step_by(1000).enumerate().for_each(|(n, byte)| *byte = n as u8);
        // SAFETY: both are so long, and apart.
        unsafe { self.at.cast::<u8>().as_ptr().copy_from_nonoverlapping(self.holds.as_ptr(), self.holds.len()) };
    }

    fn check(&self) {
        // SAFETY: `fill` or `allocate_zeroed` wrote to so many.
        let bytes = unsafe { std::slice::from_raw_parts(self.at.cast::<u8>().as_ptr(), self.holds.len()) };
        assert!(bytes == self.holds, "{:?} does not hold what was written", self.layout);
    }

    /// To another size, zeroed or filled where it is new.
    fn resize(&mut self, pages: &Pages, to: Layout, zeroed: bool, seed: usize) {
        let (at, from) = (self.at.cast(), self.layout);
        let at = if to.size() < from.size() {
            // SAFETY: the block is out, with this layout; the new size is smaller.
            unsafe { pages.shrink(at, from, to) }
        } else if zeroed {
            // SAFETY: as above; the new size is not smaller.
            unsafe { pages.grow_zeroed(at, from, to) }
        } else {
            // SAFETY: as above.
            unsafe { pages.grow(at, from, to) }
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
    fn free(self, pages: &Pages, greatest: bool) {
        self.check();
        let size = if greatest { self.at.len() } else { self.layout.size() };
        // SAFETY: the block is out, and the size between what was asked for and what was got.
        unsafe { pages.deallocate(self.at.cast(), layout(size, self.layout.align())) };
    }
}

/// Every size with every alignment up to a huge page, all out at once.
#[test]
fn blocks_are_aligned_long_enough_and_apart() {
    for pages in [Pages::new(), Pages::new().threshold(0), Pages::new().huge_pages(true)] {
        let mut blocks = Vec::new();
        for size in SIZES {
            for align in (0..=21).map(|shift| 1 << shift) {
                let mut block = Block::new(&pages, layout(size, align), align % 4 == 1);
                block.fill(blocks.len());
                blocks.push(block);
            }
        }
        blocks.iter().for_each(Block::check);
        for (n, block) in blocks.into_iter().enumerate() {
            block.free(&pages, n % 2 == 0);
        }
    }
}

/// Whole pages from the threshold on, and below it no size that would be above.
#[test]
fn the_length_reported_fits_on_the_same_side() {
    for (threshold, pages) in [(THRESHOLD, Pages::new()), (5000, Pages::new().threshold(5000))] {
        for size in SIZES {
            let block = Block::new(&pages, layout(size, 8), true);
            // No page is smaller.
            let expected = if size < threshold { size } else { block.at.len().next_multiple_of(4 * KIB) };
            assert_eq!(block.at.len(), expected, "{size}");
            assert_eq!(block.at.len() < threshold, size < threshold, "{size}");
            block.free(&pages, true);
        }
    }
}

#[test]
fn zeroed_memory_is_zero_after_others_used_it() {
    let pages = Pages::new();
    for round in 0..3 {
        let mut blocks: Vec<_> = SIZES.map(|size| Block::new(&pages, layout(size, 64), true)).into();
        blocks.iter_mut().for_each(|block| block.fill(round + 1));
        blocks.into_iter().for_each(|block| block.free(&pages, true));
    }
}

#[test]
fn huge_blocks_are_aligned_and_hold_what_is_written() {
    let pages = Pages::new().huge_pages(true);
    for size in [2 * MIB, 2 * MIB + 1, 7 * MIB] {
        let mut block = Block::new(&pages, layout(size, 64), false);
        assert_eq!(block.at.cast::<u8>().addr().get() % (2 * MIB), 0);
        block.fill(size);
        block.free(&pages, false);
    }
}

#[test]
fn what_cannot_be_mapped_is_an_error() {
    for pages in [Pages::new(), Pages::new().huge_pages(true)] {
        for align in [1, 4 * KIB, 2 * MIB, 1 << 40] {
            let most = isize::MAX as usize - (align - 1);
            for size in [most, most / 2, 1 << 60] {
                assert!(pages.allocate(layout(size, align)).is_err(), "{size} aligned to {align}");
                assert!(pages.allocate_zeroed(layout(size, align)).is_err(), "{size} aligned to {align}");
            }
        }
        let mut block = Block::new(&pages, layout(MIB, 1), false);
        block.fill(1);
        // SAFETY: the block is out with this layout; as it fails, it stays out.
        assert!(unsafe { pages.grow(block.at.cast(), block.layout, layout(1 << 60, 1)) }.is_err());
        block.free(&pages, false);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Allocate { size: usize, align: usize, zeroed: bool },
    Resize { which: prop::sample::Index, size: usize, align: usize, zeroed: bool },
    Free { which: prop::sample::Index, greatest: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let size = || prop_oneof![prop::sample::select(&SIZES[..]), 0..200 * KIB];
    let align = || (0..=21_u32).prop_map(|shift| 1 << shift);
    prop_oneof![
        2 => (size(), align(), any::<bool>()).prop_map(|(size, align, zeroed)| Op::Allocate { size, align, zeroed }),
        3 => (any::<prop::sample::Index>(), size(), align(), any::<bool>())
            .prop_map(|(which, size, align, zeroed)| Op::Resize { which, size, align, zeroed }),
        1 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, greatest)| Op::Free { which, greatest }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any sequence of calls, beside a vector for each block.
    #[test]
    fn blocks_hold_what_a_vector_would(
        threshold in prop::sample::select(&[0, 4 * KIB, 5000, THRESHOLD][..]),
        huge in any::<bool>(),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let pages = Pages::new().threshold(threshold).huge_pages(huge);
        let mut blocks: Vec<Block> = Vec::new();
        for (seed, op) in ops.into_iter().enumerate() {
            match op {
                Op::Allocate { size, align, zeroed } => {
                    let mut block = Block::new(&pages, layout(size, align), zeroed);
                    block.fill(seed);
                    blocks.push(block);
                }
                Op::Resize { which, size, align, zeroed } if !blocks.is_empty() => {
                    which.get_mut(&mut blocks).resize(&pages, layout(size, align), zeroed, seed);
                }
                Op::Free { which, greatest } if !blocks.is_empty() => {
                    blocks.swap_remove(which.index(blocks.len())).free(&pages, greatest);
                }
                _ => {}
            }
        }
        blocks.into_iter().for_each(|block| block.free(&pages, false));
    }
}
