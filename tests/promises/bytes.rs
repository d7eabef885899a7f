//! At the boundary to the crate `bytes`: a buffer is written as a `Vec<u8>` is, becomes `Bytes` without a copy, and its block comes back.
#![allow(clippy::cast_possible_truncation, reason = "bytes to tell things by")]

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;

use crate::bytes_ops::calls::Put;
use crate::common::ledger::Ledger;
use crate::common::{builder, pool, seeds, threads};
use arbitrary::{Arbitrary, Unstructured};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use millpond::{Collect, Pool, PoolBuf};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn filled<A: millpond::alloc::Allocator + Send + Sync + 'static>(pool: &Pool<A>, len: usize) -> PoolBuf<A> {
    let mut buf = pool.get(len);
    buf.extend((0..len).map(|i| i as u8));
    buf
}

#[test]
fn frozen_bytes_are_the_block_itself() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let buf = filled(&pool, 1000);
    let block = buf.as_ptr();
    let bytes = buf.freeze();
    assert_eq!((bytes.as_ptr(), bytes.len()), (block, 1000));
    assert_eq!(bytes, (0..1000).map(|i| i as u8).collect::<Vec<_>>());
    drop(bytes);
    assert_eq!(pool.get(1000).as_ptr(), block, "it came back");
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn slices_keep_the_block_and_the_last_gives_it_back() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut bytes = filled(&pool, 1000).freeze();
    let mut parts = vec![
        bytes.slice(..10),
        bytes.clone(),
        bytes.split_to(500),
        bytes.split_off(100),
        bytes.slice_ref(&bytes[1..2]),
    ];
    parts.push(bytes);
    while let Some(part) = parts.pop() {
        assert_eq!(pool.stats().in_use_bytes, 1024);
        drop(part);
    }
    assert_eq!((pool.stats().in_use_bytes, ledger.live()), (0, 1));
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn the_block_goes_back_on_any_thread_also_when_the_pool_is_gone() {
    for pool_first in [true, false] {
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        // One in a class, one above all classes.
        let parts = [filled(&pool, 5000).freeze(), filled(&pool, 5 << 20).freeze()];
        let pool = if pool_first {
            drop(pool);
            None
        } else {
            Some(pool)
        };
        let barrier = Barrier::new(4);
        threads::scope(|scope| {
            for i in 0..4 {
                let (parts, barrier) = (parts.clone(), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for bytes in parts {
                        let bytes_len = bytes.len();
                        assert_eq!(bytes.slice(i..i + 1)[0], i as u8);
                        // In pieces, of which some become something else, and none is ever writable.
                        let mut rest = bytes.try_into_mut().expect_err("the block is the pool's");
                        let (head, tail) = (rest.split_to(1000), rest.split_off(1000));
                        assert_eq!(
                            [head.len(), rest.len(), head[i].into(), rest[i].into()],
                            [1000, 1000, i, (1000 + i) % 256]
                        );
                        let tail = tail.try_into_mut().expect_err("as above");
                        assert_eq!(BytesMut::from(head)[i], i as u8);
                        assert_eq!(Vec::from(rest).len() + tail.len(), bytes_len - 1000);
                    }
                });
            }
            drop(parts);
        });
        if let Some(pool) = pool {
            assert_eq!(pool.stats().in_use_bytes, 0);
        }
        ledger.assert_empty();
    }
}

#[test]
fn an_empty_buffer_keeps_no_block() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let bytes = pool.get(4096).freeze();
    assert!(bytes.is_empty());
    assert_eq!(pool.stats().in_use_bytes, 0);
    drop((bytes, pool));
    ledger.assert_empty();
}

/// The conversions of `bytes` that need memory of their own copy, and let go of the block.
#[test]
fn becoming_a_vector_gives_the_block_back() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let bytes: Bytes = filled(&pool, 300).into();
    let shared = bytes.clone();
    assert_eq!(Vec::from(bytes).len(), 300);
    assert!(pool.stats().in_use_bytes > 0, "a clone has it");
    assert_eq!(BytesMut::from(shared).len(), 300);
    assert_eq!(pool.stats().in_use_bytes, 0);
    assert!(filled(&pool, 300).freeze().try_into_mut().is_err(), "the block is the pool's");
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn a_frozen_buffer_is_zeroed_when_it_returns() {
    let ledger = Ledger::new();
    let pool = builder(&ledger).zero_on_return(true).build().unwrap();
    let secret = filled(&pool, 256).freeze();
    let block = secret.as_ptr();
    drop(secret);
    let mut next = pool.get(256);
    assert_eq!(next.as_ptr(), block);
    // SAFETY: the pool initialised all of the block when it took it back.
    unsafe { next.set_len(256) };
    assert_eq!(next, [0; 256]);
    drop((next, pool));
    ledger.assert_empty();
}

#[test]
fn a_cursor_over_a_buffer_is_a_buf() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut buf = pool.get(64);
    buf.put_u32(7);
    buf.put_slice(b"rest");
    let mut cursor = Cursor::new(buf);
    assert_eq!((cursor.remaining(), cursor.get_u32()), (8, 7));
    assert_eq!(cursor.chunk(), b"rest");
    cursor.advance(4);
    assert!(!cursor.has_remaining());
    assert!(cursor.try_get_u8().is_err());
    let mut buf = cursor.into_inner();
    buf.clear();
    assert_eq!(pool.stats().in_use_bytes, buf.capacity());
    drop((buf, pool));
    ledger.assert_empty();
}

