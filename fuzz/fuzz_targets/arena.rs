//! Any sequence of operations on arenas of a pool, beside a model of what each piece holds, over an allocator that checks every
//! layout: no two pieces overlap, each is aligned and holds what was written, and the figures balance.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mod.rs"]
mod common;

#[path = "../../tests/common/arena_ops/mod.rs"]
mod arena_ops;

use arena_ops::{Op, World};
use common::setting::Setting;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Unstructured::new(bytes);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return };
    let ops = std::iter::from_fn(|| (!bytes.is_empty()).then(|| Op::arbitrary(&mut bytes).ok()).flatten());
    World::new(setting).run(ops);
});
