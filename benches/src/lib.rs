//! What the questions beside this folder are asked with: contenders behind one trait, rounds that interleave them, and
//! tables.

/// How a question is asked: `--quick`, `--json`, `--only NAME`.
pub mod args;

/// The contenders: one trait, one file each.
pub mod baseline;

/// Rounds, interleaved over all contenders.
pub mod contest;

/// Medians, and how they are shown.
pub mod report;

/// Counts what is allocated from the global allocator.
pub mod allocations;
