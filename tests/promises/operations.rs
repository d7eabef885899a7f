//! Any sequence of operations, on several pools by several threads in turn, over allocators that fail: buffers keep their contents,
//! books balance, and in the end there is no block.

use crate::common::{ops, seeds};
use proptest::prelude::*;

#[test]
fn each_seed_of_the_fuzz_target_is_as_the_model_says() {
    seeds::play_all("ops", |bytes| _ = ops::play(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// T5 and T8.
    #[test]
    fn any_sequence_of_operations_is_as_the_model_says(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        ops::play(&bytes);
    }
}
