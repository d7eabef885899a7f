//! A pool with nonsensical settings is not built, and the error names the knob, its value and the bound.

use std::time::Duration;

use millpond::alloc::Global;
use millpond::{Builder, Collect, Pool, Recycle};

#[track_caller]
fn rejected(builder: Builder<Global>, parts: &[&str]) {
    let message = builder.build().expect_err("built").to_string();
    for part in parts {
        assert!(message.contains(part), "`{message}` does not name {part}");
    }
}

#[test]
fn zeroes_are_rejected() {
    rejected(Pool::builder().min_class(0), &["min_class", " 0", "16"]);
    rejected(Pool::builder().max_class(0), &["max_class", " 0", "256"]);
    rejected(Pool::builder().idle_limit(0), &["idle_limit", " 0", "256"]);
    rejected(Pool::builder().local_limit(0), &["local_limit", " 0", "256"]);
    rejected(Pool::builder().limit(0), &["limit", " 0", "256"]);
    rejected(Pool::builder().align(0), &["align", " 0", "1"]);
    rejected(Pool::builder().collect(Collect::Background(Duration::ZERO)), &["collect", " 0 ns", "1 ns"]);
}

#[test]
fn inverted_classes_are_rejected() {
    rejected(Pool::builder().min_class(8192).max_class(4096), &["min_class", "8192", "max_class", "4096"]);
}

#[test]
fn too_many_classes_are_rejected() {
    rejected(Pool::builder().min_class(16).max_class(1 << 28), &["min_class", "16", "268435456", "97", "64"]);
    assert!(Pool::builder().min_class(16).max_class(896 << 10).build().is_ok(), "64 classes");
    rejected(Pool::builder().min_class(16).max_class((896 << 10) + 1), &["65", "64"]);
}

/// N17.
#[test]
fn limits_below_one_block_are_rejected() {
    rejected(Pool::builder().limit(255), &["limit", "255", "256"]);
    rejected(Pool::builder().idle_limit(255), &["idle_limit", "255", "256"]);
    rejected(Pool::builder().min_class(4096).local_limit(4095), &["local_limit", "4095", "4096"]);
    let least = Pool::builder().limit(256).idle_limit(256).local_limit(256).build().unwrap();
    drop(least.get(256));
    assert!(least.try_get(257).is_err());
}

#[test]
fn alignments_that_no_block_can_have_are_rejected() {
    rejected(Pool::builder().align(48), &["align", "48", "power of two"]);
    rejected(Pool::builder().align(4 << 20), &["align", "4194304", "2097152"]);
}

#[test]
fn sizes_beyond_the_address_space_are_rejected() {
    for max_class in [usize::MAX, usize::MAX / 2, usize::MAX / 4] {
        rejected(Pool::builder().max_class(max_class), &["max_class", &max_class.to_string()]);
        rejected(Pool::builder().min_class(max_class).max_class(max_class), &["max_class"]);
    }
    // Above that a class would not be told exactly from its neighbours.
    #[cfg(target_pointer_width = "64")]
    rejected(Pool::builder().max_class((1 << 52) + 1), &["max_class", "4503599627370497", "4503599627370496"]);
}

#[test]
fn classes_are_rounded_up() {
    let pool = Pool::builder().min_class(100).max_class(1000).build().unwrap();
    assert_eq!(pool.get(1).capacity(), 128);
    assert_eq!(pool.get(1000).capacity(), 1024);
    assert_eq!(pool.get(1025).capacity(), 1025);
    let single = Pool::builder().min_class(4096).max_class(4096).build().unwrap();
    assert_eq!(single.get(1).capacity(), 4096);
}

#[test]
fn without_a_choice_it_collects_every_ten_seconds_and_lets_tools_decide() {
    assert_eq!(Collect::default(), Collect::Background(Duration::from_secs(10)));
    assert_eq!(Recycle::default(), Recycle::Auto);
}

#[test]
fn a_pool_can_be_a_static_and_costs_nothing_until_used() {
    static POOL: Pool = Pool::new();
    let stats = POOL.stats();
    assert_eq!((stats.allocated_bytes, stats.slots, stats.classes.len()), (0, 0, 0));
    assert_eq!(stats.idle_limit, 64 << 20);
    POOL.collect();
    assert!(POOL.get(10).capacity() >= 10);
}
