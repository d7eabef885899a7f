//! The body of an answer: the buffer itself, not a copy of it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Buf, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::memory::Memory;

pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub type Answer<M> = Response<Reply<<M as Memory>::Buffer>>;

/// Tables come from [`Memory`]; small texts do not, so that "out of memory" can still be said.
pub enum Bytes<B> {
    Buffer(B),
    Text(String),
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Bytes<B> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Buffer(buffer) => buffer.as_ref(),
            Self::Text(text) => text.as_bytes(),
        }
    }
}

/// What hyper writes from. It drops this once the last byte is written, and that takes the block back to the pool.
pub struct Unsent<B> {
    bytes: Bytes<B>,
    sent: usize,
}

impl<B: AsRef<[u8]>> Buf for Unsent<B> {
    fn remaining(&self) -> usize {
        self.chunk().len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes.as_ref()[self.sent..]
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining(), "advanced by {count} of {} bytes", self.remaining());
        self.sent += count;
    }
}

pub fn reply<B>(status: StatusCode, kind: HeaderValue, bytes: Bytes<B>) -> Response<Reply<B>> {
    let mut response = Response::new(Reply { unsent: Some(Unsent { bytes, sent: 0 }) });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A body of one frame.
pub struct Reply<B> {
    unsent: Option<Unsent<B>>,
}

impl<B: AsRef<[u8]> + Unpin> Body for Reply<B> {
    type Data = Unsent<B>;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(self.unsent.take().map(|unsent| Ok(Frame::data(unsent))))
    }

    fn is_end_stream(&self) -> bool {
        self.unsent.is_none()
    }

    /// Exact, which makes hyper send a Content-Length.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.unsent.as_ref().map_or(0, |unsent| unsent.remaining() as u64))
    }
}
