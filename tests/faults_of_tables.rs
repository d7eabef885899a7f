//! A pool's own tables come from the program's allocator, which may have no memory for any one of them: then a get is an error or takes
//! a slower way, nothing is lost, and the pool goes on. A binary of its own: it refuses allocations.
// What has no form that fails is told by its size, and those are of words of 64 bits.
#![cfg(target_pointer_width = "64")]
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

mod common;

#[path = "common/past.rs"]
mod past;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::Ordering::SeqCst;

use allocator_api2::collections::TryReserveError;
use allocator_api2::vec::Vec as VecIn;
use common::census::Census;
use millpond::{Builder, Collect, GetError, ObjectPool, Pool, Recycle};
use past::Blocks;

thread_local! {
    /// How many allocations of this thread are left until one is refused; none: it is not armed.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
    /// The size of what was freed last.
    static FREED: Cell<usize> = const { Cell::new(0) };
    /// Whether somebody asked for as much as retiring a generation takes.
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

struct Refusing;

/// Whether it is the turn of this allocation to be refused.
fn refuses(layout: Layout) -> bool {
    let Some(left) = LEFT.get() else { return false };
    CALLS.set(CALLS.get() + 1);
    LEFT.set(left.checked_sub(1));
    left == 0 && !cannot_report(layout.size())
}

/// What is not ours to ask for, and has no form that fails: it is asked for as much just before, and that may be refused.
fn cannot_report(size: usize) -> bool {
    // `ArrayQueue::new`
    let queue = size % CELL == 0 && size == FREED.get() || (size, FREED.get()) == (SHELF, 16 * SHELF);
    // The count of `Arc<()>`, and the bag of crossbeam-epoch, with which a generation is retired.
    queue || ASKED.get() && (size == TOKEN || BAG.contains(&size))
}

/// One of a bucket's queue: a stamp, and a batch of up to 16 blocks.
const CELL: usize = 18 * size_of::<usize>();

/// The queue of idle arenas on one of 16 shelves, each of four pairs of words.
const SHELF: usize = 4 * size_of::<[usize; 2]>();

const TOKEN: usize = 16;
const BAG: std::ops::Range<usize> = 2048..2112;

// SAFETY: memory comes from `System`, unchanged.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refuses(layout) {
            return ptr::null_mut();
        }
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        FREED.set(layout.size());
        ASKED.set(ASKED.get() || (BAG.end..2 * BAG.end).contains(&layout.size()));
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static REFUSING: Refusing = Refusing;

/// Runs `f` with its `nth` allocation refused, from 0; how many there were.
fn refusing(nth: usize, f: impl FnOnce()) -> usize {
    CALLS.set(0);
    ASKED.set(false);
    LEFT.set(Some(nth));
    f();
    LEFT.set(None);
    CALLS.get()
}

type Knobs = fn(Builder<Blocks>) -> Builder<Blocks>;

fn pool(blocks: &Blocks, knobs: Knobs) -> Pool<Blocks> {
    knobs(Pool::builder_in(blocks.clone()).collect(Collect::Manual)).build().unwrap()
}

const ALWAYS: Knobs = |builder| builder.recycle(Recycle::Always);

/// All that makes tables: a core, generations, slots, magazines, buckets; a collection's list; notes.
fn use_buffers(pool: &Pool<Blocks>) -> Result<(), Failed> {
    for len in [1, 4096, 100_000, 2 << 20, 5 << 20] {
        let mut first = pool.try_get(len)?;
        let second = pool.try_get(len)?;
        first.try_extend_from_slice(&[7; 10])?;
        first.try_reserve(len)?;
        drop(second);
        assert_eq!(*first, [7; 10]);
    }
    // More than a magazine holds.
    let mut held = [const { None }; 100];
    for place in &mut held {
        *place = Some(pool.try_get(1000)?);
    }
    drop(held);
    pool.collect();
    pool.collect();
    Ok(())
}

