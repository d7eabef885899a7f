//! The crate `object-pool`: a list behind a lock of parking_lot.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use object_pool::{Pool, Reusable};

use crate::baseline::{Contender, SHELVES, Sizes};

pub struct ObjectPool<S> {
    shelves: [Pool<Vec<u8>>; SHELVES],
    sizes: PhantomData<fn() -> S>,
}

impl<S: Sizes> Contender for ObjectPool<S> {
    const NAME: &'static str = "object-pool";

    type Buf = Reusable<'static, Vec<u8>>;

    fn new(_: usize) -> Self {
        Self { shelves: std::array::from_fn(|_| Pool::from_vec(Vec::new())), sizes: PhantomData }
    }

    #[inline(always)]
    fn get(&'static self, len: usize) -> Self::Buf {
        self.shelves[S::shelf(len)].pull(|| Vec::with_capacity(S::size(len)))
    }

    #[inline(always)]
    fn first_byte(buf: &mut Self::Buf) -> Option<&mut MaybeUninit<u8>> {
        buf.spare_capacity_mut().first_mut()
    }
}
