//! An arena takes what a request needs from a chunk and from the pool, gives all of it back at once, and is used again.
#![cfg(feature = "arena")]
#![allow(clippy::cast_possible_truncation, reason = "bytes to tell things by")]
#![allow(clippy::disallowed_methods, reason = "as a collection would")]

mod common;

use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use common::flaky::Flaky;
use common::ledger::Ledger;
use common::pool;
use hashbrown::{DefaultHashBuilder, HashMap};
use millpond::alloc::Allocator;
use millpond::{Arena, Collect, GetError, Pool, Recycle};

/// What is larger comes from the pool.
const SMALL: usize = 256;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Nothing is out, and the pool ends with nothing.
fn assert_unharmed(pool: Pool<Ledger>, ledger: &Ledger) {
    let stats = pool.stats();
    assert_eq!((stats.in_use_bytes, stats.release_panics), (0, 0), "{stats}");
    pool.purge();
    assert_eq!((ledger.live(), pool.stats().idle_arenas), (0, 0), "{stats}");
    drop(pool);
    ledger.assert_empty();
    assert_eq!(ledger.clones(), 1, "the pool is freed");
}

/// What a request does, with all that it leaves checked.
fn request(arena: &Arena<Ledger>, seed: usize) {
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
    assert!(arena.try_alloc_bytes(1 << (usize::BITS - 4)).is_err());
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
fn the_pools_limit_is_an_error_and_nothing_is_lost() {
    let ledger = Ledger::with_limit(256 << 10);
    let builder = Pool::builder_in(ledger.clone()).limit(256 << 10).collect(Collect::Manual);
    let pool = builder.recycle(Recycle::Always).build().unwrap();
    let arena = pool.arena();
    arena.alloc_bytes(100 << 10);
    match arena.try_alloc_bytes(200 << 10) {
        Err(GetError::LimitReached { limit, .. }) => assert_eq!(limit, 256 << 10),
        other => panic!("{other:?}"),
    }
    let mut grows = Vec::new_in(&arena);
    grows.extend_from_slice(&[7_u8; 60 << 10]);
    assert!(grows.try_reserve(200 << 10).is_err());
    assert!(grows.iter().all(|byte| *byte == 7) && grows.len() == 60 << 10);
    assert!(catch_unwind(AssertUnwindSafe(|| arena.alloc_bytes(200 << 10)[0])).is_err());
    assert_eq!(arena.stats().large_blocks, 2);
    drop(grows);
    drop(arena);
    assert_unharmed(pool, &ledger);
}

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
fn a_vector_crosses_the_line_both_ways() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let arena = pool.arena();
    let mut vec = Vec::new_in(&arena);
    for n in 0..50_000_u32 {
        vec.push(n);
        assert_eq!(arena.stats().large_blocks, usize::from(vec.capacity() * 4 > SMALL));
    }
    for len in [30_000, 1000, 65, 64, 63, 10, 1, 0] {
        vec.truncate(len);
        vec.shrink_to_fit();
        assert!(vec.iter().copied().eq(0..len as u32) && vec.capacity() >= len);
        assert_eq!(arena.stats().large_blocks, usize::from(vec.capacity() * 4 > SMALL), "{len}");
    }
    vec.reserve_exact(100);
    vec.extend(0..100);
    assert!(vec.iter().copied().eq(0..100));
    drop(vec);
    drop(arena);
    assert_unharmed(pool, &ledger);
}

