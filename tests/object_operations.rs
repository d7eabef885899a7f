//! Any sequence of operations on a pool of objects, with resets and drops that panic: the books balance, and each object is dropped once.

mod common;

use arbitrary::{Arbitrary, Unstructured};
use common::object_ops::{Op, Setting, World};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_is_as_the_census_says(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = Unstructured::new(&bytes);
        let world = World::new(Setting::arbitrary(&mut bytes).unwrap());
        let ops = std::iter::from_fn(|| (!bytes.is_empty()).then(|| Op::arbitrary(&mut bytes).ok()).flatten());
        world.run(ops);
    }
}
