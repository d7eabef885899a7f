//! Generations change while others store to them and take from them.

use crate::loom_models::ledger::Ledger;
use crate::loom_models::pool::pool;
use crate::loom_models::{Seen, THREE_THREADS, TWO_THREADS, spawn};
use crate::raw::slot::Reach;
use crate::raw::thread_id::{ThreadId, go_by};

/// One collection only moves a block from the depot to the victim, and a get that asks both finds it.
#[test]
fn a_get_misses_no_block_that_moves() {
    TWO_THREADS.run(|_| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        drop(view.get());
        let getting = spawn(1, move || drop(view.get()));
        view.collect(Reach::Idle);
        getting.join();
        assert_eq!(ledger.made(), 1, "missed");
        drop(handle);
        ledger.settle();
    });
}

#[test]
fn two_collections_beside_a_get_and_a_put() {
    TWO_THREADS.run(|seen: &Seen| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        drop(view.get());
        let other = spawn(1, move || drop(view.get()));
        let waiting = [view.collect(Reach::Idle), view.collect(Reach::Idle)].map(|collected| collected.shells_waiting);
        other.join();
        seen.note("a slow reader", waiting[1] == 1);
        seen.note("made anew", ledger.made() == 2);
        drop(handle);
        ledger.settle();
    });
}

#[test]
fn two_collections_beside_two_puts() {
    THREE_THREADS.run(|seen: &Seen| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        let puts = [(1, view.get()), (2, view.get())].map(|(place, buf)| spawn(place, move || drop(buf)));
        let waiting = [view.collect(Reach::Idle), view.collect(Reach::Idle)].map(|collected| collected.shells_waiting);
        for put in puts {
            put.join();
        }
        seen.note("a slow reader", waiting[1] == 1);
        drop(handle);
        ledger.settle();
    });
}

#[test]
fn two_collectors_take_turns() {
    TWO_THREADS.run(|seen: &Seen| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        drop(view.get());
        go_by(ThreadId::fake(0));
        drop(view.get());
        let other = spawn(1, move || view.collect(Reach::Idle).already_running);
        let running = view.collect(Reach::All).already_running;
        let running = [running, other.join()];
        seen.note("one after the other", running == [false, false]);
        seen.note("at once", running != [false, false]);
        drop(handle);
        ledger.settle();
    });
}
