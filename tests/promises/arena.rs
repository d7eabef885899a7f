//! An arena takes what a request needs from a chunk and from the pool, each piece its owner's alone, and gives all of it back at once.
#![allow(clippy::cast_possible_truncation, reason = "bytes to tell things by")]
#![allow(clippy::disallowed_methods, reason = "as a collection would")]

use std::alloc::Layout;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::arenas::{SMALL, assert_unharmed, layout, request};
use crate::common::ledger::Ledger;
use crate::common::pool;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use millpond::alloc::Allocator;
use millpond::{Arena, GetError};

#[test]
fn the_layout_alone_says_where_it_lies() {
    #[repr(align(512))]
    struct Aligned;
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let arena = pool.arena();
    let large = |arena: &Arena<Ledger>| arena.stats().large_blocks;
    arena.alloc_bytes(SMALL);
    arena.alloc([0_u64; SMALL / 8]);
    (&arena).allocate(layout(SMALL, SMALL)).unwrap();
    arena.alloc(Aligned);
    (&arena).allocate(layout(0, 4096)).unwrap();
    assert_eq!((large(&arena), ledger.live()), (0, 0), "nothing of these is the pool's");
    arena.alloc_bytes(SMALL + 1);
    assert_eq!(large(&arena), 1);
    (&arena).allocate(layout(8, 2 * SMALL)).unwrap();
    assert_eq!(large(&arena), 2);
    arena.alloc_slice_copy(&[0_u32; SMALL / 4]);
    arena.alloc_slice_copy(&[0_u32; SMALL / 4 + 1]);
    assert_eq!((large(&arena), ledger.live()), (3, 3));
    drop(arena);
    assert_unharmed(pool, &ledger);
}

#[test]
fn memory_is_aligned_long_enough_and_nobody_elses() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let arena = pool.arena();
    let mut out = std::vec::Vec::new();
    for size in [0, 1, 7, 64, 255, 256, 257, 300, 4096, 5000, 70_000] {
        for align in [1, 8, 64, 128, 256, 512, 4096, 65_536] {
            let layout = layout(size, align);
            let memory = (&arena).allocate(layout).unwrap();
            let (start, len) = (memory.cast::<u8>(), memory.len());
            assert!(start.addr().get() % align == 0 && len >= size, "{layout:?} {memory:?}");
            // SAFETY: just allocated.
            unsafe { start.write_bytes(out.len() as u8, len) };
            out.push((start, len, layout));
        }
    }
    for (n, (start, len, _)) in out.iter().enumerate() {
        // SAFETY: written above.
        let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), *len) };
        assert!(bytes.iter().all(|byte| *byte == n as u8));
    }
    // As long as was asked for, as long as was said, and what lies between.
    for (n, (start, len, layout)) in out.into_iter().enumerate() {
        let size = [layout.size(), len, layout.size().midpoint(len)][n % 3];
        // SAFETY: allocated above, and such a layout fits.
        unsafe { (&arena).deallocate(start, Layout::from_size_align(size, layout.align()).unwrap()) };
    }
    assert_eq!(arena.stats().large_blocks, 0);
    drop(arena);
    assert_unharmed(pool, &ledger);
}

#[test]
fn nothing_takes_no_memory() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let arena = pool.arena();
    arena.alloc(());
    assert!(arena.alloc_str("").is_empty() && arena.alloc_bytes(0).is_empty());
    assert!(arena.alloc_slice_copy::<u64>(&[]).is_empty());
    assert_eq!(arena.alloc_slice_fill_copy(1 << 12, ()).len(), 1 << 12);
    let mut nothings = Vec::new_in(&arena);
    nothings.extend([(); 1000]);
    let none: Vec<[u64; 1000], _> = Vec::new_in(&arena);
    drop((nothings, none));
    let stats = arena.stats();
    assert_eq!((stats.bumped_bytes, stats.chunk_bytes, stats.large_blocks), (0, 0, 0));
    drop(arena);
    assert_eq!(pool.stats().idle_arenas, 1);
    assert_unharmed(pool, &ledger);
}

#[test]
fn what_cannot_be_is_an_error() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let arena = pool.arena();
    for len in [usize::MAX, isize::MAX as usize / 8 + 1] {
        match arena.try_alloc_slice_fill_with(len, |_| 0_u64) {
            Err(GetError::CapacityOverflow { requested, max }) => {
                assert!(requested > max && max >= isize::MAX as usize - 7);
            }
            other => panic!("{other:?}"),
        }
    }
    // Where an address has 32 bits there may be as much.
    #[cfg(target_pointer_width = "64")]
    assert!(arena.try_alloc_bytes(1 << 60).is_err());
    let yields_less = catch_unwind(AssertUnwindSafe(|| arena.alloc_slice_fill_iter(Liar).len()));
    assert!(yields_less.is_err());
    drop(arena);
    assert_unharmed(pool, &ledger);
}

