//! The chunks of an arena: bumpalo's, with what it takes to hand them from one request to the next.
#![expect(clippy::disallowed_methods, reason = "the allocator is bumpalo's, no `A`")]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::alloc::{Allocator, FallibleBox};
use crate::raw::poison::{poison, unpoison};
use crate::raw::wipe::wipe;

/// Memory that is handed out by moving a pointer down through a chunk, and comes back all at once. The chunks are the global
/// allocator's.
#[derive(Debug)]
pub(crate) struct Bump {
    chunks: bumpalo::Bump,
    /// What was handed out is overwritten by `reset`. Then nothing comes back before: so all of it lies between the pointer
    /// and the end of a chunk.
    wipes: bool,
}

impl Bump {
    /// Without a chunk: the first allocation makes one. In a box, as what passes through many hands should fit a register.
    /// None: no memory.
    pub(crate) fn new(wipes: bool) -> Option<FallibleBox<Self>> {
        FallibleBox::try_new(Self { chunks: bumpalo::Bump::new(), wipes }).ok()
    }

    /// None: no memory.
    #[inline(always)]
    pub(crate) fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.step([layout], |chunks| chunks.try_alloc_layout(layout)).ok()
    }

    /// Takes back what was handed out last; anything else waits for `reset`.
    ///
    /// # Safety
    /// The block was allocated here with this layout, since the last `reset`, and the caller gives it up.
    #[inline]
    pub(crate) unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if !self.wipes {
            // SAFETY: passed on.
            self.step([layout], |chunks| unsafe { chunks.deallocate(block, layout) });
        }
    }

    /// # Safety
    /// As for `deallocate`, if this succeeds; and `new` is no smaller than `old`.
    #[inline]
    pub(crate) unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: passed on.
        self.step([old, new], |chunks| unsafe { chunks.grow(block, old, new) }).ok().map(NonNull::cast)
    }

    /// # Safety
    /// As for `deallocate`, if this succeeds; and `new` is no larger than `old`.
    #[inline]
    pub(crate) unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // What bumpalo would make free has not been overwritten.
        if self.wipes && block.as_ptr().addr() & (new.align() - 1) == 0 {
            return Some(block);
        }
        // SAFETY: passed on.
        self.step([old, new], |chunks| unsafe { chunks.shrink(block, old, new) }).ok().map(NonNull::cast)
    }

    /// Takes everything back, and keeps the last chunk, which is the largest unless memory was short.
    pub(crate) fn reset(&mut self) {
        if self.wipes {
            // SAFETY: nothing is allocated meanwhile.
            for (start, len) in unsafe { self.chunks.iter_allocated_chunks_raw() } {
                if let Some(start) = NonNull::new(start) {
                    // SAFETY: (I2) exclusive, so all that was handed out has come back.
                    unsafe { wipe(start, len) };
                }
            }
        }
        self.mark_free(usize::MAX, unpoison);
        self.chunks.reset();
        self.mark_free(usize::MAX, poison);
    }

    /// Bytes handed out, with what alignment took.
    pub(crate) fn bumped(&self) -> usize {
        // SAFETY: nothing is allocated meanwhile, and the memory is not looked at.
        unsafe { self.chunks.iter_allocated_chunks_raw() }.map(|(_, len)| len).sum()
    }

    /// Bytes of all chunks.
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunks.allocated_bytes()
    }

    /// A step of bumpalo's for pieces of these layouts. It may touch what is yet to be handed out, as far as they reach, and may leave
    /// the chunk for another.
    #[cfg(millpond_asan)]
    fn step<R, const N: usize>(&self, pieces: [Layout; N], step: impl FnOnce(&bumpalo::Bump) -> R) -> R {
        // A size is rounded up to an alignment, and then an address down.
        let reach = pieces.iter().map(|piece| piece.size() + 2 * piece.align()).sum();
        let bytes = self.chunk_bytes();
        self.mark_free(reach, unpoison);
        let result = step(&self.chunks);
        // What was opened, and what came back.
        let rest = if self.chunk_bytes() == bytes { 2 * reach } else { usize::MAX };
        self.mark_free(rest, poison);
        result
    }

    #[cfg(not(millpond_asan))]
    #[inline(always)]
    fn step<R, const N: usize>(&self, _pieces: [Layout; N], step: impl FnOnce(&bumpalo::Bump) -> R) -> R {
        step(&self.chunks)
    }

    /// What is handed out next of the chunk at hand: so many bytes, if there are as many. Whatever was handed out or left behind is
    /// open, as it may be freed or overwritten at any time.
    #[cfg(millpond_asan)]
    fn mark_free(&self, most: usize, mark: unsafe fn(NonNull<u8>, usize)) {
        // SAFETY: nothing is allocated meanwhile.
        let at_hand = unsafe { self.chunks.iter_allocated_chunks_raw() }.next();
        if let Some(last) = at_hand.and_then(|(last, _)| NonNull::new(last)) {
            let len = self.chunks.chunk_capacity().min(most);
            // SAFETY: what was handed out of the chunk begins where so many free bytes end.
            let free = unsafe { last.sub(len) };
            // SAFETY: (I2) nobody has these.
            unsafe { mark(free, len) };
        }
    }

    #[cfg(not(millpond_asan))]
    #[inline(always)]
    fn mark_free(&self, _most: usize, _mark: unsafe fn(NonNull<u8>, usize)) {}
}

