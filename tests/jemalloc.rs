//! `Jemalloc`: blocks in one arena of their own and of no other size than the pool's classes; a collection gives the arena's pages
//! back; figures; and a child of `fork` goes on.
#![cfg(all(feature = "jemalloc", not(miri)))]
#![allow(clippy::disallowed_methods, reason = "an allocator is tested")]

mod common;

use std::ptr::{self, NonNull};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use common::blocks::{self, layout};
use common::process::alone;
use millpond::alloc::{Allocator, Jemalloc, JemallocStats};
use millpond::{Builder, Collect, Pool, PoolBuf, Recycle};
use proptest::prelude::*;
use tikv_jemalloc_sys as ffi;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const SIZES: [usize; 13] = [0, 1, 100, 256, 257, 4096, 14_336, 14_337, 32 * KIB, 32 * KIB + 1, 80 * KIB, MIB, 5 * MIB];

fn builder() -> Builder<Jemalloc> {
    Pool::builder_in(Jemalloc::new()).collect(Collect::Manual).recycle(Recycle::Always)
}

/// The number of the arena in which a block lies.
fn arena_of(block: NonNull<u8>) -> u32 {
    let (mut arena, mut size) = (0_u32, size_of::<u32>());
    let mut block = block.as_ptr();
    let (out, told) = ((&raw mut arena).cast(), (&raw mut block).cast());
    // SAFETY: asks for an `unsigned` and tells a pointer.
    let failed = unsafe { ffi::mallctl(c"arenas.lookup".as_ptr(), out, &raw mut size, told, size_of::<*mut u8>()) };
    assert_eq!(failed, 0);
    arena
}

#[test]
fn the_size_classes_are_jemallocs_own() {
    let pool = builder().build().unwrap();
    let mut classes = 0;
    let mut size = 256;
    while size <= 4 * MIB {
        assert_eq!(pool.get(size).capacity(), size);
        let flags = ffi::MALLOCX_ALIGN(64);
        // SAFETY: the size is not 0.
        assert_eq!(unsafe { ffi::nallocx(size, flags) }, size);
        size = common::class_size(size + 1);
        classes += 1;
    }
    assert_eq!(classes, 57, "four for each doubling");
}

#[test]
fn blocks_are_aligned_long_enough_and_apart() {
    blocks::all_at_once(&Jemalloc::new(), &SIZES);
}

#[test]
fn zeroed_memory_is_zero_after_others_used_it() {
    blocks::zeroed_again(&Jemalloc::new(), &SIZES);
}

#[test]
fn what_cannot_be_is_an_error() {
    blocks::too_large(&Jemalloc::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any sequence of calls, beside a vector for each block.
    #[test]
    fn blocks_hold_what_a_vector_would(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        blocks::run(&Jemalloc::new(), &SIZES, &bytes);
    }
}

/// Also when many threads make the first block at once: it is one arena in the end.
#[test]
fn all_blocks_lie_in_one_arena_and_no_other_block_does() {
    alone("all_blocks_lie_in_one_arena_and_no_other_block_does", || {
        const THREADS: usize = 16;
        assert_eq!(Jemalloc::new().stats(), JemallocStats::default(), "nothing happens before the first block");
        Jemalloc::new().purge();
        let start = Barrier::new(THREADS);
        let arenas = || -> Vec<u32> {
            let allocator = Jemalloc::new();
            start.wait();
            let blocks = SIZES[1..].iter().map(|size| (allocator.allocate(layout(*size, 64)).unwrap(), *size));
            let blocks: Vec<_> = blocks.collect();
            blocks
                .into_iter()
                .map(|(block, size)| {
                    let arena = arena_of(block.cast());
                    // SAFETY: out with this layout. Another value of the type frees it.
                    unsafe { Jemalloc.deallocate(block.cast(), layout(size, 64)) };
                    arena
                })
                .collect()
        };
        let mut found: Vec<u32> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(arenas)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        found.dedup();
        assert_eq!(found.len(), 1, "{found:?}");
        for size in &SIZES[1..] {
            // SAFETY: the size is not 0; the block is freed below.
            let other = NonNull::new(unsafe { ffi::malloc(*size) }.cast()).unwrap();
            assert_ne!(arena_of(other), found[0], "{size}");
            // SAFETY: just made.
            unsafe { ffi::free(other.as_ptr().cast()) };
        }
    });
}

#[test]
fn statistics_say_what_the_arena_holds() {
    alone("statistics_say_what_the_arena_holds", || {
        let jemalloc = Jemalloc::new();
        let pool = builder().build().unwrap();
        let held = [pool.get(300), pool.get(4 * KIB), pool.get(64 * KIB), pool.get(3 * MIB)];
        let sizes: usize = held.iter().map(PoolBuf::capacity).sum();
        let stats = jemalloc.stats();
        assert_eq!((stats.allocated, sizes), (pool.stats().allocated_bytes, pool.stats().in_use_bytes));
        assert!(stats.active >= stats.allocated && stats.resident >= stats.active + stats.metadata, "{stats:?}");
        drop((held, pool));
        let stats = jemalloc.stats();
        assert_eq!(stats.allocated, 0);
        assert!(stats.dirty >= 3 * MIB, "closing a pool is no collection: {stats:?}");
        jemalloc.purge();
        let stats = jemalloc.stats();
        assert_eq!((stats.active, stats.dirty), (0, 0), "{stats:?}");
        assert!(stats.retained >= 3 * MIB && stats.resident <= stats.metadata + 64 * KIB, "{stats:?}");
    });
}

/// Bytes that are resident once a burst was dropped and collected twice.
#[cfg(target_os = "linux")]
fn left_of_a_burst(pool: &Pool<Jemalloc>, burst: usize) -> usize {
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        // SAFETY: takes an integer.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * page
    };
    let before = resident();
    let sizes = [64 * KIB, 100 * KIB, 450 * KIB, MIB, 3 * MIB];
    let mut held = Vec::with_capacity(burst >> 16);
    let mut bytes = 0;
    for size in sizes.into_iter().cycle() {
        held.push(pool.get(size));
        held.last_mut().unwrap().resize(size, 1);
        bytes += size;
        if bytes >= burst {
            break;
        }
    }
    drop(held);
    assert!(resident() > before + burst, "all is kept");
    (0..2).for_each(|_| _ = pool.collect());
    assert_eq!(pool.stats().allocated_bytes, 0);
    resident().saturating_sub(before)
}

