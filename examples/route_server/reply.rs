//! The body of an answer: the buffer itself, not a copy of it.

use std::io::Cursor;

use http_body_util::Full;
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

/// What hyper writes from: one frame, with a Content-Length. hyper drops it once the last byte is written, and that takes the
/// block back to the pool.
pub type Reply<B> = Full<Cursor<Bytes<B>>>;

pub fn reply<B: AsRef<[u8]>>(status: StatusCode, kind: HeaderValue, bytes: Bytes<B>) -> Response<Reply<B>> {
    let mut response = Response::new(Full::new(Cursor::new(bytes)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
