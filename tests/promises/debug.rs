//! `{:?}` of every type that stands for something of a pool prints figures of its own, unused, in use, and after a panic.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::common::census::{Census, Object};
use crate::common::flaky::Flaky;
use crate::common::ledger::Ledger;
use millpond::{Collect, ObjectPool, Pool, Pressure, Recycle};

/// Both forms, which differ in white space and final commas alone.
#[track_caller]
fn printed(thing: &impl Debug) -> String {
    let squeezed = |text: &str| {
        let text: String = text.split_whitespace().collect();
        [",}", ",)", ",]"].into_iter().fold(text, |text, end| text.replace(end, &end[1..]))
    };
    let (short, long) = (format!("{thing:?}"), format!("{thing:#?}"));
    assert_eq!(squeezed(&short), squeezed(&long));
    short
}

fn panics(f: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
}

#[test]
fn a_pool_and_its_buffers_print_what_they_hold() {
    let ledger = Ledger::new();
    let flaky = Flaky::panicking(&ledger);
    let builder = Pool::builder_in(flaky.clone()).collect(Collect::Manual).recycle(Recycle::Always);
    let pool = builder.build().unwrap();
    let figures = |allocated, in_use, idle| {
        format!("Pool {{ allocated_bytes: {allocated}, in_use_bytes: {in_use}, idle_bytes: {idle}, .. }}")
    };
    assert_eq!(printed(&pool), figures(0, 0, 0), "unused");
    let mut buf = pool.get(1000);
    assert_eq!(printed(&buf), "[]");
    buf.extend_from_slice(&[7, 8]);
    assert_eq!(printed(&buf), "[7, 8]");
    drop(pool.get(4096));
    assert_eq!(printed(&pool), figures(5120, 1024, 4096));
    assert_eq!(printed(&pool.clone()), printed(&pool));

    // Out of a get, and out of a growth.
    flaky.arm(1);
    panics(|| drop(pool.get(9000)));
    flaky.arm(1);
    panics(|| buf.reserve(9000));
    flaky.arm(0);
    assert_eq!((printed(&pool), printed(&buf)), (figures(5120, 1024, 4096), "[7, 8]".into()));
    panics(|| {
        let _held = pool.get(1000);
        resume_unwind(Box::new("half way"));
    });
    assert_eq!(printed(&pool), figures(6144, 1024, 5120));
    pool.purge();
    assert_eq!(printed(&pool), figures(1024, 1024, 0));
    drop(pool);
    assert_eq!(printed(&buf), "[7, 8]", "after its pool");
    drop(buf);
    ledger.assert_empty();
}

#[test]
fn builders_print_their_knobs() {
    let ledger = Ledger::new();
    let count = std::sync::Arc::new(());
    let builder = Pool::builder_in(ledger.clone())
        .collect(Collect::Manual)
        .limit(77 << 20)
        .idle_limit(333 << 10)
        .pressure(|| Pressure::Low)
        .track_one_in(55);
    let text = printed(&builder);
    for knob in [
        "limit: Some(80740352)",
        "idle_limit: 340992",
        "track: Some(55)",
        "pressure: Some(Signal)",
        "zero_on_return: false",
    ] {
        assert!(text.contains(knob), "{knob}: {text}");
    }
    let other = builder.clone();
    drop(builder.build().unwrap().get(1));
    assert_eq!(printed(&other), text, "after another one's use");
    let wrong = other.limit(1);
    assert!(wrong.clone().build().is_err() && printed(&wrong).contains("limit: Some(1)"));
    drop(wrong);

    let captured = count.clone();
    let reset = |_: &mut _| -> bool { resume_unwind(Box::new("a reset")) };
    let objects = ObjectPool::builder(move || captured.clone()).max_idle(77).reset(reset);
    let text = printed(&objects);
    assert!(text.starts_with("ObjectBuilder { make: Making,") && text.contains("max_idle: 77"), "{text}");
    let pool = objects.build().unwrap();
    drop(pool.get());
    assert_eq!(pool.stats().reset_panics, 1);
    drop(pool);
    assert_eq!(std::sync::Arc::strong_count(&count), 1);
    ledger.assert_empty();
}

#[test]
fn a_pool_of_objects_and_its_objects_print_what_they_hold() {
    let census = Census::default();
    let reset = |object: &mut Object| {
        if object.tag == 7 {
            resume_unwind(Box::new("a reset"));
        }
    };
    let pool = census.builder().reset(reset).build().unwrap();
    let figures = |allocated, in_use, idle| {
        format!("ObjectPool {{ allocated: {allocated}, in_use: {in_use}, idle: {idle}, .. }}")
    };
    assert_eq!(printed(&pool), figures(0, 0, 0), "unused");
    let (mut object, other) = (pool.get(), pool.get());
    object.tag = 55;
    assert!(printed(&object).contains("tag: 55"));
    assert_eq!(printed(&pool), figures(2, 2, 0));
    object.tag = 7;
    drop(object);
    panics(|| {
        let _held = pool.get();
        resume_unwind(Box::new("half way"));
    });
    assert_eq!(printed(&pool), figures(1, 1, 0), "neither is kept");
    drop(pool.get());
    assert_eq!(printed(&pool), figures(2, 1, 1));
    drop(pool);
    assert!(printed(&other).contains("tag: 0"), "after its pool");
    drop(other);
    census.assert_empty();
}

#[cfg(feature = "arena")]
#[test]
fn an_arena_prints_what_it_holds() {
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    let mut arena = pool.arena();
    let nothing = "Arena { bumped_bytes: 0, chunk_bytes: 0, large_blocks: 0, large_bytes: 0, .. }";
    assert_eq!(printed(&arena), nothing, "unused");
    arena.alloc_str("word");
    arena.alloc_bytes(5000);
    let used = printed(&arena);
    assert!(used.contains("large_blocks: 1, large_bytes: 5120"), "{used}");
    panics(|| _ = arena.alloc_with(|| -> [u8; 3000] { resume_unwind(Box::new("half way")) }));
    assert!(printed(&arena).contains("large_blocks: 2, large_bytes: 8192"));
    arena.reset();
    assert!(printed(&arena).contains("large_blocks: 0, large_bytes: 0"));
    drop(pool);
    let arena = std::thread::spawn(move || {
        assert!(printed(&arena).contains("large_blocks: 0"));
        arena
    });
    drop(arena.join().unwrap());
    ledger.assert_empty();
}
