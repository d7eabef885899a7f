//! Blocks that fail a model when two threads use one at once, when one is released twice or used later, or lost.

use core::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::error::GetError;
use crate::raw::config::{Collect, Config};
use crate::raw::size_class::{Class, SizeClasses};
use crate::sync::UnsafeCell;
use crate::tiers::backing::{Allocate, Backing};

/// The only class of the models.
pub(super) const CLASS: Class = Class::new(0);

pub(super) const SIZE: usize = 64;

/// Settings of a pool with room for `idle` blocks, half of them in slots.
pub(super) fn config(idle: usize) -> Config {
    Config {
        classes: SizeClasses::new(SIZE, SIZE),
        idle_limit: idle * SIZE,
        local_limit: 4 * SIZE,
        collect: Collect::Manual,
        recycle: true,
        ..Config::DEFAULT
    }
}

#[derive(Debug)]
struct Block {
    /// What a request would write to: each use is an access that loom orders against the others.
    payload: UnsafeCell<u32>,
    released: AtomicBool,
}

/// All blocks of one execution, kept until it ends, so that a late use finds its block marked.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    blocks: Arc<Mutex<Vec<Box<Block>>>>,
    limit: Option<usize>,
}

// SAFETY: the payloads are accessed through loom, which reports what is not ordered.
unsafe impl Send for Ledger {}
// SAFETY: as above.
unsafe impl Sync for Ledger {}

impl Ledger {
    /// One that has no more than so many blocks at a time.
    pub(super) fn with_limit(limit: usize) -> Self {
        Self { limit: Some(limit), ..Self::default() }
    }

    pub(super) fn make(&self) -> NonNull<u8> {
        let block = Box::new(Block { payload: UnsafeCell::new(0), released: AtomicBool::new(false) });
        let pointer = NonNull::from(&*block).cast();
        self.blocks.lock().unwrap().push(block);
        pointer
    }

    /// Releases a block, which the caller owns.
    pub(super) fn unmake(block: NonNull<u8>) {
        touch(block);
        // SAFETY: blocks are kept until the execution ends.
        let block = unsafe { block.cast::<Block>().as_ref() };
        block.released.store(true, Relaxed);
    }

    /// How many blocks were ever made.
    pub(super) fn made(&self) -> usize {
        self.blocks.lock().unwrap().len()
    }

    fn live(&self) -> usize {
        self.blocks.lock().unwrap().iter().filter(|block| !block.released.load(Relaxed)).count()
    }

    /// The end of an execution, when the pool must have been freed.
    pub(super) fn settle(self) {
        assert!(!self.in_use(), "the pool was not freed");
        assert_eq!(self.live(), 0, "blocks were lost");
    }

    /// Whether there is a pool that has not been freed.
    pub(super) fn in_use(&self) -> bool {
        Arc::strong_count(&self.blocks) > 1
    }
}

/// Uses a block as its owner may.
pub(super) fn touch(block: NonNull<u8>) {
    // SAFETY: blocks are kept until the execution ends.
    let block = unsafe { block.cast::<Block>().as_ref() };
    assert!(!block.released.load(Relaxed), "used after its release");
    // SAFETY: loom fails the model if another access is not ordered with this one.
    block.payload.with_mut(|payload| unsafe { *payload += 1 });
}

impl Backing for Ledger {
    fn size(&self, _: Class) -> usize {
        SIZE
    }

    unsafe fn release(&self, _: Class, block: NonNull<u8>) {
        Self::unmake(block);
    }
}

impl Allocate for Ledger {
    fn allocate(&self, _: Class) -> Result<NonNull<u8>, GetError> {
        let (live, limit) = (self.live(), self.limit.unwrap_or(usize::MAX));
        if live >= limit {
            return Err(GetError::LimitReached { requested: SIZE, allocated: live * SIZE, limit: limit * SIZE });
        }
        Ok(self.make())
    }
}
