//! Figures of a pool that has been up for years.

use core::mem::MaybeUninit;

use crate::alloc::Global;
use crate::life::close::{Core, Handle};
use crate::raw::config::{Collect, Config};
use crate::raw::counters::ClassCounters;
use crate::raw::slot::Reach;
use crate::sync::{Figure, Ordering::Relaxed};
use crate::tiers::backing::Bytes;

/// Counts that pass 33 bits. The gauges between them balance to zero all the same.
#[test]
fn figures_beyond_32_bits_are_exact() {
    const BEFORE: u64 = (1 << 33) - 2;
    let config = Config { recycle: true, collect: Collect::Manual, ..Config::DEFAULT };
    // SAFETY: initialised, and the only copy.
    let backing = unsafe { Bytes::new(MaybeUninit::new(Global), &config, None) };
    let handle = Handle::new(config, backing).expect("there is memory");
    let tiers = handle.tiers();
    let class = tiers.config.classes.all().next().expect("there is a class");
    let counters = tiers.counters.of(class);
    let set = |figures: &[fn(&ClassCounters) -> &Figure], to: u64| {
        figures.iter().for_each(|figure| figure(counters).store(to, Relaxed));
    };
    set(&[|c| &c.depot_hits, |c| &c.victim_hits, |c| &c.misses], BEFORE);
    set(&[|c| &c.over_budget, |c| &c.bucket_full, |c| &c.trimmed, |c| &c.purged], BEFORE / 4);
    counters.purged.fetch_add(BEFORE % 4, Relaxed);
    // A fourth part of the gets were local.
    set(&[|c| &c.shared_gets, |c| &c.shared_puts], 4 * BEFORE);

    let core = handle.into_raw();
    let get = || {
        // SAFETY: the handle is kept.
        let lent = unsafe { Core::get(core, class) }.expect("there is memory");
        lent.block
    };
    for round in 1..=10 {
        let held: Vec<_> = (0..3).map(|_| get()).collect();
        // SAFETY: the handle is kept.
        let stats = || unsafe { core.as_ref() }.tiers.stats().classes[0];
        assert_eq!((stats().in_use, stats().idle, stats().allocated), (3, 0, 3), "{}", stats());
        for block in held {
            // SAFETY: gotten above, and put once.
            unsafe { Core::put(core, class, block) };
        }
        let stats = stats();
        assert_eq!((stats.in_use, stats.idle, stats.allocated), (0, 3, 3), "{stats}");
        assert_eq!(stats.gets(), 4 * BEFORE + 3 * round, "{stats}");
        assert_eq!((stats.misses, stats.local_hits), (BEFORE + 3, BEFORE + 3 * (round - 1)), "{stats}");
        let out = stats.discarded.total() + stats.trimmed + stats.purged;
        assert_eq!(stats.misses, stats.allocated as u64 + out, "{stats}");
    }
    // SAFETY: from `into_raw`, once.
    let handle = unsafe { Handle::from_raw(core) };
    handle.tiers().collect(Reach::All);
    let stats = handle.tiers().stats();
    assert_eq!((stats.in_use_bytes, stats.idle_bytes, stats.allocated_bytes), (0, 0, 0), "{stats}");
}
