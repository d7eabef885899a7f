//! `FromGlobalAlloc` keeps the contracts of both sides: an allocator's towards its user, and towards a `GlobalAlloc`, which may
//! not be asked for nothing.
#![allow(clippy::disallowed_types, reason = "an allocator of its own, with a lock")]
#![allow(clippy::disallowed_methods, reason = "an allocator is tested")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::sync::Mutex;

use crate::common::blocks::{self, Block, layout};
use millpond::alloc::{Allocator, FromGlobalAlloc, Global};
use millpond::{Collect, Pool, Recycle};
use proptest::prelude::*;

const SIZES: [usize; 11] = [0, 1, 8, 100, 4095, 4096, 4097, 64 << 10, (64 << 10) + 1, 1 << 20, 5 << 20];

/// `System`, with a book of what is out.
#[derive(Default)]
struct Checked(Mutex<Book>);

#[derive(Default)]
struct Book {
    live: HashMap<usize, Layout>,
    zeroed: usize,
    reallocated: usize,
    /// Calls from here on that fail.
    fail: bool,
}

/// A program's own allocator is a `static`; this is a name for one.
#[derive(Clone, Copy)]
struct Named(&'static Checked);

impl Named {
    fn new() -> Self {
        // Kept, so that it does not count as lost.
        static ALL: Mutex<Vec<Named>> = Mutex::new(Vec::new());
        let named = Self(Box::leak(Box::default()));
        ALL.lock().unwrap().push(named);
        named
    }

    fn allocate(self, layout: Layout, allocate: unsafe fn(&System, Layout) -> *mut u8) -> *mut u8 {
        assert_ne!(layout.size(), 0, "no empty layout");
        let mut book = self.0.0.lock().unwrap();
        if book.fail {
            return std::ptr::null_mut();
        }
        // SAFETY: the layout is not empty.
        let block = unsafe { allocate(&System, layout) };
        if !block.is_null() {
            assert!(book.live.insert(block.addr(), layout).is_none());
        }
        block
    }

    fn assert_empty(self) {
        assert_eq!(self.0.0.lock().unwrap().live.len(), 0);
    }
}

// SAFETY: memory comes from `System`, unchanged. Its panics are a test's, which unwind out of it where that may be.
unsafe impl GlobalAlloc for Named {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.allocate(layout, System::alloc)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.0.0.lock().unwrap().zeroed += 1;
        self.allocate(layout, System::alloc_zeroed)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        assert_eq!(self.0.0.lock().unwrap().live.remove(&block.addr()), Some(layout), "its own layout");
        // SAFETY: out with this layout.
        unsafe { System.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, from: Layout, size: usize) -> *mut u8 {
        assert_ne!(size, 0, "no empty layout");
        let mut book = self.0.0.lock().unwrap();
        assert_eq!(book.live.get(&block.addr()), Some(&from), "its own layout");
        if book.fail {
            return std::ptr::null_mut();
        }
        // SAFETY: out with this layout.
        let moved = unsafe { System.realloc(block, from, size) };
        if !moved.is_null() {
            book.live.remove(&block.addr());
            book.live.insert(moved.addr(), layout(size, from.align()));
            book.reallocated += 1;
        }
        moved
    }
}

fn checked() -> (Named, FromGlobalAlloc<Named>) {
    let named = Named::new();
    (named, FromGlobalAlloc::from_copy(named))
}

#[test]
fn blocks_are_aligned_long_enough_and_apart() {
    blocks::all_at_once(&FromGlobalAlloc::new(System), &SIZES);
    let (named, allocator) = checked();
    blocks::all_at_once(&allocator, &SIZES);
    named.assert_empty();
}

/// As mimalloc's: nothing is derived for it.
#[test]
fn an_allocator_without_state_need_not_be_copy() {
    struct Bare;

    // SAFETY: memory comes from `System`, unchanged.
    unsafe impl GlobalAlloc for Bare {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: passed on.
            unsafe { System.dealloc(block, layout) };
        }
    }

    static POOL: Pool<FromGlobalAlloc<Bare>> = Pool::new_in(FromGlobalAlloc::new(Bare));
    assert!(POOL.get(5000).capacity() >= 5000);
    blocks::all_at_once(&FromGlobalAlloc::new(Bare), &SIZES);
}

