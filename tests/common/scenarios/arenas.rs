//! Arenas.

use std::panic::resume_unwind;
use std::thread;

use allocator_api2::vec::Vec as VecIn;
use millpond::Pool;

use super::{Failed, LARGEST, Scenario};
use crate::common::flaky::Flaky;

pub fn scenarios() -> Vec<Scenario> {
    let arenas = || Scenario::new("arenas", arenas);
    vec![
        arenas(),
        arenas().with("arenas that are overwritten", |builder| builder.zero_on_return(true)),
        Scenario::new("arenas elsewhere", elsewhere).threads(),
    ]
}

fn arenas(pool: &Pool<Flaky>) -> Result<(), Failed> {
    for _ in 0..2 {
        let mut arena = pool.try_arena()?;
        for len in [10, 300, 5000, 100_000] {
            let bytes = vec![3; len];
            assert!(*arena.try_alloc_slice_copy(&bytes)? == bytes);
        }
        let mut words: VecIn<u64, _> = VecIn::new_in(&arena);
        while words.len() < 2000 {
            words.try_reserve(1)?;
            words.resize(words.capacity(), 1);
        }
        drop(words);
        arena.reset();
        arena.try_alloc_slice_copy(&[1_u8; 1000])?;
    }
    pool.purge();
    Ok(())
}

/// They end on a thread that never used the pool, the last one of its own handle.
fn elsewhere(pool: &Pool<Flaky>) -> Result<(), Failed> {
    for _ in 0..3 {
        let arena = pool.try_arena()?;
        for len in [10, 300, 5000, 5000, LARGEST + 1] {
            arena.try_alloc_bytes(len)?;
        }
        let other = pool.clone();
        let thread = thread::spawn(move || {
            drop(arena);
            let arena = other.try_arena()?;
            drop(other);
            arena.try_alloc_bytes(5000)?;
            Ok::<_, Failed>(())
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))?;
    }
    pool.collect();
    Ok(())
}
