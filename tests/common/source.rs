//! A source that does whatever a reader may, and some of what it may not.
#![allow(clippy::cast_possible_truncation, reason = "bytes to tell things by")]

use std::io::{self, ErrorKind, Read};

use arbitrary::Arbitrary;
use millpond::alloc::Allocator;
use millpond::{GetError, PoolBuf, ReadError};

use super::class_size;

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Piece {
    /// So many bytes, by so many at a time.
    Give(u16, u16),
    Interrupted,
    Broken,
    /// Claims so much more than it was asked for.
    FalseCount(u8),
    End,
}

/// After its pieces it is at the end.
pub struct Source {
    pieces: Vec<Piece>,
    /// How many bytes are left of a piece, and how many at a time.
    left: (usize, usize),
    given: Vec<u8>,
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // I5: whoever reads here could keep what it sees.
        assert!(!into.is_empty() && into.iter().all(|byte| *byte == 0), "a reader is given nobody's bytes");
        loop {
            let (left, at_a_time) = &mut self.left;
            let count = (*left).min(*at_a_time).min(into.len());
            if count > 0 {
                *left -= count;
                into[..count].iter_mut().enumerate().for_each(|(n, byte)| *byte = (self.given.len() + n) as u8 | 1);
                self.given.extend_from_slice(&into[..count]);
                return Ok(count);
            }
            match self.pieces.pop().unwrap_or(Piece::End) {
                // A hundred reads say as much as a thousand, and each looks at all that it may write to.
                Piece::Give(len, at_a_time) => self.left = (len.into(), usize::from(at_a_time.max(1 + len / 100))),
                Piece::Interrupted => return Err(ErrorKind::Interrupted.into()),
                Piece::Broken => return Err(ErrorKind::ConnectionReset.into()),
                Piece::FalseCount(over) => {
                    into.fill(7);
                    return Ok(into.len() + 1 + usize::from(over));
                }
                Piece::End => return Ok(0),
            }
        }
    }
}

/// Reads the pieces, last one first, into a buffer that holds what `holds` says, also afterwards. Err: it could not grow.
pub fn read<A: Allocator + Send + Sync>(
    buffer: &mut PoolBuf<A>,
    holds: &mut Vec<u8>,
    pieces: Vec<Piece>,
    limit: usize,
) -> Result<(), GetError> {
    let mut source = Source { pieces, left: (0, 0), given: Vec::new() };
    let capacity = buffer.capacity();
    let result = buffer.read_from(&mut source, limit);
    let (mut given, mut refused) = (source.given, Ok(()));
    match result {
        Ok(count) => assert_eq!(count, given.len()),
        Err(error) => match error.get_ref().and_then(|error| error.downcast_ref()) {
            None => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            Some(ReadError::FalseCount { claimed, asked }) => assert!(claimed > asked),
            Some(ReadError::TooLong { limit: bound, next }) => {
                assert_eq!((*bound, given.pop()), (limit, Some(*next)));
                assert_eq!(given.len(), limit);
            }
            Some(ReadError::NoRoom { error, next }) => {
                assert_eq!(given.pop(), Some(*next));
                assert_eq!(holds.len() + given.len(), buffer.capacity());
                refused = Err(*error);
            }
            Some(other) => panic!("{other}"),
        },
    }
    assert!(given.len() <= limit);
    holds.extend_from_slice(&given);
    assert_eq!(*buffer, *holds);
    let grown = buffer.capacity() != capacity;
    assert!(!grown || buffer.capacity() <= class_size(2 * holds.len()), "no more than twice the room for what came");
    refused
}
