//! One interpreter of operations, for property tests, fuzz targets and the stress test: a few pools, whose allocators fail on cue,
//! and buffers of all of them, which several threads use in turn, beside a `Vec` each that says what they must hold.

mod account;
mod world;

use arbitrary::{Arbitrary, Unstructured};
use millpond::{Collect, Pool, Recycle};

use super::flaky::Flaky;
use super::ledger::Ledger;
use world::World;

/// Sizes are drawn from here as well as freely: the edges of classes and tiers.
const EDGES: [usize; 12] = [0, 1, 255, 256, 257, 320, 1023, 1024, 4096, 65_537, (1 << 20) + 1, (2 << 20) + 1];

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

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Op {
    /// If there are as many as may be, in place of the oldest.
    Open(Setting),
    Close(Index),
    Get(Index, Size),
    TryGetTooMuch(Index, usize),
    Extend(Index, Size, u8),
    Push(Index, u8),
    Pop(Index),
    Truncate(Index, Size),
    Resize(Index, Size, u8),
    Reserve(Index, Size),
    Clear(Index),
    Clone(Index),
    Drop(Index),
    DropAll,
    DropAsThread(Index, Index),
    CloneHandle(Index),
    DropHandle(Index),
    Collect(Index),
    Purge(Index),
    Stats(Index),
    /// Of a pool's next eight allocations, which is the one that fails.
    FailAllocation(Index, u8),
    /// So many operations that follow, of eight at most, are a thread's.
    AsThread(Index, u8),
    EndThread(Index),
}

/// Settings that make every tier small enough to overflow, or leave the defaults.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Setting {
    tiny: bool,
    limited: bool,
    zero: bool,
    /// Half of them recycle, a quarter pass through, and a quarter are chaos.
    recycle: u8,
}

impl Setting {
    pub const LIMIT: usize = 8 << 20;

    fn pool(self, allocator: &Flaky) -> Pool<Flaky> {
        let mut builder = Pool::builder_in(allocator.clone()).collect(Collect::Manual).zero_on_return(self.zero);
        builder = builder.recycle(match self.recycle % 4 {
            1 => Recycle::Never,
            3 => Recycle::Chaos(self.recycle.into()),
            _ => Recycle::Always,
        });
        if self.tiny {
            builder = builder.max_class(4096).idle_limit(20_000).local_limit(5000);
        }
        if self.limited {
            builder = builder.limit(Self::LIMIT);
        }
        builder.build().expect("every setting is sound")
    }

    fn ledger(self) -> Ledger {
        if self.limited { Ledger::with_limit(Self::LIMIT) } else { Ledger::new() }
    }
}

/// Does what the bytes say, checks at the end that the books balance, drops everything and checks that nothing is left. How many
/// operations that were.
pub fn play(bytes: &[u8]) -> u64 {
    let mut bytes = Unstructured::new(bytes);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return 0 };
    World::new(setting).run(std::iter::from_fn(|| if bytes.is_empty() { None } else { Op::arbitrary(&mut bytes).ok() }))
}
