//! `Pages` keeps the allocator's contract on both sides of its threshold, and what is freed is no longer resident.

use crate::common::blocks::{self, Block, layout};
use millpond::alloc::Pages;
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

#[test]
fn blocks_are_aligned_long_enough_and_apart() {
    for pages in [Pages::new(), Pages::new().threshold(0), Pages::new().huge_pages(true)] {
        blocks::all_at_once(&pages, &SIZES);
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
    blocks::zeroed_again(&Pages::new(), &SIZES);
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
        blocks::too_large(&pages);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any sequence of calls, beside a vector for each block.
    #[test]
    fn blocks_hold_what_a_vector_would(
        threshold in prop::sample::select(&[0, 4 * KIB, 5000, THRESHOLD][..]),
        huge in any::<bool>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        blocks::run(&Pages::new().threshold(threshold).huge_pages(huge), &SIZES, &bytes);
    }
}
