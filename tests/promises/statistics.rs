//! Each figure says what happened, the books balance, and the table reads as it did.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use crate::common::ledger::Ledger;
use crate::common::{builder, threads};
use millpond::{ClassStats, Collect, Collected, CollectorState, GetError, ObjectStats, Pool, Recycle, Stats};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Gets so many buffers and drops them all.
fn burst(pool: &Pool<Ledger>, count: usize, len: usize) {
    drop((0..count).map(|_| pool.get(len)).collect::<Vec<_>>());
}

/// At rest: what came from the allocator is there or went one of the ways out.
fn assert_balance(stats: &Stats, ledger: &Ledger) {
    for class in &stats.classes {
        let out = class.discarded.total() + class.trimmed + class.purged + class.passed;
        assert_eq!(class.misses, class.allocated as u64 + out, "{stats}");
        assert_eq!(class.allocated, class.in_use + class.idle, "{stats}");
    }
    assert_eq!(stats.total().misses + stats.oversize_gets, ledger.allocations() as u64, "{stats}");
    assert_eq!(stats.allocated_bytes, ledger.live_bytes(), "{stats}");
    // Raised before the allocator is asked and lowered after it has taken a block back.
    assert!(stats.peak_bytes >= ledger.peak_bytes(), "{stats}");
}

/// What differs from run to run: times, and whether another test is a slow reader.
fn settled(mut stats: Stats) -> Stats {
    (stats.longest_collection, stats.longest_purge) = (Duration::from_micros(35), Duration::from_micros(52));
    stats.shells_waiting = 0;
    if let Some(last) = &mut stats.last_collection {
        last.elapsed = Duration::from_micros(21);
    }
    stats
}

/// T11.
#[test]
fn the_table_reads_as_it_did() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).idle_limit(MIB).local_limit(256 * KIB).limit(4 * MIB).build().unwrap();
    for _ in 0..3 {
        burst(&pool, 100, 4 * KIB);
    }
    pool.collect();
    let held = (pool.get(4 * KIB), pool.get(10_000));
    pool.collect();
    burst(&pool, 20, 64 * KIB);
    assert!(pool.try_get(5 * MIB).is_err());
    let stats = settled(pool.stats());
    let expected = "    class  in use    idle    peak          gets local % depot % victim % miss %      misses  discarded    trimmed     purged
    4 KiB       1       0     100           301   64.78    1.99     0.00  33.22         100          0         99          0
   10 KiB       1       0       1             1    0.00    0.00     0.00 100.00           1          0          0          0
   64 KiB       0      16      20            20    0.00    0.00     0.00 100.00          20          4          0          0
      all       2      16     121           322   60.56    1.86     0.00  37.58         121          4         99          0

     bytes        now       peak      bound  knob
 allocated   1.01 MiB   1.26 MiB      4 MiB  limit
  reserved      1 MiB      1 MiB      1 MiB  idle_limit
    leased    256 KiB    256 KiB    512 KiB  half of idle_limit
  one slot    256 KiB    256 KiB    256 KiB  local_limit

in use 14 KiB, idle 1 MiB; oversize: 0 in use, 0 B, of 0 gets
slots 1; leases refused by local_limit 0, by idle_limit 0
gets at the limit: 1 failed, 0 saved by a purge
discarded: 4 over budget, 0 bucket full, 0 no depot
collections 2, skipping a slot 0, longest 35µs; purges 0, longest 52µs; shells waiting 0
last collection: 99 blocks, 396 KiB, freed in 21µs; slots 1, skipped 0
collector: Manual
";
    assert_eq!(stats.to_string(), expected, "\n{stats}");
    drop((held, pool));
    ledger.assert_empty();
}

