//! Whatever else a pool is told to do, and whatever others do meanwhile, the list is what is out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::common::census::Census;
use crate::common::ledger::Ledger;
use crate::common::{builder, threads};
use fastrand::Rng as Choices;
use millpond::{Builder, Collect, Pool, PoolBuf, Recycle};

const LIMIT: usize = 1 << 20;

/// Each place in this file where one is gotten, with what is out of there.
type Listed = BTreeMap<u32, (usize, usize)>;

fn listed(pool: &Pool<Ledger>) -> Listed {
    let outstanding = pool.outstanding();
    assert_eq!(outstanding.missed, 0);
    outstanding.sites.iter().map(|site| (site.location.line(), (site.count, site.bytes))).collect()
}

struct Held {
    buf: PoolBuf<Ledger>,
    line: u32,
}

/// Gets at two places, clones at a third, and grows, sends and drops.
fn step(pool: &Pool<Ledger>, held: &mut Vec<Held>, choices: &mut Choices) {
    let size = choices.usize(1..100) << choices.u32(..10);
    match choices.u32(..10) {
        0..2 => held.extend(pool.try_get(size).ok().map(|buf| Held { buf, line: line!() })),
        2..4 => held.extend(pool.try_get(size).ok().map(|buf| Held { buf, line: line!() })),
        4 if !held.is_empty() && pool.stats().limit.is_none() => {
            let buf = held[choices.usize(..held.len())].buf.clone();
            held.push(Held { buf, line: line!() - 1 });
        }
        5..7 if !held.is_empty() => {
            let index = choices.usize(..held.len());
            let buf = &mut held[index].buf;
            // At the limit it stays as it is.
            let _ = buf.try_reserve(size);
            let _ = buf.try_extend_from_slice(&[7; 100]);
        }
        7 if !held.is_empty() => {
            let given = held.swap_remove(choices.usize(..held.len()));
            std::thread::scope(|scope| scope.spawn(|| drop(given)).join().unwrap());
        }
        8 => _ = if choices.bool() { pool.collect() } else { pool.purge() },
        _ if !held.is_empty() => drop(held.swap_remove(choices.usize(..held.len()))),
        _ => {}
    }
}

#[test]
fn every_mode_lists_what_is_held_and_nothing_else() {
    let settings: [fn(Builder<Ledger>) -> Builder<Ledger>; 6] = [
        |builder| builder.recycle(Recycle::Never),
        |builder| builder.recycle(Recycle::Chaos(7)),
        |builder| builder.zero_on_return(true),
        |builder| builder.limit(LIMIT),
        |builder| builder.recycle(Recycle::Chaos(8)).zero_on_return(true).limit(LIMIT),
        |builder| builder.max_class(4096).idle_limit(20_000).local_limit(5000),
    ];
    for (n, setting) in settings.into_iter().enumerate() {
        let ledger = Ledger::new();
        let pool = setting(builder(&ledger)).track(true).build().unwrap();
        let (mut held, mut choices) = (Vec::new(), Choices::with_seed(n as u64));
        for _ in 0..2000 {
            step(&pool, &mut held, &mut choices);
            let mut expected = Listed::new();
            for Held { buf, line } in &held {
                let (count, bytes) = expected.entry(*line).or_default();
                (*count, *bytes) = (*count + 1, *bytes + buf.capacity());
            }
            assert_eq!(listed(&pool), expected, "setting {n}");
        }
        let stats = pool.stats();
        assert!(stats.limit.is_none() || stats.limit_failed > 0, "setting {n}: {stats}");
        drop(held);
        assert!(listed(&pool).is_empty());
        drop(pool);
        ledger.assert_empty();
    }
}

/// One in three, of which nobody knows which: none is left when all are gone, and no more are listed than are out.
#[test]
fn every_mode_strikes_off_what_it_noted_of_a_sample() {
    for recycle in [Recycle::Always, Recycle::Never, Recycle::Chaos(9)] {
        let ledger = Ledger::new();
        let builder = Pool::builder_in(ledger.clone()).collect(Collect::Manual).recycle(recycle).track_one_in(3);
        let pool = builder.zero_on_return(true).build().unwrap();
        let (mut held, mut choices, mut most) = (Vec::new(), Choices::with_seed(1), 0);
        for _ in 0..2000 {
            step(&pool, &mut held, &mut choices);
            let outstanding = pool.outstanding();
            assert!(outstanding.count() <= held.len(), "{outstanding}");
            most = most.max(outstanding.count());
        }
        assert!(most > 0);
        drop(held);
        assert!(listed(&pool).is_empty(), "{recycle:?}");
        drop(pool);
        ledger.assert_empty();
    }
}

