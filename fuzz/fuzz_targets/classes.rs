//! Any settings of a pool and any lengths: it is not built for a reason that is one, or its size classes are as promised, and
//! what cannot be is an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mod.rs"]
mod common;

fuzz_target!(|bytes: &[u8]| common::class_ops::play(bytes));
