//! How contenders without size classes of their own are used for more than one size: one shelf for each.

/// At most this many shelves.
pub const SHELVES: usize = 20;

pub trait Sizes: Sync + 'static {
    /// All requests are of one size.
    const ONE: bool = false;

    /// The shelf for requests of `len` bytes, below [`SHELVES`].
    fn shelf(len: usize) -> usize;

    /// What is allocated for requests of `len` bytes.
    fn size(len: usize) -> usize;

    /// What a shelf holds if no request is above `largest`.
    fn size_on(shelf: usize, largest: usize) -> usize;
}

/// All requests of a run are of one size. The one shelf costs nothing to find.
pub struct One;

impl Sizes for One {
    const ONE: bool = true;

    #[inline(always)]
    fn shelf(_: usize) -> usize {
        0
    }

    #[inline(always)]
    fn size(len: usize) -> usize {
        len
    }

    fn size_on(_: usize, largest: usize) -> usize {
        largest
    }
}

/// A shelf for each power of two, as one would write by hand.
pub struct Doublings;

impl Sizes for Doublings {
    #[inline(always)]
    fn shelf(len: usize) -> usize {
        // No request is so large that the bound is met; without it every look-up would be checked again.
        ((len.max(2) - 1).ilog2() as usize + 1).min(SHELVES - 1)
    }

    #[inline(always)]
    fn size(len: usize) -> usize {
        1 << Self::shelf(len)
    }

    fn size_on(shelf: usize, _: usize) -> usize {
        1 << shelf
    }
}
