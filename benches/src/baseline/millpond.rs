//! millpond, with its settings and both gates.

use std::mem::MaybeUninit;

use crate::baseline::Contender;

macro_rules! pool {
    ($(#[$doc:meta])* $name:ident, $label:literal, $of:ident, $over:ident, $pool:expr) => {
        $(#[$doc])*
        pub struct $name($of::Pool<$of::alloc::$over>);

        impl Contender for $name {
            const NAME: &'static str = $label;

            type Buf = $of::PoolBuf<$of::alloc::$over>;

            fn new(largest: usize) -> Self {
                let pool = $pool;
                drop(pool.get(largest));
                // The barrier gate has a fence on the request path until the process has collected once.
                pool.collect();
                Self(pool)
            }

            #[inline(always)]
            fn get(&'static self, len: usize) -> Self::Buf {
                self.0.get(len)
            }

            #[inline(always)]
            fn first_byte(buf: &mut Self::Buf) -> Option<&mut MaybeUninit<u8>> {
                buf.spare_capacity_mut().first_mut()
            }

            fn leave(&'static self) {
                self.0.purge();
            }
        }
    };
}

pool!(
    /// With the default settings: a background thread collects every ten seconds.
    Millpond,
    "millpond",
    millpond,
    Global,
    millpond::Pool::new()
);
pool!(
    /// Without the background thread.
    MillpondManual,
    "millpond, Manual",
    millpond,
    Global,
    millpond::Pool::builder().collect(millpond::Collect::Manual).build().expect("the defaults fit")
);
pool!(
    /// On jemalloc, in an arena of its own.
    MillpondJemalloc,
    "millpond on jemalloc",
    millpond,
    Jemalloc,
    millpond::Pool::new_in(millpond::alloc::Jemalloc::new())
);
pool!(
    /// Notes every buffer that is out.
    MillpondTracked,
    "millpond, track",
    millpond,
    Global,
    millpond::Pool::builder().track(true).build().expect("the defaults fit")
);
pool!(
    /// Notes one in a thousand.
    MillpondSampled,
    "millpond, track 1 in 1000",
    millpond,
    Global,
    millpond::Pool::builder().track_one_in(1000).build().expect("the defaults fit")
);
pool!(
    /// Without the feature `fast-barrier`.
    FenceGate,
    "millpond, fence gate",
    millpond_fence_gate,
    Global,
    millpond_fence_gate::Pool::new()
);
