//! The large blocks that an arena holds: a ring of nodes that lie in its own chunks, so that none of them costs an allocation.
//!
//! An allocator is told an address when a block comes back, so the ring is searched, from a cursor outwards on both sides. The
//! newest block is at the cursor, the oldest, as it is a ring, is its neighbour, and when one goes the cursor stays there. So it
//! takes two steps at most where blocks go in the order in which they came, or in the opposite one.

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

/// A block from the pool, and a layout that it may be given back with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) start: NonNull<u8>,
    pub(crate) layout: Layout,
}

#[derive(Debug)]
struct Node {
    older: Cell<NonNull<Self>>,
    newer: Cell<NonNull<Self>>,
    block: Cell<Block>,
}

/// A node outside the ring.
#[derive(Debug)]
pub(crate) struct Place(NonNull<Node>);

impl Place {
    pub(crate) const LAYOUT: Layout = Layout::new::<Node>();

    /// # Safety
    /// The memory is of [`LAYOUT`](Self::LAYOUT), and the caller's until the ring is cleared that the place gets into.
    pub(crate) unsafe fn at(memory: NonNull<u8>, block: Block) -> Self {
        let place = memory.cast();
        let node = Node { older: Cell::new(place), newer: Cell::new(place), block: Cell::new(block) };
        // SAFETY: the caller promises as much.
        unsafe { place.write(node) };
        Self(place)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Where a search begins.
    cursor: Cell<Option<NonNull<Node>>>,
    /// Nodes without a block, linked by `older`.
    spare: Cell<Option<NonNull<Node>>>,
}

// SAFETY: (I2) the nodes are the ring's alone.
unsafe impl Send for Held {}

impl Held {
    /// A place that another block has left.
    pub(crate) fn spare(&self, block: Block) -> Option<Place> {
        let place = self.spare.get()?;
        let node = Self::node(&place);
        self.spare.set(Some(node.older.get()).filter(|older| *older != place));
        node.block.set(block);
        Some(Place(place))
    }

    /// Keeps a place for another block.
    pub(crate) fn keep(&self, place: Place) {
        Self::node(&place.0).older.set(self.spare.get().unwrap_or(place.0));
        self.spare.set(Some(place.0));
    }

    /// Links a place with its block.
    pub(crate) fn link(&self, place: Place) {
        let node = Self::node(&place.0);
        let older = self.cursor.replace(Some(place.0)).unwrap_or(place.0);
        let newer = if older == place.0 { older } else { Self::node(&older).newer.get() };
        node.older.set(older);
        node.newer.set(newer);
        Self::node(&older).newer.set(place.0);
        Self::node(&newer).older.set(place.0);
    }

    /// As [`link`](Self::link), with another block.
    pub(crate) fn link_as(&self, place: Place, block: Block) {
        Self::node(&place.0).block.set(block);
        self.link(place);
    }

    /// Takes the block with this address out.
    pub(crate) fn unlink(&self, start: NonNull<u8>) -> Option<(Place, Block)> {
        let is_it = |place: &NonNull<Node>| Self::node(place).block.get().start == start;
        let mut older = self.cursor.get()?;
        let mut newer = Self::node(&older).newer.get();
        loop {
            if let Some(found) = [older, newer].into_iter().find(is_it) {
                return Some(self.take_out(found));
            }
            let next = Self::node(&newer).newer.get();
            if older == newer || older == next {
                return None;
            }
            (older, newer) = (Self::node(&older).older.get(), next);
        }
    }

    fn take_out(&self, place: NonNull<Node>) -> (Place, Block) {
        let node = Self::node(&place);
        let (older, newer) = (node.older.get(), node.newer.get());
        Self::node(&older).newer.set(newer);
        Self::node(&newer).older.set(older);
        self.cursor.set(Some(older).filter(|older| *older != place));
        (Place(place), node.block.get())
    }

    /// Every block.
    pub(crate) fn each(&self) -> impl Iterator<Item = Block> {
        let first = self.cursor.get();
        let mut next = first;
        core::iter::from_fn(move || {
            let node = Self::node(next.as_ref()?);
            let block = node.block.get();
            next = Some(node.older.get()).filter(|_| Some(node.older.get()) != first);
            Some(block)
        })
    }

    /// The memory of the nodes goes. A block that is still in the ring is lost.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn node(place: &NonNull<Node>) -> &Node {
        // SAFETY: a pointer here is from `Place::at`, whose caller keeps the node until the ring is cleared.
        unsafe { place.as_ref() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A ring whose nodes lie in a chunk.
    #[derive(Default)]
    struct Ring {
        held: Held,
        chunk: bumpalo::Bump,
    }

    fn block(n: usize) -> Block {
        Block { start: NonNull::new(core::ptr::without_provenance_mut(n)).unwrap(), layout: Layout::new::<u8>() }
    }

    fn link(Ring { held, chunk }: &Ring, n: usize) {
        let place = held.spare(block(n)).unwrap_or_else(|| {
            // SAFETY: it lies there as long as the ring.
            unsafe { Place::at(chunk.alloc_layout(Place::LAYOUT), block(n)) }
        });
        held.link(place);
    }

    fn unlink(Ring { held, .. }: &Ring, n: usize) -> bool {
        let Some((place, found)) = held.unlink(block(n).start) else { return false };
        assert_eq!(found.start, block(n).start);
        held.keep(place);
        true
    }

    fn all(Ring { held, .. }: &Ring) -> Vec<usize> {
        let mut all: Vec<_> = held.each().map(|block| block.start.addr().get()).collect();
        all.sort_unstable();
        all
    }

    /// Every block is found, whatever is there beside it; none twice, and none that is not there.
    #[test]
    fn any_order_of_leaving() {
        for count in 1..=6 {
            for start in 0..count {
                for step in 1..count.max(2) {
                    let ring = Ring::default();
                    (1..=count).for_each(|n| link(&ring, n));
                    let mut left: Vec<_> = (1..=count).collect();
                    let mut at = start;
                    while !left.is_empty() {
                        assert_eq!(all(&ring), left);
                        assert!(!unlink(&ring, count + 1));
                        at = (at + step) % left.len();
                        let n = left.remove(at);
                        assert!(unlink(&ring, n) && !unlink(&ring, n));
                    }
                    assert!(all(&ring).is_empty());
                }
            }
        }
    }

    #[test]
    fn places_are_used_again() {
        let ring = Ring::default();
        (1..=3).for_each(|n| link(&ring, n));
        (1..=3).for_each(|n| assert!(unlink(&ring, n)));
        assert!((0..3).all(|_| ring.held.spare(block(1)).is_some()) && ring.held.spare(block(1)).is_none());
    }
}
