//! `Pages` keeps the allocator's contract on both sides of its threshold, and what is freed is no longer resident.

use crate::common::blocks::{self, Block, layout};
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

/// The flags of the mapping that an address lies in: see proc_pid_smaps(5).
#[cfg(target_os = "linux")]
fn mapping_flags(address: usize) -> String {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in smaps.lines() {
        let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
        let bounds = range.map(|(start, end)| [start, end].map(|bound| usize::from_str_radix(bound, 16)));
        if let Some([Ok(start), Ok(end)]) = bounds {
            inside = (start..end).contains(&address);
        } else if let (true, Some(flags)) = (inside, line.strip_prefix("VmFlags: ")) {
            return flags.to_owned();
        }
    }
    panic!("{address:#x} is not mapped");
}

/// Huge pages are the system's to choose, but for those that were asked for.
#[cfg(target_os = "linux")]
#[test]
fn huge_pages_are_advised_for_large_blocks_where_asked_for() {
    let supported = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists();
    // No page that is not huge is larger.
    let less = 2 * MIB - 64 * KIB;
    for (asked, size, advised) in [(true, 2 * MIB, true), (true, less, false), (false, 2 * MIB, false)] {
        if advised && !supported {
            continue;
        }
        let pages = Pages::new().huge_pages(asked);
        let block = Block::new(&pages, layout(size, 64), false);
        let flags = mapping_flags(block.at.cast::<u8>().addr().get());
        assert_eq!(flags.split(' ').any(|flag| flag == "hg"), advised, "{size} bytes, asked for: {asked}: {flags}");
        block.free(&pages, false);
    }
}

/// To align a block more is mapped than it needs, and all of that goes back at once.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
#[allow(clippy::disallowed_methods, reason = "what is tested")]
fn no_address_beside_an_aligned_block_stays_mapped() {
    const ALIGN: usize = 1 << 30;
    let mapped = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.strip_suffix("kB")).unwrap();
        size.trim().parse::<usize>().unwrap() * KIB
    };
    let (pages, before) = (Pages::new(), mapped());
    let layouts = (0..64).map(|n| layout(n * MIB + THRESHOLD, ALIGN));
    let blocks: Vec<_> = layouts.map(|layout| (pages.allocate(layout).unwrap(), layout)).collect();
    let length: usize = blocks.iter().map(|(block, _)| block.len()).sum();
    // The other tests need address space meanwhile, but not as much.
    let beside = mapped().saturating_sub(before + length);
    assert!(beside < 16 * ALIGN, "{beside} bytes for {length}");
    for (block, layout) in blocks {
        // SAFETY: allocated above.
        unsafe { pages.deallocate(block.cast(), layout) };
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
