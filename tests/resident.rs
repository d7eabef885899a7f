//! What is freed over `Pages` is no longer resident, also where the system refuses to unmap it; and where it refuses memory, that
//! is an error. Each in a process of its own, with nothing beside it.
#![cfg(all(target_os = "linux", not(miri)))]
#![allow(clippy::disallowed_methods, reason = "an allocator is tested")]

mod common;

use std::alloc::Layout;
use std::fs;
use std::io::Read;
use std::ptr::NonNull;

use common::process::alone;
use millpond::alloc::{Allocator, Pages};
use millpond::{Collect, GetError, Pool, PoolBuf, Recycle};

const MIB: usize = 1 << 20;

fn page() -> usize {
    // SAFETY: takes an integer.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap()
}

/// Bytes that the process has mapped, and of these resident.
fn mapped_and_resident() -> (usize, usize) {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let mut pages = statm.split(' ').map(|pages| pages.parse::<usize>().unwrap() * page());
    (pages.next().unwrap(), pages.next().unwrap())
}

fn resident() -> usize {
    mapped_and_resident().1
}

fn touch(block: NonNull<[u8]>) {
    for at in (0..block.len()).step_by(page()) {
        // SAFETY: inside the block.
        let byte = unsafe { block.cast::<u8>().add(at) };
        // SAFETY: as above.
        unsafe { byte.write(1) };
    }
}

/// The system's figure lags a little, and the test itself needs some memory.
#[track_caller]
fn assert_back(before: usize, at_most: usize) {
    let now = resident();
    assert!(now < before + at_most, "{} KiB resident, {} KiB before", now >> 10, before >> 10);
}

#[test]
fn deallocated_blocks_are_not_resident() {
    alone("deallocated_blocks_are_not_resident", || {
        for pages in [Pages::new(), Pages::new().huge_pages(true)] {
            let layouts: Vec<_> = [(100 << 10, 1), (3 * MIB, 64), (MIB, 2 * MIB), (64 << 10, 64)]
                .map(|(size, align)| Layout::from_size_align(size, align).unwrap())
                .repeat(16);
            let mut blocks = Vec::with_capacity(layouts.len());
            let (mapped, before) = mapped_and_resident();
            for layout in &layouts {
                let block = pages.allocate(*layout).unwrap();
                touch(block);
                blocks.push(block);
            }
            assert!(resident() > before + 60 * MIB);
            for (block, layout) in blocks.into_iter().zip(layouts) {
                // SAFETY: out with this layout.
                unsafe { pages.deallocate(block.cast(), layout) };
            }
            assert_back(before, MIB);
            assert!(mapped_and_resident().0 < mapped + MIB, "the spare pages of an alignment go as well");
        }
    });
}

#[test]
fn a_burst_is_not_resident_after_two_collections() {
    alone("a_burst_is_not_resident_after_two_collections", || {
        const BURST: usize = 256 * MIB;
        let pool = Pool::builder_in(Pages::new())
            // The depot has room for so many blocks that lie alone there, as those above 1 MiB do.
            .idle_limit(8 * BURST)
            .collect(Collect::Manual)
            .recycle(Recycle::Always)
            .build()
            .unwrap();
        let burst = |of: usize| {
            let mut held: Vec<PoolBuf<Pages>> = Vec::with_capacity(of >> 16);
            let sizes = [64 << 10, 100 << 10, 450 << 10, MIB, 3 * MIB];
            let mut bytes = 0;
            for size in sizes.into_iter().cycle() {
                held.push(pool.get(size));
                held.last_mut().unwrap().resize(size, 1);
                bytes += size;
                if bytes >= of {
                    return;
                }
            }
        };
        burst(BURST / 8);
        pool.purge();
        let before = resident();
        for _ in 0..2 {
            burst(BURST);
            assert!(resident() > before + BURST, "all is kept");
            pool.collect();
            assert!(resident() > before + BURST, "one collection is not two");
            pool.collect();
            // A sanitizer keeps what the pool itself gives back.
            assert_back(before, BURST / 16);
        }
    });
}

/// Every other block goes, which takes a mapping for each that stays. From the system's bound on them it refuses.
#[test]
fn where_the_system_does_not_unmap_the_memory_goes_all_the_same() {
    alone("where_the_system_does_not_unmap_the_memory_goes_all_the_same", || {
        let bound: usize = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
        if bound > 100_000 || bound * page() > 512 * MIB {
            eprintln!("\nSKIPPED: {bound} mappings of {} bytes are more than a test should make", page());
            return;
        }
        let pages = Pages::new().threshold(0);
        let layout = Layout::from_size_align(page(), 1).unwrap();
        // A fifth more than it takes.
        let mut blocks: Vec<_> = (0..bound * 12 / 5).map(|_| pages.allocate(layout).unwrap()).collect();
        blocks.sort_by_key(|block| block.cast::<u8>().addr());
        let mut other = blocks.iter().step_by(2).copied().collect::<Vec<_>>();
        let before = resident();
        other.iter().copied().for_each(touch);
        assert!(resident() > before + other.len() * page() / 10 * 9);
        for block in other.drain(..) {
            // SAFETY: out with this layout.
            unsafe { pages.deallocate(block.cast(), layout) };
        }
        assert!(mappings() + 2 >= bound, "{} of {bound}: the system never had to refuse", mappings());
        assert_back(before, 8 * MIB);
        for block in blocks.into_iter().skip(1).step_by(2) {
            // SAFETY: as above.
            unsafe { pages.deallocate(block.cast(), layout) };
        }
        assert!(mappings() < bound / 2, "{} mappings", mappings());
        let block = pages.allocate(layout).unwrap();
        touch(block);
        // SAFETY: as above.
        unsafe { pages.deallocate(block.cast(), layout) };
    });
}

/// Counted without memory of its own.
fn mappings() -> usize {
    let mut maps = fs::File::open("/proc/self/maps").unwrap();
    let mut part = [0; 4096];
    let mut lines = 0;
    loop {
        match maps.read(&mut part).unwrap() {
            0 => return lines,
            read => lines += part[..read].iter().filter(|byte| **byte == b'\n').count(),
        }
    }
}

#[test]
fn without_address_space_a_get_is_an_error_and_the_pool_goes_on() {
    alone("without_address_space_a_get_is_an_error_and_the_pool_goes_on", || {
        let pool = Pool::builder_in(Pages::new()).collect(Collect::Manual).recycle(Recycle::Always).build().unwrap();
        drop((pool.get(100), pool.get(2 * MIB)));
        let mut former = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writes the limit.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut former) }, 0);
        let limit = |bytes| {
            let limit = libc::rlimit { rlim_cur: bytes, ..former };
            // SAFETY: reads the limit.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
        };
        limit((mapped_and_resident().0 + 32 * MIB) as libc::rlim_t);
        let mut held = Vec::with_capacity(100);
        let error = loop {
            match pool.try_get(2 * MIB) {
                Ok(buf) => held.push(buf),
                Err(error) => break error,
            }
        };
        assert_eq!(error, GetError::OutOfMemory { requested: 2 * MIB, align: 64 });
        assert!((10..20).contains(&held.len()), "{}", held.len());
        held.truncate(1);
        assert!(pool.try_get(2 * MIB).is_ok());
        pool.purge();
        assert!(pool.try_get(4 * MIB).is_ok());
        limit(former.rlim_cur);
        assert!(pool.try_get(64 * MIB).is_ok());
    });
}
