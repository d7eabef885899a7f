//! One bounded queue for all threads: what most hand-written shared pools are.

use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};

use crossbeam_queue::ArrayQueue;

use crate::baseline::{Contender, KEPT_IN_A_QUEUE, SHELVES, Sizes};

pub struct Queue<S> {
    shelves: [ArrayQueue<Vec<u8>>; SHELVES],
    sizes: PhantomData<fn() -> S>,
}

pub struct Lent<S: Sizes> {
    /// Taken by the drop, and by nothing else.
    bytes: ManuallyDrop<Vec<u8>>,
    home: &'static Queue<S>,
}

impl<S: Sizes> Contender for Queue<S> {
    const NAME: &'static str = "ArrayQueue<Vec>";

    type Buf = Lent<S>;

    fn new(_: usize) -> Self {
        Self { shelves: std::array::from_fn(|_| ArrayQueue::new(KEPT_IN_A_QUEUE)), sizes: PhantomData }
    }

    #[inline(always)]
    fn get(&'static self, len: usize) -> Lent<S> {
        let idle = self.shelves[S::shelf(len)].pop();
        let bytes = idle.unwrap_or_else(|| Vec::with_capacity(S::size(len)));
        Lent { bytes: ManuallyDrop::new(bytes), home: self }
    }

    #[inline(always)]
    fn first_byte(buf: &mut Lent<S>) -> Option<&mut MaybeUninit<u8>> {
        buf.bytes.spare_capacity_mut().first_mut()
    }
}

impl<S: Sizes> Drop for Lent<S> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the buffer is gone afterwards.
        let bytes = unsafe { ManuallyDrop::take(&mut self.bytes) };
        // A full queue frees it.
        let _ = self.home.shelves[S::shelf(bytes.capacity())].push(bytes);
    }
}
