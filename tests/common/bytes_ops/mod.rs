//! One interpreter of what is done with buffers as `Bytes`, `BufMut`, `Buf` and readers' destinations, for property tests and fuzz
//! targets, beside a `Vec` each that says what they must hold.
//!
//! Named by its path, not in `common`: it needs the feature `bytes`.
#![allow(clippy::cast_possible_truncation, reason = "bytes to tell things by")]

pub mod calls;

use std::collections::HashMap;
use std::io::Cursor;

use arbitrary::{Arbitrary, Unstructured};
use bytes::{Bytes, BytesMut};
use millpond::{Collect, GetError, Pool, PoolBuf, Recycle};

use crate::common::ledger::Ledger;
use crate::common::ops::Size;
use crate::common::others::Others;
use crate::common::scarce::Scarce;
use crate::common::source::{self, Piece};
use crate::common::{class_size, drawn};
use calls::{Put, Take};

/// Of what there is, modulo how much there is; or the number of a thread.
type Index = u8;

/// Positions are taken modulo the length, which is one of them.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Op {
    Get(Size),
    Put(Index, Put),
    Take(Index, [Take; 3]),
    Read(Index, [Piece; 4], Size),
    DropBuffer(Index),
    Freeze(Index),
    Slice(Index, u16, u16),
    SliceRef(Index, u16, u16),
    SplitTo(Index, u16),
    SplitOff(Index, u16),
    Truncate(Index, u16),
    TakeFromPart(Index, Take),
    Clone(Index),
    TryIntoMut(Index),
    IntoMut(Index),
    IntoVec(Index),
    Drop(Index),
    DropAll,
    Collect,
    Purge,
    ClosePool,
    /// So many calls of the allocator from here, of four at most, a few fail.
    FailAllocations(u8),
    /// So many operations that follow, of eight at most, are a thread's.
    AsThread(Index, u8),
    EndThread(Index),
}

#[derive(Clone, Copy, Debug, Arbitrary)]
struct Setting {
    limited: bool,
    zero: bool,
    track: bool,
    /// Half of them recycle, a quarter pass through, and a quarter are chaos.
    recycle: u8,
}

const LIMIT: usize = 64 << 10;

/// Bytes that lie in a block of the pool's.
struct Part {
    bytes: Bytes,
    holds: Vec<u8>,
    /// Where the block begins, and its capacity.
    block: (usize, usize),
}

struct World {
    setting: Setting,
    pool: Option<Pool<Scarce>>,
    ledger: Ledger,
    allocator: Scarce,
    buffers: Vec<(PoolBuf<Scarce>, Vec<u8>)>,
    parts: Vec<Part>,
    others: Others,
}

/// Does what the bytes say, drops everything and checks that nothing is left.
pub fn play(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return };
    let mut ops = drawn::<Op>(bytes);
    World::new(setting).run(&mut ops);
}

impl World {
    fn new(setting: Setting) -> Self {
        let ledger = if setting.limited { Ledger::with_limit(LIMIT) } else { Ledger::new() };
        let allocator = Scarce::new(&ledger);
        let builder = Pool::builder_in(allocator.clone()).collect(Collect::Manual).track(setting.track);
        let builder = if setting.limited { builder.limit(LIMIT) } else { builder };
        let builder = builder.zero_on_return(setting.zero).recycle(match setting.recycle % 4 {
            1 => Recycle::Never,
            3 => Recycle::Chaos(setting.recycle.into()),
            _ => Recycle::Always,
        });
        let pool = Some(builder.build().expect("sound"));
        Self { setting, pool, ledger, allocator, buffers: Vec::new(), parts: Vec::new(), others: Others::default() }
    }

    fn run(mut self, ops: &mut dyn Iterator<Item = Op>) {
        self.perform(ops, true);
        self.parts.clear();
        self.check();
        self.pool = None;
        self.buffers.clear();
        self.ledger.assert_empty();
        assert_eq!(self.ledger.clones(), 2, "the pool's own is gone, `allocator` and this one are left");
    }

