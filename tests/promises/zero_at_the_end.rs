//! With `zero_on_return` a pool also ends without a secret: with idle blocks, and before what it handed out.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::Barrier;
use std::thread;

use crate::common::threads;
use crate::common::watching::{SECRET, Watching};
use allocator_api2::vec::Vec as VecIn;
use millpond::{Collect, Pool, PoolBuf, Recycle};

type Handle = Pool<Watching>;

/// Ends a pool, and leaves nothing in anybody's hand.
type End = (&'static str, fn(Handle));

const ENDS: &[End] = &[
    ("closed with idle blocks", |pool| drop((0..100).map(|n| filled(&pool, 100 << (n % 9))).collect::<Vec<_>>())),
    ("closed with idle blocks of a thread that ended", |pool| {
        threads::scope(|scope| scope.spawn(|| drop((0..100).map(|_| filled(&pool, 1000)).collect::<Vec<_>>())));
    }),
    ("closed with blocks that a collection passed over", |pool| {
        drop((0..100).map(|_| filled(&pool, 1000)).collect::<Vec<_>>());
        pool.collect();
    }),
    ("a buffer that outlives it", |pool| outliving(pool, |buf| buf)),
    ("a buffer that is emptied first", |pool| {
        outliving(pool, |mut buf| {
            buf.clear();
            buf
        });
    }),
    ("a buffer that grows afterwards", |pool| {
        outliving(pool, |mut buf| {
            buf.reserve(buf.capacity() + 1);
            buf
        });
    }),
    ("a copy that is made afterwards", |pool| outliving(pool, |buf| buf.clone())),
    ("a copy outside it that is made afterwards", |pool| {
        let buf = filled(&pool, 5000);
        drop(pool);
        assert_eq!(Vec::from(buf).len(), 5000);
    }),
    ("the last handle and the last buffer beside each other", |pool| {
        let (buf, barrier) = (filled(&pool, 5000), Barrier::new(2));
        let meet = &barrier;
        threads::scope(|scope| {
            scope.spawn(move || {
                meet.wait();
                drop(buf);
            });
            scope.spawn(move || {
                meet.wait();
                drop(pool);
            });
        });
    }),
    ("with a thread, in whose locals all of it is", |pool| {
        thread_local!(static HELD: RefCell<Option<(Handle, PoolBuf<Watching>)>> = const { RefCell::new(None) });
        let local = move || {
            let buf = filled(&pool, 5000);
            HELD.set(Some((pool, buf)));
        };
        thread::spawn(local).join().unwrap();
    }),
    ("with a thread that unwinds", |pool| {
        let unwinds = move || {
            let buf = filled(&pool, 5000);
            let _later = (pool, buf);
            resume_unwind(Box::new("half way"));
        };
        assert!(thread::spawn(unwinds).join().is_err());
    }),
    ("with a vector that has the last handle", |pool| {
        let mut vec = VecIn::new_in(pool);
        for len in [8, 100, 4096, 100_000] {
            vec.resize(len, SECRET);
        }
        vec.truncate(3000);
        vec.shrink_to_fit();
    }),
    #[cfg(feature = "bytes")]
    ("frozen bytes that outlive it", |pool| {
        let bytes = filled(&pool, 5000).freeze();
        drop(pool);
        let last = bytes.slice(10..20);
        drop(bytes);
        thread::spawn(move || drop(last)).join().unwrap();
    }),
    #[cfg(feature = "arena")]
    ("with an arena that has the last handle", |pool| {
        let arena = pool.arena();
        arena.alloc_slice_copy(&[SECRET; 5000]);
        drop(pool);
        arena.alloc_slice_copy(&[SECRET; 300]);
        thread::spawn(move || drop(arena)).join().unwrap();
    }),
];

fn filled(pool: &Handle, len: usize) -> PoolBuf<Watching> {
    let mut buf = pool.get(len);
    buf.resize(len, SECRET);
    buf
}

/// In a class, in one that no magazine keeps, and above all classes; the last one goes on another thread.
fn outliving(pool: Handle, then: fn(PoolBuf<Watching>) -> PoolBuf<Watching>) {
    let held = [5000, 50_000, 100_000].map(|len| filled(&pool, len));
    drop(pool);
    let [first, second, third] = held.map(then);
    drop((first, second));
    thread::spawn(move || drop(third)).join().unwrap();
}

fn secrets_seen(zero: bool, recycle: Recycle, end: fn(Handle)) -> usize {
    let watching = Watching::default();
    // So that few bytes are oversize, and not many more too large for a magazine.
    let builder = Pool::builder_in(watching.clone()).max_class(64 << 10).local_limit(100_000);
    let builder = builder.zero_on_return(zero).collect(Collect::Manual);
    end(builder.recycle(recycle).build().unwrap());
    watching.assert_empty();
    watching.seen()
}

#[test]
fn no_secret_is_left_however_it_ends() {
    for (name, end) in ENDS {
        for recycle in [Recycle::Always, Recycle::Never, Recycle::Chaos(1)] {
            assert_eq!(secrets_seen(true, recycle, *end), 0, "{name}, {recycle:?}");
        }
    }
}

/// The test can fail, on each.
#[test]
fn without_it_each_leaves_some() {
    for (name, end) in ENDS {
        assert!(secrets_seen(false, Recycle::Always, *end) > 0, "{name}");
    }
}
