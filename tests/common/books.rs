//! What a pool's figures have to say of each other and of its allocator's, whatever happened.

use millpond::Stats;

use super::ledger::Ledger;

/// I7 and I8, at rest, for the only pool over the ledger.
#[track_caller]
pub fn assert_balanced(stats: &Stats, ledger: &Ledger) {
    for class in &stats.classes {
        assert_eq!(class.allocated, class.in_use + class.idle, "{stats}");
        let out = class.discarded.total() + class.trimmed + class.purged + class.passed;
        assert_eq!(class.misses, class.allocated as u64 + out, "{stats}");
        assert!(class.allocated <= class.peak && class.peak as u64 <= class.misses, "{stats}");
    }
    assert_eq!(stats.peak_bytes, ledger.peak_bytes(), "{stats}");
    assert_eq!(stats.allocated_bytes, stats.in_use_bytes + stats.idle_bytes, "{stats}");
    assert_eq!(stats.allocated_bytes, ledger.live_bytes(), "{stats}");
    assert!(stats.idle_bytes <= stats.reserved_bytes && stats.reserved_bytes <= stats.idle_limit, "{stats}");
    assert!(stats.leased_bytes <= stats.idle_limit / 2, "{stats}");
    for (now, peak, bound) in [
        (stats.allocated_bytes, stats.peak_bytes, stats.limit.unwrap_or(usize::MAX)),
        (stats.reserved_bytes, stats.peak_reserved_bytes, stats.idle_limit),
        (stats.leased_bytes, stats.peak_leased_bytes, stats.idle_limit / 2),
        (stats.slot_bytes, stats.peak_slot_bytes, stats.local_limit),
    ] {
        assert!(now <= peak && peak <= bound, "{stats}");
    }
    assert_eq!(stats.release_panics, 0, "{stats}");
}
