//! Any sequence of operations on a few pools and their buffers, by several threads in turn, beside a model of each buffer's contents,
//! over allocators that fail on cue and check every layout: no block is lost, doubled or shared, and the figures balance.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mod.rs"]
mod common;

fuzz_target!(|bytes: &[u8]| {
    common::ops::play(bytes);
});
