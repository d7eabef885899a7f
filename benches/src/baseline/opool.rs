//! The crate `opool`: a bounded queue behind a guard.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use opool::{Pool, PoolAllocator, RefGuard};

use crate::baseline::{Contender, KEPT_IN_A_QUEUE, SHELVES, Sizes};

/// Makes buffers of one size.
pub struct Maker(usize);

impl PoolAllocator<Vec<u8>> for Maker {
    fn allocate(&self) -> Vec<u8> {
        Vec::with_capacity(self.0)
    }
}

pub struct Opool<S> {
    shelves: [Pool<Maker, Vec<u8>>; SHELVES],
    sizes: PhantomData<fn() -> S>,
}

impl<S: Sizes> Contender for Opool<S> {
    const NAME: &'static str = "opool";

    type Buf = RefGuard<'static, Maker, Vec<u8>>;

    fn new(largest: usize) -> Self {
        let pool = |shelf| Pool::new(KEPT_IN_A_QUEUE, Maker(S::size_on(shelf, largest)));
        Self { shelves: std::array::from_fn(pool), sizes: PhantomData }
    }

    #[inline(always)]
    fn get(&'static self, len: usize) -> Self::Buf {
        self.shelves[S::shelf(len)].get()
    }

    #[inline(always)]
    fn first_byte(buf: &mut Self::Buf) -> Option<&mut MaybeUninit<u8>> {
        buf.spare_capacity_mut().first_mut()
    }
}