impl Drop for Bump {
    fn drop(&mut self) {
        // As the chunks are the allocator's again.
        self.mark_free(usize::MAX, unpoison);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// All that a `Bump` ever handed out of its only chunk, read behind its back.
    fn lies_in(bump: &Bump, start: NonNull<u8>, len: usize) -> Vec<u8> {
        assert!(bump.chunk_bytes() > 0);
        bump.mark_free(usize::MAX, unpoison);
        // SAFETY: the chunk is still there, and these bytes of it were written.
        unsafe { core::slice::from_raw_parts(start.as_ptr(), len) }.to_vec()
    }

    fn filled(bump: &Bump, layout: Layout) -> NonNull<u8> {
        let block = bump.allocate(layout).expect("there is memory");
        // SAFETY: just allocated.
        unsafe { block.write_bytes(7, layout.size()) };
        block
    }

    #[test]
    fn what_was_handed_out_is_overwritten() {
        let [small, large] = [16, 64].map(|size| Layout::from_size_align(size, 8).unwrap());
        let mut bump = Bump::new(true).expect("there is memory");
        let freed = filled(&bump, large);
        // SAFETY: just allocated.
        unsafe { bump.deallocate(freed, large) };
        let shrunk = filled(&bump, large);
        // SAFETY: just allocated, and smaller.
        let shrunk = unsafe { bump.shrink(shrunk, large, small) }.unwrap();
        let grown = filled(&bump, small);
        // SAFETY: just allocated, and larger.
        let grown = unsafe { bump.grow(grown, small, large) }.unwrap();
        assert_eq!(lies_in(&bump, grown, 16), [7; 16]);
        let handed_out = bump.bumped();
        assert_eq!(handed_out, 3 * 64, "nothing came back early");
        assert!(grown < shrunk && shrunk < freed);
        bump.reset();
        assert_eq!(bump.bumped(), 0);
        assert_eq!(lies_in(&bump, grown, 16), [0; 16]);
        assert_eq!(lies_in(&bump, shrunk, 128), [0; 128]);
    }

    #[test]
    fn the_last_block_comes_back_at_once() {
        let layout = Layout::new::<[u64; 4]>();
        let bump = Bump::new(false).expect("there is memory");
        let block = filled(&bump, layout);
        // SAFETY: just allocated.
        unsafe { bump.deallocate(block, layout) };
        assert_eq!(bump.allocate(layout), Some(block));
    }
}