#[test]
fn zeroed_memory_is_zero_after_others_used_it() {
    blocks::zeroed_again(&FromGlobalAlloc::<System>::default(), &SIZES);
    let (named, allocator) = checked();
    blocks::zeroed_again(&allocator, &SIZES);
    assert_eq!(named.0.0.lock().unwrap().zeroed, 3 * (SIZES.len() - 1), "passed on, but for the empty one");
    named.assert_empty();
}

#[test]
fn what_cannot_be_is_an_error() {
    blocks::too_large(&FromGlobalAlloc::new(System));
    let (named, allocator) = checked();
    blocks::too_large(&allocator);
    let mut block = Block::new(&allocator, layout(100, 8), false);
    block.fill(1);
    named.0.0.lock().unwrap().fail = true;
    for align in [8, 64] {
        // SAFETY: out with this layout; as it fails, it stays out.
        assert!(unsafe { allocator.grow(block.at.cast(), block.layout, layout(200, align)) }.is_err());
        // SAFETY: as above.
        assert!(unsafe { allocator.shrink(block.at.cast(), block.layout, layout(50, align)) }.is_err());
    }
    block.free(&allocator, false);
    named.assert_empty();
}

#[test]
fn lengths_are_as_asked() {
    let (named, allocator) = checked();
    for size in SIZES {
        let block = Block::new(&allocator, layout(size, 16), true);
        assert_eq!(block.at.len(), size);
        block.free(&allocator, true);
    }
    named.assert_empty();
}

#[test]
fn a_size_changes_by_realloc_and_an_alignment_by_a_copy() {
    let (named, allocator) = checked();
    let reallocated = || named.0.0.lock().unwrap().reallocated;
    let block = allocator.allocate(layout(100, 8)).unwrap();
    // SAFETY: here and below the block is out with the layout that the call before gave it.
    let block = unsafe { allocator.grow(block.cast(), layout(100, 8), layout(5000, 8)) }.unwrap();
    // SAFETY: as above.
    let block = unsafe { allocator.shrink(block.cast(), layout(5000, 8), layout(10, 8)) }.unwrap();
    assert_eq!(reallocated(), 2);
    // SAFETY: as above.
    let block = unsafe { allocator.grow(block.cast(), layout(10, 8), layout(10, 256)) }.unwrap();
    // SAFETY: as above.
    let block = unsafe { allocator.shrink(block.cast(), layout(10, 256), layout(0, 1)) }.unwrap();
    assert_eq!(reallocated(), 2);
    named.assert_empty();
    // SAFETY: as above.
    let block = unsafe { allocator.grow_zeroed(block.cast(), layout(0, 1), layout(50, 32)) }.unwrap();
    // SAFETY: as above.
    unsafe { allocator.deallocate(block.cast(), layout(50, 32)) };
    named.assert_empty();
}

/// The alignment of a block is the pool's, and its size that of a class; nothing else ever reaches it.
#[test]
fn a_pool_gives_back_all_of_it() {
    let (named, allocator) = checked();
    let pool = Pool::builder_in(allocator).collect(Collect::Manual).recycle(Recycle::Always).build().unwrap();
    drop((pool.get(0), pool.get(5000), pool.get(5 << 20)));
    let live: Vec<_> = named.0.0.lock().unwrap().live.values().copied().collect();
    assert_eq!(live.len(), 2, "all but the largest stay");
    assert!(live.iter().all(|block| block.align() == 64 && [256, 5120].contains(&block.size())), "{live:?}");
    drop(pool);
    named.assert_empty();
}

/// With the bounds that it has, as a `static` and beside others.
#[test]
fn its_traits_are_those_of_what_it_is_around() {
    const fn is<T: Copy + Send + Sync + std::fmt::Debug + Default + Allocator>(of: T) -> T {
        of
    }
    static ALLOCATOR: FromGlobalAlloc<System> = is(FromGlobalAlloc::new(System));
    let mut of_system = allocator_api2::vec::Vec::new_in(ALLOCATOR);
    let mut of_global = allocator_api2::vec::Vec::new_in(Global);
    of_system.extend(0..1000);
    of_global.extend(0..1000);
    assert_eq!(of_system.as_slice(), of_global.as_slice());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any sequence of calls, beside a vector for each block.
    #[test]
    fn blocks_hold_what_a_vector_would(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        blocks::run(&FromGlobalAlloc::new(System), &SIZES, &bytes);
        let (named, allocator) = checked();
        blocks::run(&allocator, &SIZES, &bytes);
        named.assert_empty();
    }
}