/// Lines for what should not be are not there as long as it is not.
#[test]
fn what_went_wrong_has_lines_of_its_own() {
    let mut stats = Stats::default();
    assert_eq!(stats.to_string().lines().count(), 13, "{stats}");
    let mut class = ClassStats::default();
    (class.size, class.passed, class.discarded.bucket_full) = (4 * KIB, 5, 6);
    stats.classes.push(class);
    stats.release_panics = 7;
    stats.limit_failed = 8;
    stats.limit = Some(MIB);
    let text = stats.to_string();
    for line in [
        "gets at the limit: 8 failed, 0 saved by a purge",
        "discarded: 0 over budget, 6 bucket full, 0 no depot",
        "passed: 5 blocks freed by drops, as `recycle` says",
        "panics of the allocator, or of `trimmed`: 7",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

/// Each alone brings its line, and only that.
#[test]
fn what_happened_to_no_object_has_no_line() {
    type Happens = fn(&mut ObjectStats);
    let usual = ObjectStats::default().to_string();
    assert!(!usual.contains("adopted") && !usual.contains("panics"), "{usual}");
    let ways: [(Happens, &str); 5] = [
        (|stats| stats.adopted = 1, "adopted 1, detached 0, refused at return 0"),
        (|stats| stats.detached = 1, "adopted 0, detached 1, refused at return 0"),
        (|stats| stats.refused = 1, "adopted 0, detached 0, refused at return 1"),
        (|stats| stats.reset_panics = 1, "panics of resets 1, of drops 0"),
        (|stats| stats.drop_panics = 1, "panics of resets 0, of drops 1"),
    ];
    for (happens, line) in ways {
        let mut stats = ObjectStats::default();
        happens(&mut stats);
        let text = stats.to_string();
        let added: Vec<_> = text.lines().filter(|line| !usual.lines().any(|usual| usual == *line)).collect();
        assert_eq!(added, [line], "{text}");
    }
}

#[test]
fn a_collection_reads_as_it_did() {
    let mut collected = Collected::default();
    (collected.local.blocks, collected.local.bytes) = (3, 12 * KIB);
    (collected.victim.blocks, collected.victim.bytes) = (1, 3 * MIB / 2);
    (collected.slots, collected.slots_skipped, collected.elapsed) = (4, 1, Duration::from_micros(35));
    let expected = "      tier     blocks      bytes
     local          3     12 KiB
     depot          0        0 B
    victim          1    1.5 MiB
slots 4, skipped 1; shells waiting 0; took 35µs
";
    assert_eq!(collected.to_string(), expected, "\n{collected}");
    collected.already_running = true;
    assert_eq!(collected.to_string(), "nothing: another thread is collecting\n");
}

/// Columns are as wide as years of gets need, and sums as wide as 64 bits.
#[test]
fn figures_of_years_keep_to_their_columns() {
    let mut class = ClassStats::default();
    class.size = 4 * KIB;
    (class.in_use, class.idle, class.peak, class.allocated) = (1_000_000, 1_000_000, 2_000_000, 2_000_000);
    (class.local_hits, class.depot_hits, class.victim_hits, class.misses) =
        (980_000_000_000, 10_000_000_000, 5_000_000_000, 5_000_000_000);
    (class.trimmed, class.purged, class.discarded.over_budget) = (500_000_000, 500_000_000, 500_000_000);
    let mut stats = Stats::default();
    stats.classes = vec![class; 3];
    let text = stats.to_string();
    let width = text.lines().next().unwrap().len();
    assert!(text.lines().take(4).all(|line| line.len() == width), "{text}");
    let total = stats.total();
    assert_eq!((total.gets(), total.misses), (3_000_000_000_000, 15_000_000_000));
    let shares = [total.local_rate(), total.depot_rate(), total.victim_rate(), total.miss_rate()];
    assert_eq!(shares, [0.98, 0.01, 0.005, 0.005]);
    assert_eq!((stats.hit_rate(), class.hit_rate(), ClassStats::default().miss_rate()), (0.995, 0.995, 0.0));
    assert_eq!(class.to_string().lines().count(), 2, "{class}");
}

/// N6 and N17:
/// Each bound that may turn a block away has its count.
#[test]
fn a_discard_says_why() {
    let ledger = Ledger::new();
    // The budget: no more fits under `idle_limit`.
    let pool = builder(&ledger).idle_limit(64 * KIB).build().unwrap();
    burst(&pool, 40, 4 * KIB);
    let stats = pool.stats();
    let discarded = stats.total().discarded;
    assert_eq!((discarded.over_budget, discarded.total()), (24, 24), "{stats}");
    assert_balance(&stats, &ledger);
    drop(pool);
    ledger.assert_empty();

    // The bucket: 1024 cells of 16 blocks at most, and 64 blocks stay with the thread.
    let ledger = Ledger::new();
    let pool = builder(&ledger).build().unwrap();
    burst(&pool, 17_000, 256);
    let stats = pool.stats();
    let discarded = stats.total().discarded;
    assert_eq!((discarded.bucket_full, discarded.total()), (552, 552), "{stats}");
    assert_balance(&stats, &ledger);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn a_pool_that_passes_through_says_so() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).recycle(Recycle::Never).build().unwrap();
    burst(&pool, 5, 4 * KIB);
    let stats = pool.stats();
    assert_eq!((stats.total().passed, stats.total().misses, stats.hit_rate()), (5, 5, 0.0), "{stats}");
    assert_balance(&stats, &ledger);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn high_water_marks_stay() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).build().unwrap();
    burst(&pool, 40, 4 * KIB);
    burst(&pool, 3, 64 * KIB);
    let busy = pool.stats();
    pool.purge();
    let stats = pool.stats();
    assert_eq!(stats.classes.iter().map(|class| (class.peak, class.allocated)).collect::<Vec<_>>(), [(40, 0), (3, 0)]);
    assert_eq!((stats.allocated_bytes, stats.peak_bytes), (0, 352 * KIB), "{stats}");
    let peaks = (stats.peak_reserved_bytes, stats.peak_leased_bytes, stats.peak_slot_bytes);
    assert_eq!(peaks, (busy.reserved_bytes, busy.leased_bytes, busy.slot_bytes), "{stats}");
    // One thread, which kept all: leased in chunks, so more than it holds.
    assert!(busy.slot_bytes == busy.reserved_bytes && busy.slot_bytes >= 352 * KIB, "{busy}");
    assert_eq!((stats.reserved_bytes, stats.leased_bytes, stats.slot_bytes), (0, 0, 0), "{stats}");
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn a_refused_lease_names_the_bound() {
    let ledger = Ledger::new();
    // One thread may have 64 KiB, and has given them to the first class when the second asks.
    let pool = builder(&ledger).local_limit(64 * KIB).build().unwrap();
    burst(&pool, 16, 4 * KIB);
    assert_eq!(pool.stats().refused_by_local_limit, 0, "{}", pool.stats());
    burst(&pool, 4, 8 * KIB);
    let stats = pool.stats();
    assert!(stats.refused_by_local_limit > 0 && stats.refused_by_idle_limit == 0, "{stats}");
    assert_eq!(stats.peak_slot_bytes, stats.local_limit, "{stats}");
    drop(pool);
    ledger.assert_empty();

    // All threads together may have 64 KiB.
    let pool = builder(&ledger).idle_limit(128 * KIB).build().unwrap();
    burst(&pool, 16, 4 * KIB);
    assert_eq!(pool.stats().refused_by_idle_limit, 0, "{}", pool.stats());
    std::thread::scope(|scope| scope.spawn(|| burst(&pool, 16, 4 * KIB)).join().unwrap());
    let stats = pool.stats();
    assert!(stats.refused_by_idle_limit > 0 && stats.refused_by_local_limit == 0, "{stats}");
    assert_eq!(stats.peak_leased_bytes, stats.idle_limit / 2, "{stats}");
    drop(pool);
    ledger.assert_empty();
}

/// A get that fails is in no class.
#[test]
fn gets_at_the_limit_are_counted_apart() {
    let ledger = Ledger::with_limit(MIB);
    let pool = builder(&ledger).limit(MIB).build().unwrap();
    let at_limit = |failed, saved| {
        let stats = pool.stats();
        assert_eq!((stats.limit_failed, stats.limit_saved), (failed, saved), "{stats}");
        assert_balance(&stats, &ledger);
        stats.total().gets()
    };
    assert!(matches!(pool.try_get(5 * MIB), Err(GetError::LimitReached { .. })), "oversize, and never fits");
    assert_eq!(at_limit(1, 0), 0);
    burst(&pool, 4, 256 * KIB);
    let mut buf = pool.get(320 * KIB);
    assert_eq!(at_limit(1, 1), 5);
    let held = pool.get(160 * KIB);
    assert!(pool.try_get(MIB).is_err());
    assert_eq!(at_limit(2, 1), 6);
    // Twice as much does not fit, what is needed does.
    buf.push(1);
    buf.reserve(400 * KIB);
    assert_eq!(at_limit(3, 1), 7);
    assert!(matches!(pool.try_get(usize::MAX), Err(GetError::CapacityOverflow { .. })));
    assert_eq!(at_limit(3, 1), 7);
    drop((buf, held));
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn collections_and_purges_are_told_apart() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).build().unwrap();
    burst(&pool, 10, 4 * KIB);
    pool.purge();
    let stats = pool.stats();
    assert_eq!((stats.collections, stats.purges, stats.last_collection), (0, 1, None), "{stats}");
    assert!(stats.longest_purge > Duration::ZERO && stats.longest_collection == Duration::ZERO, "{stats}");
    burst(&pool, 10, 4 * KIB);
    pool.collect();
    let collected = pool.collect();
    let stats = pool.stats();
    assert_eq!((stats.collections, stats.purges, stats.last_collection), (2, 1, Some(collected)), "{stats}");
    assert!(stats.longest_collection >= collected.elapsed, "{stats}");
    assert_eq!((collected.blocks(), stats.total().trimmed, stats.total().purged), (10, 10, 10), "{stats}");
    assert_balance(&stats, &ledger);
    drop(pool);
    ledger.assert_empty();
}

