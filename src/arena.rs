//! A region of one request: small pieces from a recycled chunk, large ones from the pool, all given back at once.

mod alloc;

mod allocator;

use core::alloc::Layout;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::alloc::{Allocator, FallibleBox, Global};
use crate::buf::or_failed;
use crate::error::GetError;
use crate::life::close::{Core, Handle};
use crate::pool::Pool;
use crate::raw::bump::Bump;
use crate::raw::held::{Block, Held, Place};
use crate::tiers::backing::Bytes;

/// What is larger, or aligned to more, comes from the pool.
const SMALL: usize = 256;

/// A region for what one request needs: many small pieces, a few large ones, and no end of their own for any of them.
///
/// From [`Pool::arena`]. Pieces of up to 256 bytes are cut from a chunk of [bumpalo](https://docs.rs/bumpalo), in a few
/// instructions; larger ones are blocks of the pool. When the arena is dropped all of it goes back at once: the blocks to the
/// pool, and the chunk to the next arena. Once warm, neither end allocates.
///
/// There are two ways to use it. The `alloc` methods, with bumpalo's names and meanings, put a value in and hand out
/// a reference. As with bumpalo, **its destructor never runs**. And `&Arena` is an [`Allocator`], so collections can live in
/// it; their elements are dropped as usual.
///
/// ```
/// use hashbrown::HashMap;
/// use millpond::Pool;
///
/// static POOL: Pool = Pool::new();
///
/// let arena = POOL.arena();
/// let name: &mut str = arena.alloc_str("stop");
/// let mut counts = HashMap::new_in(&arena);
/// counts.insert(&*name, 1);
/// assert_eq!(counts["stop"], 1);
/// ```
///
/// # What goes where
///
/// The size and the alignment alone decide: up to 256 bytes, aligned to 256 at most, from the chunk, and all else from the
/// pool, as its own [`Allocator`] places it. A collection that grows across that line moves. Memory in the chunk is used again
/// only where the last piece shrinks or is freed; a block goes back to the pool as soon as it is freed.
///
/// The chunks are the **global allocator's**, whatever `A` is: they count neither against `limit` nor `idle_limit`. A pool
/// keeps 64 idle arenas at most, with a chunk of 256 KiB each at most, so 16 MiB; what is above that is freed. Those that
/// nobody needed through two collections are freed too. With `zero_on_return` chunks are overwritten when the arena ends, and
/// nothing in them is used again before.
///
/// # Where it must not be
///
/// What was put in cannot outlive the arena, nor a `reset`:
///
/// ```compile_fail,E0505
/// let arena = millpond::Pool::new().arena();
/// let word = arena.alloc_str("word");
/// drop(arena);
/// word.make_ascii_uppercase();
/// ```
///
/// ```compile_fail,E0502
/// let mut arena = millpond::Pool::new().arena();
/// let word = arena.alloc_str("word");
/// arena.reset();
/// word.make_ascii_uppercase();
/// ```
///
/// ```compile_fail,E0597
/// use millpond::{Pool, alloc::Allocator};
/// fn for_ever(_: impl Allocator + 'static) {}
/// let arena = Pool::new().arena();
/// for_ever(&arena);
/// ```
///
/// An arena can be sent to another thread, but is used by one at a time:
///
/// ```compile_fail,E0277
/// let arena = millpond::Pool::new().arena();
/// std::thread::scope(|scope| {
///     scope.spawn(|| arena.alloc(1));
/// });
/// ```
pub struct Arena<A: Allocator + Send + Sync + 'static = Global> {
    /// The blocks from the pool; their nodes lie in `bump`.
    held: Held,
    /// Taken by the drop alone.
    bump: ManuallyDrop<FallibleBox<Bump>>,
    pool: Handle<Bytes<A>>,
}

