//! What can be done to any `BufMut` and any `Buf`, so that a `Vec` and a slice say what comes of it.

use arbitrary::Arbitrary;
use bytes::{Buf, BufMut, TryGetError};

/// Bytes that can be told apart: how many, and the first.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Fill(pub u16, pub u8);

impl Fill {
    pub fn bytes(self) -> Vec<u8> {
        (0..self.0).map(|n| self.1.wrapping_add(n as u8)).collect()
    }
}

/// None panics where there is memory.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Put {
    Slice(Fill),
    Bytes(u8, u16),
    Chain(Fill, Fill),
    Byte(u8),
    SignedByte(i8),
    Word(u64),
    WordLe(u32),
    Float(f64),
    /// In so many bytes, of eight at most.
    Uint(u64, u8),
    /// Writes as much of the chunk as there is, up to so much, and advances.
    Chunk(u8, u8),
    /// As many as the limit lets through.
    Limited(Fill, u16),
}

impl Put {
    /// How many bytes that are.
    pub fn len(self) -> usize {
        match self {
            Self::Slice(fill) => fill.0.into(),
            Self::Bytes(_, count) => count.into(),
            Self::Chain(a, b) => usize::from(a.0) + usize::from(b.0),
            Self::Byte(_) | Self::SignedByte(_) => 1,
            Self::Word(_) | Self::Float(_) => 8,
            Self::WordLe(_) => 4,
            Self::Uint(_, width) => usize::from(width % 9),
            Self::Chunk(_, len) => len.into(),
            Self::Limited(fill, limit) => fill.0.min(limit).into(),
        }
    }

    pub fn make(self, buf: &mut impl BufMut) {
        match self {
            Self::Slice(fill) => buf.put_slice(&fill.bytes()),
            Self::Bytes(value, count) => buf.put_bytes(value, count.into()),
            Self::Chain(a, b) => buf.put(Buf::chain(a.bytes().as_slice(), b.bytes().as_slice())),
            Self::Byte(byte) => buf.put_u8(byte),
            Self::SignedByte(byte) => buf.put_i8(byte),
            Self::Word(word) => buf.put_u64(word),
            Self::WordLe(word) => buf.put_u32_le(word),
            Self::Float(float) => buf.put_f64(float),
            Self::Uint(value, width) => buf.put_uint(value, usize::from(width % 9)),
            Self::Chunk(value, len) => {
                let mut left = usize::from(len);
                while left > 0 {
                    let chunk = buf.chunk_mut();
                    let count = left.min(chunk.len());
                    chunk[..count].copy_from_slice(&vec![value; count]);
                    // SAFETY: so many were written.
                    unsafe { buf.advance_mut(count) };
                    left -= count;
                }
            }
            Self::Limited(fill, limit) => buf.limit(limit.into()).put(fill.bytes().as_slice().take(limit.into())),
        }
    }
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Take {
    Byte,
    Word,
    WordLe,
    Uint(u8),
    Advance(u16),
    ToSlice(u16),
    ToBytes(u16),
    /// All that is left, which stays.
    Chunk,
}

impl Take {
    /// What it gives, or that there is too little.
    pub fn make(self, buf: &mut impl Buf) -> Result<Vec<u8>, TryGetError> {
        let upto = |len: u16| usize::from(len).min(buf.remaining());
        Ok(match self {
            Self::Byte => vec![buf.try_get_u8()?],
            Self::Word => buf.try_get_u32()?.to_ne_bytes().to_vec(),
            Self::WordLe => buf.try_get_u64_le()?.to_ne_bytes().to_vec(),
            Self::Uint(width) => buf.try_get_uint(usize::from(width % 9))?.to_ne_bytes().to_vec(),
            Self::Advance(len) => {
                buf.advance(upto(len));
                Vec::new()
            }
            Self::ToSlice(len) => {
                let mut slice = vec![0; len.into()];
                buf.try_copy_to_slice(&mut slice)?;
                slice
            }
            Self::ToBytes(len) => buf.copy_to_bytes(upto(len)).into(),
            Self::Chunk => buf.chunk().to_vec(),
        })
    }
}
