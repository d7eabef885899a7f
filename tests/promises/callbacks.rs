//! What a user gives to a pool may panic at any single call: `make`, `reset`, a drop, a hook, a reader. At most the one object
//! concerned is lost, and the pool goes on.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::common::cue::{Cue, Object};
use crate::common::ledger::Ledger;
use millpond::objects::Clear;
use millpond::{Collect, ObjectPool, Pool, Pressure, Recycle};

/// How a pool of objects resets.
#[derive(Clone, Copy, Debug)]
enum Resets {
    Not,
    ByClosure,
    ByClear,
}

/// What a pool that clears asks of an object.
impl Clear for Object {
    fn clear(&mut self) {
        self.cue.call();
    }

    fn capacity(&self) -> usize {
        self.cue.call();
        if self.refused { 11 } else { 10 }
    }
}

fn objects(cue: &Cue, recycle: Recycle, resets: Resets) -> ObjectPool<Object> {
    let (make, reset) = (cue.clone(), cue.clone());
    let builder = ObjectPool::builder(move || Object::make(&make));
    let builder = match resets {
        Resets::Not => builder,
        Resets::ByClosure => builder.reset(move |object| {
            reset.call();
            !std::mem::take(&mut object.refused)
        }),
        Resets::ByClear => builder.clear(10),
    };
    builder.max_idle(8).collect(Collect::Manual).recycle(recycle).build().unwrap()
}

/// Calls each callback, from the user's code, from another thread's, and from collections.
fn use_objects(pool: &ObjectPool<Object>, cue: &Cue) {
    let mut held: Vec<_> = (0..6).map(|_| pool.get()).collect();
    held[1].refused = true;
    held.truncate(3);
    let sent = held.pop();
    std::thread::spawn(move || drop(sent)).join().unwrap();
    pool.put(Object::make(cue));
    drop(pool.get().detach());
    held.extend((0..10).map(|_| pool.get()));
    drop(held);
    pool.collect();
    drop(pool.get());
    pool.collect();
    pool.purge();
    drop(pool.get());
}

#[test]
fn of_objects_at_any_call_loses_no_more_than_that_one() {
    for (recycle, resets) in [
        (Recycle::Always, Resets::Not),
        (Recycle::Always, Resets::ByClosure),
        (Recycle::Always, Resets::ByClear),
        (Recycle::Never, Resets::ByClosure),
        (Recycle::Chaos(5), Resets::ByClosure),
        (Recycle::Chaos(5), Resets::ByClear),
    ] {
        let cue = Cue::default();
        let pool = objects(&cue, recycle, resets);
        use_objects(&pool, &cue);
        drop(pool);
        let calls = cue.calls();
        assert!(calls > 25, "{calls} calls");
        for nth in 1..=calls {
            let place = format!("{recycle:?}, {resets:?}, call {nth}");
            let pool = objects(&cue, recycle, resets);
            cue.arm(nth);
            let result = catch_unwind(AssertUnwindSafe(|| use_objects(&pool, &cue)));
            let stats = pool.stats();
            assert_eq!(stats.objects.in_use, 0, "{place}\n{stats}");
            assert_eq!(stats.objects.idle, cue.objects(), "{place}\n{stats}");
            // A panic that was the user's to see, or one that the pool kept; none where its turn comes when the pool ends.
            let contained = stats.reset_panics + stats.drop_panics;
            assert_eq!(contained + u64::from(result.is_err()), u64::from(cue.has_panicked()), "{place}\n{stats}");
            cue.arm(0);
            use_objects(&pool, &cue);
            drop(pool);
            assert_eq!(cue.objects(), 0, "{place}");
        }
    }
}

/// Closing drops what is idle.
#[test]
fn of_objects_at_any_call_of_closing_is_contained() {
    let cue = Cue::default();
    for nth in 1..=6 {
        let pool = objects(&cue, Recycle::Always, Resets::ByClosure);
        let (held, late) = ((0..4).map(|_| pool.get()).collect::<Vec<_>>(), pool.get());
        drop(held);
        cue.arm(nth);
        drop(pool);
        drop(late);
        assert_eq!(cue.objects(), 0);
    }
    assert_eq!(cue.calls(), 6, "every call had its turn: four drops, the late one's reset, and its drop");
}

