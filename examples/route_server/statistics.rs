//! `GET /stats`: the pool's own table for people, JSON for programs.

use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderMap, HeaderValue};
use millpond::Stats;
use serde_json::{Value, json};

use crate::memory::Memory;
use crate::patience::Waits;
use crate::reply::{Answer, Bytes, JSON, reply};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

pub fn answer<M: Memory>(memory: &M, waits: &Waits, headers: &HeaderMap) -> Answer<M> {
    if accepts_json(headers) {
        let json = memory.stats().as_ref().map_or_else(|| json!({ "pooled": false }), json);
        return reply(StatusCode::OK, JSON, Bytes::Text(format!("{json}\n")));
    }
    reply(StatusCode::OK, TEXT, Bytes::Text(text(memory, waits)))
}

pub fn text<M: Memory>(memory: &M, waits: &Waits) -> String {
    match memory.stats() {
        Some(stats) => format!("{stats}\nconnections, by what they wait with:\n{}", waits.stats()),
        None => "no pool: each buffer was allocated and freed again\n".into(),
    }
}

fn accepts_json(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case("application/json"))
}

fn json(stats: &Stats) -> Value {
    let classes: Vec<_> = stats
        .classes
        .iter()
        .map(|class| {
            json!({
                "size": class.size,
                "in_use": class.in_use,
                "idle": class.idle,
                "allocated": class.allocated,
                "peak": class.peak,
                "local_hits": class.local_hits,
                "depot_hits": class.depot_hits,
                "victim_hits": class.victim_hits,
                "misses": class.misses,
                "discarded": class.discarded.total(),
                "trimmed": class.trimmed,
            })
        })
        .collect();
    json!({
        "pooled": true,
        "allocated_bytes": stats.allocated_bytes,
        "peak_bytes": stats.peak_bytes,
        "in_use_bytes": stats.in_use_bytes,
        "idle_bytes": stats.idle_bytes,
        "collections": stats.collections,
        "classes": classes,
    })
}
