//! Any sequence of operations leaves buffers with their contents, books that balance, and in the end no block.

mod common;

use arbitrary::{Arbitrary, Unstructured};
use common::ops::{Op, Setting, World};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// T5 and T8.
    #[test]
    fn any_sequence_of_operations_is_as_the_model_says(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut bytes = Unstructured::new(&bytes);
        let world = World::new(Setting::arbitrary(&mut bytes).unwrap());
        let ops = std::iter::from_fn(|| (!bytes.is_empty()).then(|| Op::arbitrary(&mut bytes).ok()).flatten());
        world.run(ops);
    }
}