/// Idle blocks fill the limit, and are in the way of a get and a growth.
fn use_up(pool: &Pool<Blocks>) -> Result<(), Failed> {
    let mut held = [const { None }; 10];
    for place in &mut held {
        *place = Some(pool.try_get(96 << 10)?);
    }
    drop(held);
    let mut buf = pool.try_get(512 << 10)?;
    buf.try_extend_from_slice(b"kept")?;
    drop(pool.try_get(300 << 10)?);
    let grown = buf.try_reserve(400 << 10);
    assert_eq!(buf, "kept");
    Ok(grown?)
}

fn read(pool: &Pool<Blocks>) -> Result<(), Failed> {
    let mut buf = pool.try_get(10)?;
    let read = buf.read_from(&[7; 100_000][..], 1 << 20);
    assert!(buf == [7; 100_000][..buf.len()]);
    read?;
    Ok(())
}

/// Direct from below, of classes, and direct from above, with moves from each to the next.
fn allocate(pool: &Pool<Blocks>) -> Result<(), Failed> {
    let mut words: VecIn<u64, _> = VecIn::new_in(pool);
    for len in [5, 50, 500, 5000, 50_000, 600_000] {
        words.try_reserve_exact(len - words.len())?;
        words.resize(len, 7);
    }
    Ok(())
}

#[cfg(feature = "arena")]
fn use_arenas(pool: &Pool<Blocks>) -> Result<(), Failed> {
    for _ in 0..2 {
        let mut arena = pool.try_arena()?;
        for len in [10, 200, 200, 300, 5000, 100_000] {
            arena.try_alloc_bytes(len)?;
        }
        for _ in 0..30 {
            arena.try_alloc([7_u8; 200])?;
        }
        let second = pool.try_arena()?;
        second.try_alloc(1)?;
        drop(second);
        arena.reset();
        arena.try_alloc_bytes(1000)?;
    }
    pool.collect();
    pool.purge();
    Ok(())
}

/// There was no memory.
#[derive(Debug)]
struct Failed;

impl From<GetError> for Failed {
    fn from(error: GetError) -> Self {
        assert!(matches!(error, GetError::OutOfMemory { .. }), "{error}");
        Self
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory, "{error}");
        Self
    }
}

impl From<TryReserveError> for Failed {
    fn from(_: TryReserveError) -> Self {
        Self
    }
}

/// Refuses each allocation of `act` in turn. How many there are, and how many of them are errors.
fn at_every_table(knobs: Knobs, act: fn(&Pool<Blocks>) -> Result<(), Failed>) -> (usize, usize) {
    let blocks = Blocks::default();
    // The thread's own part, with the epoch and its id, is made here: that cannot be reported.
    act(&pool(&blocks, knobs)).unwrap();
    let counted = pool(&blocks, knobs);
    let calls = refusing(usize::MAX, || act(&counted).unwrap());
    drop(counted);
    let mut errors = 0;
    for nth in 0..calls {
        let pool = pool(&blocks, knobs);
        refusing(nth, || errors += usize::from(act(&pool).is_err()));
        let stats = pool.stats();
        assert_eq!((stats.in_use_bytes, stats.direct_bytes), (0, 0), "{nth}");
        assert_eq!(pool.outstanding().count(), 0, "{nth}");
        act(&pool).expect("usable afterwards");
        drop(pool);
        assert_eq!(blocks.0.load(SeqCst), 0, "{nth}");
    }
    (calls, errors)
}

#[test]
fn a_pool_of_buffers_goes_on_without_any_one_table() {
    let tracked: Knobs = |builder| ALWAYS(builder).track(true);
    for knobs in [ALWAYS, tracked, |builder| builder.recycle(Recycle::Chaos(3))] {
        let (calls, errors) = at_every_table(knobs, use_buffers);
        assert!(calls > 20 && errors > 0 && errors < calls, "{errors} errors of {calls}: most only make a shorter way");
    }
    let (calls, errors) = at_every_table(|builder| builder.recycle(Recycle::Never), use_buffers);
    assert!(calls > 3 && errors > 0, "{errors} errors of {calls}: without a core there is nothing");
}