/// What a closure captured goes with the pool, and its drop is a call too.
#[test]
fn of_a_captured_value_is_contained() {
    struct Captured(Cue);

    impl Drop for Captured {
        fn drop(&mut self) {
            self.0.call();
        }
    }

    let cue = Cue::default();
    let captured = || Captured(cue.clone());
    for nth in 1..=3 {
        for used in [true, false] {
            let (in_make, in_reset, in_signal) = (captured(), captured(), captured());
            let builder = ObjectPool::<u8>::builder(move || {
                let _ = &in_make;
                0
            });
            let builder = builder.reset(move |_| {
                let _ = &in_reset;
            });
            let signal = move || {
                let _ = &in_signal;
                Pressure::Low
            };
            let pool = builder.pressure(signal).collect(Collect::Manual).build().unwrap();
            if used {
                drop(pool.get());
            }
            cue.arm(nth);
            drop(pool);
            assert_eq!(cue.calls(), 3);
        }
    }
}

/// Gives a byte at each call.
struct Bytes(Cue);

impl Read for Bytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.call();
        let Some(first) = into.first_mut().filter(|_| self.0.calls() <= 300) else { return Ok(0) };
        *first = 7;
        Ok(1)
    }
}

#[test]
fn of_a_reader_at_any_call_keeps_what_was_read() {
    let (ledger, cue) = (Ledger::new(), Cue::default());
    let pool = crate::common::pool(&ledger);
    for nth in 1..=301 {
        cue.arm(nth);
        let mut buf = pool.get(1);
        let result = catch_unwind(AssertUnwindSafe(|| buf.read_from(Bytes(cue.clone()), 1 << 20)));
        assert!(result.is_err());
        assert_eq!(*buf, vec![7; nth - 1]);
    }
    assert_eq!(pool.stats().in_use_bytes, 0);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn of_a_hook_is_counted_and_the_collection_done() {
    fn hook(ledger: &Ledger, _: millpond::Freed) {
        assert_eq!(ledger.live(), 0, "what was collected is free");
        resume_unwind(Box::new("on cue"));
    }
    let ledger = Ledger::new();
    let pool = Pool::builder_in(ledger.clone())
        .collect(Collect::Manual)
        .recycle(Recycle::Always)
        .trimmed(hook)
        .build()
        .unwrap();
    for panics in 1..=3 {
        drop(pool.get(4096));
        assert_eq!(pool.purge().blocks(), 1);
        assert_eq!(pool.stats().release_panics, panics);
    }
    drop(pool);
    ledger.assert_empty();
}

/// What a panic carries is the user's too, and so is its drop.
#[test]
fn of_what_a_panic_carries_is_contained() {
    static DROPS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

    struct Carried {
        panics: bool,
    }

    /// Without a size, as it is forgotten.
    struct Next;

    impl Drop for Carried {
        fn drop(&mut self) {
            DROPS[0].fetch_add(1, SeqCst);
            if self.panics {
                resume_unwind(Box::new(Next));
            }
        }
    }

    impl Drop for Next {
        fn drop(&mut self) {
            DROPS[1].fetch_add(1, SeqCst);
        }
    }

    for (panics, drops) in [(false, 1), (true, 2)] {
        let reset = move |_: &mut String| -> bool { resume_unwind(Box::new(Carried { panics })) };
        let pool = ObjectPool::builder(String::new).reset(reset).collect(Collect::Manual).build().unwrap();
        drop(pool.get());
        let stats = pool.stats();
        assert_eq!((stats.reset_panics, stats.objects.in_use), (1, 0), "{stats}");
        // The next one is not dropped: it could go on like that.
        assert_eq!(DROPS.each_ref().map(|drops| drops.load(SeqCst)), [drops, 0]);
    }
}
