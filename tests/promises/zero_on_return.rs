//! With `zero_on_return` no byte that a user wrote reaches another tier, or the allocator: it is looked for in what comes back, and in all
//! memory that is idle.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use crate::common::watching::{SECRET, Watching, secrets_in};
use allocator_api2::vec::Vec as VecIn;
use millpond::alloc::Allocator;
use millpond::{Collect, Pool, PoolBuf, Recycle};

/// Writes secrets on all ways that a block can take: dropped, truncated first, outgrown, oversize, collected, closed.
fn secrets_seen(zero: bool, recycle: Recycle) -> usize {
    let watching = Watching::default();
    let pool = Pool::builder_in(watching.clone())
        .zero_on_return(zero)
        .recycle(recycle)
        .collect(Collect::Manual)
        .build()
        .unwrap();
    for len in [100, 4096, 100_000, 5 << 20] {
        let mut buf = pool.get(len);
        buf.resize(len, SECRET);
        buf.truncate(3);
        buf.reserve(3 * len);
        buf.resize(buf.capacity(), SECRET);
        drop(buf.clone());
        buf.clear();
    }
    collections(&pool);
    #[cfg(feature = "arena")]
    {
        let arena = pool.arena();
        collections(&arena);
    }
    if recycle == Recycle::Always {
        // The next owner's view of what the first left, uninitialised as far as safe code knows.
        let mut next = pool.get(4096);
        // SAFETY: the allocator zeroes what it hands out, so every byte is initialised.
        unsafe { next.set_len(next.capacity()) };
        let seen = secrets_in(&next);
        assert_eq!(seen > 0, !zero);
        next.clear();
    }
    pool.collect();
    pool.collect();
    drop(pool);
    watching.assert_empty();
    watching.seen()
}

/// A vector that grows from a few bytes past the largest class, and shrinks back.
fn collections(place: impl Allocator + Copy) {
    sizes(place, [8, 100, 4096, 100_000, 5 << 20, 6 << 20], [5 << 20, 70_000, 300, 8]);
}

fn sizes<const N: usize, const M: usize>(place: impl Allocator + Copy, up: [usize; N], down: [usize; M]) {
    let mut vec = VecIn::new_in(place);
    for len in up {
        vec.resize(len, SECRET);
    }
    for len in down {
        vec.truncate(len);
        vec.shrink_to_fit();
    }
}

/// N9.
#[test]
fn no_secret_is_seen_afterwards() {
    for recycle in [Recycle::Always, Recycle::Never, Recycle::Chaos(1), Recycle::Chaos(2)] {
        assert_eq!(secrets_seen(true, recycle), 0, "{recycle:?}");
    }
}

/// Without the option they are: the test can fail.
#[test]
fn without_it_secrets_are_seen() {
    assert!(secrets_seen(false, Recycle::Always) > 5 << 20);
}

type Handle = Pool<Watching>;

/// On which a secret goes back.
struct Way {
    name: &'static str,
    /// Leaves nothing in anybody's hand.
    go: fn(&Handle),
    /// All of it goes back to the allocator at once, so that nothing is idle afterwards.
    keeps_nothing: bool,
}

const fn way(name: &'static str, go: fn(&Handle)) -> Way {
    Way { name, go, keeps_nothing: false }
}

const fn past(name: &'static str, go: fn(&Handle)) -> Way {
    Way { name, go, keeps_nothing: true }
}

/// So that few bytes are oversize.
const MAX_CLASS: usize = 64 << 10;

/// So that few are too many beside what is idle.
const LIMIT: usize = 4 << 20;

