//! Collections live in an arena: they grow and shrink across its line, keep what they hold, and drop their elements.
#![allow(clippy::cast_possible_truncation, reason = "bytes to tell things by")]
#![allow(clippy::disallowed_methods, reason = "as a collection would")]

use std::alloc::Layout;
use std::cell::RefCell;
use std::ptr::NonNull;

use crate::arenas::{SMALL, assert_unharmed, layout};
use crate::common::ledger::Ledger;
use crate::common::pool;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use hashbrown::{DefaultHashBuilder, HashMap};
use millpond::alloc::Allocator;

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
    let owned = pool.arena();
    let arena = &owned;
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
    drop(owned);
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
