//! Depot: the current generation, shared by all threads. One queue operation moves a batch.
#![forbid(unsafe_code)]

use core::ptr::NonNull;

use crate::alloc::FallibleBox;
use crate::raw::block::Batch;
use crate::raw::config::Config;
use crate::raw::counters::NoRoom;
use crate::raw::generation::Generation;
use crate::raw::lease::Budget;
use crate::raw::reclaim::Shared;
use crate::raw::size_class::{Class, SizeClasses};

#[derive(Debug)]
pub(crate) struct Depot {
    pub(crate) generation: Shared<Generation>,
    sizes: SizeClasses,
    /// Bytes of one class that a bucket should hold: all that may be idle. It is the budget that bounds them; a smaller
    /// bucket would turn batches away while there is credit.
    bucket_bytes: usize,
}

impl Depot {
    pub(crate) fn new(config: &Config, generation: FallibleBox<Generation>) -> Self {
        // Under chaos a bucket has one cell.
        let bucket_bytes = if config.chaos.is_some() { 0 } else { config.idle_limit };
        Self { generation: Shared::new(generation), sizes: config.classes, bucket_bytes }
    }

    /// Takes a block. `keep` may move more of the batch that it came with; the rest stays.
    pub(crate) fn take<R>(
        &self,
        class: Class,
        budget: &Budget,
        keep: impl FnOnce(&mut Batch) -> R,
    ) -> Option<(NonNull<u8>, R)> {
        self.generation.read(|depot| {
            let mut taken = 0;
            let hit = depot.bucket(class)?.take(|batch| {
                let before = batch.len();
                let block = batch.pop();
                let kept = keep(batch);
                taken = before - batch.len();
                block.map(|block| (block, kept))
            });
            budget.unreserve(taken * self.sizes.size(class));
            hit.flatten()
        })
    }

    /// Stores up to `most` blocks, which `fill` adds to a batch once their place and budget are reserved. Where there is no
    /// room `fill` is not called.
    pub(crate) fn store(
        &self,
        class: Class,
        most: usize,
        budget: &Budget,
        fill: impl FnOnce(&mut Batch),
    ) -> Result<(), NoRoom> {
        let size = self.sizes.size(class);
        if !budget.reserve(most * size) {
            return Err(NoRoom::Budget);
        }
        let mut stored = 0;
        let done = self.generation.read(|depot| {
            let bucket = depot.bucket_or_make(class, self.bucket_bytes / size).ok_or(NoRoom::Depot)?;
            let found_cell = bucket.store(most, |batch| {
                let before = batch.len();
                fill(batch);
                stored = batch.len() - before;
            });
            if found_cell { Ok(()) } else { Err(NoRoom::Bucket) }
        });
        budget.unreserve((most - stored) * size);
        done
    }

    /// An empty generation with the buckets that will be needed; none if there is no memory.
    pub(crate) fn fresh(&self, needed: impl Fn(Class) -> bool) -> Option<FallibleBox<Generation>> {
        let fresh = Generation::try_new(self.sizes.count())?;
        for class in self.sizes.all().filter(|class| needed(*class)) {
            fresh.bucket_or_make(class, self.bucket_bytes / self.sizes.size(class))?;
        }
        Some(fresh)
    }
}
