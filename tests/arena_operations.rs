//! Any sequence of operations on several arenas of one pool leaves each piece with its contents, books that balance, and in the end
//! no block.
#![cfg(feature = "arena")]

mod common;

#[path = "common/arena_ops/mod.rs"]
mod arena_ops;

use arbitrary::{Arbitrary, Unstructured};
use arena_ops::{Op, World};
use common::setting::Setting;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_on_arenas_is_as_the_model_says(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut bytes = Unstructured::new(&bytes);
        let world = World::new(Setting::arbitrary(&mut bytes).unwrap());
        let ops = std::iter::from_fn(|| (!bytes.is_empty()).then(|| Op::arbitrary(&mut bytes).ok()).flatten());
        world.run(ops);
    }
}
