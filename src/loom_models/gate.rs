//! The owner of a magazine beside a collector.

use core::ptr::NonNull;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::loom_models::ledger::{CLASS, Ledger, SIZE, touch};
use crate::loom_models::{Seen, TWO_THREADS, spawn};
use crate::raw::barrier;
use crate::raw::home::Home;
use crate::raw::magazine::Magazine;
use crate::raw::thread_id::ThreadId;
use crate::sync::Kind;

#[test]
fn a_magazine_is_in_one_hand() {
    TWO_THREADS.both_gates(owner_and_collector);
    TWO_THREADS.with(Kind::Registering).run(owner_and_collector);
}

fn owner_and_collector(seen: &Seen) {
    let ledger = Ledger::default();
    let magazine = Arc::new(magazine());
    {
        let mut inside = magazine.enter_slow().unwrap();
        inside.cover(2);
        // SAFETY: just made.
        assert!(unsafe { inside.store(ledger.make()) });
    }
    let collector = {
        let magazine = Arc::clone(&magazine);
        spawn(1, move || collect(&magazine))
    };
    for _ in 0..2 {
        let entered = magazine.enter_slow();
        seen.note("kept out", entered.is_none());
        let block = entered.and_then(|mut inside| inside.take_below_floor()).unwrap_or_else(|| ledger.make());
        touch(block);
        // SAFETY: it is ours.
        let kept = magazine.enter().is_some_and(|mut inside| unsafe { inside.store(block) });
        if !kept {
            Ledger::unmake(block);
        }
    }
    let collected = collector.join();
    seen.note("collected", collected.is_some_and(|blocks| blocks > 0));
    seen.note("skipped", collected.is_none());
    assert!(magazine.enter_slow().is_some(), "the owner was not let in again");
    assert!(collect(&magazine).is_some());
    ledger.settle();
}

fn magazine() -> Magazine {
    Magazine::new(Home::shared(CLASS, SIZE, NonNull::dangling()).of(ThreadId::fake(0), true), 4)
}

/// Whatever ends a visit, the owner has left afterwards.
#[test]
fn a_panic_inside_leaves() {
    TWO_THREADS.run(|_| {
        let magazine = magazine();
        let visit = catch_unwind(AssertUnwindSafe(|| {
            let _inside = magazine.enter().unwrap();
            resume_unwind(Box::new("inside"));
        }));
        assert!(visit.is_err());
        assert!(collect(&magazine).is_some(), "the owner counts as inside for ever");
    });
}

/// How many blocks it took; none if the owner was inside.
fn collect(magazine: &Magazine) -> Option<usize> {
    magazine.revoke();
    assert!(barrier::heavy());
    // SAFETY: revoked and fenced, by the only collector.
    let seized = unsafe { magazine.seize() };
    let blocks = seized.map(|seized| {
        let mut blocks = 0;
        let _uncovered = seized.sweep(true, |block| {
            Ledger::unmake(block);
            blocks += 1;
        });
        blocks
    });
    magazine.reinstate();
    blocks
}