/// What does not come of use is there before it.
#[test]
fn an_unused_pool_shows_its_settings() {
    let of = |stats: &Stats| (stats.idle_limit, stats.local_limit, stats.limit);
    let ledger = Ledger::new();
    let set = builder(&ledger).idle_limit(3 * MIB).local_limit(MIB).limit(5 * MIB).track_one_in(7).build().unwrap();
    let unused = set.stats();
    assert_eq!(of(&unused), (3 * MIB, MIB, Some(5 * MIB)));
    assert_eq!((unused.collector, unused.allocated_bytes, unused.slots), (CollectorState::Manual, 0, 0));
    assert_eq!((set.outstanding().one_in, set.outstanding().count()), (7, 0));
    drop(set.get(1));
    assert_eq!(of(&set.stats()), of(&unused));
    assert_eq!(set.outstanding().one_in, 7);

    let (default, built) = (Pool::default().stats(), Pool::builder().build().unwrap().stats());
    assert_eq!((of(&default), default.collector), (of(&built), CollectorState::NotStarted));
    assert_eq!(Pool::new().outstanding().one_in, 0);
}

/// N18:
/// Whatever way blocks took meanwhile, through all tiers and beside collections.
#[test]
fn the_books_balance_after_many_threads() {
    const GETS: usize = 4 * 3000 * 3;
    let ledger = Ledger::new();
    let pool = builder(&ledger)
        .idle_limit(512 * KIB)
        .local_limit(64 * KIB)
        .collect(Collect::Background(Duration::from_millis(1)))
        .build()
        .unwrap();
    threads::scope(|scope| {
        for thread in 0..4 {
            let pool = &pool;
            let (send, receive) = sync_channel(100);
            scope.spawn(move || {
                for n in 0..3000 {
                    let sizes = [1000, 4 * KIB, 20 * KIB];
                    for size in sizes {
                        send.send(pool.get(size + 300 * (n % 2))).expect("the other thread receives");
                    }
                    if n % 500 == thread {
                        pool.purge();
                    }
                }
            });
            scope.spawn(move || receive.iter().for_each(drop));
        }
    });
    // What a slow reader stored in a retired generation is in no figure until it is found.
    while pool.purge().already_running {}
    let stats = pool.stats();
    assert_eq!((stats.total().gets(), stats.in_use_bytes), (GETS as u64, 0), "{stats}");
    assert_balance(&stats, &ledger);
    drop(pool);
    assert!(ledger.wait_until_empty());
}
