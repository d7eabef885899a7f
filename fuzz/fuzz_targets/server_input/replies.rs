//! What the server says, checked as it comes: each reply is one that its documentation names, whole and well formed.

use serde_json::Value;

use crate::route;

#[derive(Default)]
pub struct Replies {
    /// The part of a reply that has come.
    part: Vec<u8>,
}

impl Replies {
    pub fn take(&mut self, bytes: &[u8]) {
        self.part.extend_from_slice(bytes);
        while let Some(len) = whole(&self.part) {
            self.part.drain(..len);
        }
    }

    /// The server has said all.
    pub fn end(self) {
        // A reply to HEAD is a head whose body does not come.
        assert!(self.part.is_empty() || self.part.ends_with(b"\r\n\r\n"), "half a reply: {}", self.part.escape_ascii());
    }
}

/// The length of the first reply, checked, once it is there.
fn whole(part: &[u8]) -> Option<usize> {
    let head_len = part.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let (head, rest) = part.split_at(head_len);
    let head = str::from_utf8(head).expect("a head is text");
    let mut lines = head.lines();
    let status = lines.next().and_then(status).unwrap_or_else(|| panic!("no status: {head}"));
    let field = |wanted: &str| {
        let mut fields = lines.clone().filter_map(|line| line.split_once(": "));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    if status == 100 {
        return Some(head_len);
    }
    assert_eq!(status == 405, field("allow").is_some(), "{head}");
    assert_eq!(status == 503, field("retry-after").is_some(), "{head}");
    let len: usize = field("content-length").and_then(|len| len.parse().ok()).expect("each reply has its length");
    // No body begins as a head does: that is the reply to a HEAD, and then the next one.
    if len == 0 || rest.starts_with(b"H") {
        return Some(head_len);
    }
    check_body(status, field("content-type"), rest.get(..len)?);
    Some(head_len + len)
}

fn status(line: &str) -> Option<u16> {
    let status = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "))?;
    let status = status.get(..3)?.parse().ok()?;
    // Those of the server: all is well, the client is wrong, the pool is at its limit, the table is full. 414 and 431 are hyper's.
    [100, 200, 201, 400, 404, 405, 408, 413, 414, 431, 503, 507].contains(&status).then_some(status)
}

fn check_body(status: u16, kind: Option<&str>, body: &[u8]) {
    let text = str::from_utf8(body).expect("text");
    if kind != Some("application/json") {
        assert_eq!((status, kind), (200, Some("text/plain; charset=utf-8")), "{text}");
        return;
    }
    let json: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    match status {
        // A table is one that the server would take.
        200 if json.is_array() => drop(route::parse(body).unwrap_or_else(|error| panic!("{error}: {text}"))),
        200 => assert!(json["pooled"].is_boolean(), "{text}"),
        201 => assert!(json["count"].as_u64() <= json["total"].as_u64(), "{text}"),
        _ => assert!(json["error"].is_string(), "{text}"),
    }
}