    fn perform(&mut self, ops: &mut dyn Iterator<Item = Op>, may_change: bool) {
        while let Some(op) = ops.next() {
            match op {
                Op::AsThread(n, count) if may_change => {
                    let few: Vec<_> = (&mut *ops).take(1 + usize::from(count % 8)).collect();
                    let mut thread = self.others.call(n);
                    thread.run(|| self.perform(&mut few.into_iter(), false));
                    self.others.rest(n, thread);
                }
                Op::EndThread(n) => self.others.end(n),
                op => self.step(op),
            }
            self.check();
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Get(size) => self.get(size.bytes()),
            Op::Put(n, _) | Op::Take(n, _) | Op::Read(n, ..) | Op::DropBuffer(n) | Op::Freeze(n) => {
                if let Some((buffer, holds)) = remove(&mut self.buffers, n) {
                    self.use_buffer(buffer, holds, op);
                }
            }
            Op::DropAll => {
                self.parts.clear();
                self.buffers.clear();
            }
            Op::Collect => _ = self.pool.as_ref().map(Pool::collect),
            Op::Purge => _ = self.pool.as_ref().map(Pool::purge),
            Op::ClosePool => self.pool = None,
            Op::FailAllocations(n) => self.allocator.fail(usize::from(n % 4), 1 + usize::from(n / 4 % 4)),
            Op::Slice(n, ..)
            | Op::SliceRef(n, ..)
            | Op::SplitTo(n, _)
            | Op::SplitOff(n, _)
            | Op::Truncate(n, _)
            | Op::TakeFromPart(n, _)
            | Op::Clone(n) => {
                let len = self.parts.len().max(1);
                let part = self.parts.get_mut(usize::from(n) % len);
                let new = part.and_then(|part| divide(part, op));
                self.parts.extend(new.filter(|_| len < 64));
            }
            Op::TryIntoMut(n) | Op::IntoMut(n) | Op::IntoVec(n) | Op::Drop(n) => {
                if let Some(Part { bytes, holds, .. }) = remove(&mut self.parts, n) {
                    convert(bytes, &holds, op);
                }
            }
            Op::AsThread(..) | Op::EndThread(_) => {}
        }
    }

    fn get(&mut self, size: usize) {
        let Some(pool) = self.pool.as_ref().filter(|_| self.buffers.len() < 16) else { return };
        let failures = self.allocator.failures();
        match pool.try_get(size) {
            Ok(buffer) => self.buffers.push((buffer, Vec::new())),
            Err(error) => {
                if let GetError::LimitReached { .. } = error {
                    assert!(pool.stats().in_use_bytes + class_size(size) > LIMIT, "{size} would fit: {error}");
                }
                self.check_reason(error, failures);
            }
        }
    }

    /// `failures`: calls of the allocator that had failed before.
    fn check_reason(&self, error: GetError, failures: usize) {
        match error {
            GetError::LimitReached { .. } => assert!(self.setting.limited, "{error}"),
            GetError::OutOfMemory { .. } => assert!(self.allocator.failures() > failures, "{error}"),
            other => panic!("{other}"),
        }
    }

    fn use_buffer(&mut self, mut buffer: PoolBuf<Scarce>, mut holds: Vec<u8>, op: Op) {
        let failures = self.allocator.failures();
        match op {
            Op::Put(_, put) => {
                // It would panic, as a growth that cannot be does.
                let may_fail = self.setting.limited || self.allocator.is_armed();
                if !may_fail || buffer.try_reserve(put.len()).is_ok() {
                    put.make(&mut buffer);
                    let before = holds.len();
                    put.make(&mut holds);
                    assert_eq!(holds.len() - before, put.len());
                }
            }
            Op::Take(_, takes) => {
                let (mut cursor, mut rest) = (Cursor::new(buffer), &holds[..]);
                for take in takes {
                    assert_eq!(take.make(&mut cursor), take.make(&mut rest), "{take:?}");
                }
                buffer = cursor.into_inner();
            }
            Op::Read(_, pieces, limit) => {
                if let Err(error) = source::read(&mut buffer, &mut holds, pieces.to_vec(), limit.bytes()) {
                    self.check_reason(error, failures);
                }
            }
            Op::Freeze(_) => {
                let block = (buffer.as_ptr().addr(), buffer.capacity());
                self.parts.push(Part { bytes: buffer.freeze(), holds, block });
                return;
            }
            // Only what is dropped does not come back.
            _ => return assert_eq!(buffer, holds),
        }
        assert_eq!(buffer, holds);
        self.buffers.push((buffer, holds));
    }

