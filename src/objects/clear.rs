//! What a reset says, and the resets that are ready.
#![forbid(unsafe_code)]

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

/// What a reset may return: nothing, and the object is kept, or whether it is.
pub trait Verdict {
    /// Whether the object is kept.
    fn keeps(self) -> bool;
}

mod never {
    /// Names the type of what a function returns.
    pub trait Returns {
        type Value;
    }

    impl<R> Returns for fn() -> R {
        type Value = R;
    }
}

/// Of a reset that does nothing but panic. By way of a function, as the type `!` itself is not stable.
impl Verdict for <fn() -> ! as never::Returns>::Value {
    fn keeps(self) -> bool {
        self
    }
}

impl Verdict for () {
    fn keeps(self) -> bool {
        true
    }
}

impl Verdict for bool {
    fn keeps(self) -> bool {
        self
    }
}

/// A collection that can be emptied and keeps its memory: for [`ObjectPool::clearing`](crate::ObjectPool::clearing).
pub trait Clear {
    /// Removes all elements; the capacity stays.
    fn clear(&mut self);

    /// How many elements it has memory for; bytes, of a string.
    fn capacity(&self) -> usize;
}

/// Empties a collection; false if it has outgrown its use. One that has is dropped with what is in it.
pub(super) fn cleared<T: Clear>(object: &mut T, max_capacity: usize) -> bool {
    let fits = object.capacity() <= max_capacity;
    if fits {
        object.clear();
    }
    fits
}

macro_rules! clear {
    ($($type:ty, <$($of:ident),*>;)*) => {$(
        impl<$($of),*> Clear for $type {
            fn clear(&mut self) {
                self.clear();
            }

            fn capacity(&self) -> usize {
                self.capacity()
            }
        }
    )*};
}

clear! {
    String, <>;
    Vec<T>, <T>;
    VecDeque<T>, <T>;
    BinaryHeap<T>, <T>;
    HashMap<K, V, S>, <K, V, S>;
    HashSet<K, S>, <K, S>;
}