/// Also those that a reset, or the mode, drops.
#[test]
fn objects_are_struck_off_in_every_mode() {
    for recycle in [Recycle::Always, Recycle::Never, Recycle::Chaos(5)] {
        let census = Census::default();
        let builder = census.builder().recycle(recycle).track(true);
        let pool = builder.reset(|object: &mut crate::common::census::Object| object.number % 3 != 0).build().unwrap();
        for round in 0..50 {
            let mut held: Vec<_> = (0..round).map(|_| pool.get()).collect();
            while !held.is_empty() {
                assert_eq!(pool.outstanding().count(), held.len());
                let object = held.swap_remove(held.len() / 2);
                if held.len() % 4 == 0 { drop(object.detach()) } else { drop(object) }
            }
            assert_eq!(pool.outstanding().count(), 0);
        }
        drop(pool);
        census.assert_empty();
    }
}

/// A get in three on average.
#[test]
fn of_objects_a_sample_is_noted() {
    let census = Census::default();
    let pool = census.builder().track_one_in(3).build().unwrap();
    let held: Vec<_> = (0..3000).map(|_| pool.get()).collect();
    let noted = pool.outstanding().count();
    assert!((500..2000).contains(&noted), "{noted} of 3000");
    drop(held);
    assert_eq!(pool.outstanding().count(), 0);
    drop(pool);
    census.assert_empty();
}

/// What stays is on the list at any time, and what is listed is out of one of the places that get.
#[test]
fn threads_that_get_grow_and_drop_beside_it_take_nothing_off() {
    const KEPT: usize = 64;
    const GETS: usize = if cfg!(debug_assertions) { 20_000 } else { 200_000 };
    let ledger = Ledger::new();
    let pool = Pool::builder_in(ledger.clone()).recycle(Recycle::Always).collect(Collect::Manual);
    let pool = pool.track(true).build().unwrap();
    let kept: Vec<_> = (0..KEPT).map(|n| pool.get(100 + 100 * n)).collect();
    let (kept_at, kept_bytes) = (line!() - 1, kept.iter().map(PoolBuf::capacity).sum());
    let over = AtomicBool::new(false);
    threads::scope(|scope| {
        let (pool, over) = (&pool, &over);
        scope.spawn(move || read(pool, over, kept_at, (KEPT, kept_bytes)));
        threads::scope(|workers| {
            for seed in 0..3 {
                let (send, receive) = sync_channel(50);
                workers.spawn(move || work(pool, seed, GETS, &send));
                workers.spawn(move || receive.iter().for_each(drop));
            }
        });
        over.store(true, Relaxed);
    });
    assert_eq!(listed(&pool), Listed::from([(kept_at, (KEPT, kept_bytes))]));
    drop(kept);
    assert!(listed(&pool).is_empty());
    drop(pool);
    ledger.assert_empty();
}

fn work(pool: &Pool<Ledger>, seed: u64, gets: usize, send: &SyncSender<PoolBuf<Ledger>>) {
    let mut choices = Choices::with_seed(seed);
    for _ in 0..gets {
        let mut buf = pool.get(choices.usize(1..5000));
        if choices.u32(..4) == 0 {
            buf.reserve(choices.usize(1..20_000));
        }
        if choices.u32(..3) == 0 {
            send.send(buf).expect("the other thread receives");
        }
    }
}

fn read(pool: &Pool<Ledger>, over: &AtomicBool, kept_at: u32, kept: (usize, usize)) {
    while !over.load(Relaxed) {
        let outstanding = pool.outstanding();
        assert!(outstanding.sites.iter().all(|site| site.location.file() == file!()), "{outstanding}");
        assert!(outstanding.sites.iter().all(|site| site.youngest <= site.oldest), "{outstanding}");
        let stays = outstanding.sites.iter().find(|site| site.location.line() == kept_at);
        assert_eq!(stays.map(|site| (site.count, site.bytes)), Some(kept), "{outstanding}");
    }
}
