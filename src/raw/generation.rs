//! A generation: one bounded queue of batches, a bucket, for each size class in use.

use core::ptr::{self, NonNull};

use crate::alloc::FallibleBox;
use crate::raw::block::{BATCH, Batch};
use crate::raw::size_class::Class;
use crate::sync::{ArrayQueue, AtomicPtr, AtomicU64, Backoff, Ordering};

/// A bucket has so many cells at least, and at most; a cell takes a batch, and 144 bytes. The default `idle_limit` in blocks of
/// 4 KiB, one for each of 16 384 connections, fits in; for smaller ones more cells would weigh more than they are worth.
const CELLS: (usize, usize) = if cfg!(loom) { (2, 2) } else { (16, 1024) };

#[derive(Debug)]
pub(crate) struct Bucket {
    queue: ArrayQueue<Batch>,
    cells: u64,
    /// Cells spoken for in the upper half, blocks in the lower: one word, so one read-modify-write for both.
    held: AtomicU64,
}

const ONE_CELL: u64 = 1 << 32;

impl Bucket {
    /// None: no memory.
    fn try_new(cells: usize) -> Option<Self> {
        // `ArrayQueue::new` aborts where there is no memory. Asking for as much just before makes that unlikely.
        Vec::<(usize, Batch)>::new().try_reserve_exact(cells).ok()?;
        Some(Self { queue: ArrayQueue::new(cells), cells: cells as u64, held: AtomicU64::new(0) })
    }

    /// Takes a batch out and lets `f` have of it what it wants; the rest goes back, into the same cell.
    pub(crate) fn take<R>(&self, f: impl FnOnce(&mut Batch) -> R) -> Option<R> {
        let mut batch = self.queue.pop()?;
        let before = batch.len();
        let result = f(&mut batch);
        let taken = (before - batch.len()) as u64;
        if batch.is_empty() {
            // Release: pairs with the Acquire of `reserve`: the cell is really free.
            self.held.fetch_sub(ONE_CELL + taken, Ordering::Release);
        } else {
            // Relaxed: the cell stays ours.
            self.held.fetch_sub(taken, Ordering::Relaxed);
            self.push(batch);
        }
        Some(result)
    }

    /// Stores up to `most` blocks, which `fill` adds to a batch once their place is certain. False, and `fill` is not called:
    /// there is none. A batch that stays empty gives its cell back.
    pub(crate) fn store(&self, most: usize, fill: impl FnOnce(&mut Batch)) -> bool {
        let joined = if self.reserve() {
            Some(Batch::default())
        } else {
            // Blocks that came alone take many cells up: the oldest batch may have room for more. Its cell stays ours.
            self.queue.pop()
        };
        let Some(mut batch) = joined else { return false };
        let before = batch.len();
        let fits = before + most <= BATCH;
        if fits {
            fill(&mut batch);
        }
        if batch.is_empty() {
            // Release: pairs with the Acquire of `reserve`.
            self.held.fetch_sub(ONE_CELL, Ordering::Release);
        } else {
            // Relaxed: a figure; the queue publishes the blocks.
            self.held.fetch_add((batch.len() - before) as u64, Ordering::Relaxed);
            self.push(batch);
        }
        fits
    }

    fn reserve(&self) -> bool {
        let free = |held: u64| (held / ONE_CELL < self.cells).then(|| held + ONE_CELL);
        // Acquire: pairs with the Release of whoever gave the cell back: its pop comes before our push.
        self.held.fetch_update(Ordering::Acquire, Ordering::Relaxed, free).is_ok()
    }

    /// Pushes into a reserved cell.
    fn push(&self, mut batch: Batch) {
        let patience = Backoff::new();
        // Every cell in the queue is reserved and there are no more reservations than cells, so this fails at most
        // while a pop of another cell is half done.
        while let Err(back) = self.queue.push(batch) {
            batch = back;
            patience.snooze();
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is meant")]
    fn blocks(&self) -> usize {
        self.held.load(Ordering::Relaxed) as u32 as usize
    }
}

#[derive(Debug)]
pub(crate) struct Generation {
    /// Null until the class is first stored to.
    buckets: Box<[AtomicPtr<Bucket>]>,
}

impl Generation {
    /// One without buckets, or none if there is no memory.
    pub(crate) fn try_new(classes: usize) -> Option<FallibleBox<Self>> {
        let mut buckets = Vec::new();
        buckets.try_reserve_exact(classes).ok()?;
        buckets.resize_with(classes, || AtomicPtr::new(ptr::null_mut()));
        FallibleBox::try_new(Self { buckets: buckets.into_boxed_slice() }).ok()
    }

    pub(crate) fn bucket(&self, class: Class) -> Option<&Bucket> {
        // Acquire: pairs with the Release of `bucket_or_make`.
        let bucket = self.buckets.get(class.index())?.load(Ordering::Acquire);
        // SAFETY: buckets live as long as the generation.
        unsafe { bucket.as_ref() }
    }

    /// The bucket of a class, made if there is none. The loser of a race frees its own; nobody waits.
    pub(crate) fn bucket_or_make(&self, class: Class, blocks: usize) -> Option<&Bucket> {
        if let Some(bucket) = self.bucket(class) {
            return Some(bucket);
        }
        let made = FallibleBox::try_new(Bucket::try_new(cells_for(blocks))?).ok()?;
        let made = FallibleBox::into_raw(made);
        let place = self.buckets.get(class.index())?;
        // Release: the bucket comes before the pointer to it.
        if place.compare_exchange(ptr::null_mut(), made, Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: just made, and never published.
            drop(unsafe { FallibleBox::from_raw(made) });
        }
        self.bucket(class)
    }

    /// The classes that have a bucket.
    pub(crate) fn used(&self) -> impl Iterator<Item = Class> {
        (0..self.buckets.len()).map(Class::new).filter(|class| self.bucket(*class).is_some())
    }

    /// How many blocks of a class lie here.
    pub(crate) fn blocks(&self, class: Class) -> usize {
        self.bucket(class).map_or(0, Bucket::blocks)
    }

    /// Takes every block out by popping, which is safe beside readers; what they store meanwhile may stay.
    pub(crate) fn drain(&self, mut out: impl FnMut(Class, NonNull<u8>)) {
        for class in self.used() {
            let Some(bucket) = self.bucket(class) else { continue };
            let mut all = |batch: &mut Batch| {
                while let Some(block) = batch.pop() {
                    out(class, block);
                }
            };
            // A bound, so that busy readers cannot keep a collector here.
            for _ in 0..bucket.cells {
                if bucket.take(&mut all).is_none() {
                    break;
                }
            }
        }
    }
}

/// Cells for a bucket that is to hold so many blocks: twice what full batches need, as not every batch is full.
fn cells_for(blocks: usize) -> usize {
    if blocks == 0 { 1 } else { (blocks / (BATCH / 2)).clamp(CELLS.0, CELLS.1) }
}

impl Drop for Generation {
    fn drop(&mut self) {
        for bucket in &self.buckets {
            // Relaxed: whoever drops the generation has it alone (I4).
            let bucket = bucket.load(Ordering::Relaxed);
            if !bucket.is_null() {
                // SAFETY: made by `bucket_or_make`, freed only here. It is empty: whoever drops a generation drains it.
                drop(unsafe { FallibleBox::from_raw(bucket) });
            }
        }
    }
}
