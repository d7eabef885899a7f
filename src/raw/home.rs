//! Where a buffer belongs: the head of the magazine that it was gotten through, or of none.
//!
//! A buffer keeps a pointer to its home instead of one to its pool. If the thread that drops it owns that magazine, which
//! one comparison tells, the block goes straight back; otherwise the home says which pool and class it is of.

use core::num::NonZeroUsize;
use core::ptr::NonNull;

use crate::raw::size_class::Class;
use crate::raw::thread_id::ThreadId;

/// Never changed once it is published, and freed with the pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    /// The thread that may store here. A real one only if this is the head of a magazine of its slot.
    owner: ThreadId,
    /// The same, if there is nothing to do with a block first.
    owner_at_once: ThreadId,
    /// None for oversize blocks.
    class: Option<Class>,
    size: NonZeroUsize,
    /// The pool, whose type is the user's business.
    pool: NonNull<()>,
}

// SAFETY: the pointer is followed only by whoever holds a handle or a unit of the pool, and pools are `Sync`.
unsafe impl Send for Home {}
// SAFETY: as above.
unsafe impl Sync for Home {}

/// A block that is out, and its home.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lent {
    pub(crate) block: NonNull<u8>,
    pub(crate) home: NonNull<Home>,
}

impl Home {
    /// A home without a magazine, for blocks that no slot counted.
    pub(crate) fn shared(class: Class, size: usize, pool: NonNull<()>) -> Self {
        Self { class: Some(class), size: size.try_into().unwrap_or(NonZeroUsize::MIN), ..Self::oversize(pool) }
    }

    /// The home of blocks above the largest class.
    pub(crate) fn oversize(pool: NonNull<()>) -> Self {
        let nobody = ThreadId::NOBODY;
        Self { owner: nobody, owner_at_once: nobody, class: None, size: NonZeroUsize::MIN, pool }
    }

    /// The same as the head of a magazine in the slot of `owner`, where what comes back is stored `at_once`, or is reset first.
    pub(crate) fn of(self, owner: ThreadId, at_once: bool) -> Self {
        Self { owner, owner_at_once: if at_once { owner } else { ThreadId::NOBODY }, ..self }
    }

    #[inline(always)]
    pub(crate) fn owner(&self) -> ThreadId {
        self.owner
    }

    /// Whether no thread may store here by itself.
    pub(crate) fn is_unowned(&self) -> bool {
        self.owner == ThreadId::NOBODY
    }

    #[inline(always)]
    pub(crate) fn owner_at_once(&self) -> ThreadId {
        self.owner_at_once
    }

    pub(crate) fn class(&self) -> Option<Class> {
        self.class
    }

    /// Of a block in bytes; of an oversize one nobody knows it but its buffer.
    #[inline(always)]
    pub(crate) fn size(&self) -> NonZeroUsize {
        self.size
    }

    pub(crate) fn pool(&self) -> NonNull<()> {
        self.pool
    }
}