const WAYS: &[Way] = &[
    way("a drop", |pool| drop(filled(pool, 4096))),
    way("a drop of what was emptied", |pool| filled(pool, 4096).clear()),
    way("a growth", |pool| filled(pool, 4096).reserve(10_000)),
    past("an oversize buffer", |pool| drop(filled(pool, 100_000))),
    way("a growth past the largest class", |pool| filled(pool, 60_000).reserve(100_000)),
    past("a growth of an oversize buffer", |pool| filled(pool, 100_000).reserve(200_000)),
    way("a copy outside the pool", |pool| {
        assert_eq!(Vec::from(filled(pool, 4096)).len(), 4096);
        let copy: Vec<u8> = filled(pool, 5000).into();
        assert_eq!(copy.len(), 5000);
    }),
    way("a vector that grows and shrinks", |pool| sizes(pool, [8, 100, 4096, 70_000], [60_000, 300, 8])),
    way("another thread", |pool| {
        let buf = filled(pool, 50_000);
        thread::spawn(move || drop(buf)).join().unwrap();
    }),
    way("an unwinding thread", |pool| {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _buf = filled(pool, 4096);
            resume_unwind(Box::new("half way"));
        }));
        assert!(unwound.is_err());
    }),
    way("a reader that fails", |pool| {
        let mut buf = pool.get(1);
        assert!(buf.read_from(&[SECRET; 5000][..], 4999).is_err());
    }),
    way("a magazine's worth and more", |pool| drop((0..100).map(|_| filled(pool, 1000)).collect::<Vec<_>>())),
    past("a purge at the limit", |pool| {
        drop((0..100).map(|_| filled(pool, 16 << 10)).collect::<Vec<_>>());
        let purges = pool.stats().purges;
        drop(pool.try_get(LIMIT).expect("what is idle is purged"));
        assert!(pool.stats().purges > purges || pool.stats().total().passed > 0);
    }),
    #[cfg(feature = "bytes")]
    way("frozen", |pool| {
        let bytes = filled(pool, 4096).freeze();
        let last = bytes.slice(4000..);
        drop(bytes);
        assert!(last.iter().all(|byte| *byte == SECRET));
        thread::spawn(move || drop(last)).join().unwrap();
    }),
    #[cfg(feature = "arena")]
    way("an arena's large blocks", |pool| {
        let mut arena = pool.arena();
        sizes(&arena, [300, 4096, 70_000], [60_000, 300, 8]);
        arena.alloc_slice_copy(&[SECRET; 5000]);
        arena.reset();
        arena.alloc_slice_copy(&[SECRET; 5000]);
    }),
    #[cfg(feature = "arena")]
    way("an arena on another thread, unwinding", |pool| {
        let arena = pool.arena();
        arena.alloc_slice_copy(&[SECRET; 5000]);
        let unwound = thread::spawn(move || {
            let _arena = arena;
            resume_unwind(Box::new("half way"));
        });
        assert!(unwound.join().is_err());
    }),
];

fn filled(pool: &Handle, len: usize) -> PoolBuf<Watching> {
    let mut buf = pool.get(len);
    buf.resize(len, SECRET);
    buf
}

/// In idle memory after each way, and in what a collection, a purge and closing give back.
fn idle_secrets(zero: bool, recycle: Recycle, way: &Way) -> (usize, usize) {
    let watching = Watching::default();
    let builder = Pool::builder_in(watching.clone()).max_class(MAX_CLASS).limit(LIMIT).collect(Collect::Manual);
    let pool = builder.zero_on_return(zero).recycle(recycle).build().unwrap();
    let mut idle = 0;
    for end in [Handle::collect, Handle::purge, Handle::collect] {
        (way.go)(&pool);
        idle += watching.idle_secrets();
        end(&pool);
        idle += watching.idle_secrets();
    }
    drop(pool);
    watching.assert_empty();
    (idle, watching.seen())
}

#[test]
fn no_secret_lies_in_idle_memory_on_whatever_way_it_went_back() {
    for way in WAYS {
        for recycle in [Recycle::Always, Recycle::Never, Recycle::Chaos(1)] {
            assert_eq!(idle_secrets(true, recycle, way), (0, 0), "{}, {recycle:?}", way.name);
        }
    }
}

/// The test can fail, on each way.
#[test]
fn without_it_each_way_leaves_some() {
    for way in WAYS {
        let (idle, released) = idle_secrets(false, Recycle::Always, way);
        assert!(released > 0, "{}", way.name);
        assert_eq!(idle == 0, way.keeps_nothing || cfg!(millpond_asan), "{}", way.name);
    }
}

/// Clones and slices keep it as long as they live, and the last one's drop overwrites it.
#[cfg(feature = "bytes")]
#[test]
fn frozen_bytes_are_overwritten_by_the_last_drop() {
    for (zero, left) in [(true, 0), (false, 4096)] {
        let watching = Watching::default();
        let pool = Pool::builder_in(watching.clone())
            .zero_on_return(zero)
            .collect(Collect::Manual)
            .recycle(Recycle::Always)
            .build()
            .unwrap();
        let bytes = filled(&pool, 4096).freeze();
        let last = bytes.slice(4000..);
        drop(bytes);
        assert!(last.iter().all(|byte| *byte == SECRET));
        drop(last);
        assert_eq!(watching.idle_secrets(), if cfg!(millpond_asan) { 0 } else { left });
        drop(pool);
        watching.assert_empty();
        assert_eq!(watching.seen(), left);
    }
}
