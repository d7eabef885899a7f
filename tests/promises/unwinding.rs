//! A panic while buffers are held gives them back, wherever it starts and however its thread ends; the pool goes on.

use std::cell::RefCell;
use std::fmt::{self, Display};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

use crate::common::ledger::Ledger;
use millpond::{Collect, Pool, PoolBuf, Recycle};

const LIMIT: usize = 1 << 20;

fn limited(ledger: &Ledger) -> Pool<Ledger> {
    let builder = Pool::builder_in(ledger.clone()).limit(LIMIT).collect(Collect::Manual);
    builder.recycle(Recycle::Always).build().unwrap()
}

/// Nothing is out, every class still serves, and the pool ends with nothing.
fn assert_unharmed(pool: Pool<Ledger>, ledger: &Ledger) {
    let stats = pool.stats();
    assert_eq!((stats.in_use_bytes, stats.release_panics), (0, 0), "{stats}");
    assert_eq!(stats.allocated_bytes, stats.idle_bytes, "{stats}");
    assert_eq!(stats.allocated_bytes, ledger.live_bytes(), "{stats}");
    drop([1, 4096, 100_000].map(|len| pool.get(len)));
    pool.purge();
    assert_eq!(ledger.live(), 0);
    drop(pool);
    ledger.assert_empty();
    assert_eq!(ledger.clones(), 1, "the pool is freed");
}

#[test]
fn out_of_get_and_growth_at_the_limit() {
    let ledger = Ledger::new();
    let pool = limited(&ledger);
    for _ in 0..100 {
        catch_unwind(|| {
            let mut held: Vec<_> = (0..10).map(|_| pool.get(4096)).collect();
            loop {
                held.push(pool.get(100_000));
            }
        })
        .unwrap_err();
        catch_unwind(|| {
            let (mut one, mut other) = (pool.get(1), pool.get(4096));
            loop {
                one.extend_from_slice(&[1; 1000]);
                other.push(2);
            }
        })
        .unwrap_err();
        catch_unwind(|| {
            let mut copies = vec![pool.get(1)];
            copies[0].resize(100_000, 1);
            loop {
                copies.push(copies[0].clone());
            }
        })
        .unwrap_err();
    }
    assert_unharmed(pool, &ledger);
}

/// The caller's own code panics while the pool's is below it on the stack.
#[test]
fn out_of_code_that_fills_a_buffer() {
    struct Unprintable;
    impl Display for Unprintable {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&"half of it ".repeat(1000))?;
            panic_any("no more");
        }
    }
    let ledger = Ledger::new();
    let pool = limited(&ledger);
    let mut kept = pool.get(1);
    for _ in 0..100 {
        kept.clear();
        catch_unwind(AssertUnwindSafe(|| write!(kept, "{Unprintable}").unwrap())).unwrap_err();
        assert_eq!(kept, "half of it ".repeat(1000));
        let some = (0..1000_u32).map(|n| if n < 700 { 7 } else { panic_any("no more") });
        catch_unwind(AssertUnwindSafe(|| kept.extend(some))).unwrap_err();
        assert_eq!(kept[11_000..], [7; 700]);
    }
    drop(kept);
    assert_unharmed(pool, &ledger);
}

/// Destructors that run because of a panic get, grow, drop and collect, and one that panics itself has its buffers
/// dropped all the same.
#[test]
fn out_of_and_through_destructors() {
    struct Busy<'pool>(&'pool Pool<Ledger>);
    impl Drop for Busy<'_> {
        fn drop(&mut self) {
            let mut buf = self.0.get(100);
            buf.resize(10_000, 1);
            self.0.collect();
            drop((0..50).map(|_| self.0.get(100)).collect::<Vec<_>>());
        }
    }
    struct Panicking(#[expect(dead_code, reason = "dropped")] [PoolBuf<Ledger>; 2]);
    impl Drop for Panicking {
        fn drop(&mut self) {
            panic_any("in a destructor");
        }
    }
    let ledger = Ledger::new();
    let pool = limited(&ledger);
    for _ in 0..100 {
        catch_unwind(AssertUnwindSafe(|| {
            let (_held, _busy) = (pool.get(4096), Busy(&pool));
            drop(Panicking([pool.get(4096), pool.get(50_000)]));
        }))
        .unwrap_err();
    }
    assert_unharmed(pool, &ledger);
}

/// Threads die with buffers on the stack, in a local of theirs, and in the hands of a scope that panics too.
#[test]
fn out_of_threads() {
    thread_local!(static LOCAL: RefCell<Vec<PoolBuf<Ledger>>> = const { RefCell::new(Vec::new()) });
    let die = |pool: &Pool<Ledger>, used_before: bool| {
        let held: Vec<_> = (0..if used_before { 50 } else { 0 }).map(|_| pool.get(2000)).collect();
        LOCAL.set(Vec::new());
        LOCAL.set((0..50).map(|_| pool.get(2000)).collect());
        panic_any(held.len());
    };
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    for _ in 0..50 {
        let threads = [true, false].map(|used_before| {
            let pool = pool.clone();
            std::thread::spawn(move || die(&pool, used_before))
        });
        threads.into_iter().for_each(|thread| _ = thread.join().unwrap_err());
        catch_unwind(AssertUnwindSafe(|| {
            let _held = pool.get(2000);
            std::thread::scope(|scope| {
                let dying = scope.spawn(|| die(&pool, true));
                let healthy = scope.spawn(|| drop(pool.get(2000)));
                // Joined, as a scope does not wait for the destructors of a thread's locals.
                healthy.join().unwrap();
                dying.join().unwrap();
            });
        }))
        .unwrap_err();
    }
    assert!(ledger.live() < 1000, "what the dead held is used again: {}", pool.stats());
    assert_unharmed(pool, &ledger);
}
