//! Any sequence of operations on a pool of objects, with resets and drops that panic: the books balance, and each object is dropped once.

use crate::common::{object_ops, seeds};
use proptest::prelude::*;

#[test]
fn each_seed_of_the_fuzz_target_is_as_the_model_says() {
    seeds::play_all("objects", object_ops::play);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_is_as_the_census_says(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        object_ops::play(&bytes);
    }
}
