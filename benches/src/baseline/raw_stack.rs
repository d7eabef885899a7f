//! The floor: a thread-local stack of bare pointers. No destructor, so that its slot is a plain address; no way between
//! threads, no bound in bytes, and what it keeps is lost when the thread ends.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

use crate::baseline::{Contender, KEPT_BY_A_THREAD, SHELVES, Sizes};

/// A cache line, as millpond aligns its blocks.
const ALIGN: usize = 64;

struct Stack {
    len: Cell<usize>,
    cells: [Cell<*mut u8>; KEPT_BY_A_THREAD],
}

thread_local! {
    static STACKS: [Stack; SHELVES] = const { [const { Stack::new() }; SHELVES] };
}

impl Stack {
    const fn new() -> Self {
        Self { len: Cell::new(0), cells: [const { Cell::new(ptr::null_mut()) }; KEPT_BY_A_THREAD] }
    }

    #[inline(always)]
    fn pop(&self) -> Option<*mut u8> {
        let len = self.len.get().checked_sub(1)?;
        self.len.set(len);
        Some(self.cells[len % KEPT_BY_A_THREAD].get())
    }

    #[inline(always)]
    fn push(&self, block: *mut u8) -> bool {
        let len = self.len.get();
        let fits = len < KEPT_BY_A_THREAD;
        if fits {
            self.cells[len % KEPT_BY_A_THREAD].set(block);
            self.len.set(len + 1);
        }
        fits
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, ALIGN).expect("a request of a benchmark")
}

#[cold]
#[inline(never)]
fn allocate(size: usize) -> *mut u8 {
    // SAFETY: no benchmark asks for zero bytes.
    let block = unsafe { alloc(layout(size)) };
    if block.is_null() { handle_alloc_error(layout(size)) } else { block }
}

#[cold]
#[inline(never)]
fn release(block: *mut u8, size: usize) {
    // SAFETY: `allocate` made it with this size, and its last owner gave it up.
    unsafe { dealloc(block, layout(size)) };
}

pub struct RawStack<S> {
    largest: usize,
    sizes: PhantomData<fn() -> S>,
}

pub struct Block<S: Sizes> {
    block: *mut u8,
    size: usize,
    sizes: PhantomData<fn() -> S>,
}

// SAFETY: it owns what it points to.
unsafe impl<S: Sizes> Send for Block<S> {}

impl<S: Sizes> Contender for RawStack<S> {
    const NAME: &'static str = "raw stack (floor)";

    type Buf = Block<S>;

    fn new(largest: usize) -> Self {
        Self { largest, sizes: PhantomData }
    }

    #[inline(always)]
    fn get(&'static self, len: usize) -> Block<S> {
        let idle = STACKS.with(|stacks| stacks[S::shelf(len)].pop());
        let size = S::size(len);
        Block { block: idle.unwrap_or_else(|| allocate(size)), size, sizes: PhantomData }
    }

    #[inline(always)]
    fn first_byte(buf: &mut Block<S>) -> Option<&mut MaybeUninit<u8>> {
        // SAFETY: the block is the buffer's and not empty; `MaybeUninit` asks nothing of its bytes.
        Some(unsafe { &mut *buf.block.cast() })
    }

    fn leave(&'static self) {
        STACKS.with(|stacks| {
            for (shelf, stack) in stacks.iter().enumerate() {
                while let Some(block) = stack.pop() {
                    release(block, S::size_on(shelf, self.largest));
                }
            }
        });
    }
}

impl<S: Sizes> Drop for Block<S> {
    #[inline(always)]
    fn drop(&mut self) {
        if !STACKS.with(|stacks| stacks[S::shelf(self.size)].push(self.block)) {
            release(self.block, self.size);
        }
    }
}
