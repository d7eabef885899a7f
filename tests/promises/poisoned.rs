//! With `--cfg millpond_asan`, AddressSanitizer knows which bytes nobody may touch: what lies past a buffer's length, and what is
//! idle, in arenas as well. Nothing else is poisoned, neither behind a block nor in one that its allocator has back.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own, and as a collection would")]

use std::alloc::Layout;
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use crate::common::ledger::Ledger;
use millpond::alloc::{AllocError, Allocator};
use millpond::{Collect, ObjectPool, Pool, PoolBuf, Recycle};

unsafe extern "C" {
    safe fn __asan_address_is_poisoned(address: *const c_void) -> c_int;
}

fn is_poisoned(address: *const u8) -> bool {
    __asan_address_is_poisoned(address.cast()) != 0
}

/// What lies behind a block is somebody else's.
const BEHIND: usize = 4096;

/// Hands out the first part of what it takes from the ledger.
#[derive(Clone)]
struct First(Ledger);

impl First {
    fn both(layout: Layout) -> Layout {
        Layout::from_size_align(layout.size() + BEHIND, layout.align()).unwrap()
    }
}

// SAFETY: the ledger's memory, of which clones share the rest too.
unsafe impl Allocator for First {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.0.allocate(Self::both(layout))?.cast();
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        assert!((0..layout.size()).all(|at| !is_poisoned(block.as_ptr().wrapping_add(at))), "released as it came");
        // SAFETY: passed on, as it was allocated.
        unsafe { self.0.deallocate(block, Self::both(layout)) };
    }
}

fn pool(ledger: &Ledger, recycle: Recycle, zero: bool) -> Pool<First> {
    let builder = Pool::builder_in(First(ledger.clone())).collect(Collect::Manual);
    builder.recycle(recycle).zero_on_return(zero).build().unwrap()
}

/// Of a block's bytes just the first `len` may be touched, and what is behind it. AddressSanitizer knows eight bytes at a time: where a
/// block's last ones are fewer they are left out.
#[track_caller]
fn assert_open(block: *const u8, len: usize, size: usize) {
    for at in 0..size + BEHIND {
        let expected = (len..size).contains(&at);
        if (0..len).contains(&at) || at < size / 8 * 8 || at >= size {
            assert_eq!(is_poisoned(block.wrapping_add(at)), expected, "byte {at} of {size}, of which {len} are open");
        }
    }
}

#[track_caller]
fn assert_open_to_its_length(buf: &PoolBuf<First>) {
    assert_open(buf.as_ptr(), buf.len(), buf.capacity());
}

/// In a block of a class, and in one that is exact.
#[test]
fn a_buffer_is_open_to_its_length() {
    for (recycle, len) in [(Recycle::Always, 4096), (Recycle::Never, 4096), (Recycle::Always, (2 << 20) + 13)] {
        let ledger = Ledger::new();
        let pool = pool(&ledger, recycle, false);
        let mut buf = pool.get(len);
        let ways: [fn(&mut PoolBuf<First>); 12] = [
            |_| {},
            |buf| buf.push(1),
            |buf| buf.extend_from_slice(&[2; 3000]),
            |buf| buf.truncate(2997),
            |buf| _ = buf.pop(),
            |buf| buf.resize(3500, 3),
            |buf| buf.resize(1001, 3),
            |buf| _ = buf.read_from(&[4; 50][..], 100).unwrap(),
            |buf| {
                // So that it is this call that closes what `spare_capacity_mut` opened.
                buf.spare_capacity_mut()[..17].fill(std::mem::MaybeUninit::new(5));
                // SAFETY: just written.
                unsafe { buf.set_len(buf.len() + 17) };
            },
            // SAFETY: less than what was written.
            |buf| unsafe { buf.set_len(buf.len() - 500) },
            |buf| *buf = buf.clone(),
            |buf| buf.clear(),
        ];
        for way in ways {
            way(&mut buf);
            assert_open_to_its_length(&buf);
        }
        drop((buf, pool));
        ledger.assert_empty();
    }
}

#[test]
fn what_is_to_be_written_is_open_until_the_buffer_shrinks_or_its_length_is_set() {
    let ledger = Ledger::new();
    let pool = pool(&ledger, Recycle::Always, false);
    let mut buf = pool.get(1000);
    buf.extend_from_slice(&[1; 100]);
    _ = buf.spare_capacity_mut();
    assert_open(buf.as_ptr(), buf.capacity(), buf.capacity());
    buf.clear();
    assert_open_to_its_length(&buf);
    buf.extend_from_slice(&[2; 10]);
    _ = buf.as_mut_ptr();
    assert_open(buf.as_ptr(), buf.capacity(), buf.capacity());
    buf.pop();
    assert_open_to_its_length(&buf);
    drop((buf, pool));
    ledger.assert_empty();
}

