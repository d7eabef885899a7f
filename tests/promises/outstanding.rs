//! A pool that tracks says where what is out was gotten; and what came back is not on its list.

use std::panic::Location;
use std::sync::OnceLock;
use std::thread;

use crate::common::builder;
use crate::common::census::Census;
use crate::common::ledger::Ledger;
use millpond::{BuildError, Pool, PoolBuf};

#[track_caller]
fn here() -> &'static Location<'static> {
    Location::caller()
}

/// N19, T10: the site of a leak.
#[test]
fn what_is_out_is_listed_by_the_line_that_got_it() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).track(true).build().unwrap();
    assert_eq!((pool.outstanding().one_in, pool.outstanding().count()), (1, 0), "nothing was gotten yet");
    let (small, small_site) = ((0..10).map(|_| pool.get(100)).collect::<Vec<_>>(), here().line());
    let (large, large_site) = (pool.try_get(5 << 20).unwrap(), here().line());
    for _ in 0..100 {
        drop(pool.get(4096));
    }
    let (copy, copy_site) = (large.clone(), here().line());

    let outstanding = pool.outstanding();
    let sites: Vec<_> = outstanding.sites.iter().map(|site| (site.location.line(), site.count, site.bytes)).collect();
    assert_eq!(
        sites,
        [(large_site, 1, 5 << 20), (small_site, 10, 2560), (copy_site, 1, copy.capacity())],
        "the most bytes first"
    );
    assert!(outstanding.sites.iter().all(|site| site.location.file() == file!() && site.youngest <= site.oldest));
    assert_eq!((outstanding.one_in, outstanding.count(), outstanding.missed), (1, 12, 0));
    let table = outstanding.to_string();
    assert!(table.contains(&format!("{}:{small_site}:", file!())) && table.contains("5 MiB"), "{table}");

    drop((small, large, copy));
    assert_eq!(pool.outstanding().count(), 0);
    drop(pool);
    ledger.assert_empty();
}

/// The get is what is looked for, not the write that made it grow.
#[test]
fn a_buffer_that_grew_is_where_it_was_gotten() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).track(true).build().unwrap();
    let (mut buf, site) = (pool.get(100), here().line());
    for _ in 0..3 {
        buf.reserve(buf.capacity() + 1);
        let outstanding = pool.outstanding();
        assert_eq!(outstanding.sites.len(), 1, "{outstanding}");
        assert_eq!((outstanding.sites[0].location.line(), outstanding.bytes()), (site, buf.capacity()));
    }
    drop(buf);
    assert_eq!(pool.outstanding().count(), 0);
    drop(pool);
    ledger.assert_empty();
}

/// Its new block is from the thread's own magazine, which the drop must not go back to before it was struck off.
#[test]
fn a_buffer_that_grew_into_an_idle_block_is_struck_off() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).track(true).build().unwrap();
    for _ in 0..3 {
        drop((pool.get(512), pool.get(512)));
    }
    let mut buf = pool.get(256);
    buf.reserve(257);
    drop(buf);
    assert_eq!(pool.outstanding().count(), 0);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn buffers_that_move_to_other_threads_are_found_and_struck_off() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).track(true).build().unwrap();
    let (buffers, site) = ((0..50).map(|_| pool.get(1000)).collect::<Vec<_>>(), here().line());
    let kept = thread::spawn(|| buffers.into_iter().step_by(2).collect::<Vec<_>>()).join().unwrap();
    let outstanding = pool.outstanding();
    assert_eq!((outstanding.count(), outstanding.sites[0].location.line()), (25, site));
    drop(kept);
    assert_eq!((pool.outstanding().count(), pool.stats().in_use_bytes), (0, 0));
    drop(pool);
    ledger.assert_empty();
}

/// What a leak leaves for good is what is looked for.
#[test]
fn a_forgotten_buffer_stays_on_the_list() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).track(true).build().unwrap();
    // As `mem::forget`, but in reach of a leak checker.
    static FORGOTTEN: OnceLock<PoolBuf<Ledger>> = OnceLock::new();
    FORGOTTEN.set(pool.get(100)).unwrap();
    assert_eq!(pool.outstanding().count(), 1);
    assert_eq!(pool.get(100).capacity(), 256);
    assert_eq!(pool.outstanding().count(), 1);
    drop(pool);
    assert_eq!(ledger.live(), 1, "leaked, with the pool");
}

#[test]
fn one_in_so_many_is_noted_and_no_other() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).track_one_in(10).build().unwrap();
    let held: Vec<_> = (0..10_000).map(|_| pool.get(100)).collect();
    let outstanding = pool.outstanding();
    assert!((700..1300).contains(&outstanding.count()), "{outstanding}");
    assert!(outstanding.to_string().starts_with("one get in 10 was noted:\n"), "{outstanding}");
    drop(held);
    assert_eq!(pool.outstanding().count(), 0);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn without_track_nothing_is_listed() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).build().unwrap();
    let held = pool.get(100);
    let outstanding = pool.outstanding();
    assert_eq!((outstanding.one_in, outstanding.count()), (0, 0));
    drop((held, pool));
    ledger.assert_empty();
    assert_eq!(outstanding.to_string(), "nothing is noted: the pool does not track, or is from before a `fork`\n");
    let error = Pool::builder().track_one_in(0).build().unwrap_err();
    assert!(matches!(error, BuildError::TooSmall { knob: "track_one_in", value: 0, min: 1 }), "{error}");
}

/// Warm gets of a tracked pool still find what is idle.
#[test]
fn a_tracked_pool_recycles() {
    for one_in in [1, 3] {
        let ledger = Ledger::new();
        let pool = builder(&ledger).track_one_in(one_in).build().unwrap();
        for _ in 0..1000 {
            drop((pool.get(1000), pool.get(1000)));
        }
        assert_eq!(ledger.allocations(), 2);
        drop(pool);
        ledger.assert_empty();
    }
}

/// They all lie at one address.
#[test]
fn objects_of_no_size_are_not_noted() {
    let pool = millpond::ObjectPool::builder(|| ()).track(true).build().unwrap();
    let held = [pool.get(), pool.get()];
    assert_eq!((pool.outstanding().count(), pool.stats().objects.in_use), (0, 2));
    drop(held);
    assert_eq!(pool.stats().objects.in_use, 0);
}

#[test]
fn objects_are_listed_too() {
    let census = Census::default();
    let pool = census.builder().track(true).build().unwrap();
    let (object, site) = (pool.get(), here().line());
    let (adopted, adopted_site) = (pool.adopt(census.make()), here().line());
    drop(pool.get());
    let (taken, taken_site) = (pool.try_take().unwrap(), here().line());
    let mut lines: Vec<_> = pool.outstanding().sites.iter().map(|site| site.location.line()).collect();
    lines.sort_unstable();
    assert_eq!(lines, [site, adopted_site, taken_site]);
    assert_eq!(pool.outstanding().bytes(), 3 * size_of_val(&*object));
    drop(object.detach());
    drop((adopted, taken));
    assert_eq!(pool.outstanding().count(), 0);
    drop(pool);
    census.assert_empty();
}