/// Every pair of layouts around the line, through the bare trait: the contents stay, and the line holds.
#[test]
fn grow_and_shrink_between_any_two_layouts() {
    let layouts: std::vec::Vec<_> = [0, 1, 100, 255, 256, 257, 320, 321, 5000, 5 << 20]
        .into_iter()
        .flat_map(|size| [1, 16, 256, 512].map(|align| layout(size, align)))
        .collect();
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let arena = &pool.arena();
    for (n, old) in layouts.iter().enumerate() {
        for new in &layouts {
            let block = arena.allocate(*old).unwrap().cast::<u8>();
            // SAFETY: just allocated.
            unsafe { block.write_bytes(n as u8 + 1, old.size()) };
            // One allocated since, so that nothing is always the last.
            let other = (n % 2 == 0).then(|| arena.allocate(layout(24, 8)).unwrap().cast::<u8>());
            let resized = if new.size() >= old.size() {
                // SAFETY: allocated above, and not larger.
                unsafe { arena.grow(block, *old, *new) }
            } else {
                // SAFETY: allocated above, and larger.
                unsafe { arena.shrink(block, *old, *new) }
            };
            let resized: NonNull<[u8]> = resized.unwrap();
            assert!(resized.len() >= new.size() && resized.cast::<u8>().addr().get() % new.align() == 0);
            let is_large = new.size() > SMALL || new.size() > 0 && new.align() > SMALL;
            assert_eq!(arena.stats().large_blocks, usize::from(is_large), "{old:?} {new:?}");
            for at in 0..old.size().min(new.size()) {
                // SAFETY: inside.
                let byte = unsafe { resized.cast::<u8>().add(at) };
                // SAFETY: it holds what the old one held.
                assert_eq!(unsafe { byte.read() }, n as u8 + 1);
            }
            // SAFETY: allocated above.
            unsafe { arena.deallocate(resized.cast(), *new) };
            if let Some(other) = other {
                // SAFETY: allocated above.
                unsafe { arena.deallocate(other, layout(24, 8)) };
            }
        }
    }
    assert_eq!(pool.stats().in_use_bytes, 0);
}

#[test]
fn once_warm_requests_ask_the_allocator_for_nothing() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    (0..100).for_each(|seed| request(&pool.arena(), seed));
    let (allocations, chunk) = (ledger.allocations(), pool.stats().idle_arena_bytes);
    for seed in 0..100 {
        let arena = pool.arena();
        assert_eq!((pool.stats().idle_arenas, arena.stats().chunk_bytes), (0, chunk), "the same chunk");
        request(&arena, seed);
        drop(arena);
        assert_eq!((pool.stats().idle_arenas, pool.stats().in_use_bytes), (1, 0));
    }
    assert_eq!(ledger.allocations(), allocations);
    assert_unharmed(pool, &ledger);
}

#[test]
fn a_reset_arena_is_as_new_and_keeps_its_chunk() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut arena = pool.arena();
    (0..10).for_each(|seed| {
        request(&arena, seed);
        arena.reset();
    });
    let (chunk, allocations) = (arena.stats().chunk_bytes, ledger.allocations());
    for seed in 0..10 {
        request(&arena, seed);
        std::mem::forget(Vec::<u8, _>::with_capacity_in(9000, &arena));
        assert!(arena.stats().large_blocks >= 2 && arena.stats().bumped_bytes > 0);
        arena.reset();
        let stats = arena.stats();
        assert_eq!((stats.bumped_bytes, stats.chunk_bytes, stats.large_blocks), (0, chunk, 0));
        assert_eq!(pool.stats().in_use_bytes, 0);
    }
    assert_eq!(ledger.allocations(), allocations + 1, "the one of 9000 bytes");
    drop(arena);
    assert_unharmed(pool, &ledger);
}

#[test]
fn a_map_lives_in_an_arena() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    {
        let arena = pool.arena();
        let mut map: HashMap<&str, Vec<usize, _>, DefaultHashBuilder, _> = HashMap::new_in(&arena);
        for n in 0..5000 {
            let key = arena.alloc_str(&format!("key {}", n % 500));
            map.entry(key).or_insert_with(|| Vec::new_in(&arena)).push(n);
        }
        assert_eq!(map.len(), 500);
        for (key, values) in &map {
            let first: usize = key[4..].parse().unwrap();
            assert!(values.iter().copied().eq((first..5000).step_by(500)), "{key}");
        }
        map.retain(|_, values| values[0] % 2 == 0);
        map.shrink_to_fit();
        assert_eq!((map.len(), map["key 42"][1]), (250, 542));
    }
    assert_unharmed(pool, &ledger);
}

/// Adds its name when it is dropped.
struct Named<'a>(&'a RefCell<std::vec::Vec<u8>>, u8);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

#[test]
fn collections_drop_their_elements_and_the_alloc_methods_none() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let dropped = RefCell::default();
    {
        let arena = pool.arena();
        let mut vec = Vec::new_in(&arena);
        vec.extend([1, 2, 3].map(|name| Named(&dropped, name)));
        arena.alloc(Named(&dropped, 4));
        arena.alloc_slice_fill_with(3, |_| Named(&dropped, 5));
        let boxed = Box::new_in(Named(&dropped, 6), &arena);
        drop(vec);
        assert_eq!(*dropped.borrow(), [1, 2, 3]);
        drop(boxed);
    }
    assert_eq!(*dropped.borrow(), [1, 2, 3, 6]);
    assert_unharmed(pool, &ledger);
}

