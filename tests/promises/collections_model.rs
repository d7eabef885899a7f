//! A vector and a map in the pool behave as std's do, over any sequence of operations: a million in a release build.

use fastrand::Rng as Choices;
use std::collections::BTreeMap;

use crate::common::ledger::Ledger;
use crate::common::pool;
use allocator_api2::vec::Vec as VecIn;
use hashbrown::{DefaultHashBuilder, HashMap};
use millpond::Pool;

const OPERATIONS: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

#[test]
fn a_vector_in_the_pool_is_a_vector() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut choices = Choices::with_seed(41);
    let (mut ours, mut stds): (VecIn<u64, &Pool<Ledger>>, Vec<u64>) = (VecIn::new_in(&pool), Vec::new());
    for n in 0..OPERATIONS {
        match choices.usize(..1000) {
            0..450 => (ours.push(n), stds.push(n)).0,
            450..700 => assert_eq!(ours.pop(), stds.pop()),
            700..760 => {
                let more: Vec<u64> = (0..choices.usize(..300) as u64).map(|more| n + more).collect();
                ours.extend_from_slice(&more);
                stds.extend_from_slice(&more);
            }
            760..820 => {
                let len = stds.len() - choices.usize(..stds.len() / 2 + 1);
                ours.truncate(len);
                stds.truncate(len);
            }
            820..880 if !stds.is_empty() => {
                let index = choices.usize(..stds.len());
                assert_eq!(ours.swap_remove(index), stds.swap_remove(index));
            }
            880..930 => {
                let index = choices.usize(..stds.len() + 1);
                ours.insert(index, n);
                stds.insert(index, n);
            }
            930..960 => {
                let more = choices.usize(..1000);
                ours.reserve(more);
                stds.reserve(more);
            }
            960..980 => {
                ours.shrink_to_fit();
                stds.shrink_to_fit();
            }
            980..985 => ours = ours.clone(),
            985 => (ours.clear(), stds.clear()).0,
            986 => _ = pool.collect(),
            987 => _ = pool.purge(),
            988 => drop((
                pool.get(choices.usize(..9000)),
                std::mem::replace(&mut ours, VecIn::new_in(&pool)),
                stds.split_off(0),
            )),
            _ => assert_eq!((ours.first(), ours.last(), ours.len()), (stds.first(), stds.last(), stds.len())),
        }
        if n % 64 == 0 {
            assert_eq!(ours.as_slice(), stds.as_slice());
        }
    }
    drop(ours);
    assert_eq!(pool.stats().in_use_bytes, 0, "{}", pool.stats());
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn a_map_in_the_pool_is_a_map() {
    type Map<'pool> = HashMap<u64, String, DefaultHashBuilder, &'pool Pool<Ledger>>;

    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut choices = Choices::with_seed(43);
    let (mut ours, mut model): (Map<'_>, BTreeMap<u64, String>) = (HashMap::new_in(&pool), BTreeMap::new());
    for n in 0..OPERATIONS {
        let key = choices.usize(..5000) as u64;
        match choices.usize(..1000) {
            0..450 => assert_eq!(ours.insert(key, n.to_string()), model.insert(key, n.to_string())),
            450..800 => assert_eq!(ours.remove(&key), model.remove(&key)),
            800..802 => {
                ours.retain(|key, _| key % 8 != n % 8);
                model.retain(|key, _| key % 8 != n % 8);
            }
            802 => ours.shrink_to_fit(),
            803 => ours.reserve(choices.usize(..2000)),
            804 => ours = ours.clone(),
            805 => _ = pool.collect(),
            806 => {
                ours.clear();
                model.clear();
            }
            _ => assert_eq!(ours.get(&key), model.get(&key)),
        }
        assert_eq!(ours.len(), model.len());
        if n % 4096 == 0 {
            assert!(model.iter().all(|(key, value)| ours.get(key) == Some(value)));
        }
    }
    drop(ours);
    assert_eq!(pool.stats().in_use_bytes, 0, "{}", pool.stats());
    drop(pool);
    ledger.assert_empty();
}
