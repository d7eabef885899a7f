//! The pool as an allocator: collections, and the trait's own calls.
#![allow(clippy::disallowed_methods, reason = "the pool is the allocator")]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::slice;

use allocator_api2::vec::Vec as VecIn;
use hashbrown::{DefaultHashBuilder, HashMap};
use millpond::Pool;
use millpond::alloc::{AllocError, Allocator};

use super::{Bears, Failed, LARGEST, Scenario};
use crate::common::flaky::Flaky;

pub fn scenarios() -> Vec<Scenario> {
    let layouts = || Scenario::new("layouts", layouts);
    let direct = || Scenario::new("direct layouts", direct).bears(Bears::Failures);
    vec![
        Scenario::new("collections", collections),
        layouts(),
        layouts().with("layouts that are overwritten", |builder| builder.zero_on_return(true)),
        direct(),
        // The pool moves these itself.
        direct().with("direct layouts that are overwritten", |builder| builder.zero_on_return(true)).bears(Bears::All),
    ]
}

/// From the smallest class up, so that nothing is resized by the allocator itself: a panic there ends the process. Nor is anything shrunk: a
/// vector ends the process where that fails.
fn collections(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut words: VecIn<u64, _> = VecIn::new_in(pool);
    for len in [40, 500, 5000, 10_000] {
        words.try_reserve(len - words.len())?;
        words.extend(words.len() as u64..len as u64);
        assert!(words.iter().copied().eq(0..len as u64));
    }
    let mut map: HashMap<u64, u64, DefaultHashBuilder, _> = HashMap::new_in(pool);
    for n in 0..200 {
        map.try_reserve(1)?;
        map.insert(n, n);
    }
    assert!((0..200).all(|n| map[&n] == n));
    Ok(())
}

/// Memory from the pool that is as it was if it cannot be resized, and goes back in any case.
struct Memory<'pool> {
    pool: &'pool Pool<Flaky>,
    start: NonNull<u8>,
    layout: Layout,
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

impl<'pool> Memory<'pool> {
    fn zeroed(pool: &'pool Pool<Flaky>, size: usize) -> Result<Self, AllocError> {
        let start = pool.allocate_zeroed(layout(size))?.cast();
        Ok(Self { pool, start, layout: layout(size) })
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: of this layout, and initialised from the start.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }

    /// Filled before, and looked at afterwards.
    fn resize(&mut self, size: usize) -> Result<(), AllocError> {
        let (old, new) = (self.layout, layout(size));
        self.bytes().fill(7);
        let resized = if size < old.size() {
            // SAFETY: of the old layout, and the new one is smaller.
            unsafe { self.pool.shrink(self.start, old, new) }
        } else {
            // SAFETY: as above, and larger.
            unsafe { self.pool.grow_zeroed(self.start, old, new) }
        };
        if let Ok(resized) = resized {
            (self.start, self.layout) = (resized.cast(), new);
        }
        let kept = old.size().min(self.layout.size());
        // At once, as a loop takes its time in a debug build.
        let (bytes, new) = self.bytes().split_at(kept);
        assert!(*bytes == vec![7; bytes.len()] && *new == vec![0; new.len()], "{old:?} {:?}", self.layout);
        resized.map(drop)
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        // SAFETY: of this layout, and not used again.
        unsafe { self.pool.deallocate(self.start, self.layout) };
    }
}

/// From direct to a class, within one, between two and back to direct, above the largest class and below the smallest; from and to
/// no bytes.
fn layouts(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut beside = Vec::new();
    for _ in 0..2 {
        let mut memory = Memory::zeroed(pool, 40)?;
        for size in [200, 250, 5000, 2 * LARGEST, 3000, 150, 40, 3000, 0, 100, 20_000] {
            memory.resize(size)?;
            beside.push(Memory::zeroed(pool, size)?);
        }
        beside.truncate(5);
        pool.collect();
    }
    Ok(())
}

/// From direct to direct is the allocator's own affair.
fn direct(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut small = Memory::zeroed(pool, 8)?;
    let mut large = Memory::zeroed(pool, 2 * LARGEST)?;
    for (less, more) in [(100, 3 * LARGEST), (50, 2 * LARGEST), (120, 4 * LARGEST)] {
        small.resize(less)?;
        large.resize(more)?;
    }
    large.resize(16)?;
    large.resize(2 * LARGEST)?;
    Ok(())
}
