//! Blocks on the move: a block is a pointer and its class, with one owner (I2) and no `Drop`.

use core::ptr::NonNull;

/// The most blocks that one queue operation moves; see section 6 of `docs/design.md` for other numbers.
pub(crate) const BATCH: usize = if cfg!(loom) { 2 } else { 16 };

/// Up to [`BATCH`] blocks of one class in one hand, oldest first.
#[must_use = "the blocks in it would be lost"]
#[derive(Debug, Default)]
pub(crate) struct Batch {
    blocks: [Option<NonNull<u8>>; BATCH],
    len: usize,
}

// SAFETY: (I2) whoever has the batch owns its blocks; nothing else refers to them.
unsafe impl Send for Batch {}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a block. There is room: a flush takes [`BATCH`] at most, and nobody fills a batch with more than it was found to have
    /// room for.
    pub(crate) fn add(&mut self, block: NonNull<u8>) {
        debug_assert!(self.len < BATCH);
        if let Some(cell) = self.blocks.get_mut(self.len) {
            *cell = Some(block);
            self.len += 1;
        }
    }

    /// Takes the newest block.
    pub(crate) fn pop(&mut self) -> Option<NonNull<u8>> {
        self.len = self.len.checked_sub(1)?;
        self.blocks.get_mut(self.len)?.take()
    }
}
