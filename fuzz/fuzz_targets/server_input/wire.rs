//! A client's end of a stream: sends all that it has, reads all that comes, and then goes away or does not; in pieces, either way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Sleep, sleep};

use crate::replies::Replies;

pub struct Wire<'a> {
    pub input: &'a [u8],
    pub replies: &'a mut Replies,
    /// Bytes at a time; 0 for all that there are. Before each piece the stream is not ready once.
    pub read_at_a_time: usize,
    pub write_at_a_time: usize,
    pub waited: bool,
    pub at_end: AtEnd,
}

/// What a client does that has sent all.
pub enum AtEnd {
    /// Does not wait for its replies.
    Leave,
    /// Leaves when nothing moves any more, which time waits for where it is paused.
    Linger(Option<Pin<Box<Sleep>>>),
    /// Stays, and says nothing.
    Stay,
}

impl AtEnd {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Leave => Poll::Ready(()),
            Self::Linger(while_idle) => {
                let timer = while_idle.get_or_insert_with(|| Box::pin(sleep(Duration::from_millis(1))));
                timer.as_mut().poll(context)
            }
            Self::Stay => Poll::Pending,
        }
    }
}

impl Wire<'_> {
    /// How many of `len` bytes pass now.
    fn piece(&mut self, at_a_time: usize, len: usize, context: &Context<'_>) -> Poll<usize> {
        if at_a_time == 0 {
            return Poll::Ready(len);
        }
        self.waited = !self.waited;
        if self.waited {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(len.min(at_a_time))
    }
}

impl Read for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.input.is_empty() {
            ready!(self.at_end.poll(context));
            return Poll::Ready(Ok(()));
        }
        let at_a_time = self.read_at_a_time;
        let len = self.input.len().min(into.remaining());
        self.piece(at_a_time, len, context).map(|len| {
            let (piece, rest) = self.input.split_at(len);
            into.put_slice(piece);
            self.input = rest;
            Ok(())
        })
    }
}

impl Write for Wire<'_> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let at_a_time = self.write_at_a_time;
        self.piece(at_a_time, bytes.len(), context).map(|len| {
            self.replies.take(&bytes[..len]);
            Ok(len)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
