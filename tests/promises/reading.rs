//! Reading to the end of a source that nobody vouches for: the buffer grows for what arrived and for nothing else, the bound is exact,
//! and whatever goes wrong, it holds what was read before.

use std::io::{self, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::common::ledger::Ledger;
use millpond::{GetError, ReadError};

fn error_of(error: &io::Error) -> ReadError {
    *error.get_ref().expect("one of ours").downcast_ref().expect("one of ours")
}

/// Bytes that can be told apart.
fn body(len: usize) -> Vec<u8> {
    (0..251).cycle().take(len).collect()
}

/// Gives a body in pieces, and then does something else.
struct Pieces<F> {
    body: Vec<u8>,
    given: usize,
    piece: usize,
    then: F,
}

impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for Pieces<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.piece.min(into.len()).min(self.body.len() - self.given);
        if len == 0 {
            return (self.then)(into);
        }
        into[..len].copy_from_slice(&self.body[self.given..][..len]);
        self.given += len;
        Ok(len)
    }
}

fn pieces<F: FnMut(&mut [u8]) -> io::Result<usize>>(len: usize, piece: usize, then: F) -> Pieces<F> {
    Pieces { body: body(len), given: 0, piece, then }
}

#[test]
fn all_of_it_is_appended_whatever_the_pieces() {
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    for len in [0, 1, 255, 256, 257, 8192, 8193, 100_000] {
        for piece in [1, 7, 256, 5000, usize::MAX] {
            let mut buf = pool.get(256);
            buf.push(9);
            assert_eq!(buf.read_from(pieces(len, piece, |_| Ok(0)), len).unwrap(), len);
            assert_eq!((buf[0], &buf[1..]), (9, &body(len)[..]), "{len} in pieces of {piece}");
        }
    }
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn it_grows_only_for_what_arrived() {
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    let mut buf = pool.get(4096);
    buf.read_from(&body(4096)[..], usize::MAX).unwrap();
    assert_eq!((buf.capacity(), ledger.allocations()), (4096, 1), "to find the end takes no room");
    buf.clear();
    buf.read_from(&body(4097)[..], usize::MAX).unwrap();
    assert_eq!(buf.capacity(), 8192);
    drop((buf, pool));
    ledger.assert_empty();
}

/// As what it is asked for is zeroed before, and zeroed for nothing if it does not come.
#[test]
fn a_reader_is_asked_for_at_most_twice_what_it_gave() {
    struct Counting<'a> {
        asked: &'a mut Vec<usize>,
        piece: usize,
    }

    impl Read for Counting<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.asked.push(into.len());
            Ok(self.piece.min(into.len()))
        }
    }

    const LEN: usize = 1 << 20;
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    for piece in [1000, 8191, 8192, 16_384, 20_000] {
        let (mut buf, mut asked) = (pool.get(LEN + 1), Vec::new());
        let error = buf.read_from(Counting { asked: &mut asked, piece }, LEN).unwrap_err();
        assert_eq!((error_of(&error), buf.len()), (ReadError::TooLong { limit: LEN, next: 0 }, LEN));
        let most = asked.into_iter().max().unwrap();
        assert!(most <= 8192.max(2 * piece), "{most} for pieces of {piece}");
    }
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn the_limit_is_exact() {
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    for limit in [0, 1, 255, 256, 10_000] {
        let mut buf = pool.get(1);
        assert_eq!(buf.read_from(&body(limit)[..], limit).unwrap(), limit);
        buf.clear();
        let mut source = &body(limit + 2)[..];
        let error = buf.read_from(&mut source, limit).unwrap_err();
        let expected = ReadError::TooLong { limit, next: body(limit + 1)[limit] };
        assert_eq!((error.kind(), error_of(&error)), (ErrorKind::FileTooLarge, expected));
        assert_eq!((&buf[..], source.len()), (&body(limit)[..], 1), "the rest is the reader's");
    }
    assert_eq!(ReadError::TooLong { limit: 10, next: 0 }.to_string(), "there is more to read than the limit, 10 bytes");
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn at_the_pools_limit_it_is_an_error_and_what_was_read_is_there() {
    let ledger = Ledger::new();
    let pool = crate::common::builder(&ledger).limit(1000).build().unwrap();
    let mut buf = pool.get(512);
    let error = buf.read_from(&body(600)[..], usize::MAX).unwrap_err();
    let ReadError::NoRoom { error: cause, next } = error_of(&error) else { panic!("{error}") };
    assert_eq!((error.kind(), next), (ErrorKind::OutOfMemory, body(513)[512]));
    assert!(matches!(cause, GetError::LimitReached { limit: 1000, .. }), "{cause}");
    assert_eq!(buf, body(512));
    drop((buf, pool));
    ledger.assert_empty();
}

#[test]
fn what_the_reader_does_wrong_costs_nothing_that_was_read() {
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    let mut buf = pool.get(1024);

    let broken = buf.read_from(pieces(300, 100, |_| Err(ErrorKind::ConnectionReset.into())), 1000).unwrap_err();
    assert_eq!((broken.kind(), &buf[..]), (ErrorKind::ConnectionReset, &body(300)[..]));

    buf.clear();
    let mut interruptions = 3;
    let interrupted = |_: &mut [u8]| {
        interruptions -= 1;
        if interruptions > 0 { Err(ErrorKind::Interrupted.into()) } else { Ok(0) }
    };
    assert_eq!(buf.read_from(pieces(300, 100, interrupted), 1000).unwrap(), 300);

    buf.clear();
    let false_count = buf.read_from(pieces(300, 100, |into: &mut [u8]| Ok(into.len() + 1)), 1000).unwrap_err();
    let expected = ReadError::FalseCount { claimed: 701, asked: 700 };
    assert_eq!((false_count.kind(), error_of(&false_count)), (ErrorKind::InvalidData, expected));
    assert_eq!(buf, body(300));

    buf.clear();
    let panics = pieces(300, 100, |_: &mut [u8]| resume_unwind(Box::new("a reader")));
    assert!(catch_unwind(AssertUnwindSafe(|| buf.read_from(panics, 1000))).is_err());
    assert_eq!(buf, body(300));
    drop((buf, pool));
    ledger.assert_empty();
}

/// A reader sees nobody's bytes in what it is given.
#[test]
fn what_a_reader_is_given_is_zero() {
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    pool.get(4096).resize(4096, 7);
    let mut buf = pool.get(4096);
    let looks = |into: &mut [u8]| {
        assert!(into.iter().all(|byte| *byte == 0));
        Ok(0)
    };
    buf.read_from(pieces(0, 1, looks), 4096).unwrap();
    drop((buf, pool));
    ledger.assert_empty();
}
