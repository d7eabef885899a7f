//! Any sequence of operations on arenas of a pool, beside a model of what each piece holds, over an allocator that checks every
//! layout: no two pieces overlap, each is aligned and holds what was written, and the figures balance.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/mod.rs"]
mod common;

#[path = "../../tests/common/arena_ops/mod.rs"]
mod arena_ops;

fuzz_target!(|bytes: &[u8]| arena_ops::play(bytes));
