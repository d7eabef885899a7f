//! Values put into an arena: bumpalo's methods of those names, each with a `try_` twin. Not here: those whose closure may fail
//! (`alloc_try_with`, `alloc_slice_try_fill_*`), `alloc_slice_fill_clone`, which is a short closure, and what tunes a chunk.
#![expect(clippy::mut_from_ref, reason = "each call hands out memory of its own")]

use core::alloc::Layout;
use core::mem;
use core::ptr::{self, NonNull};
use core::slice;
use core::str;

use crate::alloc::Allocator;
use crate::arena::Arena;
use crate::buf::or_failed;
use crate::error::GetError;

/// The beginning of a slice, dropped if the closure that makes the rest panics: nobody would ever see it. Its memory stays
/// with the arena.
struct Filling<T> {
    start: NonNull<T>,
    done: usize,
}

impl<T> Drop for Filling<T> {
    fn drop(&mut self) {
        let begun = ptr::slice_from_raw_parts_mut(self.start.as_ptr(), self.done);
        // SAFETY: so many have been written, and nobody else knows of them.
        unsafe { ptr::drop_in_place(begun) };
    }
}

/// # Values
///
/// Destructors of what is put in by these methods do not run. Each has a twin that begins with `try_`, which returns an error
/// where the other panics or, if there is no memory, does what `Vec` does. A closure that panics leaks nothing: what it made is
/// dropped, and the memory goes with the arena.
impl<A: Allocator + Send + Sync + 'static> Arena<A> {
    /// Puts a value in.
    ///
    /// ```
    /// let arena = millpond::Pool::new().arena();
    /// let point = arena.alloc((3, 4));
    /// point.0 += 1;
    /// assert_eq!(*point, (4, 4));
    /// ```
    ///
    /// # Panics
    /// Where [`try_alloc`](Self::try_alloc) would fail; out of memory is treated as `Vec` treats it.
    #[inline]
    #[track_caller]
    pub fn alloc<T>(&self, value: T) -> &mut T {
        or_failed(self.try_alloc(value))
    }

    /// As [`alloc`](Self::alloc), with an error where that panics.
    ///
    /// # Errors
    /// There is no memory for it, or it is large and the pool's `limit` is reached.
    #[inline]
    pub fn try_alloc<T>(&self, value: T) -> Result<&mut T, GetError> {
        self.try_alloc_with(|| value)
    }

    /// Puts in what `make` returns. Where the compiler can, it is made in place, without a copy on the stack.
    ///
    /// ```
    /// let arena = millpond::Pool::new().arena();
    /// let table = arena.alloc_with(|| [0_u64; 512]); // 4 KiB: from the pool
    /// assert_eq!(table[511], 0);
    /// ```
    ///
    /// # Panics
    /// Where [`try_alloc_with`](Self::try_alloc_with) would fail; out of memory is treated as `Vec` treats it.
    #[inline]
    #[track_caller]
    pub fn alloc_with<F, T>(&self, make: F) -> &mut T
    where
        F: FnOnce() -> T,
    {
        or_failed(self.try_alloc_with(make))
    }

    /// As [`alloc_with`](Self::alloc_with), with an error where that panics.
    ///
    /// # Errors
    /// There is no memory for it, or it is large and the pool's `limit` is reached.
    #[inline]
    pub fn try_alloc_with<F, T>(&self, make: F) -> Result<&mut T, GetError>
    where
        F: FnOnce() -> T,
    {
        let place = self.allocate_any(Layout::new::<T>())?.cast::<T>();
        // SAFETY: (I2) just allocated for it.
        unsafe { place.write(make()) };
        // SAFETY: (I5) just written, and nobody else's while the arena is borrowed.
        Ok(unsafe { &mut *place.as_ptr() })
    }

    /// So many bytes, all zero. Where the bytes are to be appended, a `Vec<u8, &Arena>` writes none twice.
    ///
    /// ```
    /// let arena = millpond::Pool::new().arena();
    /// let head = arena.alloc_bytes(8);
    /// head[..2].copy_from_slice(b"ok");
    /// assert_eq!(head, b"ok\0\0\0\0\0\0");
    /// ```
    ///
    /// # Panics
    /// Where [`try_alloc_bytes`](Self::try_alloc_bytes) would fail; out of memory is treated as `Vec` treats it.
    #[inline]
    #[track_caller]
    pub fn alloc_bytes(&self, len: usize) -> &mut [u8] {
        or_failed(self.try_alloc_bytes(len))
    }

    /// As [`alloc_bytes`](Self::alloc_bytes), with an error where that panics.
    ///
    /// # Errors
    /// So much cannot be, there is no memory for it, or it is large and the pool's `limit` is reached.
    ///
    /// ```
    /// use millpond::{GetError, Pool};
    ///
    /// let arena = Pool::builder().limit(64 << 10).build()?.arena();
    /// match arena.try_alloc_bytes(100 << 10) {
    ///     Err(GetError::LimitReached { limit, .. }) => assert_eq!(limit, 64 << 10),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    #[inline]
    pub fn try_alloc_bytes(&self, len: usize) -> Result<&mut [u8], GetError> {
        let place = self.place_for::<u8>(len)?;
        // SAFETY: (I2) just allocated for so many.
        unsafe { place.write_bytes(0, len) };
        // SAFETY: (I5) just written.
        Ok(unsafe { Self::slice(place, len) })
    }

    /// A copy of `src`.
    ///
    /// ```
    /// let arena = millpond::Pool::new().arena();
    /// let path = arena.alloc_str("/stops");
    /// path.make_ascii_uppercase();
    /// assert_eq!(path, "/STOPS");
    /// ```
    ///
    /// # Panics
    /// Where [`try_alloc_str`](Self::try_alloc_str) would fail; out of memory is treated as `Vec` treats it.
    #[inline]
    #[track_caller]
    pub fn alloc_str(&self, src: &str) -> &mut str {
        or_failed(self.try_alloc_str(src))
    }

    /// As [`alloc_str`](Self::alloc_str), with an error where that panics.
    ///
    /// # Errors
    /// There is no memory for it, or it is large and the pool's `limit` is reached.
    #[inline]
    pub fn try_alloc_str(&self, src: &str) -> Result<&mut str, GetError> {
        let bytes = self.try_alloc_slice_copy(src.as_bytes())?;
        // SAFETY: the bytes are those of a string.
        Ok(unsafe { str::from_utf8_unchecked_mut(bytes) })
    }

    /// A copy of `src`.
    ///
    /// ```
    /// let arena = millpond::Pool::new().arena();
    /// let sorted = arena.alloc_slice_copy(&[3, 1, 2]);
    /// sorted.sort_unstable();
    /// assert_eq!(sorted, [1, 2, 3]);
    /// ```
    ///
    /// # Panics
    /// Where [`try_alloc_slice_copy`](Self::try_alloc_slice_copy) would fail; out of memory is treated as `Vec` treats it.
    #[inline]
    #[track_caller]
    pub fn alloc_slice_copy<T>(&self, src: &[T]) -> &mut [T]
    where
        T: Copy,
    {
        or_failed(self.try_alloc_slice_copy(src))
    }

    /// As [`alloc_slice_copy`](Self::alloc_slice_copy), with an error where that panics.
    ///
    /// # Errors
    /// So much cannot be, there is no memory for it, or it is large and the pool's `limit` is reached.
    #[inline]
    pub fn try_alloc_slice_copy<T>(&self, src: &[T]) -> Result<&mut [T], GetError>
    where
        T: Copy,
    {
        let place = self.place_for(src.len())?;
        // SAFETY: (I2) just allocated for so many, so it is not where `src` is.
        unsafe { ptr::copy_nonoverlapping(src.as_ptr(), place.as_ptr(), src.len()) };
        // SAFETY: (I5) just written.
        Ok(unsafe { Self::slice(place, src.len()) })
    }

    /// A clone of each element of `src`.
    ///
    /// ```
    /// let arena = millpond::Pool::new().arena();
    /// let ranges = arena.alloc_slice_clone(&[0..3, 3..9]);
    /// assert_eq!(ranges[1].len(), 6);
    /// ```
    ///
    /// # Panics
    /// Where [`try_alloc_slice_clone`](Self::try_alloc_slice_clone) would fail; out of memory is treated as `Vec` treats it.
    #[inline]
    #[track_caller]
    pub fn alloc_slice_clone<T>(&self, src: &[T]) -> &mut [T]
    where
        T: Clone,
    {
        or_failed(self.try_alloc_slice_clone(src))
    }

    /// As [`alloc_slice_clone`](Self::alloc_slice_clone), with an error where that panics.
    ///
    /// # Errors
    /// So much cannot be, there is no memory for it, or it is large and the pool's `limit` is reached.
    #[inline]
    pub fn try_alloc_slice_clone<T>(&self, src: &[T]) -> Result<&mut [T], GetError>
    where
        T: Clone,
    {
        self.try_alloc_slice_fill_iter(src.iter().cloned())
    }

    /// So many elements, each what `make` returns for its index.
    ///
    /// ```
    /// let arena = millpond::Pool::new().arena();
    /// let squares = arena.alloc_slice_fill_with(5, |n| n * n);
    /// assert_eq!(squares, [0, 1, 4, 9, 16]);
    /// ```
    ///
    /// # Panics
    /// Where [`try_alloc_slice_fill_with`](Self::try_alloc_slice_fill_with) would fail; out of memory is treated as `Vec` treats it.
    #[inline]
    #[track_caller]
    pub fn alloc_slice_fill_with<T, F>(&self, len: usize, make: F) -> &mut [T]
    where
        F: FnMut(usize) -> T,
    {
        or_failed(self.try_alloc_slice_fill_with(len, make))
    }

    /// As [`alloc_slice_fill_with`](Self::alloc_slice_fill_with), with an error where that panics.
    ///
    /// # Errors
    /// So much cannot be, there is no memory for it, or it is large and the pool's `limit` is reached.
    #[inline]
    pub fn try_alloc_slice_fill_with<T, F>(&self, len: usize, make: F) -> Result<&mut [T], GetError>
    where
        F: FnMut(usize) -> T,
    {
        let mut make = make;
        let start = self.place_for(len)?;
        let mut filling = Filling { start, done: 0 };
        while filling.done < len {
            let value = make(filling.done);
            // SAFETY: allocated for `len`, of which this is one.
            let next = unsafe { start.add(filling.done) };
            // SAFETY: (I2) as above, and nobody else's.
            unsafe { next.write(value) };
            filling.done += 1;
        }
        mem::forget(filling);
        // SAFETY: (I5) all have been written.
        Ok(unsafe { Self::slice(start, len) })
    }

    /// So many copies of `value`.
    ///
    /// ```
    /// let arena = millpond::Pool::new().arena();
    /// assert_eq!(arena.alloc_slice_fill_copy(3, 7), [7, 7, 7]);
    /// ```
    ///
    /// # Panics
    /// Where [`try_alloc_slice_fill_copy`](Self::try_alloc_slice_fill_copy) would fail; out of memory is treated as `Vec` treats it.
    #[inline]
    #[track_caller]
    pub fn alloc_slice_fill_copy<T>(&self, len: usize, value: T) -> &mut [T]
    where
        T: Copy,
    {
        or_failed(self.try_alloc_slice_fill_copy(len, value))
    }

    /// As [`alloc_slice_fill_copy`](Self::alloc_slice_fill_copy), with an error where that panics.
    ///
    /// # Errors
    /// So much cannot be, there is no memory for it, or it is large and the pool's `limit` is reached.
    #[inline]
    pub fn try_alloc_slice_fill_copy<T>(&self, len: usize, value: T) -> Result<&mut [T], GetError>
    where
        T: Copy,
    {
        self.try_alloc_slice_fill_with(len, |_| value)
    }

    /// So many default values.
    ///
    /// ```
    /// let arena = millpond::Pool::new().arena();
    /// assert_eq!(arena.alloc_slice_fill_default::<u32>(2), [0, 0]);
    /// ```
    ///
    /// # Panics
    /// Where [`try_alloc_slice_fill_default`](Self::try_alloc_slice_fill_default) would fail; out of memory is treated as `Vec` treats it.
    #[inline]
    #[track_caller]
    pub fn alloc_slice_fill_default<T>(&self, len: usize) -> &mut [T]
    where
        T: Default,
    {
        or_failed(self.try_alloc_slice_fill_default(len))
    }

    /// As [`alloc_slice_fill_default`](Self::alloc_slice_fill_default), with an error where that panics.
    ///
    /// # Errors
    /// So much cannot be, there is no memory for it, or it is large and the pool's `limit` is reached.
    #[inline]
    pub fn try_alloc_slice_fill_default<T>(&self, len: usize) -> Result<&mut [T], GetError>
    where
        T: Default,
    {
        self.try_alloc_slice_fill_with(len, |_| T::default())
    }

    /// What an iterator yields. It has to know how much that is.
    ///
    /// ```
    /// let arena = millpond::Pool::new().arena();
    /// let words = arena.alloc_slice_fill_iter(["a", "bc"].iter().map(|word| word.len()));
    /// assert_eq!(words, [1, 2]);
    /// ```
    ///
    /// # Panics
    /// Where [`try_alloc_slice_fill_iter`](Self::try_alloc_slice_fill_iter) would fail; out of memory is treated as `Vec` treats it. Or if the iterator yields less than it says.
    #[inline]
    #[track_caller]
    pub fn alloc_slice_fill_iter<T, I>(&self, values: I) -> &mut [T]
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: ExactSizeIterator,
    {
        or_failed(self.try_alloc_slice_fill_iter(values))
    }

    /// As [`alloc_slice_fill_iter`](Self::alloc_slice_fill_iter), with an error where that panics.
    ///
    /// # Errors
    /// So much cannot be, there is no memory for it, or it is large and the pool's `limit` is reached.
    ///
    /// # Panics
    /// If the iterator yields less than it says.
    #[inline]
    #[track_caller]
    pub fn try_alloc_slice_fill_iter<T, I>(&self, values: I) -> Result<&mut [T], GetError>
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: ExactSizeIterator,
    {
        let mut values = values.into_iter();
        let len = values.len();
        self.try_alloc_slice_fill_with(len, |n| match values.next() {
            Some(value) => value,
            None => panic!("the iterator yields {n} elements, and said {len}"),
        })
    }

    /// Memory of this layout, uninitialised.
    ///
    /// ```
    /// use std::alloc::Layout;
    ///
    /// let arena = millpond::Pool::new().arena();
    /// let place = arena.alloc_layout(Layout::new::<u64>()).cast::<u64>();
    /// // SAFETY: just allocated for one.
    /// unsafe { place.write(7) };
    /// ```
    ///
    /// # Panics
    /// Where [`try_alloc_layout`](Self::try_alloc_layout) would fail; out of memory is treated as `Vec` treats it.
    #[inline]
    #[track_caller]
    pub fn alloc_layout(&self, layout: Layout) -> NonNull<u8> {
        or_failed(self.try_alloc_layout(layout))
    }

    /// As [`alloc_layout`](Self::alloc_layout), with an error where that panics.
    ///
    /// # Errors
    /// There is no memory for it, or it is large and the pool's `limit` is reached.
    #[inline]
    pub fn try_alloc_layout(&self, layout: Layout) -> Result<NonNull<u8>, GetError> {
        self.allocate_any(layout).map(NonNull::cast)
    }

    /// Memory for so many of a type.
    #[inline]
    fn place_for<T>(&self, len: usize) -> Result<NonNull<T>, GetError> {
        let Ok(layout) = Layout::array::<T>(len) else {
            let requested = size_of::<T>().saturating_mul(len);
            let max = isize::MAX as usize - (align_of::<T>() - 1);
            return Err(GetError::CapacityOverflow { requested, max });
        };
        self.allocate_any(layout).map(NonNull::cast)
    }

    /// # Safety
    /// `place_for` allocated it for so many, which have been written, and nobody else has it.
    #[inline]
    unsafe fn slice<'arena, T>(start: NonNull<T>, len: usize) -> &'arena mut [T] {
        // SAFETY: (I5) passed on.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), len) }
    }
}