#[cfg(target_os = "linux")]
#[test]
fn a_collection_gives_memory_back_unless_told_otherwise() {
    const BURST: usize = 256 * MIB;
    alone("a_collection_gives_memory_back_unless_told_otherwise", || {
        let builder = || builder().idle_limit(8 * BURST);
        let pool = builder().build().unwrap();
        left_of_a_burst(&pool, BURST / 8);
        for _ in 0..2 {
            let left = left_of_a_burst(&pool, BURST);
            assert!(left < BURST / 32, "{} KiB stay", left >> 10);
        }
        // One of the user's own is in place of it. As little as this jemalloc keeps, too.
        let silent = builder().trimmed(|_, _| ()).build().unwrap();
        drop((0..10).map(|_| silent.get(64 * KIB)).collect::<Vec<_>>());
        (0..2).for_each(|_| _ = silent.collect());
        assert!(Jemalloc::new().stats().dirty >= 640 * KIB, "{:?}", Jemalloc::new().stats());
        let told = builder().trimmed(|jemalloc, _| jemalloc.purge()).build().unwrap();
        drop(told.get(100));
        told.purge();
        assert_eq!(Jemalloc::new().stats().dirty, 0, "of all pools");
    });
}

/// Whatever the parent's threads were doing in the arena, or whether there was one yet.
#[cfg(unix)]
#[test]
fn a_child_of_fork_goes_on() {
    alone("a_child_of_fork_goes_on", || {
        let stop = AtomicBool::new(false);
        let old = builder().build().unwrap();
        thread::scope(|scope| {
            let _stop = Stop(&stop);
            for n in 0..4 {
                let (stop, old) = (&stop, &old);
                scope.spawn(move || {
                    while !stop.load(SeqCst) {
                        let pool = builder().build().unwrap();
                        drop((0..20).map(|n| pool.get(n * 9000)).collect::<Vec<_>>());
                        drop(old.get(5000 + n));
                        pool.purge();
                        let _ = Jemalloc::new().stats();
                    }
                });
            }
            for _ in 0..100 {
                // SAFETY: the child calls what may be called there, and ends itself.
                match unsafe { libc::fork() } {
                    0 => child(&old),
                    pid => assert_eq!(status_of(pid), 0, "a child hangs, or fails"),
                }
            }
        });
    });
}

/// Sets it when it is dropped, so that a failed assertion ends the test.
#[cfg(unix)]
struct Stop<'flag>(&'flag AtomicBool);

#[cfg(unix)]
impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[cfg(unix)]
fn child(old: &Pool<Jemalloc>) -> ! {
    // SAFETY: takes an integer; the signal ends a child that hangs.
    unsafe { libc::alarm(10) };
    let mut buf = old.get(1000);
    buf.extend_from_slice(b"child");
    let pool = builder().build().unwrap();
    drop((0..50).map(|n| pool.get(n * 5000)).collect::<Vec<_>>());
    let freed = pool.purge().blocks();
    let well = freed == 50 && buf == "child" && Jemalloc::new().stats().allocated >= 1024;
    // SAFETY: takes an integer, and does not come back.
    unsafe { libc::_exit(i32::from(!well)) }
}

#[cfg(unix)]
fn status_of(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: writes the status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

/// jemalloc keeps books of which thread has which arena; a block is freed on any.
#[test]
fn blocks_are_freed_by_threads_that_never_allocated() {
    let blocks: Vec<usize> = SIZES[1..]
        .iter()
        .map(|size| Jemalloc::new().allocate(layout(*size, 64)).unwrap().cast::<u8>().as_ptr().expose_provenance())
        .collect();
    let free = move || {
        for (block, size) in blocks.into_iter().zip(&SIZES[1..]) {
            let block = NonNull::new(ptr::with_exposed_provenance_mut(block)).unwrap();
            // SAFETY: out with this layout.
            unsafe { Jemalloc::new().deallocate(block, layout(*size, 64)) };
        }
    };
    thread::spawn(free).join().unwrap();
}
