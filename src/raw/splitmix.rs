//! SplitMix64, after Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014). Its state only counts up, so threads that
//! share it need not agree on more than an addition.
#![forbid(unsafe_code)]

/// What each number adds to the state.
pub(crate) const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The number of a state, after its step.
pub(crate) fn mix(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The first numbers that the reference implementation gives for this seed.
    #[test]
    fn the_numbers_are_those_of_the_reference() {
        let seed = 1_234_567_u64;
        let first = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([1, 2, 3].map(|n: u64| mix(seed.wrapping_add(STEP.wrapping_mul(n)))), first);
    }
}
