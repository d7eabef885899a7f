//! One interpreter of operations, for property tests, fuzz targets and the stress test: a few pools, whose allocators fail on cue,
//! and buffers of all of them, which several threads use in turn, beside a `Vec` each that says what they must hold.

mod account;
mod setting;
mod world;
mod writes;

use arbitrary::{Arbitrary, Result, Unstructured};

use super::drawn;
use setting::Setting;
use world::World;
use writes::Write;

/// Sizes are drawn from here as well as freely: the edges of classes and tiers.
const EDGES: [usize; 16] =
    [0, 1, 16, 17, 255, 256, 257, 320, 1000, 1023, 1024, 4096, 8193, 65_537, (1 << 20) + 1, (2 << 20) + 1];

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Size {
    Edge(u8),
    Small(u16),
}

impl Size {
    pub fn bytes(self) -> usize {
        match self {
            Self::Edge(n) => EDGES[usize::from(n) % EDGES.len()],
            Self::Small(n) => usize::from(n),
        }
    }
}

/// The index of a pool that is open, or of a buffer, modulo how many there are; or the number of a thread.
type Index = u8;

#[derive(Clone, Copy, Debug)]
pub enum Op {
    Write(Index, Write),
    Buffer(Index, OfBuffer),
    Pool(Index, OfPool),
    /// If there are as many as may be, in place of the oldest.
    Open(Setting),
    /// So many operations that follow, of eight at most, are a thread's.
    AsThread(Index, u8),
    EndThread(Index),
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum OfBuffer {
    Clone,
    CloneFrom(Index),
    IntoVec,
    Drop,
    DropAsThread(Index),
    DropAll,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum OfPool {
    Get(Size),
    /// Where nothing can refuse it.
    GetSurely(Size),
    TryGetTooMuch(usize),
    CloneHandle,
    DropHandle,
    Collect,
    Purge,
    Stats,
    /// Of the next eight allocations, which is the one that fails.
    FailAllocation(u8),
    Close,
}

impl<'a> Arbitrary<'a> for Op {
    /// Mostly writes, and few threads and new pools.
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match bytes.arbitrary()? {
            0..=7_u8 => Self::Open(bytes.arbitrary()?),
            8..=23 => Self::AsThread(bytes.arbitrary()?, bytes.arbitrary()?),
            24..=31 => Self::EndThread(bytes.arbitrary()?),
            32..=79 => Self::Buffer(bytes.arbitrary()?, bytes.arbitrary()?),
            80..=159 => Self::Pool(bytes.arbitrary()?, bytes.arbitrary()?),
            160.. => Self::Write(bytes.arbitrary()?, bytes.arbitrary()?),
        })
    }
}

/// Does what the bytes say, checks at the end that the books balance, drops everything and checks that nothing is left. How many
/// operations that were.
pub fn play(bytes: &[u8]) -> u64 {
    let mut bytes = Unstructured::new(bytes);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return 0 };
    World::new(setting).run(drawn(bytes))
}
