//! Closing: whoever counts the last unit frees the pool, once; nothing is lost, and nothing used later.

use crate::life::collector;
use crate::loom_models::ledger::Ledger;
use crate::loom_models::pool::{pool, pool_on_the_list};
use crate::loom_models::{Seen, THREE_THREADS, TWO_THREADS, spawn};
use crate::raw::slot::Reach;
use crate::raw::thread_id::{ThreadId, go_by};
use crate::sync::Kind;

const ID: ThreadId = ThreadId::fake(0);

#[test]
fn a_late_return_through_the_shared_way() {
    TWO_THREADS.run(|_| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        let buf = view.get();
        let returning = spawn(1, move || drop(buf));
        drop(handle);
        returning.join();
        ledger.settle();
    });
}

#[test]
fn a_late_return_through_the_slot() {
    TWO_THREADS.both_gates(|_| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        go_by(ID);
        let buf = view.get();
        let returning = spawn(1, move || {
            go_by(ID);
            drop(buf);
        });
        drop(handle);
        returning.join();
        ledger.settle();
    });
}

/// The thread ends, its registration is gone: the slot counted the get, and the shared word counts the put.
#[test]
fn a_late_return_without_a_slot() {
    TWO_THREADS.run(|_| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        go_by(ID);
        let buf = view.get();
        let returning = spawn(1, move || drop(buf));
        drop(handle);
        returning.join();
        ledger.settle();
    });
}

#[test]
fn two_late_returns() {
    THREE_THREADS.both_gates(|_| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        go_by(ID);
        let (one, two) = (view.get(), view.get());
        go_by(ThreadId::NONE);
        let local = spawn(1, move || {
            go_by(ID);
            drop(one);
        });
        let shared = spawn(2, move || drop(two));
        drop(handle);
        local.join();
        shared.join();
        ledger.settle();
    });
}

/// The slot has credit for one block, and it lies there already.
#[test]
fn a_flush_while_closing() {
    TWO_THREADS.run(flush);
    TWO_THREADS.one_less().with(Kind::System).run(flush);
}

fn flush(_: &Seen) {
    let ledger = Ledger::default();
    let (handle, view) = pool(3, &ledger);
    go_by(ID);
    let (one, two) = (view.get(), view.get());
    drop(one);
    go_by(ThreadId::NONE);
    let returning = spawn(1, move || {
        go_by(ID);
        drop(two);
    });
    drop(handle);
    returning.join();
    ledger.settle();
}

#[test]
fn growth_while_closing() {
    TWO_THREADS.one_less().run(growth);
    // At 2 it takes three minutes.
    TWO_THREADS.one_less().one_less().with(Kind::System).run(growth);
}

/// A buffer that grows takes the new block first.
fn growth(_: &Seen) {
    let ledger = Ledger::default();
    let (handle, view) = pool(8, &ledger);
    go_by(ID);
    let buf = view.get();
    go_by(ThreadId::NONE);
    let growing = spawn(1, move || {
        go_by(ID);
        let grown = view.get();
        drop(buf);
        drop(grown);
    });
    drop(handle);
    growing.join();
    ledger.settle();
}

/// At the limit a buffer that grows purges, which needs a handle of its own.
#[test]
fn a_purge_while_closing() {
    TWO_THREADS.run(|seen: &Seen| {
        let ledger = Ledger::with_limit(2);
        let (handle, view) = pool(8, &ledger);
        go_by(ID);
        let (buf, idle) = (view.get(), view.get());
        drop(idle);
        go_by(ThreadId::NONE);
        let growing = spawn(1, move || {
            let grown = view.try_get();
            drop(buf);
            grown.is_ok()
        });
        drop(handle);
        let grown = growing.join();
        seen.note("purged", grown && ledger.made() == 3);
        seen.note("found the pool closing", !grown);
        ledger.settle();
    });
}

#[test]
fn the_last_of_two_handles_closes() {
    TWO_THREADS.run(|_| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        let clone = handle.clone();
        let other = spawn(1, move || {
            go_by(ID);
            let buf = view.get();
            drop(clone);
            drop(buf);
        });
        drop(handle);
        other.join();
        ledger.settle();
    });
}

/// The collector has a handle of its own, which may be the last one.
#[test]
fn a_collection_before_closing() {
    TWO_THREADS.run(|seen: &Seen| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        drop(view.get());
        go_by(ID);
        drop(view.get());
        let clone = handle.clone();
        let collector = spawn(1, move || {
            let collected = view.collect(Reach::Idle);
            drop(clone);
            collected.shells_waiting
        });
        drop(handle);
        seen.note("rotated", collector.join() == 0);
        ledger.settle();
    });
}

/// The background thread knows only that the pool is on its list, and that a pool leaves the list before it is freed.
#[test]
fn the_background_thread_beside_the_last_handle() {
    TWO_THREADS.run(background);
    TWO_THREADS.with(Kind::System).run(background);
}

fn background(seen: &Seen) {
    let ledger = Ledger::default();
    let (handle, view) = pool_on_the_list(8, &ledger);
    go_by(ID);
    drop(view.get());
    go_by(ThreadId::NONE);
    let thread = spawn(1, collector::visit);
    drop(handle);
    let collected = thread.join();
    seen.note("collected", collected == 1);
    seen.note("found the pool closing", collected == 0);
    ledger.settle();
}

/// A unit that comes back, the last handle, and the background thread's.
#[test]
fn a_late_return_beside_the_background_thread() {
    THREE_THREADS.run(|seen: &Seen| {
        let ledger = Ledger::default();
        let (handle, view) = pool_on_the_list(8, &ledger);
        go_by(ID);
        let buf = view.get();
        go_by(ThreadId::NONE);
        let returning = spawn(1, move || {
            go_by(ID);
            drop(buf);
        });
        let thread = spawn(2, collector::visit);
        drop(handle);
        returning.join();
        let collected = thread.join();
        seen.note("collected", collected == 1);
        seen.note("found the pool closing", collected == 0);
        ledger.settle();
    });
}

/// The fence cannot be had any more: the pool stays, as its slots' owners may be inside.
#[test]
fn without_the_barrier_a_pool_is_leaked() {
    TWO_THREADS.with(Kind::Refusing).run(|_| {
        let ledger = Ledger::default();
        let (handle, view) = pool(8, &ledger);
        go_by(ID);
        let buf = view.get();
        go_by(ThreadId::NONE);
        let returning = spawn(1, move || {
            go_by(ID);
            drop(buf);
        });
        drop(handle);
        returning.join();
        assert!(ledger.in_use(), "freed beside an owner that may be inside");
    });
}
