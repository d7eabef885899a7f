//! What the questions beside this folder are asked with: contenders behind one trait, rounds that interleave them, and
//! tables.

/// How a question is asked: `--quick`, `--json`, `--only NAME`.
pub mod args;

/// The contenders: one trait, one file each.
pub mod baseline;

/// Allocators that are not the program's own, as a pool and a vector ask for them.
pub mod heap;

/// Sizes drawn in advance.
pub mod draw;

/// Rounds, interleaved over all contenders.
pub mod contest;

/// Many durations, of which only the distribution matters.
pub mod histogram;

/// Medians, and how they are shown.
pub mod report;

/// How much of the process is resident.
#[cfg(target_os = "linux")]
pub mod resident;

/// Counts what is allocated from the global allocator.
pub mod allocations;
