//! The baseline: what one writes by hand where no buffer ever leaves its thread.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};

use crate::baseline::{Contender, KEPT_BY_A_THREAD, SHELVES, Sizes};

type Shelf = RefCell<Vec<Vec<u8>>>;

thread_local! {
    static IDLE: [Shelf; SHELVES] = const { [const { Shelf::new(Vec::new()) }; SHELVES] };
}

pub struct TlsVec<S>(PhantomData<fn() -> S>);

pub struct Lent<S: Sizes> {
    /// Taken by the drop, and by nothing else.
    bytes: ManuallyDrop<Vec<u8>>,
    sizes: PhantomData<fn() -> S>,
}

impl<S: Sizes> Contender for TlsVec<S> {
    const NAME: &'static str = "thread_local Vec";

    type Buf = Lent<S>;

    fn new(_: usize) -> Self {
        Self(PhantomData)
    }

    #[inline(always)]
    fn get(&'static self, len: usize) -> Lent<S> {
        let idle = IDLE.try_with(|idle| idle[S::shelf(len)].borrow_mut().pop());
        let bytes = idle.ok().flatten().unwrap_or_else(|| Vec::with_capacity(S::size(len)));
        Lent { bytes: ManuallyDrop::new(bytes), sizes: PhantomData }
    }

    #[inline(always)]
    fn first_byte(buf: &mut Lent<S>) -> Option<&mut MaybeUninit<u8>> {
        buf.bytes.spare_capacity_mut().first_mut()
    }

    fn leave(&'static self) {
        IDLE.with(|idle| idle.iter().for_each(|shelf| drop(shelf.take())));
    }
}

impl<S: Sizes> Drop for Lent<S> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the buffer is gone afterwards.
        let bytes = unsafe { ManuallyDrop::take(&mut self.bytes) };
        let shelf = S::shelf(bytes.capacity());
        // While the thread ends there is no list, and the buffer is freed.
        let _ = IDLE.try_with(|idle| {
            let mut shelf = idle[shelf].borrow_mut();
            if shelf.len() < KEPT_BY_A_THREAD {
                shelf.push(bytes);
            }
        });
    }
}
