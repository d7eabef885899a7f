//! Parts: what the tiers are made of. A part imports only the floor and the parts named above it here.

pub(crate) mod size_class;

pub(crate) mod wipe;

pub(crate) mod poison;

#[cfg(feature = "arena")]
pub(crate) mod bump;

#[cfg(feature = "arena")]
pub(crate) mod held;

pub(crate) mod contain;

pub(crate) mod config;

pub(crate) mod splitmix;

pub(crate) mod chaos;

pub(crate) mod block;

pub(crate) mod counters;

pub(crate) mod history;

pub(crate) mod patience;

pub(crate) mod lease;

pub(crate) mod units;

pub(crate) mod fork;

pub(crate) mod thread_id;

pub(crate) mod home;

pub(crate) mod track;

pub(crate) mod barrier;

pub(crate) mod gate;

pub(crate) mod magazine;

pub(crate) mod place;

pub(crate) mod slot;

pub(crate) mod slot_table;

pub(crate) mod generation;

pub(crate) mod reclaim;

pub(crate) mod turn;

pub(crate) mod scheduling;
