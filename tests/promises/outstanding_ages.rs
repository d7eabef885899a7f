//! How old what is out is: since its get, whatever it grew into, and of each place in the program the oldest and the youngest.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use crate::common::builder;
use crate::common::census::Census;
use crate::common::ledger::Ledger;
use millpond::{Outstanding, Pool, PoolBuf, Site};

fn tracked(ledger: &Ledger) -> Pool<Ledger> {
    builder(ledger).track(true).build().unwrap()
}

/// Returns when the clock has moved on by more than a reading of the list takes.
fn moves_on() {
    let before = Instant::now();
    while before.elapsed() < Duration::from_millis(2) {
        spin_loop();
    }
}

/// Around something that happened.
#[derive(Clone, Copy)]
struct Moment {
    after: Instant,
    before: Instant,
}

fn at<R>(f: impl FnOnce() -> R) -> (R, Moment) {
    let after = Instant::now();
    let result = f();
    (result, Moment { after, before: Instant::now() })
}

impl Moment {
    /// An age that was read at this moment of what was gotten at the other one.
    #[track_caller]
    fn assert_age(self, age: Duration, gotten: Self) {
        let (least, most) = (self.after.duration_since(gotten.before), self.before.duration_since(gotten.after));
        assert!((least..=most).contains(&age), "{age:?} is not within {least:?} and {most:?}");
    }
}

fn only(outstanding: &Outstanding) -> Site {
    assert_eq!(outstanding.sites.len(), 1, "{outstanding}");
    outstanding.sites[0]
}

fn gotten(pool: &Pool<Ledger>) -> (PoolBuf<Ledger>, Moment) {
    let gotten = at(|| pool.get(1000));
    moves_on();
    gotten
}

#[test]
fn an_age_counts_from_the_get_and_grows() {
    let ledger = Ledger::new();
    let pool = tracked(&ledger);
    let (buf, get) = gotten(&pool);
    let mut last = Duration::ZERO;
    for _ in 0..5 {
        let (outstanding, read) = at(|| pool.outstanding());
        let site = only(&outstanding);
        read.assert_age(site.oldest, get);
        assert_eq!(site.youngest, site.oldest, "there is one");
        assert!(site.oldest > last);
        last = site.oldest;
        moves_on();
    }
    drop((buf, pool));
    ledger.assert_empty();
}

#[test]
fn a_block_that_is_gotten_again_is_young_again() {
    let ledger = Ledger::new();
    let pool = tracked(&ledger);
    let (first, _) = gotten(&pool);
    let block = first.as_ptr();
    drop(first);
    let (second, get) = gotten(&pool);
    assert_eq!(second.as_ptr(), block);
    let (outstanding, read) = at(|| pool.outstanding());
    read.assert_age(only(&outstanding).oldest, get);
    drop((second, pool));
    ledger.assert_empty();
}

/// Of more than two, as they are visited in no order.
#[test]
fn a_place_has_the_age_of_its_oldest_and_of_its_youngest() {
    const BUFFERS: usize = 20;
    let ledger = Ledger::new();
    let pool = tracked(&ledger);
    let mut held: Vec<_> = (0..BUFFERS).map(|_| gotten(&pool)).collect();
    // From either end.
    while !held.is_empty() {
        let (outstanding, read) = at(|| pool.outstanding());
        let site = only(&outstanding);
        assert_eq!(site.count, held.len());
        read.assert_age(site.oldest, held[0].1);
        read.assert_age(site.youngest, held[held.len() - 1].1);
        assert!(site.oldest > site.youngest || held.len() == 1);
        held.remove(if held.len() % 2 == 0 { 0 } else { held.len() - 1 });
    }
    drop(pool);
    ledger.assert_empty();
}

/// Each into another block, in a class, above all classes, and also when the pool is closed.
#[test]
fn growth_keeps_the_first_age() {
    let ledger = Ledger::new();
    let pool = tracked(&ledger);
    let ways: [fn(&mut PoolBuf<Ledger>); 6] = [
        |buf| buf.reserve(buf.capacity() + 1),
        |buf| buf.try_reserve(100_000).unwrap(),
        |buf| buf.resize(buf.capacity() + 1, 7),
        |buf| buf.extend((0..=buf.capacity()).map(|_| 7)),
        |buf| _ = buf.read_from(&[7; 20_000][..], 1 << 20).unwrap(),
        |buf| buf.reserve(5 << 20),
    ];
    for way in ways {
        let (mut buf, get) = gotten(&pool);
        let block = buf.as_ptr();
        way(&mut buf);
        assert_ne!(buf.as_ptr(), block, "it grew");
        let (outstanding, read) = at(|| pool.outstanding());
        let site = only(&outstanding);
        read.assert_age(site.oldest, get);
        assert_eq!((site.youngest, site.bytes), (site.oldest, buf.capacity()));
    }
    assert_eq!(pool.outstanding().count(), 0);
    drop(pool);
    ledger.assert_empty();
}

/// Which is another get.
#[test]
fn a_clone_has_an_age_of_its_own() {
    let ledger = Ledger::new();
    let pool = tracked(&ledger);
    let (mut buf, get) = gotten(&pool);
    buf.push(7);
    let (copy, cloned) = at(|| buf.clone());
    moves_on();
    let (outstanding, read) = at(|| pool.outstanding());
    let mut ages: Vec<_> = outstanding.sites.iter().map(|site| site.oldest).collect();
    ages.sort_unstable();
    assert_eq!(ages.len(), 2, "{outstanding}");
    read.assert_age(ages[0], cloned);
    read.assert_age(ages[1], get);
    drop((buf, copy, pool));
    ledger.assert_empty();
}

#[test]
fn objects_have_ages_too() {
    let census = Census::default();
    let pool = census.builder().track(true).build().unwrap();
    let gotten = || {
        let gotten = at(|| pool.get());
        moves_on();
        gotten
    };
    let (older, younger) = (gotten(), gotten());
    let (outstanding, read) = at(|| pool.outstanding());
    let site = only(&outstanding);
    read.assert_age(site.oldest, older.1);
    read.assert_age(site.youngest, younger.1);
    drop((older, younger, pool));
    census.assert_empty();
}
