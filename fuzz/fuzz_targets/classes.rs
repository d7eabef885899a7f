//! Any settings of a pool and any lengths: it is not built for a reason that is one, or its size classes are as promised, and
//! what cannot be is an error.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mod.rs"]
mod common;

use common::class_ops::{Knobs, Number};

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Unstructured::new(bytes);
    let Ok(knobs) = Knobs::arbitrary(&mut bytes) else { return };
    knobs.run(std::iter::from_fn(|| (!bytes.is_empty()).then(|| Number::arbitrary(&mut bytes).ok()).flatten()));
});
