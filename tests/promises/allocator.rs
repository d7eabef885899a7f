//! The pool is an allocator like any other: what collections do in it is what they do in the global one, and every block goes back
//! to where it came from, whatever layout that fits it comes along.
#![allow(clippy::cast_possible_truncation, reason = "tags are bytes")]

use std::alloc::Layout;
use std::ptr::NonNull;

use crate::common::flaky::Flaky;
use crate::common::ledger::Ledger;
use crate::common::{allocator_ops, pool, seeds};
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec as VecIn;
use hashbrown::{DefaultHashBuilder, HashMap};
use millpond::alloc::Allocator;
use millpond::{Collect, Pool, Recycle};
use proptest::prelude::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// The size class of a size that has one, by its definition: four per doubling from 256.
fn class(size: usize) -> usize {
    let doublings = (0..).map(|n| 256_usize << n);
    let mut classes = doublings.flat_map(|start| [4, 5, 6, 7].map(|quarters| start / 4 * quarters));
    classes.find(|class| *class >= size).unwrap()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "what is tested")]
fn a_layouts_block_goes_back_with_every_layout_that_fits_it() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let sizes = [0, 1, 127, 128, 129, 255, 256, 257, 4096, 5000, MIB, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB];
    for size in sizes {
        for align in [1, 2, 8, 64, 128, 4096, 2 * MIB] {
            let pooled = (128..=4 * MIB).contains(&size) && align <= 64;
            let reported = if pooled { class(size) } else { size };
            for fitting in [size, size.midpoint(reported), reported] {
                let block = pool.allocate(layout(size, align)).unwrap();
                assert_eq!(block.len(), reported, "{size}, {align}");
                assert_eq!(block.cast::<u8>().as_ptr().addr() % align, 0, "{size}, {align}");
                // SAFETY: just allocated, and the size lies between what was asked for and what was reported.
                unsafe { pool.deallocate(block.cast(), layout(fitting, align)) };
                assert_eq!(pool.stats().idle_bytes, ledger.live_bytes(), "{size}, {align}: direct ones are freed");
                pool.purge();
                assert_eq!(ledger.live(), 0, "{size}, {align}");
            }
        }
    }
    drop(pool);
    ledger.assert_empty();
}

/// `Vec::shrink_to_fit`, once, made a block of 4096 bytes look like one of 256.
#[test]
fn a_vector_that_shrinks_does_not_change_its_blocks_class() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    for kept in [0, 10, 128, 200, 256, 3000, 4000] {
        let mut bytes = VecIn::with_capacity_in(4096, &pool);
        bytes.extend((0..kept).map(|n| n as u8));
        bytes.shrink_to_fit();
        assert!(bytes.iter().copied().eq((0..kept).map(|n| n as u8)), "{kept}");
        bytes.extend_from_slice(&[7; 5000]);
        assert!(bytes[kept..].iter().all(|byte| *byte == 7));
        drop(bytes);
        pool.purge();
        assert_eq!(ledger.live(), 0);
        ledger.assert_sound();
    }
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn a_vector_grows_within_its_class_in_place() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut bytes: VecIn<u8, _> = VecIn::with_capacity_in(1500, &pool);
    let address = bytes.as_ptr();
    bytes.extend_from_slice(&[1; 1500]);
    bytes.reserve_exact(36);
    bytes.extend_from_slice(&[1; 36]);
    assert_eq!(bytes.as_ptr(), address, "all of the block");
    bytes.push(1);
    assert_ne!(bytes.as_ptr(), address);
    assert!(bytes.iter().all(|byte| *byte == 1));
    drop(bytes);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn collections_boxes_and_handles_of_their_own_work() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut words: VecIn<u64, Pool<Ledger>> = VecIn::new_in(pool.clone());
    words.extend(0..10_000);
    let boxed: Box<[u64; 100], &Pool<Ledger>> = Box::new_in([3; 100], &pool);
    let mut map: HashMap<u64, String, DefaultHashBuilder, &Pool<Ledger>> = HashMap::new_in(&pool);
    map.extend((0..1000).map(|n| (n, n.to_string())));
    assert!((0..1000).all(|n| map[&n] == n.to_string()));
    assert_eq!(boxed.iter().sum::<u64>(), 300);
    let stats = pool.stats();
    assert_eq!(stats.in_use_bytes + stats.idle_bytes, ledger.live_bytes(), "{stats}");
    drop((map, boxed));
    drop(pool);
    // The vector has a handle, so its pool is open. On another thread it goes back all the same.
    std::thread::spawn(move || drop(words)).join().unwrap();
    ledger.assert_empty();
}

#[test]
fn a_warm_vector_makes_no_call_of_the_allocator() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let request = || {
        let mut words: VecIn<u64, _> = VecIn::new_in(&pool);
        words.reserve(20);
        words.extend(0..5000);
    };
    request();
    let before = ledger.allocations();
    (0..1000).for_each(|_| request());
    assert_eq!(ledger.allocations(), before, "{}", pool.stats());
    drop(pool);
    ledger.assert_empty();
}

