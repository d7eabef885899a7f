//! A buffer's way to a larger block, and to a note of who has it.

use core::panic::Location;
use core::ptr::NonNull;

use crate::alloc::Allocator;
use crate::buf::PoolBuf;
use crate::error::GetError;
use crate::life::close::Core;
use crate::raw::home::Lent;
use crate::tiers::Tiers;
use crate::tiers::backing::Bytes;

impl<A: Allocator + Send + Sync + 'static> PoolBuf<A> {
    /// Moves to a block with room for `additional` more bytes.
    #[cold]
    #[inline(never)]
    pub(super) fn grow(&mut self, additional: usize) -> Result<(), GetError> {
        // The new block first and the old one back afterwards: one unit is held at any time.
        let mut grown = self.larger(additional)?;
        grown.try_extend_from_slice(self.as_slice())?;
        core::mem::swap(self, &mut grown);
        let tiers = self.tiers();
        if tiers.tracks.is_some() {
            let from = Lent { block: grown.ptr, home: grown.home };
            let lent = Lent { block: self.ptr, home: self.home };
            // SAFETY: (I2) the blocks are the two buffers', and so are the units.
            self.home = unsafe { tiers.followed(from, lent, self.capacity()) }.home;
        }
        Ok(())
    }

    /// An empty buffer with room for what there is and `additional` bytes more. It has twice the capacity; where that is refused, half
    /// of what can be had beyond what is needed, so that a buffer written byte by byte does not move for each of them.
    fn larger(&self, additional: usize) -> Result<Self, GetError> {
        // Where the sum overflows, no block is as large as this either.
        let needed = self.len.saturating_add(additional);
        let mut spare = self.capacity().saturating_mul(2).saturating_sub(needed);
        loop {
            let error = match self.another(needed + spare) {
                Err(error) if spare > 0 => error,
                found => return found,
            };
            spare = match error {
                // A class has room beyond what is needed anyway.
                _ if self.tiers().config.classes.class_for(needed).is_some() => 0,
                GetError::LimitReached { allocated, limit, .. } => {
                    spare.min(limit.saturating_sub(allocated).saturating_sub(needed)) / 2
                }
                _ => spare / 2,
            };
        }
    }

    /// An empty buffer of the same pool.
    pub(super) fn another(&self, min: usize) -> Result<Self, GetError> {
        // SAFETY: this buffer's unit keeps the core.
        unsafe { Self::new(self.core(), min) }
    }

    /// The same, noted as the caller's if that is wanted.
    #[track_caller]
    pub(super) fn noted_here(mut self) -> Self {
        let lent = Lent { block: self.ptr, home: self.home };
        // SAFETY: (I2) the block is this buffer's, and so is the unit.
        self.home = unsafe { Self::noted(self.core(), lent, self.capacity()) }.home;
        self
    }

    fn tiers(&self) -> &Tiers<Bytes<A>> {
        // SAFETY: this buffer's unit keeps the core.
        unsafe { &self.core().as_ref().tiers }
    }

    fn core(&self) -> NonNull<Core<Bytes<A>>> {
        // SAFETY: this buffer's unit keeps the home.
        unsafe { self.home.as_ref() }.pool().cast()
    }

    /// What was lent for `min` bytes, noted as the caller's if that is wanted.
    ///
    /// # Safety
    /// It is, by this core; the caller has it and its unit.
    #[inline]
    #[track_caller]
    pub(crate) unsafe fn noted(core: NonNull<Core<Bytes<A>>>, lent: Lent, min: usize) -> Lent {
        // SAFETY: the unit keeps the core.
        let tiers = unsafe { &core.as_ref().tiers };
        if tiers.tracks.is_none() {
            return lent;
        }
        // SAFETY: and the home.
        let size = unsafe { lent.home.as_ref() }.size().get();
        // SAFETY: passed on.
        unsafe { tiers.noted(lent, size.max(min), Location::caller()) }
    }
}
