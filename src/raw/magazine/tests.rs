//! A magazine beside a plain vector that says what it must hold and have counted.

use core::ptr::NonNull;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{GET, MAGAZINE, Magazine};
use crate::raw::block::{BATCH, Batch};
use crate::raw::home::Home;
use crate::raw::size_class::Class;
use crate::sync::Ordering::Relaxed;

#[derive(Clone, Copy, Debug)]
enum Step {
    Take,
    TakeBelowFloor,
    Store,
    Refill(usize),
    Flush(usize),
    Cover(usize),
    Uncover,
    CountGet,
    Sweep(bool),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<()>().prop_map(|()| Step::Take),
        8 => any::<()>().prop_map(|()| Step::TakeBelowFloor),
        16 => any::<()>().prop_map(|()| Step::Store),
        4 => (1..=BATCH).prop_map(Step::Refill),
        2 => (0..=BATCH).prop_map(Step::Flush),
        6 => (1..=BATCH).prop_map(Step::Cover),
        1 => any::<()>().prop_map(|()| Step::Uncover),
        1 => any::<()>().prop_map(|()| Step::CountGet),
        1 => any::<bool>().prop_map(Step::Sweep),
    ]
}

/// What the magazine must hold: blocks are numbers, oldest first.
#[derive(Default)]
struct Model {
    idle: Vec<usize>,
    low: usize,
    room: usize,
    gets: u64,
    puts: u64,
}

fn block(number: usize) -> NonNull<u8> {
    NonNull::new(core::ptr::without_provenance_mut(number)).expect("numbers start at one")
}

proptest! {
    #[test]
    fn it_holds_and_counts_what_a_vector_does(
        capacity in 2..=MAGAZINE,
        steps in vec(steps(), 0..150),
        // Local hits that it has behind it, and as many of other tiers: none, about to fill 32 bits, more than those.
        before in select([0, (1 << 32) - 20, 1 << 40].as_slice()),
    ) {
        let magazine = Magazine::new(Home::shared(Class::new(3), 448, NonNull::dangling()), capacity);
        magazine.enter().unwrap().entered.word += before * GET;
        magazine.served.store(before, Relaxed);
        magazine.moved.store(before, Relaxed);
        let mut model = Model { gets: 2 * before, puts: 2 * before, ..Model::default() };
        let mut numbers = 1..;
        for step in steps {
            match step {
                Step::Take => {
                    let taken = magazine.enter().unwrap().take();
                    let expected = if model.idle.len() > model.low { model.idle.pop() } else { None };
                    prop_assert_eq!(taken, expected.map(block));
                    model.gets += u64::from(taken.is_some());
                }
                Step::TakeBelowFloor => {
                    let taken = magazine.enter_slow().unwrap().take_below_floor();
                    prop_assert_eq!(taken, model.idle.pop().map(block));
                    model.low = model.low.min(model.idle.len());
                    model.gets += u64::from(taken.is_some());
                }
                Step::Store => {
                    let number = numbers.next().unwrap();
                    // SAFETY: nobody follows it.
                    let mut stored = unsafe { magazine.enter().unwrap().store(block(number)) };
                    if !stored {
                        // As after a sweep: there may be room once the stack begins at 0 again.
                        // SAFETY: as above.
                        stored = unsafe { magazine.enter_slow().unwrap().store(block(number)) };
                    }
                    prop_assert_eq!(stored, model.idle.len() < model.room);
                    if stored {
                        model.idle.push(number);
                        model.puts += 1;
                    }
                }
                Step::Refill(count) => {
                    let mut batch = Batch::default();
                    let came: Vec<_> = numbers.by_ref().take(count).collect();
                    came.iter().for_each(|number| batch.add(block(*number)));
                    // SAFETY: nobody follows them.
                    unsafe { magazine.enter_slow().unwrap().refill(&mut batch) };
                    let fits = count.min(model.room - model.idle.len());
                    prop_assert_eq!(batch.len(), count - fits);
                    model.idle.extend(came.iter().rev().take(fits));
                }
                Step::Flush(most) => {
                    let mut batch = Batch::default();
                    let half = model.idle.len().div_ceil(2).min(BATCH);
                    prop_assert_eq!(magazine.older_half(), half);
                    let half = half.min(most);
                    magazine.enter_slow().unwrap().take_older_half(most, &mut batch);
                    let mut left: Vec<_> = core::iter::from_fn(|| batch.pop()).collect();
                    left.reverse();
                    prop_assert_eq!(left, model.idle.drain(..half).map(block).collect::<Vec<_>>());
                    model.low = model.low.saturating_sub(half);
                }
                Step::Cover(blocks) => {
                    let inside = magazine.enter_slow().unwrap();
                    prop_assert_eq!(inside.coverable(), capacity - model.room);
                    let blocks = blocks.min(inside.coverable());
                    inside.cover(blocks);
                    model.room += blocks;
                }
                Step::Uncover => {
                    let freed = magazine.enter_slow().unwrap().uncover();
                    prop_assert_eq!(freed, model.room - model.idle.len());
                    model.room = model.idle.len();
                }
                Step::CountGet => {
                    magazine.enter().unwrap().count_get();
                    model.gets += 1;
                }
                Step::Sweep(all) => {
                    magazine.revoke();
                    prop_assert!(magazine.enter().is_none());
                    // SAFETY: revoked, and there is one thread.
                    let seized = unsafe { magazine.seize() }.unwrap();
                    let mut taken = Vec::new();
                    let freed = seized.sweep(all, |block| taken.push(block));
                    let count = if all { model.idle.len() } else { model.low };
                    prop_assert_eq!(taken, model.idle.drain(..count).map(block).collect::<Vec<_>>());
                    prop_assert_eq!(freed, model.room - model.idle.len());
                    (model.low, model.room) = (model.idle.len(), model.idle.len());
                    magazine.reinstate();
                }
            }
            prop_assert_eq!(magazine.len(), model.idle.len());
            prop_assert_eq!(magazine.room(), model.room);
            prop_assert_eq!(magazine.counts(), (model.gets, model.puts));
        }
    }
}
