//! What is written to a buffer, and to the `Vec` that says what it holds.

use std::io::{self, IoSlice, Write as _};

use arbitrary::Arbitrary;
use millpond::{GetError, PoolBuf};

use super::Size;
use crate::common::flaky::Flaky;
use crate::common::source::{self, Piece};

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Write {
    Extend(Size, u8),
    Push(u8),
    Pop,
    Truncate(Size),
    Resize(Size, u8),
    /// In half of the small sizes: for one byte more than fits, so that growth meets the same few classes.
    Reserve(Size),
    Clear,
    Io(Size, u8),
    IoParts([Size; 3], u8),
    Format(u64),
    /// By an iterator that promises fewer.
    Iterate {
        count: u16,
        promised: u16,
        byte: u8,
    },
    /// As much as fits.
    Spare(Size, u8),
    /// What it holds already, from there on.
    Over(Size, u8),
    Read([Piece; 3], Size),
}

/// No two of them that follow each other are alike, nor do they begin again at the edge of a class.
fn pattern(len: usize, first: u8) -> Vec<u8> {
    let mut bytes: Vec<_> = (0..251).map(|n| first.wrapping_add(n)).collect();
    bytes = bytes.repeat(len / bytes.len() + 1);
    bytes.truncate(len);
    bytes
}

impl Write {
    /// How many bytes it adds that it has no way to refuse.
    pub fn sure(self) -> usize {
        if let Self::Iterate { count, .. } = self { count.into() } else { 0 }
    }

    /// Whether it may grow more than once, and also before it fails.
    pub fn grows_often(self) -> bool {
        matches!(self, Self::Iterate { .. } | Self::Read(..))
    }

    /// The same to both. Err: to neither, or in so far as both are the same.
    pub fn make(self, buffer: &mut PoolBuf<Flaky>, holds: &mut Vec<u8>) -> Result<(), GetError> {
        let before = holds.len();
        match self {
            Self::Extend(size, byte) => {
                let bytes = pattern(size.bytes(), byte);
                buffer.try_extend_from_slice(&bytes)?;
                holds.extend_from_slice(&bytes);
            }
            Self::Push(byte) => {
                buffer.try_reserve(1)?;
                buffer.push(byte);
                holds.push(byte);
            }
            Self::Pop => assert_eq!(buffer.pop(), holds.pop()),
            Self::Truncate(size) => {
                buffer.truncate(size.bytes());
                holds.truncate(size.bytes());
            }
            Self::Resize(size, byte) => {
                buffer.try_reserve(size.bytes().saturating_sub(buffer.len()))?;
                buffer.resize(size.bytes(), byte);
                holds.resize(size.bytes(), byte);
            }
            Self::Reserve(size) => {
                let room = buffer.capacity() - buffer.len();
                let more = if matches!(size, Size::Small(n) if n % 2 == 0) { room + 1 } else { size.bytes() };
                buffer.try_reserve(more)?;
                assert!(buffer.capacity() - buffer.len() >= more);
            }
            Self::Clear => {
                buffer.clear();
                holds.clear();
            }
            Self::Io(size, byte) => {
                let bytes = pattern(size.bytes(), byte);
                buffer.write_all(&bytes).map_err(reason)?;
                holds.extend_from_slice(&bytes);
            }
            Self::IoParts(sizes, byte) => {
                let parts = sizes.map(|size| pattern(size.bytes(), byte));
                let written = buffer.write_vectored(&[0, 1, 2].map(|n| IoSlice::new(&parts[n]))).map_err(reason)?;
                parts.iter().for_each(|part| holds.extend_from_slice(part));
                assert_eq!(written, holds.len() - before);
            }
            Self::Format(n) => {
                let text = n.to_string();
                write!(buffer, "{n}").map_err(reason)?;
                holds.extend_from_slice(text.as_bytes());
            }
            Self::Iterate { count, promised, byte } => {
                let bytes = pattern(count.into(), byte);
                buffer.extend(Promising { left: bytes.iter(), promised: promised.min(count).into() });
                holds.extend_from_slice(&bytes);
            }
            Self::Spare(size, byte) => {
                let spare = buffer.spare_capacity_mut();
                let bytes = pattern(size.bytes().min(spare.len()), byte);
                for (place, byte) in spare.iter_mut().zip(&bytes) {
                    place.write(*byte);
                }
                assert_eq!(spare.len(), buffer.capacity() - before);
                // SAFETY: so many were just written.
                unsafe { buffer.set_len(before + bytes.len()) };
                holds.extend_from_slice(&bytes);
            }
            Self::Over(size, byte) => {
                let from = size.bytes().min(before);
                let bytes = pattern(before - from, byte);
                buffer[from..].copy_from_slice(&bytes);
                holds[from..].copy_from_slice(&bytes);
            }
            Self::Read(pieces, limit) => source::read(buffer, holds, pieces.to_vec(), limit.bytes())?,
        }
        Ok(())
    }
}

/// Why a buffer did not take all.
fn reason(error: io::Error) -> GetError {
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    error.downcast().expect("says why")
}

struct Promising<'a> {
    left: std::slice::Iter<'a, u8>,
    promised: usize,
}

impl<'a> Iterator for Promising<'a> {
    type Item = &'a u8;

    fn next(&mut self) -> Option<&'a u8> {
        self.left.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.promised.min(self.left.len()), None)
    }
}
