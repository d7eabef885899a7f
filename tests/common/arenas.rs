//! What tests of arenas share. Its own file, as the fuzz targets share the rest of this folder and may have no arenas.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::cast_possible_truncation, reason = "bytes to tell things by")]

use std::alloc::Layout;

use allocator_api2::vec::Vec;
use millpond::{Arena, Pool};

use super::common::ledger::Ledger;

/// What is larger comes from the pool.
pub const SMALL: usize = 256;

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Nothing is out, and the pool ends with nothing.
pub fn assert_unharmed(pool: Pool<Ledger>, ledger: &Ledger) {
    let stats = pool.stats();
    assert_eq!((stats.in_use_bytes, stats.release_panics), (0, 0), "{stats}");
    pool.purge();
    assert_eq!((ledger.live(), pool.stats().idle_arenas), (0, 0), "{stats}");
    drop(pool);
    ledger.assert_empty();
    assert_eq!(ledger.clones(), 1, "the pool is freed");
}

/// What a request does, with all that it leaves checked.
pub fn request(arena: &Arena<Ledger>, seed: usize) {
    let words: std::vec::Vec<_> = (0..40).map(|n| &*arena.alloc_str(&"w".repeat(16 + (n * 37 + seed) % 185))).collect();
    let mut body = Vec::new_in(arena);
    (0..20_000_usize).for_each(|n| body.push((n ^ seed) as u8));
    let table = arena.alloc_slice_fill_with(300, |n| n * seed);
    for (n, word) in words.iter().enumerate() {
        assert!(word.len() == 16 + (n * 37 + seed) % 185 && word.bytes().all(|byte| byte == b'w'));
    }
    assert!(body.iter().enumerate().all(|(n, byte)| *byte == (n ^ seed) as u8));
    assert!(table.iter().enumerate().all(|(n, product)| *product == n * seed));
}
