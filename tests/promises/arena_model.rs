//! Vectors in arenas do what std's do: any operations, of elements of several sizes and alignments, in any order.
#![allow(clippy::cast_possible_truncation, reason = "bytes to tell things by")]

use fastrand::Rng as Random;
use std::fmt::Debug;

use crate::common::ledger::Ledger;
use crate::common::pool;
use allocator_api2::vec::Vec;
use millpond::Arena;

const OPERATIONS: usize = if cfg!(debug_assertions) { 40_000 } else { 1_000_000 };

/// Operations in one arena.
const REQUEST: usize = 2000;

/// Vectors of one type that live at a time.
const VECTORS: usize = 4;

/// Something to fill vectors with.
trait Element: Clone + PartialEq + Debug {
    /// About how many bytes a vector of these may have.
    const BYTES: usize;
    fn of(n: u64) -> Self;
}

impl Element for u8 {
    const BYTES: usize = 2000;
    fn of(n: u64) -> Self {
        n as Self
    }
}

impl Element for u64 {
    const BYTES: usize = 3000;
    fn of(n: u64) -> Self {
        n
    }
}

impl Element for [u8; 300] {
    const BYTES: usize = 9000;
    fn of(n: u64) -> Self {
        [n as u8; 300]
    }
}

/// So aligned that even one is the pool's.
#[repr(align(512))]
#[derive(Clone, PartialEq, Debug)]
struct Aligned(u64);

impl Element for Aligned {
    const BYTES: usize = 8000;
    fn of(n: u64) -> Self {
        Self(n)
    }
}

/// With memory of its own, which is lost or freed twice if an element is.
impl Element for std::rc::Rc<u64> {
    const BYTES: usize = 2000;
    fn of(n: u64) -> Self {
        Self::new(n)
    }
}

/// A vector in an arena, and std's.
struct Pair<'a, T> {
    tested: Vec<T, &'a Arena<Ledger>>,
    model: std::vec::Vec<T>,
}

impl<'a, T: Element> Pair<'a, T> {
    fn new(arena: &'a Arena<Ledger>) -> Self {
        Self { tested: Vec::new_in(arena), model: std::vec::Vec::new() }
    }

    fn operate(&mut self, arena: &'a Arena<Ledger>, random: &mut Random) {
        let most = T::BYTES / size_of::<T>();
        let (n, len) = (random.u64(..), self.model.len());
        match random.usize(..14) {
            0..=2 => {
                self.tested.push(T::of(n));
                self.model.push(T::of(n));
            }
            3 | 4 => {
                let more: std::vec::Vec<T> = (0..random.usize(..most / 2 + 2) as u64).map(|i| T::of(n ^ i)).collect();
                self.tested.extend_from_slice(&more);
                self.model.extend_from_slice(&more);
            }
            5 => assert_eq!(self.tested.pop(), self.model.pop()),
            6 => {
                let at = random.usize(..len + 1);
                self.tested.insert(at, T::of(n));
                self.model.insert(at, T::of(n));
            }
            7 if len > 0 => {
                let at = random.usize(..len);
                assert_eq!(self.tested.remove(at), self.model.remove(at));
            }
            8 => {
                let at = random.usize(..len + 1);
                self.tested.truncate(at);
                self.model.truncate(at);
            }
            9 | 10 => {
                self.tested.shrink_to_fit();
                assert!(self.tested.capacity() >= len);
            }
            11 => {
                self.tested.reserve_exact(random.usize(..most + 1));
            }
            12 => {
                // The old one goes while the new one is there.
                self.tested = self.tested.clone();
            }
            _ => *self = Self::new(arena),
        }
        if self.model.len() > 2 * most {
            self.tested.truncate(most);
            self.model.truncate(most);
        }
        self.check();
    }

    fn check(&self) {
        assert_eq!(*self.tested, *self.model);
    }
}

#[test]
fn vectors_do_what_those_of_std_do() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut random = Random::with_seed(1);
    for _ in 0..OPERATIONS / REQUEST {
        let arena = &pool.arena();
        let mut bytes: [Pair<u8>; VECTORS] = std::array::from_fn(|_| Pair::new(arena));
        let mut words: [Pair<u64>; VECTORS] = std::array::from_fn(|_| Pair::new(arena));
        let mut long: [Pair<[u8; 300]>; VECTORS] = std::array::from_fn(|_| Pair::new(arena));
        let mut aligned: [Pair<Aligned>; VECTORS] = std::array::from_fn(|_| Pair::new(arena));
        let mut owned: [Pair<std::rc::Rc<u64>>; VECTORS] = std::array::from_fn(|_| Pair::new(arena));
        for _ in 0..REQUEST {
            let n = random.usize(..VECTORS);
            match random.usize(..5) {
                0 => bytes[n].operate(arena, &mut random),
                1 => words[n].operate(arena, &mut random),
                2 => long[n].operate(arena, &mut random),
                3 => aligned[n].operate(arena, &mut random),
                _ => owned[n].operate(arena, &mut random),
            }
        }
        // Nothing that an operation did reached into another vector.
        bytes.iter().for_each(Pair::check);
        words.iter().for_each(Pair::check);
        long.iter().for_each(Pair::check);
        aligned.iter().for_each(Pair::check);
        owned.iter().for_each(Pair::check);
    }
    assert_eq!(pool.stats().in_use_bytes, 0);
    drop(pool);
    ledger.assert_empty();
}
