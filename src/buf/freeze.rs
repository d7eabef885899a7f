//! The crate `bytes`: a buffer that is written through [`BufMut`], and one that becomes [`Bytes`].

use bytes::buf::UninitSlice;
use bytes::{Buf, BufMut, Bytes};

use crate::alloc::Allocator;
use crate::buf::PoolBuf;

impl<A: Allocator + Send + Sync + 'static> PoolBuf<A> {
    /// Makes the buffer a [`Bytes`], without a copy. Slices and clones keep the block; the last one to be dropped gives it back, on
    /// any thread, also when the pool is gone.
    ///
    /// An empty buffer becomes `Bytes::new()` and its block goes back at once. The feature `bytes`.
    ///
    /// # Cost
    /// One small allocation by the program's own allocator, for the count of clones; and each clone and drop a
    /// read-modify-write. A slice of a few bytes keeps a whole block: copy those (`Bytes::copy_from_slice`). To become a `Vec` or a
    /// `BytesMut` again the bytes are copied.
    ///
    /// ```
    /// let mut buf = millpond::Pool::new().get(4096);
    /// buf.extend_from_slice(b"head and body");
    /// let bytes: bytes::Bytes = buf.freeze();
    /// let body = bytes.slice(9..);
    /// drop(bytes);
    /// std::thread::spawn(move || assert_eq!(body, "body")).join().unwrap(); // the block goes back there
    /// ```
    #[must_use = "dropping it is giving the block back"]
    pub fn freeze(self) -> Bytes {
        if self.is_empty() { Bytes::new() } else { Bytes::from_owner(self) }
    }
}

/// [`freeze`](PoolBuf::freeze).
impl<A: Allocator + Send + Sync + 'static> From<PoolBuf<A>> for Bytes {
    fn from(buf: PoolBuf<A>) -> Self {
        buf.freeze()
    }
}

/// Appends and grows as `Vec<u8>` does; [`chunk_mut`](BufMut::chunk_mut) is all of the uninitialised rest of the block, in a larger block if
/// there was none. Where [`reserve`](PoolBuf::reserve) panics, each of these does, with nothing written of that piece.
///
/// ```
/// use bytes::BufMut;
///
/// let mut buf = millpond::Pool::new().get(16);
/// buf.put_u16(7);
/// buf.put_slice(b"millpond");
/// assert_eq!(buf, b"\0\x07millpond");
/// ```
// SAFETY: (I5) `chunk_mut` is what lies behind `len`, the same bytes until the buffer is written, and `advance_mut` goes no further.
unsafe impl<A: Allocator + Send + Sync + 'static> BufMut for PoolBuf<A> {
    #[inline]
    fn remaining_mut(&self) -> usize {
        isize::MAX as usize - self.len()
    }

    /// # Safety
    /// The next `count` bytes have been written.
    ///
    /// # Panics
    /// If they exceed the capacity.
    #[inline]
    #[track_caller]
    unsafe fn advance_mut(&mut self, count: usize) {
        let room = self.capacity() - self.len();
        if count > room {
            out_of_bounds(room, count);
        }
        // SAFETY: (I5) the caller has written them, and they lie in the block.
        unsafe { self.set_len(self.len() + count) };
    }

    #[inline]
    #[track_caller]
    fn chunk_mut(&mut self) -> &mut UninitSlice {
        if self.len() == self.capacity() {
            // As much as a `Vec<u8>` asks for.
            self.reserve(64);
        }
        UninitSlice::uninit(self.spare_capacity_mut())
    }

    // The others by the buffer's own methods, without asking for room once more.

    #[track_caller]
    fn put<T: Buf>(&mut self, mut source: T)
    where
        Self: Sized,
    {
        // It may come in pieces.
        self.reserve(source.remaining());
        while source.has_remaining() {
            let chunk = source.chunk();
            let len = chunk.len();
            self.extend_from_slice(chunk);
            source.advance(len);
        }
    }

    #[inline]
    #[track_caller]
    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    #[track_caller]
    fn put_bytes(&mut self, value: u8, count: usize) {
        // There is no room for a sum that overflows, nor for this.
        self.resize(self.len().saturating_add(count), value);
    }

    #[inline]
    #[track_caller]
    fn put_u8(&mut self, byte: u8) {
        self.push(byte);
    }
}

#[cold]
#[track_caller]
fn out_of_bounds(room: usize, count: usize) -> ! {
    panic!("an advance by {count} bytes exceeds the {room} bytes that are left");
}
