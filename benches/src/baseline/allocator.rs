//! General allocators, called through `GlobalAlloc` without being the program's own.

use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use crate::baseline::Contender;

/// As `Vec<u8>` asks for its bytes.
const ALIGN: usize = 1;

pub trait Heap: 'static {
    const NAME: &'static str;
    type Of: GlobalAlloc;
    const OF: Self::Of;
}

macro_rules! heap {
    ($(#[$doc:meta])* $name:ident, $label:literal, $of:ty, $value:expr) => {
        $(#[$doc])*
        pub struct $name;

        impl Heap for $name {
            const NAME: &'static str = $label;
            type Of = $of;
            const OF: $of = $value;
        }
    };
}

heap!(
    /// The system's, here glibc's.
    Malloc,
    "malloc",
    System,
    System
);
heap!(
    /// At its default settings.
    Jemalloc,
    "jemalloc",
    tikv_jemallocator::Jemalloc,
    tikv_jemallocator::Jemalloc
);
heap!(
    /// At its default settings.
    Mimalloc,
    "mimalloc",
    mimalloc::MiMalloc,
    mimalloc::MiMalloc
);

pub struct Allocator<H>(PhantomData<fn() -> H>);

pub struct Block<H: Heap> {
    block: *mut u8,
    len: usize,
    heap: PhantomData<fn() -> H>,
}

// SAFETY: it owns what it points to.
unsafe impl<H: Heap> Send for Block<H> {}

#[inline(always)]
fn layout(len: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and no benchmark asks for more than half of the address space.
    unsafe { Layout::from_size_align_unchecked(len, ALIGN) }
}

impl<H: Heap> Contender for Allocator<H> {
    const NAME: &'static str = H::NAME;
    const IS_ALLOCATOR: bool = true;

    type Buf = Block<H>;

    fn new(_: usize) -> Self {
        Self(PhantomData)
    }

    #[inline(always)]
    fn get(&'static self, len: usize) -> Block<H> {
        // SAFETY: no benchmark asks for zero bytes.
        let block = unsafe { H::OF.alloc(layout(len)) };
        if block.is_null() {
            handle_alloc_error(layout(len));
        }
        Block { block, len, heap: PhantomData }
    }

    #[inline(always)]
    fn first_byte(buf: &mut Block<H>) -> Option<&mut MaybeUninit<u8>> {
        // SAFETY: the block is the buffer's and not empty; `MaybeUninit` asks nothing of its bytes.
        Some(unsafe { &mut *buf.block.cast() })
    }
}

impl<H: Heap> Drop for Block<H> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `get` made it with this layout.
        unsafe { H::OF.dealloc(self.block, layout(self.len)) };
    }
}
