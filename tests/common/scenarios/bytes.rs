//! Buffers in the crate `bytes`.

use std::panic::resume_unwind;
use std::thread;

use bytes::{BufMut, Bytes};
use millpond::Pool;

use super::{Bears, Failed, Scenario};
use crate::common::flaky::Flaky;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("bytes", frozen),
        Scenario::new("bytes elsewhere", elsewhere).threads(),
        Scenario::new("pieces", pieces).bears(Bears::Panics),
    ]
}

fn parts(pool: &Pool<Flaky>) -> Result<Vec<Bytes>, Failed> {
    let mut parts = Vec::new();
    for len in [10, 3000, 70_000] {
        let mut buf = pool.try_get(len)?;
        buf.try_extend_from_slice(&vec![1; len])?;
        let mut frozen = buf.freeze();
        parts.push(frozen.split_to(len / 2));
        parts.push(frozen);
    }
    parts.swap(0, 3);
    assert!(parts.iter().all(|part| *part == vec![1; part.len()]));
    Ok(parts)
}

fn frozen(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let parts = parts(pool)?;
    drop(pool.try_get(10)?.freeze());
    drop(parts);
    Ok(())
}

/// Some end on a thread that never used the pool.
fn elsewhere(pool: &Pool<Flaky>) -> Result<(), Failed> {
    for _ in 0..3 {
        let (mut here, more) = (parts(pool)?, parts(pool)?);
        let there = here.split_off(3);
        thread::spawn(move || drop((there, more))).join().unwrap_or_else(|panic| resume_unwind(panic));
    }
    pool.purge();
    Ok(())
}

fn pieces(pool: &Pool<Flaky>) -> Result<(), Failed> {
    let mut buf = pool.try_get(10)?;
    buf.put(&[7; 20_000][..]);
    buf.put_bytes(7, 70_000);
    buf.put_slice(&[7; 300_000]);
    while buf.len() < buf.capacity() {
        buf.put_u64(0x0707_0707_0707_0707);
    }
    buf.chunk_mut()[..1].copy_from_slice(&[7]);
    // SAFETY: just written.
    unsafe { buf.advance_mut(1) };
    assert!(buf == vec![7; buf.len()]);
    Ok(())
}
