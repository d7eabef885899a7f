//! Victim: the generation that was the depot before the last collection. Taken from, one block at a time, and drained;
//! never stored to on purpose, so that what lies here ages out.
#![forbid(unsafe_code)]

use core::ptr::NonNull;

use crate::alloc::FallibleBox;
use crate::raw::block::Batch;
use crate::raw::generation::Generation;
use crate::raw::lease::Budget;
use crate::raw::reclaim::Shared;
use crate::raw::size_class::{Class, SizeClasses};

#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) generation: Shared<Generation>,
    sizes: SizeClasses,
}

impl Victim {
    pub(crate) fn new(sizes: SizeClasses, generation: FallibleBox<Generation>) -> Self {
        Self { generation: Shared::new(generation), sizes }
    }

    /// Takes one block; the rest of its batch stays, so that one hit does not make many blocks young again.
    pub(crate) fn take(&self, class: Class, budget: &Budget) -> Option<NonNull<u8>> {
        let block = self.generation.read(|victim| victim.bucket(class)?.take(Batch::pop).flatten())?;
        budget.unreserve(self.sizes.size(class));
        Some(block)
    }
}
