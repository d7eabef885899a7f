//! Equality, order and hash, by content; and comparisons with slices, arrays, text and vectors, either way round.
#![forbid(unsafe_code)]

use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

use crate::alloc::Allocator;
use crate::buf::PoolBuf;

impl<A: Allocator + Send + Sync + 'static, B: Allocator + Send + Sync + 'static> PartialEq<PoolBuf<B>> for PoolBuf<A> {
    fn eq(&self, other: &PoolBuf<B>) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<A: Allocator + Send + Sync + 'static> Eq for PoolBuf<A> {}

impl<A: Allocator + Send + Sync + 'static, B: Allocator + Send + Sync + 'static> PartialOrd<PoolBuf<B>> for PoolBuf<A> {
    fn partial_cmp(&self, other: &PoolBuf<B>) -> Option<Ordering> {
        self.as_slice().partial_cmp(other.as_slice())
    }
}

impl<A: Allocator + Send + Sync + 'static> Ord for PoolBuf<A> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

/// As the slice, so that `Borrow<[u8]>` holds in maps.
impl<A: Allocator + Send + Sync + 'static> Hash for PoolBuf<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

macro_rules! compare_with {
    ($([$($generics:tt)*] $other:ty, $bytes:path;)*) => {$(
        impl<A: Allocator + Send + Sync + 'static, $($generics)*> PartialEq<$other> for PoolBuf<A> {
            fn eq(&self, other: &$other) -> bool {
                self.as_slice() == $bytes(other)
            }
        }

        impl<A: Allocator + Send + Sync + 'static, $($generics)*> PartialEq<PoolBuf<A>> for $other {
            fn eq(&self, other: &PoolBuf<A>) -> bool {
                $bytes(self) == other.as_slice()
            }
        }

        impl<A: Allocator + Send + Sync + 'static, $($generics)*> PartialOrd<$other> for PoolBuf<A> {
            fn partial_cmp(&self, other: &$other) -> Option<Ordering> {
                self.as_slice().partial_cmp($bytes(other))
            }
        }

        impl<A: Allocator + Send + Sync + 'static, $($generics)*> PartialOrd<PoolBuf<A>> for $other {
            fn partial_cmp(&self, other: &PoolBuf<A>) -> Option<Ordering> {
                $bytes(self).partial_cmp(other.as_slice())
            }
        }
    )*};
}

compare_with! {
    [] [u8], AsRef::<[u8]>::as_ref;
    [] &[u8], AsRef::<[u8]>::as_ref;
    [] &mut [u8], AsRef::<[u8]>::as_ref;
    [const N: usize] [u8; N], AsRef::<[u8]>::as_ref;
    [const N: usize] &[u8; N], AsRef::<[u8]>::as_ref;
    [const N: usize] &mut [u8; N], AsRef::<[u8]>::as_ref;
    [] Vec<u8>, AsRef::<[u8]>::as_ref;
    [] str, AsRef::<[u8]>::as_ref;
    [] &str, AsRef::<[u8]>::as_ref;
    [] String, AsRef::<[u8]>::as_ref;
}