/// What an arena holds, from [`Arena::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArenaStats {
    /// Bytes taken from the chunks: small pieces, what aligns them, and 40 for each large block. What was freed since is in
    /// here, unless it was the last piece.
    pub bumped_bytes: usize,
    /// Bytes of the chunks, which are the global allocator's.
    pub chunk_bytes: usize,
    /// Blocks that the arena has from the pool.
    pub large_blocks: usize,
    /// Their bytes.
    pub large_bytes: usize,
}

impl<A: Allocator + Send + Sync + 'static> Pool<A> {
    /// A region for what one request needs; see [`Arena`]. It keeps the pool open.
    ///
    /// ```
    /// let pool = millpond::Pool::new();
    /// let arena = pool.arena();
    /// let squares = arena.alloc_slice_fill_with(1000, |n| n * n); // from the pool
    /// let word = arena.alloc_str("thirty-one"); // from the arena's own chunk
    /// assert_eq!((squares[31], word.len()), (961, 10));
    /// drop(arena); // both go back
    /// ```
    ///
    /// # Panics
    /// If there is no memory for the pool itself, at its first use, or for the arena's own few words where none is idle, the process is
    /// treated as `Vec` would treat it ([`handle_alloc_error`](std::alloc::handle_alloc_error)).
    ///
    /// # Cost
    /// A clone of the handle and an idle arena's chunk, this thread's if there is one: some ten nanoseconds, more where several
    /// threads make arenas of one pool, which share its counts. As much when the
    /// arena is dropped, and what its large blocks cost. A new arena's first small piece, and each that no longer fits, allocate
    /// a chunk, twice as large as the last if there is memory for that.
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn arena(&self) -> Arena<A> {
        or_failed(self.try_arena())
    }

    /// As [`arena`](Self::arena), with an error where that panics.
    ///
    /// # Errors
    /// There is no memory for the pool itself, at its first use, or for one more arena where none is idle.
    ///
    /// ```
    /// let arena = millpond::Pool::new().try_arena()?;
    /// assert_eq!(arena.stats().large_blocks, 0);
    /// # Ok::<(), millpond::GetError>(())
    /// ```
    #[inline]
    pub fn try_arena(&self) -> Result<Arena<A>, GetError> {
        let pool = self.handle()?;
        let no_memory = GetError::OutOfMemory { requested: size_of::<Bump>(), align: align_of::<Bump>() };
        let bump = pool.take_bump().ok_or(no_memory)?;
        Ok(Arena { held: Held::default(), bump: ManuallyDrop::new(bump), pool })
    }
}

