//! Any sequence of operations on a pool of objects, beside a census of them: none is lost, nor dropped twice, whatever panics, and
//! the figures balance.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mod.rs"]
mod common;

use common::object_ops::{Op, Setting, World};

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Unstructured::new(bytes);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return };
    let ops = std::iter::from_fn(|| (!bytes.is_empty()).then(|| Op::arbitrary(&mut bytes).ok()).flatten());
    World::new(setting).run(ops);
});
