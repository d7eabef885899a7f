//! Any sequence of operations on several arenas of one pool leaves each piece with its contents, books that balance, and in the end
//! no block.

use crate::common::seeds;
use proptest::prelude::*;

#[test]
fn each_seed_of_the_fuzz_target_is_as_the_model_says() {
    seeds::play_all("arena", crate::arena_ops::play);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_on_arenas_is_as_the_model_says(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        crate::arena_ops::play(&bytes);
    }
}
