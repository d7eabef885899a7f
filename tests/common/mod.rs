//! Allocators that watch, and other helpers of the tests.
#![allow(dead_code, reason = "each test uses its part")]

pub mod allocator_ops;
pub mod beside;
pub mod blocks;
pub mod books;
pub mod census;
pub mod class_ops;
pub mod cue;
pub mod flaky;
pub mod ledger;
pub mod object_ops;
pub mod odd;
pub mod ops;
pub mod others;
pub mod owners;
pub mod process;
pub mod scarce;
pub mod seeds;
pub mod setting;
pub mod source;
pub mod threads;
pub mod watching;

use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use ledger::Ledger;
use millpond::alloc::Allocator;
use millpond::{Builder, Collect, Pool, Recycle};

/// Of pools that recycle, also under the tools that make them pass through by default, and collect only when told.
pub fn builder(ledger: &Ledger) -> Builder<Ledger> {
    Pool::builder_in(ledger.clone()).collect(Collect::Manual).recycle(Recycle::Always)
}

/// One of those, with the default settings else.
pub fn pool(ledger: &Ledger) -> Pool<Ledger> {
    builder(ledger).build().unwrap()
}

/// With the default settings, but no thread that may have a handle a moment longer than the test.
pub fn manual<A: Allocator + Clone + Send + Sync + 'static>(allocator: &A) -> Pool<A> {
    Pool::builder_in(allocator.clone()).collect(Collect::Manual).build().unwrap()
}

/// Waits for what another thread brings about. The bound only ends a test that would hang: no machine is that slow.
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::yield_now();
    }
}

/// The size of the class of a length, in a pool whose smallest class is the default. Above the largest one blocks are exact,
/// and no larger than this either.
pub fn class_size(len: usize) -> usize {
    let len = len.max(256);
    len.next_multiple_of(1 << ((len - 1).ilog2() - 2))
}

/// What the bytes say, as far as they go: the operations of an interpreter.
pub fn drawn<'bytes, Op: Arbitrary<'bytes>>(mut bytes: Unstructured<'bytes>) -> impl Iterator<Item = Op> {
    std::iter::from_fn(move || if bytes.is_empty() { None } else { Op::arbitrary(&mut bytes).ok() })
}
