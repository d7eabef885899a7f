//! Allocators that watch, and other helpers of the tests.
#![allow(dead_code, reason = "each test uses its part")]

pub mod flaky;
pub mod ledger;
pub mod ops;
