//! Answers that are not the one hoped for, as `{"error":"..."}`.

use std::io;

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::json;

use crate::memory::Memory;
use crate::reply::{Answer, Bytes, JSON, reply};

pub struct Problem {
    status: StatusCode,
    reason: String,
    header: Option<(HeaderName, &'static str)>,
}

impl Problem {
    pub fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), header: None }
    }

    pub fn not_allowed(methods: &'static str) -> Self {
        let reason = format!("allowed here: {methods}");
        Self { header: Some((ALLOW, methods)), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, reason) }
    }

    pub fn answer<M: Memory>(self) -> Answer<M> {
        let text = json!({ "error": self.reason }).to_string();
        let mut response = reply(self.status, JSON, Bytes::Text(text + "\n"));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// The only I/O of a request is memory that was refused: at the pool's limit, it may be there again in a moment.
impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self { header: Some((RETRY_AFTER, "1")), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()) }
    }
}
