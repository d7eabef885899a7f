//! millpond's pool of objects, with arrays for objects.

use std::mem::MaybeUninit;

use millpond::{ObjectPool, Pooled};

use crate::baseline::Contender;

type Object = [MaybeUninit<u8>; 4096];

macro_rules! objects {
    ($(#[$doc:meta])* $name:ident, $label:literal, $pool:expr) => {
        $(#[$doc])*
        pub struct $name(ObjectPool<Object>);

        impl Contender for $name {
            const NAME: &'static str = $label;

            type Buf = Pooled<Object>;

            fn new(_: usize) -> Self {
                let pool = $pool;
                drop(pool.get());
                // As for buffers.
                pool.collect();
                Self(pool)
            }

            #[inline(always)]
            fn get(&'static self, _: usize) -> Self::Buf {
                self.0.get()
            }

            #[inline(always)]
            fn first_byte(object: &mut Self::Buf) -> Option<&mut MaybeUninit<u8>> {
                object.first_mut()
            }

            fn leave(&'static self) {
                self.0.purge();
            }
        }
    };
}

objects!(
    /// Each comes out as it went back.
    MillpondObjects,
    "millpond, objects",
    ObjectPool::new(|| [MaybeUninit::uninit(); 4096])
);
objects!(
    /// Each is reset: its first byte is written.
    MillpondReset,
    "millpond, objects reset",
    ObjectPool::with(|| [MaybeUninit::uninit(); 4096], |object: &mut Object| object[0] = MaybeUninit::new(0))
);
