//! A route, and where the first ones come from.

use std::fmt::Display;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Failure;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(expecting = "a route, an object with vrf_id, prefix and next_hop")]
pub struct Route {
    pub vrf_id: u32,
    #[serde(deserialize_with = "prefix")]
    pub prefix: String,
    #[serde(deserialize_with = "next_hop")]
    pub next_hop: String,
}

impl Route {
    /// For the `curl` line that adds a route.
    pub fn sample() -> Self {
        Self { vrf_id: 7, prefix: "198.51.100.0/24".into(), next_hop: "192.0.2.7".into() }
    }
}

/// One route object or an array of them. An untagged enum would accept the same text, but forget where an error is.
pub fn parse(json: &[u8]) -> serde_json::Result<Vec<Route>> {
    if json.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(json)
    } else {
        serde_json::from_slice(json).map(|route| vec![route])
    }
}

pub fn load(path: &Path) -> Result<Vec<Route>, Failure> {
    let named = |error: &dyn Display| format!("{}: {error}", path.display());
    let json = fs::read(path).map_err(|error| named(&error))?;
    Ok(serde_json::from_slice(&json).map_err(|error| named(&error))?)
}

/// The same `count` routes on every run, a hundred in each vrf.
pub fn generate(count: u16) -> Vec<Route> {
    (0..count)
        .map(|n| {
            let [high, low] = n.to_be_bytes();
            Route {
                vrf_id: u32::from(n / 100) + 1,
                prefix: format!("10.{high}.{low}.0/24"),
                next_hop: format!("192.168.{high}.{low}"),
            }
        })
        .collect()
}

// Checked while parsing, because only then does serde_json know the line and column to put into the error.

fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    check_prefix(&text).map_err(|reason| D::Error::custom(format_args!("prefix {}: {reason}", quoted(&text))))?;
    Ok(text)
}

fn next_hop<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.parse::<IpAddr>().is_err() {
        return Err(D::Error::custom(format_args!("next_hop {}: not an IP address", quoted(&text))));
    }
    Ok(text)
}

fn check_prefix(text: &str) -> Result<(), &'static str> {
    let (address, length) = text.split_once('/').ok_or("no `/` with a length, as in 10.0.0.0/24")?;
    let address: IpAddr = address.parse().map_err(|_| "no IP address before the `/`")?;
    // As many digits as it may have: with zeros before it a length would be as long as a body.
    let length = Some(length).filter(|digits| digits.len() <= 3).and_then(decimal::<u32>);
    let length = length.ok_or("no number of up to three digits after the `/`")?;
    let (bits, size) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    if length > size {
        return Err("longer than the address");
    }
    match bits.checked_shl(length) {
        None | Some(0) => Ok(()),
        Some(_) => Err("bits set beyond its length"),
    }
}

/// Digits only: `str::parse` takes `+7` too.
pub fn decimal<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Escaped and cut: what a stranger sent ends up on a terminal or in a log.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(64).collect::<String>())
}
