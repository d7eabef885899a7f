//! One connection: HTTP over any stream, within bounds of memory and patience.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioTimer;

use crate::answer::{App, answer};
use crate::memory::Memory;
use crate::patience::Patient;
use crate::reply::Answer;

/// Bounds a request's head, and what hyper reads ahead of a body.
pub const READ_BUFFER: usize = 64 << 10;

/// Answers one request after another, until the stream ends or fails.
pub fn connection<M: Memory, S: Read + Write + Unpin>(
    stream: S,
    app: Arc<App<M>>,
    timeout: Duration,
) -> http1::Connection<
    Patient<S>,
    impl Service<Request<Incoming>, Response = Answer<M>, Error = Infallible, Future: Send>,
> {
    let stream = Patient::new(stream, timeout, app.waits().get());
    let service = service_fn(move |request| answer(Arc::clone(&app), request));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeout)
        .max_buf_size(READ_BUFFER)
        // Without it hyper may copy head and body into one buffer of its own.
        .writev(true)
        .serve_connection(stream, service)
}
