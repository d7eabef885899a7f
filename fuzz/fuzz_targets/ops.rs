//! Any sequence of operations on a pool and its buffers, beside a model of each buffer's contents, over an allocator that
//! checks every layout: no block is lost, doubled or shared, and the figures balance.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mod.rs"]
mod common;

use common::ops::{Op, Setting, World};

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Unstructured::new(bytes);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return };
    let ops = std::iter::from_fn(|| (!bytes.is_empty()).then(|| Op::arbitrary(&mut bytes).ok()).flatten());
    World::new(setting).run(ops);
});
