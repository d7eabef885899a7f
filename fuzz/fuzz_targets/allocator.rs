//! Any sequence of layouts from a pool as an allocator, beside a model of each block's contents, over an allocator that checks every
//! layout: none is lost, changed or shared, at the limit each stays as it was, and the figures balance.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mod.rs"]
mod common;

use common::allocator_ops::{Op, World};
use common::setting::Setting;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Unstructured::new(bytes);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return };
    let ops = std::iter::from_fn(|| (!bytes.is_empty()).then(|| Op::arbitrary(&mut bytes).ok()).flatten());
    World::new(setting).run(ops);
});
