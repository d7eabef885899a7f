//! Slots that change hands, and slots that appear while others look.

use std::sync::Arc;

use crate::loom_models::ledger::Ledger;
use crate::loom_models::pool::pool;
use crate::loom_models::{Seen, THREE_THREADS, TWO_THREADS, spawn};
use crate::raw::slot::Reach;
use crate::raw::thread_id::{Registry, ThreadId, go_by};
use crate::sync::{Kind, set_kind};

#[test]
fn a_slot_is_handed_over_beside_a_collector() {
    THREE_THREADS.one_less().at_most(2).run(handed_over);
    THREE_THREADS.one_less().at_most(2).with(Kind::System).run(handed_over);
}

/// A thread returns a buffer and ends; another gets one, with the same id if it was free by then; a collector looks in.
fn handed_over(seen: &Seen) {
    let ledger = Ledger::default();
    let registry = Arc::new(Registry::new());
    let (handle, view) = pool(8, &ledger);
    let first = registry.take().unwrap();
    go_by(first);
    let buf = view.get();
    drop(view.get());
    let ending = {
        let registry = Arc::clone(&registry);
        spawn(1, move || {
            go_by(first);
            drop(buf);
            registry.give_back(first);
        })
    };
    let next = {
        let registry = Arc::clone(&registry);
        spawn(2, move || {
            let id = registry.take().unwrap();
            go_by(id);
            drop(view.get());
            id == first
        })
    };
    go_by(ThreadId::NONE);
    let collected = view.collect(Reach::All);
    ending.join();
    let handed_over = next.join();
    seen.note("handed over, and collected", handed_over && collected.local.blocks > 0);
    seen.note("handed over, and skipped", handed_over && collected.slots_skipped > 0);
    drop(handle);
    ledger.settle();
}

#[test]
fn a_slot_appears_during_a_collection() {
    TWO_THREADS.run(appears_during_a_collection);
    TWO_THREADS.one_less().with(Kind::System).run(appears_during_a_collection);
    // The newcomer's sign says what it read of the change.
    TWO_THREADS.one_less().with(Kind::Registering).run(appears_during_a_collection);
}

fn appears_during_a_collection(seen: &Seen) {
    let ledger = Ledger::default();
    let (handle, view) = pool(16, &ledger);
    go_by(ThreadId::fake(0));
    drop(view.get());
    let newcomer = spawn(1, move || {
        go_by(ThreadId::fake(1));
        drop(view.get());
        drop(view.get());
    });
    let collected = view.collect(Reach::All);
    newcomer.join();
    seen.note("not seen", collected.slots == 1);
    seen.note("seen", collected.slots == 2);
    drop(handle);
    ledger.settle();
}

#[test]
fn a_slot_appears_while_the_pool_closes() {
    TWO_THREADS.one_less().run(appears_while_the_pool_closes);
    TWO_THREADS.one_less().with(Kind::System).run(appears_while_the_pool_closes);
    TWO_THREADS.one_less().with(Kind::Registering).run(appears_while_the_pool_closes);
}

fn appears_while_the_pool_closes(_: &Seen) {
    let ledger = Ledger::default();
    let (handle, view) = pool(8, &ledger);
    let buf = view.get();
    let newcomer = spawn(1, move || {
        go_by(ThreadId::fake(1));
        let grown = view.get();
        drop(buf);
        drop(grown);
    });
    drop(handle);
    newcomer.join();
    ledger.settle();
}

/// Both ids lie in one segment of the table, which neither has yet.
#[test]
fn two_slots_appear_at_once() {
    TWO_THREADS.run(|_| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        let other = spawn(1, move || {
            go_by(ThreadId::fake(3));
            drop(view.get());
        });
        go_by(ThreadId::fake(2));
        drop(view.get());
        other.join();
        drop(handle);
        ledger.settle();
    });
}

/// What lies in a slot stays there when the barrier is refused; its owner is let in again, and the next collection tries.
#[test]
fn without_the_barrier_no_slot_is_touched() {
    TWO_THREADS.with(Kind::Refusing).run(|seen: &Seen| {
        set_kind(Kind::Refusing);
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        go_by(ThreadId::fake(0));
        drop(view.get());
        go_by(ThreadId::NONE);
        let owner = spawn(1, move || {
            go_by(ThreadId::fake(0));
            drop(view.get());
        });
        let collected = view.collect(Reach::All);
        owner.join();
        assert_eq!((collected.slots_skipped, collected.local.blocks), (1, 0));
        seen.note("kept out", ledger.made() == 2);
        set_kind(Kind::System);
        assert_eq!(view.collect(Reach::All).slots_skipped, 0);
        drop(handle);
        ledger.settle();
    });
}