    /// A block is out as long as bytes in it are, and back with the last of them.
    fn check(&self) {
        let mut least: usize = self.buffers.iter().map(|(buffer, _)| buffer.capacity()).sum();
        let mut blocks = HashMap::new();
        for Part { bytes, holds, block } in &self.parts {
            assert_eq!(bytes, holds);
            let held = blocks.entry(block).or_insert(false);
            if !bytes.is_empty() {
                *held = true;
                let place = bytes.as_ptr().addr() - block.0;
                assert!(place + bytes.len() <= block.1, "no copy");
            }
        }
        // Whether empty `Bytes` keep their block is theirs to say.
        let mut most = least;
        for ((_, capacity), held) in blocks {
            least += if held { *capacity } else { 0 };
            most += capacity;
        }
        let out = self.pool.as_ref().map_or_else(|| self.ledger.live_bytes(), |pool| pool.stats().in_use_bytes);
        if let Some(pool) = self.pool.as_ref().filter(|_| self.setting.track) {
            assert_eq!(pool.outstanding().bytes(), out, "what is frozen is out");
        }
        assert!(least <= out && out <= most, "{least} <= {out} <= {most}");
    }
}

/// What comes of a part beside what stays.
fn divide(part: &mut Part, op: Op) -> Option<Part> {
    let Part { bytes, holds, block } = part;
    let at = |position: u16| usize::from(position) % (bytes.len() + 1);
    let range = |from: u16, to: u16| at(from).min(at(to))..at(from).max(at(to));
    let (bytes, holds) = match op {
        Op::Slice(_, from, to) => (bytes.slice(range(from, to)), holds[range(from, to)].to_vec()),
        Op::SliceRef(_, from, to) => (bytes.slice_ref(&bytes[range(from, to)]), holds[range(from, to)].to_vec()),
        Op::SplitTo(_, position) => {
            let at = at(position);
            let rest = holds.split_off(at);
            (bytes.split_to(at), std::mem::replace(holds, rest))
        }
        Op::SplitOff(_, position) => {
            let at = at(position);
            (bytes.split_off(at), holds.split_off(at))
        }
        Op::Truncate(_, position) => {
            bytes.truncate(position.into());
            holds.truncate(position.into());
            return None;
        }
        Op::TakeFromPart(_, take) => {
            let whole = std::mem::take(holds);
            let mut rest = &whole[..];
            assert_eq!(take.make(bytes), take.make(&mut rest), "{take:?}");
            *holds = rest.to_vec();
            return None;
        }
        _ => (bytes.clone(), holds.clone()),
    };
    Some(Part { bytes, holds, block: *block })
}

/// What the bytes become, which is no longer in the block.
fn convert(bytes: Bytes, holds: &[u8], op: Op) {
    match op {
        Op::TryIntoMut(_) => match bytes.try_into_mut() {
            Ok(bytes) => assert!(bytes.is_empty() && holds.is_empty(), "the block is the pool's"),
            Err(bytes) => assert_eq!(bytes, holds),
        },
        Op::IntoMut(_) => assert_eq!(BytesMut::from(bytes), holds),
        Op::IntoVec(_) => assert_eq!(Vec::from(bytes), holds),
        _ => assert_eq!(bytes, holds),
    }
}

fn remove<T>(from: &mut Vec<T>, n: Index) -> Option<T> {
    let index = usize::from(n) % from.len().max(1);
    (index < from.len()).then(|| from.swap_remove(index))
}
