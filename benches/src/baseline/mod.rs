//! The contenders: one trait, one file each.

use std::mem::MaybeUninit;

mod allocator;

mod array_queue;

mod millpond;

mod millpond_objects;

mod mutex_vec;

mod nothing;

mod object_pool;

mod opool;

mod raw_stack;

mod sizes;

mod tls_vec;

mod vecpool;

pub use self::allocator::{Allocator, Heap, Jemalloc, Malloc, Mimalloc};
pub use self::array_queue::Queue;
pub use self::millpond::{FenceGate, Millpond, MillpondJemalloc, MillpondManual, MillpondSampled, MillpondTracked};
pub use self::millpond_objects::{MillpondObjects, MillpondReset};
pub use self::mutex_vec::MutexVec;
pub use self::nothing::Nothing;
pub use self::object_pool::ObjectPool;
pub use self::opool::Opool;
pub use self::raw_stack::RawStack;
pub use self::sizes::{Doublings, One, SHELVES, Sizes};
pub use self::tls_vec::TlsVec;
pub use self::vecpool::VecPool;

/// Buffers that a thread keeps of a size, where the contender is of our own making.
pub const KEPT_BY_A_THREAD: usize = 64;

/// Buffers that a shared queue keeps of a size.
pub const KEPT_IN_A_QUEUE: usize = 2048;

/// Something that hands buffers out and takes them back when they are dropped.
pub trait Contender: Sync + 'static {
    const NAME: &'static str;

    /// It keeps nothing itself.
    const IS_ALLOCATOR: bool = false;

    /// A thread keeps all that it drops, without bound.
    const HOARDS: bool = false;

    type Buf: Send + 'static;

    /// For requests of up to `largest` bytes; under [`One`] all are of that size.
    fn new(largest: usize) -> Self;

    /// A buffer with room for `len` bytes.
    fn get(&'static self, len: usize) -> Self::Buf;

    /// None if the buffer is none.
    fn first_byte(buf: &mut Self::Buf) -> Option<&mut MaybeUninit<u8>>;

    /// Frees what the calling thread keeps.
    fn leave(&'static self) {}
}

/// What is done with each contender.
pub trait Visitor {
    fn visit<C: Contender>(&mut self);
}

/// All of them, in the order of the tables.
pub fn visit_all<S: Sizes>(visitor: &mut impl Visitor) {
    visitor.visit::<Nothing>();
    visitor.visit::<RawStack<S>>();
    visitor.visit::<TlsVec<S>>();
    visitor.visit::<Millpond>();
    visitor.visit::<MillpondManual>();
    visitor.visit::<MillpondJemalloc>();
    if S::ONE {
        visitor.visit::<MillpondObjects>();
        visitor.visit::<MillpondReset>();
        visitor.visit::<MillpondTracked>();
        visitor.visit::<MillpondSampled>();
    }
    visitor.visit::<FenceGate>();
    visitor.visit::<VecPool>();
    visitor.visit::<Queue<S>>();
    visitor.visit::<Opool<S>>();
    visitor.visit::<ObjectPool<S>>();
    visitor.visit::<MutexVec<S>>();
    visitor.visit::<Allocator<Malloc>>();
    visitor.visit::<Allocator<Jemalloc>>();
    visitor.visit::<Allocator<Mimalloc>>();
}
