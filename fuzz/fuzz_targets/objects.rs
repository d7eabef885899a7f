//! Any sequence of operations on a pool of objects, beside a census of them: none is lost, nor dropped twice, whatever panics, and
//! the figures balance.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mod.rs"]
mod common;

fuzz_target!(|bytes: &[u8]| common::object_ops::play(bytes));
