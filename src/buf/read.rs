//! Reading to the end of a source that nobody vouches for.
#![forbid(unsafe_code)]

use std::io;

use crate::alloc::Allocator;
use crate::buf::PoolBuf;
use crate::error::ReadError;

/// How much is asked of a reader at first; twice as much whenever it gave all of that.
const FIRST_ASK: usize = 8 << 10;

impl<A: Allocator + Send + Sync + 'static> PoolBuf<A> {
    /// Appends what `reader` has, up to its end, and says how many bytes that were: `limit` at most. The buffer grows only for
    /// a byte that has arrived, so it never has more than twice the room for what came, whatever length was announced.
    ///
    /// ```
    /// use std::io::{ErrorKind, Read};
    ///
    /// let mut buf = millpond::Pool::new().get(4096);
    /// assert_eq!(buf.read_from(&b"a short body"[..], 1 << 20)?, 12);
    /// assert_eq!(buf, "a short body");
    ///
    /// let endless = std::io::repeat(b'x');
    /// assert_eq!(buf.read_from(endless, 1 << 20).unwrap_err().kind(), ErrorKind::FileTooLarge);
    /// assert_eq!(buf.len(), 12 + (1 << 20));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The reader's own, but for `Interrupted`, after which it is asked again; or a [`ReadError`] inside the `io::Error`: there is more than
    /// `limit`, the buffer cannot grow, or the reader claims to have read more than it was asked for. Whichever it is, the buffer
    /// holds what was read before, and the `ReadError` the one byte that has no place in it.
    ///
    /// # Cost
    /// A reader is given initialised memory, so what it writes to is overwritten with zero before, once; not more than 8 KiB, or
    /// twice what the reader gave at once, ahead of what came. (Not so with tokio's `read_buf`, through `bytes::BufMut`.) Before the buffer
    /// grows, and at the limit, one byte is read alone.
    pub fn read_from(&mut self, mut reader: impl io::Read, limit: usize) -> io::Result<usize> {
        let mut filling = Filling { start: self.len(), filled: self.len(), buf: self };
        let mut ask = FIRST_ASK;
        loop {
            let left = limit - filling.count();
            if left == 0 || filling.is_full() {
                let mut next = [0];
                if read(&mut reader, &mut next)? == 0 {
                    return Ok(filling.count());
                }
                let [next] = next;
                if left == 0 {
                    return Err(ReadError::TooLong { limit, next }.into());
                }
                filling.push(next)?;
                continue;
            }
            let count = read(&mut reader, filling.room(ask.min(left)))?;
            if count == 0 {
                return Ok(filling.count());
            }
            filling.filled += count;
            if count == ask {
                ask = ask.saturating_mul(2);
            }
        }
    }
}

/// A buffer whose length also covers what was zeroed and not yet read into. It ends with what was read, also by a panic of the reader.
struct Filling<'a, A: Allocator + Send + Sync + 'static> {
    /// Its first `filled` bytes are to be kept, and `filled <= len`.
    buf: &'a mut PoolBuf<A>,
    filled: usize,
    start: usize,
}

impl<A: Allocator + Send + Sync + 'static> Filling<'_, A> {
    fn count(&self) -> usize {
        self.filled - self.start
    }

    fn is_full(&self) -> bool {
        self.filled == self.buf.capacity()
    }

    /// At most `len` bytes behind those that are filled, of those that there are. What was zeroed for an earlier read is not again.
    fn room(&mut self, len: usize) -> &mut [u8] {
        let end = self.filled.saturating_add(len).min(self.buf.capacity());
        if end > self.buf.len() {
            self.buf.resize(end, 0);
        }
        &mut self.buf[self.filled..end]
    }

    /// Into a full buffer.
    fn push(&mut self, next: u8) -> Result<(), ReadError> {
        self.buf.try_extend_from_slice(&[next]).map_err(|error| ReadError::NoRoom { error, next })?;
        self.filled += 1;
        Ok(())
    }
}

impl<A: Allocator + Send + Sync + 'static> Drop for Filling<'_, A> {
    fn drop(&mut self) {
        self.buf.truncate(self.filled);
    }
}

/// What a reader has now.
fn read(reader: &mut impl io::Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(claimed) if claimed > room.len() => {
                return Err(ReadError::FalseCount { claimed, asked: room.len() }.into());
            }
            result => return result,
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match error {
            ReadError::TooLong { .. } => io::ErrorKind::FileTooLarge,
            ReadError::NoRoom { .. } => io::ErrorKind::OutOfMemory,
            ReadError::FalseCount { .. } => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