#[test]
fn a_pool_at_its_limit_goes_on_without_any_one_table() {
    let (calls, errors) = at_every_table(|builder| ALWAYS(builder).limit(1 << 20), use_up);
    assert!(calls > 10 && errors > 0, "{errors} errors of {calls}");
}

#[test]
fn a_buffer_is_read_into_without_any_one_table() {
    let (calls, errors) = at_every_table(ALWAYS, read);
    assert!(calls > 10 && errors > 0, "{errors} errors of {calls}");
}

#[test]
fn a_pool_allocates_without_any_one_table() {
    for knobs in [ALWAYS, |builder| builder.recycle(Recycle::Chaos(3)), |builder| builder.recycle(Recycle::Never)] {
        let (calls, errors) = at_every_table(knobs, allocate);
        assert!(calls > 3 && errors > 0, "{errors} errors of {calls}");
    }
}

#[cfg(feature = "arena")]
#[test]
fn an_arena_goes_on_without_any_one_table_or_chunk() {
    for knobs in [ALWAYS, |builder| builder.recycle(Recycle::Chaos(3)), |builder| builder.recycle(Recycle::Never)] {
        let (calls, errors) = at_every_table(knobs, use_arenas);
        assert!(calls > 10 && errors > 0, "{errors} errors of {calls}");
    }
}

fn objects(census: &Census, track: bool) -> ObjectPool<common::census::Object> {
    census.builder().reset(|object| object.tag = 0).track(track).build().unwrap()
}

fn use_objects(pool: &ObjectPool<common::census::Object>) -> Result<(), GetError> {
    let mut held = [const { None }; 100];
    for place in &mut held {
        *place = Some(pool.try_get()?);
    }
    drop(held);
    pool.collect();
    drop(pool.try_get()?);
    pool.purge();
    Ok(())
}

#[test]
fn a_pool_of_objects_goes_on_without_any_one_table_or_box() {
    for track in [false, true] {
        let census = Census::default();
        use_objects(&objects(&census, track)).unwrap();
        let pool = objects(&census, track);
        let calls = refusing(usize::MAX, || use_objects(&pool).unwrap());
        drop(pool);
        assert!(calls > 100, "{calls} boxes and tables");
        let mut errors = 0;
        for nth in 0..calls {
            let pool = objects(&census, track);
            refusing(nth, || match use_objects(&pool) {
                Ok(()) => {}
                Err(GetError::OutOfMemory { .. }) => errors += 1,
                Err(other) => panic!("{nth}: {other}"),
            });
            assert_eq!(pool.stats().objects.in_use, 0, "{nth}");
            assert_eq!(pool.outstanding().count(), 0, "{nth}");
            use_objects(&pool).expect("usable afterwards");
            drop(pool);
            census.assert_empty();
        }
        // Where notes lie decides how many allocations they take, so a box may have no turn.
        assert!(errors > calls / 2 && errors < calls, "{errors} errors of {calls}: most are boxes");
    }
}

/// Whoever made it may not be able to make another one.
#[test]
fn an_object_that_there_is_no_memory_for_comes_back() {
    let census = Census::default();
    let adopt = |pool: &ObjectPool<common::census::Object>, nth| {
        let mut object = census.make();
        object.tag = 7;
        let mut adopted = None;
        let calls = refusing(nth, || adopted = Some(pool.try_adopt(object)));
        (adopted.expect("it ran"), calls)
    };
    let (mut nth, mut errors) = (0, 0);
    loop {
        let pool = objects(&census, true);
        let (adopted, calls) = adopt(&pool, nth);
        match adopted {
            Ok(object) => assert_eq!((object.tag, pool.stats().adopted), (7, 1)),
            Err(object) => {
                errors += 1;
                assert_eq!((object.tag, pool.stats().adopted), (7, 0), "{nth}");
            }
        }
        assert!(adopt(&pool, usize::MAX).0.is_ok(), "usable afterwards");
        if nth == calls {
            break;
        }
        nth += 1;
    }
    assert!(errors > 1 && errors < nth, "{errors} errors of {nth}: the core and the box, not the note");
    census.assert_empty();
}