#[test]
#[allow(clippy::disallowed_methods, reason = "what is tested")]
fn zeroed_is_zeroed_to_the_end_that_is_reported() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    // What lies in the pool is not zero.
    for size in [300, 4096] {
        drop(vec![pool.get(size)].into_iter().map(|mut buf| buf.resize(size, 9)).collect::<Vec<_>>());
    }
    // SAFETY: the first `len` bytes of the block are initialised.
    let zero = |block: NonNull<[u8]>, from: usize| unsafe { &block.as_ref()[from..] }.iter().all(|byte| *byte == 0);
    for size in [16, 300, 4000, 5 * MIB] {
        let block = pool.allocate_zeroed(layout(size, 8)).unwrap();
        assert!(zero(block, 0), "{size}");
        // SAFETY: the block is that long.
        unsafe { block.cast::<u8>().write_bytes(5, block.len()) };
        for to in [size + 1, size + 20, 2 * size] {
            let old = pool.allocate_zeroed(layout(size, 8)).unwrap();
            // SAFETY: allocated with this layout, which is the smaller one.
            let grown = unsafe { pool.grow_zeroed(old.cast(), layout(size, 8), layout(to, 8)).unwrap() };
            assert!(zero(grown, 0), "{size} to {to}");
            // SAFETY: that is its layout now.
            unsafe { pool.deallocate(grown.cast(), layout(to, 8)) };
        }
        // SAFETY: allocated with this layout.
        unsafe { pool.deallocate(block.cast(), layout(size, 8)) };
    }
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn at_the_limit_a_vector_hears_of_it_and_stays_as_it_was() {
    let ledger = Ledger::with_limit(MIB);
    let builder = Pool::builder_in(ledger.clone()).limit(MIB).collect(Collect::Manual);
    let pool = builder.recycle(Recycle::Always).build().unwrap();
    let mut bytes: VecIn<u8, _> = VecIn::new_in(&pool);
    bytes.extend_from_slice(&[1; 100 * KIB]);
    drop((0..100).map(|_| pool.get(4096)).collect::<Vec<_>>());
    bytes.try_reserve(700 * KIB).expect("the idle blocks are purged");
    assert!(bytes.try_reserve(900 * KIB).is_err());
    assert_eq!(bytes, [1; 100 * KIB]);
    // Direct ones count as well.
    let mut small: Vec<Box<[u8; 64], _>> = Vec::new();
    while let Ok(boxed) = Box::try_new_in([2; 64], &pool) {
        small.push(boxed);
    }
    assert_eq!(ledger.live_bytes(), MIB);
    assert!(small.iter().all(|boxed| **boxed == [2; 64]));
    let stats = pool.stats();
    assert_eq!((stats.direct_bytes, stats.idle_bytes), (64 * small.len(), 0), "{stats}");
    drop((small, bytes));
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn a_failure_of_the_allocator_at_any_call_loses_nothing() {
    for nth in 1..30 {
        let ledger = Ledger::new();
        let flaky = Flaky::failing(&ledger);
        let builder = Pool::builder_in(flaky.clone()).collect(Collect::Manual).recycle(Recycle::Always);
        let pool = builder.build().unwrap();
        flaky.arm(nth);
        let mut words: VecIn<u32, _> = VecIn::new_in(&pool);
        for n in 0..3_000_000 {
            if words.len() == words.capacity() && words.try_reserve(1).is_err() {
                assert!(words.iter().copied().eq(0..n), "{nth}");
                words.try_reserve(1).expect("only one call fails");
            }
            words.push(n);
        }
        // A vector has no way to hear that shrinking failed.
        flaky.arm(0);
        words.truncate(20);
        words.shrink_to_fit();
        assert!(words.iter().copied().eq(0..20));
        drop(words);
        drop(pool);
        ledger.assert_empty();
    }
}

/// A panic in the midst of the allocator's `grow`: the trait's own has freed the block by then, and the vector would again.
#[cfg(all(unix, not(miri)))]
#[test]
fn a_panic_of_the_allocators_grow_ends_the_process() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;

    const NAME: &str = "allocator::a_panic_of_the_allocators_grow_ends_the_process";
    if crate::common::process::is_child(NAME) {
        let ledger = Ledger::new();
        let flaky = Flaky::panicking(&ledger);
        let pool = Pool::builder_in(flaky.clone()).collect(Collect::Manual).build().unwrap();
        let mut bytes: VecIn<u8, _> = VecIn::with_capacity_in(5 << 20, &pool);
        bytes.push(1);
        // It allocates, copies, and then panics as it frees.
        flaky.arm(2);
        bytes.reserve(9 << 20);
        return;
    }
    let mut child = crate::common::process::again(NAME).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGABRT));
}

#[test]
fn each_seed_of_the_fuzz_target_is_as_the_model_says() {
    seeds::play_all("allocator", allocator_ops::play);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_layouts_keeps_its_contents_and_its_rules(bytes in proptest::collection::vec(any::<u8>(), 0..800)) {
        allocator_ops::play(&bytes);
    }
}