impl<A: Allocator + Send + Sync + 'static> Arena<A> {
    /// Whether memory of this layout is cut from the chunk. Nothing else may decide that: what is given back is known by its
    /// layout alone.
    #[inline(always)]
    const fn is_small(layout: Layout) -> bool {
        // Nothing takes no memory, wherever it is.
        layout.size() <= SMALL && (layout.align() <= SMALL || layout.size() == 0)
    }

    /// Memory of a layout. As long as is asked for if it is small.
    #[inline(always)]
    fn allocate_any(&self, layout: Layout) -> Result<NonNull<[u8]>, GetError> {
        if Self::is_small(layout) {
            let start = self.allocate_small(layout)?;
            Ok(NonNull::slice_from_raw_parts(start, layout.size()))
        } else {
            self.allocate_large(layout, false)
        }
    }

    #[inline(always)]
    fn allocate_small(&self, layout: Layout) -> Result<NonNull<u8>, GetError> {
        let no_memory = GetError::OutOfMemory { requested: layout.size(), align: layout.align() };
        self.bump.allocate(layout).ok_or(no_memory)
    }

    #[inline(never)]
    fn allocate_large(&self, layout: Layout, zeroed: bool) -> Result<NonNull<[u8]>, GetError> {
        let pool = self.pool.as_raw();
        let memory = if zeroed {
            // SAFETY: this is a handle.
            unsafe { Core::allocate_slow(pool, layout, true)? }
        } else {
            // SAFETY: as above.
            unsafe { Core::allocate(pool, layout)? }
        };
        let block = Self::block(memory, layout);
        let place = match self.held.spare(block) {
            Some(place) => place,
            None => match self.allocate_small(Place::LAYOUT) {
                // SAFETY: the chunk stays until the ring is cleared.
                Ok(place) => unsafe { Place::at(place, block) },
                Err(error) => {
                    // SAFETY: just allocated, and nobody has it.
                    unsafe { self.release(block) };
                    return Err(error);
                }
            },
        };
        self.held.link(place);
        Ok(memory)
    }

    /// A large block that the pool has given out. Its whole length fits, and says what it takes of the pool.
    fn block(memory: NonNull<[u8]>, layout: Layout) -> Block {
        // It can be no longer than an allocation.
        let whole = Layout::from_size_align(memory.len(), layout.align()).unwrap_or(layout);
        Block { start: memory.cast(), layout: whole }
    }

    /// Gives a large block back to the pool.
    ///
    /// # Safety
    /// (I2) it is one of this arena's, out of the ring, and nobody uses it.
    unsafe fn release(&self, block: Block) {
        // SAFETY: (I1) the layout fits, and this is a handle.
        unsafe { Core::deallocate(self.pool.as_raw(), block.start, block.layout) };
    }

    /// Gives everything back: large blocks to the pool, while the arena and its last chunk, as a rule the largest, stay for what comes next.
    ///
    /// ```
    /// let mut arena = millpond::Pool::new().arena();
    /// for request in 0..3 {
    ///     arena.alloc_str("header");
    ///     arena.alloc_bytes(5000);
    ///     assert_eq!(arena.stats().large_blocks, 1);
    ///     arena.reset();
    ///     assert_eq!(arena.stats().bumped_bytes, 0);
    /// }
    /// ```
    ///
    /// # Cost
    /// That of the large blocks, and where there was more than one chunk, of freeing the others.
    pub fn reset(&mut self) {
        for block in self.held.each() {
            // SAFETY: exclusive, so nobody uses it, and the ring is cleared. A panic of the allocator behind the pool ends in
            // there (I10).
            unsafe { self.release(block) };
        }
        self.held.clear();
        self.bump.reset();
    }

    /// What the arena holds now.
    ///
    /// ```
    /// let arena = millpond::Pool::new().arena();
    /// arena.alloc([1_u64; 4]);
    /// arena.alloc_bytes(5000);
    /// let stats = arena.stats();
    /// assert!(stats.bumped_bytes >= 32 && stats.chunk_bytes >= stats.bumped_bytes);
    /// assert_eq!((stats.large_blocks, stats.large_bytes), (1, 5 << 10));
    /// ```
    ///
    /// # Cost
    /// Visits every chunk and every large block.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        let (large_blocks, large_bytes) =
            self.held.each().fold((0, 0), |(blocks, bytes), block| (blocks + 1, bytes + block.layout.size()));
        ArenaStats { bumped_bytes: self.bump.bumped(), chunk_bytes: self.bump.chunk_bytes(), large_blocks, large_bytes }
    }
}

impl<A: Allocator + Send + Sync + 'static> Drop for Arena<A> {
    fn drop(&mut self) {
        self.reset();
        // SAFETY: the arena ends here.
        let bump = unsafe { ManuallyDrop::take(&mut self.bump) };
        self.pool.store_bump(bump);
    }
}

impl<A: Allocator + Send + Sync + 'static> fmt::Debug for Arena<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ArenaStats { bumped_bytes, chunk_bytes, large_blocks, large_bytes } = self.stats();
        f.debug_struct("Arena")
            .field("bumped_bytes", &bumped_bytes)
            .field("chunk_bytes", &chunk_bytes)
            .field("large_blocks", &large_blocks)
            .field("large_bytes", &large_bytes)
            .finish_non_exhaustive()
    }
}
