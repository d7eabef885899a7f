//! Any sequence of layouts from a pool as an allocator, beside a model of each block's contents, over an allocator that checks every
//! layout: none is lost, changed or shared, at the limit each stays as it was, and the figures balance.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mod.rs"]
mod common;

fuzz_target!(|bytes: &[u8]| common::allocator_ops::play(bytes));
