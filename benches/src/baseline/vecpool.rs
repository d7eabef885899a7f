//! The crate `vecpool`: a thread-local list of buffers of any size.

use std::mem::MaybeUninit;

use vecpool::PoolVec;

use crate::baseline::Contender;

pub struct VecPool;

impl Contender for VecPool {
    const NAME: &'static str = "vecpool";
    const HOARDS: bool = true;

    type Buf = PoolVec<u8>;

    fn new(_: usize) -> Self {
        Self
    }

    #[inline(always)]
    fn get(&'static self, len: usize) -> PoolVec<u8> {
        vecpool::with_capacity(len)
    }

    #[inline(always)]
    fn first_byte(buf: &mut PoolVec<u8>) -> Option<&mut MaybeUninit<u8>> {
        buf.spare_capacity_mut().first_mut()
    }

    fn leave(&'static self) {
        vecpool::clear_pool();
    }
}