#[test]
fn the_chunk_is_all_that_is_left_and_a_larger_one_once_nothing_is() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let mut buf = pool.get(256);
    assert_eq!(buf.chunk_mut().len(), 256);
    buf.put_bytes(1, 255);
    assert_eq!(buf.chunk_mut().len(), 1);
    assert_eq!(buf.capacity(), 256);
    buf.put_u8(2);
    assert!(buf.chunk_mut().len() >= 64);
    assert_eq!((buf.len(), buf.capacity()), (256, 512));
    assert_eq!(buf.remaining_mut(), isize::MAX as usize - 256);
    drop((buf, pool));
    ledger.assert_empty();
}

#[test]
fn at_the_limit_it_panics_and_stays_as_it_was() {
    let ledger = Ledger::new();
    let pool = Pool::builder_in(ledger.clone()).limit(1024).collect(Collect::Manual).build().unwrap();
    let mut buf = pool.get(512);
    buf.put_bytes(1, 500);
    let calls: [fn(&mut PoolBuf<Ledger>); 4] = [
        |buf| buf.put_slice(&[2; 1024]),
        |buf| buf.put_bytes(2, 1024),
        |buf| buf.put(&[2; 1024][..]),
        |buf| buf.put_bytes(2, usize::MAX),
    ];
    for call in calls {
        assert!(catch_unwind(AssertUnwindSafe(|| call(&mut buf))).is_err());
        assert_eq!(buf, [1; 500]);
    }
    drop((buf, pool));
    ledger.assert_empty();
}

/// Into uninitialised spare capacity, up to a bound, whatever the peer announces or sends.
#[tokio::test]
async fn tokio_reads_into_the_spare_capacity_up_to_a_bound() {
    const LIMIT: usize = 10_000;
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    let (mut near, mut far) = tokio::io::duplex(700);
    let sender = tokio::spawn(async move {
        let sent = far.write_all(&[7; 2 * LIMIT]).await;
        assert!(sent.is_err(), "the reader went away");
    });
    let mut buf = pool.get(256);
    while buf.len() < LIMIT {
        let left = LIMIT - buf.len();
        assert!(near.read_buf(&mut (&mut buf).limit(left)).await.unwrap() > 0);
    }
    drop(near);
    sender.await.unwrap();
    assert_eq!(buf, [7; LIMIT]);
    assert!(buf.capacity() <= 2 * LIMIT);
    drop((buf, pool));
    ledger.assert_empty();
}

/// What can be done to a `BufMut`, also where it panics.
#[derive(Clone, Debug)]
enum Call {
    Put(Put),
    Bytes(u8, usize),
    Uint(u64, usize),
    Limited(Vec<u8>, usize),
    /// Past all that there is.
    AdvanceTooFar(usize),
}

fn call() -> impl Strategy<Value = Call> {
    let some = || proptest::collection::vec(any::<u8>(), 0..400);
    let put = |bytes: Vec<u8>| Put::arbitrary(&mut Unstructured::new(&bytes)).expect("of any bytes");
    prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 12).prop_map(put).prop_map(Call::Put),
        1 => (any::<u8>(), usize::MAX - 600..=usize::MAX).prop_map(|(value, count)| Call::Bytes(value, count)),
        1 => (any::<u64>(), 0..10_usize).prop_map(|(value, width)| Call::Uint(value, width)),
        1 => (some(), 0..400_usize).prop_map(|(bytes, limit)| Call::Limited(bytes, limit)),
        1 => (1..100_usize).prop_map(Call::AdvanceTooFar),
    ]
}

impl Call {
    /// Whether it panicked.
    fn panics(&self, buf: &mut impl BufMut) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.make(buf))).is_err()
    }

    fn make(&self, buf: &mut impl BufMut) {
        match self {
            Self::Put(put) => put.make(buf),
            Self::Bytes(value, count) => buf.put_bytes(*value, *count),
            Self::Uint(value, width) => buf.put_uint(*value, *width),
            Self::Limited(bytes, limit) => buf.limit(*limit).put_slice(bytes),
            Self::AdvanceTooFar(by) => {
                let past = buf.chunk_mut().len() + by;
                // SAFETY: none: it must panic, as each implementation here says of itself.
                unsafe { buf.advance_mut(past) };
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_calls_give_the_same_bytes_and_the_same_panics(
        capacity in 0..600_usize,
        calls in proptest::collection::vec(call(), 1..20),
    ) {
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        let mut buf = pool.get(capacity);
        let mut vec = Vec::with_capacity(capacity);
        let mut bytes = BytesMut::with_capacity(capacity);
        for call in calls {
            let panics = [call.panics(&mut buf), call.panics(&mut vec), call.panics(&mut bytes)];
            prop_assert!(panics[0] == panics[1] && panics[0] == panics[2], "{call:?}: {panics:?}");
            prop_assert_eq!(&buf, &vec);
            prop_assert_eq!(&buf[..], &bytes[..]);
            prop_assert_eq!(buf.remaining_mut(), vec.remaining_mut());
        }
        prop_assert_eq!(buf.freeze(), bytes.freeze());
        drop(pool);
        ledger.assert_empty();
    }
}

#[test]
fn each_seed_of_the_fuzz_target_is_as_the_model_says() {
    seeds::play_all("bytes_interop", crate::bytes_ops::play);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_uses_is_as_the_model_says(bytes in proptest::collection::vec(any::<u8>(), 0..800)) {
        crate::bytes_ops::play(&bytes);
    }
}
