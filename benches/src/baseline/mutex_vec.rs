//! One list behind a lock.

use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::sync::{Mutex, PoisonError};

use crossbeam_utils::CachePadded;

use crate::baseline::{Contender, SHELVES, Sizes};

pub struct MutexVec<S> {
    shelves: [CachePadded<Mutex<Vec<Vec<u8>>>>; SHELVES],
    sizes: PhantomData<fn() -> S>,
}

pub struct Lent<S: Sizes> {
    /// Taken by the drop, and by nothing else.
    bytes: ManuallyDrop<Vec<u8>>,
    home: &'static MutexVec<S>,
}

impl<S: Sizes> Contender for MutexVec<S> {
    const NAME: &'static str = "Mutex<Vec>";

    type Buf = Lent<S>;

    fn new(_: usize) -> Self {
        Self { shelves: std::array::from_fn(|_| CachePadded::default()), sizes: PhantomData }
    }

    #[inline(always)]
    fn get(&'static self, len: usize) -> Lent<S> {
        let idle = self.shelves[S::shelf(len)].lock().unwrap_or_else(PoisonError::into_inner).pop();
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
        let shelf = &self.home.shelves[S::shelf(bytes.capacity())];
        shelf.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}
