//! Buffers: every way in which a pool of them that is open calls its allocator; closing is the drop that follows.

use std::panic::resume_unwind;
use std::thread;

use millpond::{Pool, PoolBuf};

use super::{Bears, Failed, LARGEST, Scenario};
use crate::common::flaky::Flaky;

pub fn scenarios() -> Vec<Scenario> {
    let buffers = || Scenario::new("buffers", buffers);
    let clones = || Scenario::new("clones", clones).bears(Bears::Panics);
    let threads = || Scenario::new("threads", threads).threads();
    vec![
        buffers(),
        buffers().with("buffers that are overwritten", |builder| builder.zero_on_return(true)),
        buffers().with("buffers that are tracked", |builder| builder.track(true)),
        buffers().with("buffers beside a hook", |builder| builder.trimmed(|allocator, _| allocator.hook())),
        clones(),
        clones().with("clones that are tracked", |builder| builder.track(true)),
        threads(),
        threads().with("threads that are tracked", |builder| builder.track(true)),
        Scenario::new("a reader", reader),
        Scenario::new("handles", handles),
        Scenario::new("a limit", limit).with("a limit", |builder| builder.limit(LIMIT)),
    ]
}

fn buffers(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut held: Vec<PoolBuf<Flaky>> = Vec::new();
    for len in [1, 4096, 4096, 30_000, LARGEST, LARGEST + 1] {
        held.push(pool.try_get(len)?);
    }
    for buf in &mut held {
        buf.try_extend_from_slice(b"kept")?;
        let room = buf.capacity();
        let grown = buf.try_reserve(room);
        assert_eq!(*buf, "kept");
        grown?;
    }
    held.truncate(3);
    pool.collect();
    for _ in 0..24 {
        held.push(pool.try_get(4096)?);
    }
    drop(held);
    pool.collect();
    pool.purge();
    drop(pool.try_get(4096)?);
    Ok(())
}

fn clones(pool: &Pool<Flaky>) -> Result<(), Failed> {
    for len in [10, 5000, LARGEST + 1] {
        let mut buf = pool.try_get(len)?;
        buf.resize(len, 7);
        let mut copy = buf.clone();
        copy.push(8);
        let mut other = pool.try_get(1)?;
        other.clone_from(&copy);
        assert!(copy[..len] == *buf && other == *copy);
    }
    Ok(())
}

/// One after another, each with buffers of those before.
fn threads(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut held: Vec<PoolBuf<Flaky>> = Vec::new();
    for len in [100, 5000, 100_000] {
        let mut mine = std::mem::take(&mut held);
        held = thread::scope(|scope| {
            let thread = scope.spawn(move || {
                drop(mine.split_off(mine.len() / 2));
                for _ in 0..5 {
                    mine.push(pool.try_get(len)?);
                }
                Ok::<_, Failed>(mine)
            });
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })?;
    }
    pool.collect();
    Ok(())
}

fn reader(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut buf = pool.try_get(10)?;
    let read = buf.read_from(&[7; 100_000][..], 1 << 20);
    assert!(buf == vec![7; buf.len()]);
    assert_eq!(read?, buf.len());
    Ok(())
}

/// Handles come and go while buffers of theirs are out.
fn handles(pool: &Pool<Flaky>) -> Result<(), Failed> {
    for _ in 0..2 {
        let other = pool.clone();
        let mut held = Vec::new();
        for len in [100, 5000, 5000, LARGEST + 1] {
            held.push(other.try_get(len)?);
        }
        let third = other.clone();
        drop(other);
        for buf in &mut held {
            buf.try_reserve(buf.capacity() + 1)?;
        }
        held.truncate(2);
        third.purge();
        drop((third, held));
    }
    Ok(())
}

const KIB: usize = 1 << 10;

const LIMIT: usize = 180 * KIB;

/// What is idle stands in the way of a get, and then of a growth.
fn limit(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let leave_idle = || {
        let some: Vec<_> = (0..10).map(|_| pool.try_get(16 * KIB)).collect::<Result<_, _>>()?;
        drop(some);
        Ok::<_, Failed>(pool.stats())
    };
    let has_purged = |before: millpond::Stats| {
        let full = before.idle_bytes == 160 * KIB;
        assert!(!full || pool.stats().purges > before.purges, "{}", pool.stats());
    };
    let before = leave_idle()?;
    let large = pool.try_get(56 * KIB)?;
    has_purged(before);
    drop(large);
    pool.purge();

    let mut grown = pool.try_get(14 * KIB)?;
    let before = leave_idle()?;
    grown.try_extend_from_slice(&[1; 14 * KIB])?;
    let more = grown.try_reserve(28 * KIB);
    assert!(*grown == [1; 14 * KIB]);
    more?;
    has_purged(before);
    Ok(())
}