/// Also after it grew out of it, and with what is wiped.
#[test]
fn an_idle_block_is_closed() {
    for zero in [false, true] {
        let ledger = Ledger::new();
        let pool = pool(&ledger, Recycle::Always, zero);
        let mut buf = pool.get(500);
        let (block, size) = (buf.as_ptr(), buf.capacity());
        buf.resize(size, 7);
        assert_open(block, size, size);
        buf.push(8);
        assert_open(block, 0, size);
        assert_open_to_its_length(&buf);
        let (second, second_size) = (buf.as_ptr(), buf.capacity());
        drop(buf);
        assert_open(second, 0, second_size);
        pool.collect();
        assert_open(block, 0, size);
        let again = pool.get(500);
        assert_eq!(again.as_ptr(), block, "the idle one");
        assert_open(block, 0, size);
        drop((again, pool));
        ledger.assert_empty();
    }
}

#[test]
fn blocks_of_collections_are_open_while_they_are_out() {
    for zero in [false, true] {
        let ledger = Ledger::new();
        let pool = pool(&ledger, Recycle::Always, zero);
        for layout in [Layout::new::<[u8; 1000]>(), Layout::new::<[u64; 100]>()] {
            for _ in 0..2 {
                let block = pool.allocate(layout).unwrap();
                assert_open(block.cast().as_ptr(), block.len(), block.len());
                // SAFETY: just allocated.
                unsafe { pool.deallocate(block.cast(), layout) };
                assert_open(block.cast().as_ptr(), 0, block.len());
            }
            let block = pool.allocate_zeroed(layout).unwrap();
            assert_open(block.cast().as_ptr(), block.len(), block.len());
            // SAFETY: as above.
            unsafe { pool.deallocate(block.cast(), layout) };
        }
        drop(pool);
        ledger.assert_empty();
    }
}

#[test]
fn an_idle_object_is_closed() {
    let pool = ObjectPool::builder(|| [0_u64; 64]).collect(Collect::Manual).recycle(Recycle::Always).build().unwrap();
    let is_closed = |object: *const u8| (0..512).map(|at| is_poisoned(object.wrapping_add(at))).collect::<Vec<_>>();
    for _ in 0..2 {
        let object = pool.get();
        let place = object.as_ptr().cast::<u8>();
        assert_eq!(is_closed(place), [false; 512]);
        drop(object);
        assert_eq!(is_closed(place), [true; 512]);
    }
}

#[cfg(feature = "arena")]
#[test]
fn a_piece_of_an_arena_is_open_while_it_is_out() {
    let ledger = Ledger::new();
    for zero in [false, true] {
        let pool = pool(&ledger, Recycle::Always, zero);
        let mut arena = pool.arena();
        let states = |pieces: &[*const u8]| -> Vec<bool> {
            pieces.iter().flat_map(|piece| (0..40).map(|at| is_poisoned(piece.wrapping_add(at)))).collect()
        };
        // In many chunks.
        let pieces: Vec<*const u8> = (0..1000).map(|n| arena.alloc([n as u64; 5]).as_ptr().cast()).collect();
        assert!(!states(&pieces).contains(&true));
        assert!(is_poisoned(pieces[999].wrapping_sub(1)), "what is yet to be cut");
        arena.reset();
        // Those of the largest chunk, which it keeps.
        assert!(!states(&pieces[900..]).contains(&false));

        let piece = |arena: &millpond::Arena<First>| arena.alloc(7_u64) as *const u64 as *const u8;
        let (first, second) = (piece(&arena), piece(&arena));
        assert!(!is_poisoned(first) && !is_poisoned(second));
        drop(arena);
        assert!(is_poisoned(first) && is_poisoned(second), "idle");
        let arena = pool.arena();
        assert_eq!(piece(&arena), first, "the same chunk");
        assert!(!is_poisoned(first) && is_poisoned(second));

        // The last piece comes back at once, and moves where it grows.
        let mut last = allocator_api2::vec::Vec::with_capacity_in(16, &arena);
        last.extend([1_u8; 16]);
        last.reserve_exact(48);
        last.extend([2; 48]);
        let place = last.as_ptr();
        assert!(!(0..64).any(|at| is_poisoned(place.wrapping_add(at))));
        assert_eq!(last[15..17], [1, 2]);
        drop(last);
        assert_eq!(is_poisoned(place), !zero, "with `zero_on_return` it waits for the end");
    }
    ledger.assert_empty();
}
