//! The promises that can be tested beside each other: a file for each, in one program, as seventy take minutes to build.
//!
//! A test that needs its process for itself is a file of `tests/`: for an allocator of the whole program, for what the system refuses,
//! for ids that no other thread may take, to be measured, or to `fork`.

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "arena")]
#[path = "../common/arena_ops/mod.rs"]
mod arena_ops;
#[cfg(feature = "arena")]
#[path = "../common/arenas.rs"]
mod arenas;
#[cfg(feature = "bytes")]
#[path = "../common/bytes_ops/mod.rs"]
mod bytes_ops;
#[path = "../common/scenarios/mod.rs"]
#[allow(dead_code, reason = "part of it")]
mod scenarios;

mod allocator;
#[cfg(feature = "arena")]
mod arena;
#[cfg(feature = "arena")]
mod arena_collections;
#[cfg(feature = "arena")]
mod arena_faults;
#[cfg(feature = "arena")]
mod arena_idle;
#[cfg(feature = "arena")]
mod arena_model;
#[cfg(feature = "arena")]
mod arena_operations;
mod builder;
#[cfg(feature = "bytes")]
mod bytes;
mod callbacks;
mod callbacks_of_values;
mod callers_place;
mod chaos;
mod collection;
mod collections_model;
mod credit;
mod debug;
mod faults;
mod faults_at_the_end;
mod first_use;
mod from_global;
mod hyper_body;
mod limits;
mod object_collections;
mod object_operations;
mod object_threads;
mod objects;
mod one_huge_buffer;
mod operations;
mod outliving;
mod outstanding;
mod outstanding_ages;
mod outstanding_settings;
mod outstanding_ways;
#[cfg(all(unix, not(miri)))]
mod pages;
#[cfg(millpond_asan)]
mod poisoned;
mod reading;
mod request_threads_release_one;
mod size_classes;
mod statistics;
mod threads;
mod trimmed;
mod unwinding;
mod vec_face;
mod working_set;
mod zero_at_the_end;
mod zero_on_return;
