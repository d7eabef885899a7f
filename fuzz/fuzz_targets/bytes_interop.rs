//! Any sequence of what the crate `bytes` and readers do with buffers, by several threads in turn, also when the pool is gone, beside a
//! model of each one's contents: no block is lost or copied, and each is out as long as something lies in it.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mod.rs"]
mod common;

#[path = "../../tests/common/bytes_ops/mod.rs"]
mod bytes_ops;

fuzz_target!(|bytes: &[u8]| bytes_ops::play(bytes));
