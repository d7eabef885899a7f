//! A connection that fails once the other side has not read for too long.
//!
//! hyper bounds the time for headers, `answer` that for bodies; without this, a client that asks for the table and
//! never reads it would keep its buffer out of the pool for ever.

use std::io::{self, Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use millpond::{BuildError, ObjectPool, Pooled, Recycle};
use tokio::time::{Instant, Sleep, sleep};

pub struct Patient<S> {
    stream: S,
    patience: Duration,
    wait: Pooled<Wait>,
}

/// A connection's waiting. Its timer must not move, so it lies in a box, and that is what the next connection need not make.
pub struct Wait {
    timer: Pin<Box<Sleep>>,
    /// A write waits, until the timer ends.
    running: bool,
}

pub type Waits = ObjectPool<Wait>;

pub fn waits(recycle: Recycle) -> Result<Waits, BuildError> {
    let make = || Wait { timer: Box::pin(sleep(Duration::ZERO)), running: false };
    // Few, as connections begin on one thread and end on others, which keep some before any come round.
    ObjectPool::builder(make).reset(|wait| wait.running = false).max_idle(32).recycle(recycle).build()
}

impl<S> Patient<S> {
    pub fn new(stream: S, patience: Duration, wait: Pooled<Wait>) -> Self {
        Self { stream, patience, wait }
    }

    fn bounded<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let wait = &mut *self.wait;
        if written.is_ready() {
            wait.running = false;
            return written;
        }
        if !wait.running {
            wait.running = true;
            wait.timer.as_mut().reset(Instant::now() + self.patience);
        }
        ready!(wait.timer.as_mut().poll(context));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client stopped reading")))
    }
}

impl<S: Read + Unpin> Read for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: Write + Unpin> Write for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.bounded(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bounded(context, shut)
    }
}
