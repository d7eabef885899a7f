//! The owner of a slot beside a collector.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::loom_models::ledger::{CLASS, Ledger, SIZE, config, touch};
use crate::loom_models::{Seen, TWO_THREADS, spawn};
use crate::raw::barrier;
use crate::raw::lease::Budget;
use crate::raw::slot::{Reach, Slot};
use crate::sync::Kind;

#[test]
fn a_slot_is_in_one_hand() {
    TWO_THREADS.both_gates(owner_and_collector);
    TWO_THREADS.with(Kind::Registering).run(owner_and_collector);
}

fn owner_and_collector(seen: &Seen) {
    let ledger = Ledger::default();
    let budget = Budget::new(8 * SIZE);
    let slot = Arc::new(Slot::new());
    assert!(slot.prepare(CLASS, 4));
    {
        let inside = slot.enter().unwrap();
        assert!(inside.lease(CLASS, SIZE, 2, 4 * SIZE, &budget));
        // SAFETY: just made.
        unsafe { inside.store(CLASS, ledger.make()) }.unwrap();
    }
    let collector = {
        let slot = Arc::clone(&slot);
        spawn(1, move || collect(&slot))
    };
    for _ in 0..2 {
        let entered = slot.enter();
        seen.note("kept out", entered.is_none());
        let block = entered.and_then(|inside| inside.take(CLASS)).unwrap_or_else(|| ledger.make());
        touch(block);
        // SAFETY: it is ours.
        let kept = slot.enter().is_some_and(|inside| unsafe { inside.store(CLASS, block) }.is_ok());
        if !kept {
            Ledger::unmake(block);
        }
    }
    let collected = collector.join();
    seen.note("collected", collected.is_some_and(|blocks| blocks > 0));
    seen.note("skipped", collected.is_none());
    assert!(slot.enter().is_some(), "the owner was not let in again");
    assert!(collect(&slot).is_some());
    ledger.settle();
}

/// Whatever ends a visit, the owner has left afterwards.
#[test]
fn a_panic_inside_leaves() {
    TWO_THREADS.run(|_| {
        let slot = Slot::new();
        let visit = catch_unwind(AssertUnwindSafe(|| {
            let _inside = slot.enter().unwrap();
            resume_unwind(Box::new("inside"));
        }));
        assert!(visit.is_err());
        assert!(collect(&slot).is_some(), "the owner counts as inside for ever");
    });
}

/// How many blocks it took; none if the owner was inside.
fn collect(slot: &Slot) -> Option<usize> {
    slot.revoke();
    assert!(barrier::heavy());
    // SAFETY: revoked and fenced, by the only collector.
    let seized = unsafe { slot.seize() };
    let blocks = seized.map(|seized| {
        let mut blocks = 0;
        let _freed = seized.sweep(Reach::All, &config(8).classes, |_, block| {
            Ledger::unmake(block);
            blocks += 1;
        });
        blocks
    });
    slot.reinstate();
    blocks
}