#[test]
fn a_panic_of_a_closure_leaks_nothing() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let counted = Rc::new(());
    for len in [8, 1000] {
        let arena = pool.arena();
        let panics = |f: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
        panics(&|| {
            arena.alloc_with(|| -> [u8; 5000] { panic!("on cue") });
        });
        panics(&|| {
            arena.alloc_slice_fill_with(len, |n| if n == 5 { panic!("on cue") } else { counted.clone() });
        });
        assert_eq!(Rc::strong_count(&counted), 1, "what was made is dropped");
        // A closure may use the arena that it fills.
        let nested = arena.alloc_slice_fill_with(len, |n| *arena.alloc_slice_fill_copy(300, n).last().unwrap());
        assert!(nested.iter().copied().eq(0..len));
        drop(arena);
        assert_eq!(pool.stats().in_use_bytes, 0);
    }
    assert_unharmed(pool, &ledger);
}

/// Wherever the allocator behind the pool fails or panics, the arena goes on and its end is quiet.
#[test]
fn an_allocator_that_fails_or_panics_at_any_call() {
    for panics in [false, true] {
        for nth in 1.. {
            let ledger = Ledger::new();
            let flaky = if panics { Flaky::panicking(&ledger) } else { Flaky::failing(&ledger) };
            let builder = Pool::builder_in(flaky.clone()).collect(Collect::Manual);
            // So that giving back calls the allocator.
            let pool = builder.recycle(Recycle::Never).build().unwrap();
            flaky.arm(nth);
            let arena = pool.arena();
            let work = || {
                let mut vec = Vec::new_in(&arena);
                vec.try_reserve(100)?;
                vec.try_reserve(10_000)?;
                vec.try_reserve(20_000)?;
                vec.extend([1_u8; 20_000]);
                drop(vec);
                arena
                    .try_alloc_slice_fill_copy(3000, 1_u64)
                    .map_err(|_| allocator_api2::collections::TryReserveErrorKind::CapacityOverflow)?;
                Ok::<_, allocator_api2::collections::TryReserveError>(())
            };
            let worked = catch_unwind(AssertUnwindSafe(work)).is_ok_and(|worked| worked.is_ok());
            flaky.arm(0);
            arena.alloc_bytes(700);
            flaky.arm(usize::from(worked));
            drop(arena);
            let calls = flaky.calls();
            flaky.arm(0);
            assert_eq!(pool.stats().in_use_bytes, 0);
            drop(pool);
            ledger.assert_empty();
            if worked {
                // The two blocks that were left, of which the first panicked.
                assert!(nth >= 3 && calls == if panics { 2 } else { 0 }, "{nth} {calls}");
                break;
            }
        }
    }
}

/// The contents are moved, so the block outlives a panic of the allocator wherever that happens; also a direct one that has to be
/// wiped before it goes.
#[test]
fn a_block_is_still_there_when_its_growth_panics() {
    for (zero, align) in [(false, 1), (true, 1), (true, 512)] {
        let ledger = Ledger::new();
        let flaky = Flaky::panicking(&ledger);
        let builder = Pool::builder_in(flaky.clone()).collect(Collect::Manual).zero_on_return(zero);
        let pool = builder.recycle(Recycle::Never).build().unwrap();
        let arena = pool.arena();
        let layout = |size| Layout::from_size_align(size, align).unwrap();
        let block = (&arena).allocate(layout(5000)).unwrap();
        flaky.arm(1);
        // SAFETY: the block is of this layout.
        let grow = || unsafe { (&arena).grow(block.cast(), layout(5000), layout(90_000)) };
        assert!(catch_unwind(AssertUnwindSafe(grow)).is_err());
        flaky.arm(0);
        assert_eq!(arena.stats().large_blocks, 1);
        // SAFETY: as above; it is still the arena's.
        let grown = unsafe { (&arena).grow(block.cast(), layout(5000), layout(90_000)) }.unwrap();
        // SAFETY: of the new layout.
        unsafe { (&arena).deallocate(grown.cast(), layout(90_000)) };
        assert_eq!((arena.stats().large_blocks, ledger.live()), (0, 0));
        drop(arena);
        drop(pool);
        ledger.assert_empty();
    }
}