/// Says that it yields two.
struct Liar;

impl Iterator for Liar {
    type Item = u8;
    fn next(&mut self) -> Option<u8> {
        None
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (2, Some(2))
    }
}

impl ExactSizeIterator for Liar {}

#[test]
fn a_large_block_that_is_freed_goes_back_at_once() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let arena = pool.arena();
    let held: Vec<_, &Arena<Ledger>> = Vec::with_capacity_in(5000, &arena);
    let (address, _): (*const u8, _) = (held.as_ptr(), arena.alloc_bytes(3000));
    drop(held);
    let stats = arena.stats();
    assert_eq!((stats.large_blocks, stats.large_bytes, pool.stats().idle_bytes), (1, 3 << 10, 5 << 10));
    let buf = pool.get(5000);
    assert_eq!(buf.as_ptr(), address, "it is there for everybody");
    drop((buf, arena));
    assert_unharmed(pool, &ledger);
}

/// Oldest first, newest first and any other way; and as many once more, at no new place in the chunk.
#[test]
fn large_blocks_leave_in_any_order() {
    const BLOCKS: usize = 200;
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let arena = pool.arena();
    let mut bumped = 0;
    for order in 0..4 {
        let mut blocks: std::vec::Vec<_> = (0..BLOCKS).map(|n| Box::new_in([n as u8; 400], &arena)).collect();
        assert_eq!((arena.stats().large_blocks, pool.stats().in_use_bytes), (BLOCKS, BLOCKS * 448));
        assert!(bumped == 0 || bumped == arena.stats().bumped_bytes, "places are used again");
        bumped = arena.stats().bumped_bytes;
        for left in (0..BLOCKS).rev() {
            let block = blocks.remove([0, left, left * 7919 % (left + 1), left / 2][order]);
            assert!(block.iter().all(|byte| *byte == block[0]));
            drop(block);
            assert_eq!(arena.stats().large_blocks, left);
        }
    }
    drop(arena);
    assert_unharmed(pool, &ledger);
}

#[test]
fn an_arena_keeps_its_pool_open() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    drop(pool.arena());
    let (arena, buf) = (pool.arena(), pool.get(100));
    drop(pool);
    request(&arena, 7);
    assert_eq!(arena.stats().large_blocks, 1);
    let arena = thread::spawn(move || {
        request(&arena, 8);
        arena
    });
    let arena = arena.join().unwrap();
    assert!(ledger.live() > 1);
    drop(arena);
    assert_eq!(ledger.live(), 1, "closed");
    drop(buf);
    ledger.assert_empty();
    assert_eq!(ledger.clones(), 1, "the pool is freed");
}

/// A chunk that another request wrote to shows nothing of it, nor does a block.
#[test]
fn bytes_are_zero_whoever_had_them_before() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    for _ in 0..3 {
        let arena = pool.arena();
        for len in [1, 100, 256, 257, 10_000] {
            let bytes = arena.alloc_bytes(len);
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(0xA5);
        }
    }
    assert_unharmed(pool, &ledger);
}

#[test]
fn many_threads_each_with_arenas_beside_collections() {
    const REQUESTS: usize = if cfg!(debug_assertions) { 100 } else { 1000 };
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (pool, over) = (&pool, &over);
        let threads: std::vec::Vec<_> = (0..4)
            .map(|thread| {
                scope.spawn(move || {
                    let held = Cell::new(None);
                    for n in 0..REQUESTS {
                        let arena = pool.arena();
                        request(&arena, n + thread);
                        // Some outlive the next one.
                        drop(held.replace((n % 3 == 0).then_some(arena)));
                    }
                })
            })
            .collect();
        let collector = scope.spawn(move || {
            for n in 0.. {
                if n % 8 == 0 {
                    pool.purge()
                } else {
                    pool.collect()
                };
                let stats = pool.stats();
                assert!(stats.idle_arenas <= 64, "{stats}");
                if over.load(Relaxed) {
                    break;
                }
            }
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        over.store(true, Relaxed);
        collector.join().unwrap();
    });
    assert_unharmed(pool, &ledger);
}
