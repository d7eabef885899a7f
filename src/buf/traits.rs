//! The traits of `std` that `Vec<u8>` has too, but for comparisons.
#![forbid(unsafe_code)]

use core::borrow::{Borrow, BorrowMut};
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::slice;
use std::io;

use crate::alloc::Allocator;
use crate::buf::{PoolBuf, or_failed};
use crate::error::GetError;

impl<A: Allocator + Send + Sync + 'static> Deref for PoolBuf<A> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl<A: Allocator + Send + Sync + 'static> DerefMut for PoolBuf<A> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.as_mut_slice()
    }
}

impl<A: Allocator + Send + Sync + 'static> AsRef<[u8]> for PoolBuf<A> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<A: Allocator + Send + Sync + 'static> AsMut<[u8]> for PoolBuf<A> {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl<A: Allocator + Send + Sync + 'static> Borrow<[u8]> for PoolBuf<A> {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl<A: Allocator + Send + Sync + 'static> BorrowMut<[u8]> for PoolBuf<A> {
    fn borrow_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl<A: Allocator + Send + Sync + 'static> Clone for PoolBuf<A> {
    /// A copy in another buffer of the same pool, with room for its length.
    ///
    /// # Panics
    /// As [`Pool::get`](crate::Pool::get).
    #[track_caller]
    fn clone(&self) -> Self {
        let copied = self.another(self.len()).and_then(|mut copy| {
            copy.try_extend_from_slice(self)?;
            Ok(copy)
        });
        let copy = or_failed(copied);
        copy.noted_here()
    }

    #[track_caller]
    fn clone_from(&mut self, source: &Self) {
        self.clear();
        self.extend_from_slice(source);
    }
}

impl<A: Allocator + Send + Sync + 'static> fmt::Debug for PoolBuf<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl<A: Allocator + Send + Sync + 'static> Extend<u8> for PoolBuf<A> {
    #[track_caller]
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        let bytes = bytes.into_iter();
        self.reserve(bytes.size_hint().0);
        for byte in bytes {
            self.push(byte);
        }
    }
}

impl<'a, A: Allocator + Send + Sync + 'static> Extend<&'a u8> for PoolBuf<A> {
    #[track_caller]
    fn extend<I: IntoIterator<Item = &'a u8>>(&mut self, bytes: I) {
        self.extend(bytes.into_iter().copied());
    }
}

impl<'a, A: Allocator + Send + Sync + 'static> IntoIterator for &'a PoolBuf<A> {
    type Item = &'a u8;
    type IntoIter = slice::Iter<'a, u8>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, A: Allocator + Send + Sync + 'static> IntoIterator for &'a mut PoolBuf<A> {
    type Item = &'a mut u8;
    type IntoIter = slice::IterMut<'a, u8>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<A: Allocator + Send + Sync + 'static> From<PoolBuf<A>> for Vec<u8> {
    /// A copy, as the block is the pool's, and goes back there.
    fn from(buf: PoolBuf<A>) -> Self {
        buf.to_vec()
    }
}

/// Appends. When the buffer cannot grow the error is `OutOfMemory`, with the [`GetError`] inside, and nothing was
/// written.
impl<A: Allocator + Send + Sync + 'static> io::Write for PoolBuf<A> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.try_extend_from_slice(bytes).map_err(GetError::into)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let len = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        self.try_reserve(len)?;
        for part in parts {
            self.try_extend_from_slice(part)?;
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<GetError> for io::Error {
    fn from(error: GetError) -> Self {
        Self::new(io::ErrorKind::OutOfMemory, error)
    }
}

// A panic while a buffer is held leaves it as a panic leaves a `Vec`, whatever the allocator is.
impl<A: Allocator + Send + Sync + 'static> UnwindSafe for PoolBuf<A> {}
impl<A: Allocator + Send + Sync + 'static> RefUnwindSafe for PoolBuf<A> {}
