//! On whatever way a noted buffer goes on, it is on the list as long as it is out, and no longer; what is no buffer never is.

use std::panic::Location;

use crate::common::ledger::Ledger;
use crate::common::{builder, manual, threads};
use millpond::{Pool, PoolBuf, Recycle};

fn tracked(ledger: &Ledger) -> Pool<Ledger> {
    builder(ledger).track(true).build().unwrap()
}

#[track_caller]
fn here() -> &'static Location<'static> {
    Location::caller()
}

/// Nothing but one buffer, of so many bytes, gotten at that line.
#[track_caller]
fn assert_lists(pool: &Pool<Ledger>, line: u32, bytes: usize) {
    let outstanding = pool.outstanding();
    let sites: Vec<_> = outstanding.sites.iter().map(|site| (site.location.line(), site.count, site.bytes)).collect();
    assert_eq!(sites, [(line, 1, bytes)], "{outstanding}");
}

#[track_caller]
fn assert_lists_nothing(pool: &Pool<Ledger>) {
    let outstanding = pool.outstanding();
    assert_eq!((outstanding.sites.len(), outstanding.bytes(), outstanding.missed), (0, 0, 0), "{outstanding}");
}

fn filled(mut buf: PoolBuf<Ledger>) -> PoolBuf<Ledger> {
    buf.extend_from_slice(&[7; 300]);
    buf
}

#[cfg(feature = "bytes")]
#[test]
fn a_frozen_buffer_is_listed_until_its_last_clone_goes() {
    let ledger = Ledger::new();
    let pool = tracked(&ledger);
    let (buf, line) = (pool.get(1000), here().line());
    let mut bytes = filled(buf).freeze();
    let mut parts = vec![bytes.clone(), bytes.slice(..10), bytes.split_to(100), bytes];
    while let Some(part) = parts.pop() {
        assert_lists(&pool, line, 1024);
        std::thread::spawn(move || drop(part)).join().unwrap();
    }
    assert_lists_nothing(&pool);
    let empty = pool.get(1000).freeze();
    assert_lists_nothing(&pool);
    drop(empty);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn what_is_copied_out_is_no_longer_listed() {
    let ledger = Ledger::new();
    let pool = tracked(&ledger);
    let (buf, line) = (pool.get(1000), here().line());
    let buf = filled(buf);
    assert_eq!(buf.to_vec(), [7; 300]);
    assert_lists(&pool, line, 1024);
    assert_eq!(Vec::from(buf), [7; 300]);
    assert_lists_nothing(&pool);
    let vec: Vec<u8> = filled(pool.get(1000)).into();
    assert_eq!(vec, [7; 300]);
    assert_lists_nothing(&pool);
    drop(pool);
    ledger.assert_empty();
}

/// Whichever method made it grow, the get is what is looked for.
#[test]
fn what_is_read_or_copied_into_a_buffer_leaves_it_where_it_was_gotten() {
    let ledger = Ledger::new();
    let pool = tracked(&ledger);
    let (mut buf, line) = (pool.get(300), here().line());
    assert_eq!(buf.read_from(&[7; 20_000][..], 1 << 20).unwrap(), 20_000);
    assert!(buf.capacity() >= 20_000);
    assert_lists(&pool, line, buf.capacity());
    assert!(buf.read_from(&[7; 100_000][..], 70_000).is_err());
    assert_lists(&pool, line, buf.capacity());
    // Of another pool, which does not track.
    let mut large = manual(&ledger).get(1);
    large.resize(6 << 20, 7);
    buf.clone_from(&large);
    assert_eq!(buf.len(), 6 << 20);
    assert_lists(&pool, line, buf.capacity());
    drop((buf, large));
    assert_lists_nothing(&pool);
    drop(pool);
    ledger.assert_empty();
}

/// One that was noted stays so, with its new capacity; one that was not does not become so.
#[test]
fn growth_changes_nothing_of_who_is_noted() {
    for one_in in [2, 10] {
        let ledger = Ledger::new();
        let pool = builder(&ledger).track_one_in(one_in).build().unwrap();
        let (mut held, line) = ((0..500).map(|_| pool.get(300)).collect::<Vec<_>>(), here().line());
        let noted = pool.outstanding().count();
        assert!(noted > 0 && noted < 500, "{noted}");
        for capacity in [320, 768, 2560, 6144] {
            held.iter_mut().filter(|buf| buf.capacity() < capacity).for_each(|buf| buf.reserve(capacity - 500));
            let outstanding = pool.outstanding();
            let capacity = held[0].capacity();
            assert!(held.iter().all(|buf| buf.capacity() == capacity));
            assert_eq!((outstanding.sites.len(), outstanding.sites[0].location.line()), (1, line), "{outstanding}");
            assert_eq!((outstanding.count(), outstanding.bytes()), (noted, noted * capacity));
        }
        drop(held);
        assert_lists_nothing(&pool);
        drop(pool);
        ledger.assert_empty();
    }
}

/// What was noted is then struck off by buffers that have the pool to themselves.
#[test]
fn a_pool_that_closes_before_its_noted_buffers_is_freed_by_the_last() {
    for one_in in [1, 3] {
        for recycle in [Recycle::Always, Recycle::Never, Recycle::Chaos(3)] {
            let ledger = Ledger::new();
            let pool = builder(&ledger).recycle(recycle).track_one_in(one_in).build().unwrap();
            let mut held: Vec<_> = (0..40).map(|n| pool.get(100 << (n % 17))).collect();
            held.extend((0..10).map(|_| pool.get(5 << 20)));
            assert!(pool.outstanding().count() > 0);
            drop(pool);
            held.iter_mut().step_by(3).for_each(|buf| buf.reserve(buf.capacity() + 1));
            let copies: Vec<_> = held.iter().step_by(5).cloned().collect();
            threads::scope(|scope| {
                scope.spawn(|| drop(copies));
                scope.spawn(|| drop(held));
            });
            ledger.assert_empty();
            assert_eq!(ledger.clones(), 1, "the pool is freed");
        }
    }
}

/// As `Builder::track` says.
#[test]
#[allow(clippy::disallowed_methods, reason = "as a collection would")]
fn blocks_of_collections_and_arenas_are_not_listed() {
    let ledger = Ledger::new();
    let pool = tracked(&ledger);
    let mut vec = allocator_api2::vec::Vec::new_in(&pool);
    let boxed = allocator_api2::boxed::Box::new_in([7_u8; 1000], pool.clone());
    for len in [100, 1000, 100_000, 5 << 20] {
        vec.resize(len, 7_u8);
        assert_lists_nothing(&pool);
    }
    assert!(pool.stats().in_use_bytes > 5 << 20);
    #[cfg(feature = "arena")]
    {
        let mut arena = pool.arena();
        for _ in 0..2 {
            arena.alloc_str("small");
            arena.alloc_bytes(5000);
            allocator_api2::vec::Vec::new_in(&arena).extend_from_slice(&[7_u8; 100_000]);
            assert_lists_nothing(&pool);
            arena.reset();
        }
    }
    // Nor do they keep a buffer off the list that gets their block afterwards.
    drop((vec, boxed));
    let (buf, line) = (pool.get(1000), here().line());
    assert_lists(&pool, line, 1024);
    drop((buf, pool));
    ledger.assert_empty();
}
