//! [design]: crate::docs::design
//! [guide]: crate::docs::guide
//! [pitfalls]: crate::docs::pitfalls
//! [safety]: crate::docs::safety
//! [tuning]: crate::docs::tuning
#![doc = include_str!("../README.md")]
#![cfg_attr(not(loom), warn(unreachable_pub))]
#![cfg_attr(docsrs, feature(doc_cfg))]

// Face: public, documented, without cleverness.
#[cfg(not(loom))]
mod builder;

#[cfg(not(loom))]
mod pool;

#[cfg(not(loom))]
mod buf;

#[cfg(not(loom))]
pub mod objects;

#[cfg(all(feature = "arena", not(loom)))]
mod arena;

#[cfg(doc)]
pub mod docs;

// Life: what surrounds the path.
#[cfg_attr(loom, expect(dead_code, reason = "models use the parts that they check"))]
mod life;

// Path: how a block travels.
#[cfg_attr(loom, expect(dead_code, reason = "models use the parts that they check"))]
mod tiers;

// Parts: what the tiers are made of.
#[cfg_attr(loom, expect(dead_code, reason = "models use the parts that they check"))]
mod raw;

// Floor: imports nothing of ours.
pub mod alloc;

mod error;

mod pressure;

mod stats;

mod sync;

#[cfg(all(test, loom))]
mod loom_models;

#[cfg(all(feature = "arena", not(loom)))]
pub use crate::arena::{Arena, ArenaStats};

#[cfg(not(loom))]
pub use crate::{
    buf::PoolBuf,
    builder::Builder,
    objects::{ObjectBuilder, ObjectPool, Pooled},
    pool::Pool,
    raw::config::{Collect, Recycle},
};

#[cfg(all(fuzzing, not(loom)))]
#[doc(hidden)]
pub use crate::raw::thread_id::StandIn;

pub use crate::{
    error::{BuildError, GetError, ReadError},
    pressure::Pressure,
    stats::{ClassStats, Collected, CollectorState, Discarded, Freed, ObjectStats, Outstanding, Site, Stats},
};
