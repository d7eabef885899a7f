//! With `zero_on_return` no byte that a user wrote reaches another tier, or the allocator: it is looked for in what comes back, and in all
//! memory that is idle.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "an allocator of its own, with a lock")]

use std::alloc::Layout;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use allocator_api2::vec::Vec as VecIn;
use millpond::alloc::{AllocError, Allocator, Global};
use millpond::{Collect, Pool, PoolBuf, Recycle};

const SECRET: u8 = 0xA5;

/// Counts the secret bytes in the blocks that come back, and knows those that are out. Blocks are handed out zeroed, so all of one can be
/// read.
#[derive(Clone, Default)]
struct Watching(Arc<Watched>);

#[derive(Default)]
struct Watched {
    seen: AtomicUsize,
    out: Mutex<HashMap<usize, (NonNull<u8>, usize)>>,
}

// SAFETY: the pointers are those of blocks, which are read while nobody uses them.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

fn secrets_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == SECRET).count()
}

impl Watching {
    /// Secret bytes in the blocks that the pool has, while no buffer is out.
    fn idle_secrets(&self) -> usize {
        if cfg!(millpond_asan) {
            // It is poisoned: even to look is an error.
            return 0;
        }
        // SAFETY: the blocks are out of this allocator, so long, initialised, and idle.
        let secrets =
            |(at, len): &(NonNull<u8>, usize)| secrets_in(unsafe { NonNull::slice_from_raw_parts(*at, *len).as_ref() });
        self.0.out.lock().unwrap().values().map(secrets).sum()
    }
}

// SAFETY: memory comes from `Global`, unchanged.
unsafe impl Allocator for Watching {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = Global.allocate_zeroed(layout)?;
        let at = block.cast::<u8>();
        self.0.out.lock().unwrap().insert(at.addr().get(), (at, layout.size()));
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the block has this size, and all of it is initialised.
        let bytes = unsafe { NonNull::slice_from_raw_parts(block, layout.size()).as_ref() };
        self.0.seen.fetch_add(secrets_in(bytes), SeqCst);
        self.0.out.lock().unwrap().remove(&block.addr().get());
        // SAFETY: passed on.
        unsafe { Global.deallocate(block, layout) };
    }
}

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
    watching.0.seen.load(SeqCst)
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
    assert_eq!(secrets_seen(true, Recycle::Always), 0);
    assert_eq!(secrets_seen(true, Recycle::Never), 0);
}

/// Without the option they are: the test can fail.
#[test]
fn without_it_secrets_are_seen() {
    assert!(secrets_seen(false, Recycle::Always) > 5 << 20);
}

type Handle = Pool<Watching>;
type Way = fn(&Handle);

/// The ways on which a secret goes back, each of which leaves nothing in anybody's hand.
const WAYS: [(&str, Way); 9] = [
    ("a drop", |pool| drop(filled(pool, 4096))),
    ("a drop of what was emptied", |pool| filled(pool, 4096).clear()),
    ("a growth", |pool| filled(pool, 4096).reserve(10_000)),
    ("an oversize buffer", |pool| drop(filled(pool, 100_000))),
    ("a vector that grows and shrinks", |pool| sizes(pool, [8, 100, 4096, 70_000], [60_000, 300, 8])),
    ("another thread", |pool| {
        let buf = filled(pool, 50_000);
        thread::spawn(move || drop(buf)).join().unwrap();
    }),
    ("an unwinding thread", |pool| {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _buf = filled(pool, 4096);
            resume_unwind(Box::new("half way"));
        }));
        assert!(unwound.is_err());
    }),
    ("a reader that fails", |pool| {
        let mut buf = pool.get(1);
        assert!(buf.read_from(&[SECRET; 5000][..], 4999).is_err());
    }),
    ("a magazine's worth and more", |pool| drop((0..100).map(|_| filled(pool, 1000)).collect::<Vec<_>>())),
];

fn filled(pool: &Handle, len: usize) -> PoolBuf<Watching> {
    let mut buf = pool.get(len);
    buf.resize(len, SECRET);
    buf
}

/// In idle memory after each way, and in what a collection, a purge and closing give back.
fn idle_secrets(zero: bool, recycle: Recycle, way: Way) -> (usize, usize) {
    let watching = Watching::default();
    // So that few bytes are oversize.
    let builder = Pool::builder_in(watching.clone()).max_class(64 << 10).zero_on_return(zero).collect(Collect::Manual);
    let pool = builder.recycle(recycle).build().unwrap();
    let mut idle = 0;
    for end in [Handle::collect, Handle::purge, Handle::collect] {
        way(&pool);
        idle += watching.idle_secrets();
        end(&pool);
        idle += watching.idle_secrets();
    }
    drop(pool);
    (idle, watching.0.seen.load(SeqCst))
}

#[test]
fn no_secret_lies_in_idle_memory_on_whatever_way_it_went_back() {
    for (name, way) in WAYS {
        for recycle in [Recycle::Always, Recycle::Never, Recycle::Chaos(1)] {
            assert_eq!(idle_secrets(true, recycle, way), (0, 0), "{name}, {recycle:?}");
        }
    }
}

/// The test can fail, on each way.
#[test]
fn without_it_each_way_leaves_some() {
    for (name, way) in WAYS {
        let (idle, released) = idle_secrets(false, Recycle::Always, way);
        assert!(released > 0, "{name}");
        assert!(idle > 0 || cfg!(millpond_asan) || name == "an oversize buffer", "{name}");
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
        assert_eq!(watching.0.seen.load(SeqCst), left);
    }
}