#[test]
fn zeroed_is_zeroed_small_and_large() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut arena = pool.arena();
    let layout = |size| Layout::from_size_align(size, 8).unwrap();
    for _ in 0..2 {
        for (from, to) in [(16, 100), (100, 5000), (5000, 6000), (6000, 5 << 20), (5 << 20, 6 << 20)] {
            let block = (&arena).allocate_zeroed(layout(from)).unwrap();
            // SAFETY: zeroed, and that long.
            assert!(unsafe { block.as_ref() }.iter().all(|byte| *byte == 0));
            // SAFETY: as above.
            unsafe { block.cast::<u8>().write_bytes(7, from) };
            // SAFETY: the block is of this layout.
            let block = unsafe { (&arena).grow_zeroed(block.cast(), layout(from), layout(to)) }.unwrap();
            // SAFETY: kept as far as it went, and zeroed beyond.
            let bytes = unsafe { block.as_ref() };
            assert!(bytes[..from].iter().all(|byte| *byte == 7) && bytes[from..].iter().all(|byte| *byte == 0));
            // SAFETY: it is as long.
            unsafe { block.cast::<u8>().write_bytes(9, block.len()) };
        }
        // The second time everything has been used before.
        arena.reset();
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

#[test]
fn idle_arenas_are_bounded_in_count_and_in_bytes() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let arenas: std::vec::Vec<_> = (0..100).map(|_| pool.arena()).collect();
    for arena in &arenas {
        arena.alloc_bytes(100);
    }
    drop(arenas);
    let stats = pool.stats();
    assert_eq!(stats.idle_arenas, 64);
    assert!(stats.to_string().contains("idle arenas 64, "), "{stats}");
    pool.purge();
    assert_eq!((pool.stats().idle_arenas, pool.stats().idle_arena_bytes), (0, 0));

    for (pieces, kept) in [(100, 1), (1000, 1), (10_000, 0)] {
        let arena = pool.arena();
        for _ in 0..pieces {
            arena.alloc_bytes(100);
        }
        assert!(arena.stats().bumped_bytes >= pieces * 100);
        drop(arena);
        let stats = pool.stats();
        assert_eq!(stats.idle_arenas, kept, "after {pieces} pieces");
        assert!(stats.idle_arena_bytes <= 256 << 10, "{stats}");
    }
    assert_unharmed(pool, &ledger);
}

#[test]
fn idle_arenas_that_nobody_needed_through_two_collections_go() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    drop((0..10).map(|_| pool.arena()).collect::<std::vec::Vec<_>>());
    pool.collect();
    assert_eq!(pool.stats().idle_arenas, 10, "they were just used");
    for _ in 0..100 {
        drop((pool.arena(), pool.arena()));
    }
    pool.collect();
    assert_eq!(pool.stats().idle_arenas, 2, "two were needed");
    pool.collect();
    assert_eq!(pool.stats().idle_arenas, 0);
    assert_unharmed(pool, &ledger);
}

/// Though the pool never had a block: an arena alone is something to collect.
#[test]
fn the_background_thread_collects_arenas() {
    let ledger = Ledger::new();
    let builder = Pool::builder_in(ledger.clone()).collect(Collect::Background(Duration::from_millis(5)));
    let pool = builder.recycle(Recycle::Always).build().unwrap();
    for _ in 0..2 {
        let arena = pool.arena();
        arena.alloc_str("small");
        drop(arena);
        common::wait_until("the arena is collected", || pool.stats().idle_arenas == 0);
    }
    assert_eq!(ledger.allocations(), 0);
    assert_unharmed(pool, &ledger);
}

#[test]
fn a_pool_that_passes_through_keeps_no_arena() {
    let ledger = Ledger::new();
    let pool = Pool::builder_in(ledger.clone()).collect(Collect::Manual).recycle(Recycle::Never).build().unwrap();
    let arena = pool.arena();
    request(&arena, 3);
    drop(arena);
    assert_eq!((pool.stats().idle_arenas, ledger.live()), (0, 0));
    assert_unharmed(pool, &ledger);
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
