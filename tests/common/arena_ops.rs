//! One interpreter of operations on arenas, for property tests and fuzz targets, beside a model of what each piece in them holds.
//!
//! Named by its path, not in `common`: it needs the feature `arena`.
#![allow(clippy::disallowed_methods, reason = "an allocator is tested")]
#![allow(clippy::cast_possible_truncation, reason = "numbers to tell things by")]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::thread;

use allocator_api2::vec::Vec as VecIn;
use arbitrary::{Arbitrary, Result, Unstructured};
use millpond::{Arena, GetError};

use crate::common::beside::{Beside, Handles};
use crate::common::blocks::{self, Block, Size, Tried, layout};
use crate::common::scarce::Scarce;
use crate::common::setting::Setting;

/// What is larger, or aligned to more, is the pool's.
const SMALL: usize = 256;

/// The edges of what is small, of classes, and of tiers.
const SIZES: [usize; 18] = [0, 1, 8, 24, 64, 127, 128, 200, 255, 256, 257, 320, 512, 1024, 4096, 5120, 20_480, 65_536];

const ARENAS: usize = 4;

/// Bytes that one arena is given before it has to be reset, and pieces.
const MOST: usize = 1 << 20;
const PIECES: usize = 64;

#[derive(Clone, Copy, Debug)]
pub enum Op {
    Put(u8, Put),
    /// With the arena as an allocator.
    Block(u8, blocks::Op),
    /// A vector that is as long as each of these in turn.
    Vector(u8, [Size; 3]),
    Open,
    End(u8, End),
    Beside(Beside),
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Put {
    Bytes(Size),
    Str(Size),
    Words(Size),
    FillWith(Size),
    Aligned,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum End {
    Reset,
    Drop,
    DropOnAnotherThread,
}

impl<'a> Arbitrary<'a> for Op {
    /// Mostly pieces, and few threads.
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match bytes.arbitrary()? {
            0..=7_u8 => Self::Open,
            8..=31 => Self::End(bytes.arbitrary()?, if bytes.ratio(1, 8)? { bytes.arbitrary()? } else { End::Reset }),
            32..=63 => Self::Beside(bytes.arbitrary()?),
            64..=79 => Self::Vector(bytes.arbitrary()?, bytes.arbitrary()?),
            80..=143 => Self::Put(bytes.arbitrary()?, bytes.arbitrary()?),
            144.. => Self::Block(bytes.arbitrary()?, bytes.arbitrary()?),
        })
    }
}

/// So aligned that even one is the pool's.
#[repr(align(512))]
#[derive(Clone, Copy)]
struct Aligned([u8; 512]);

fn is_small(layout: Layout) -> bool {
    layout.size() <= SMALL && (layout.align() <= SMALL || layout.size() == 0)
}

/// What one of the methods put in: nobody has a reference to it, and it stays until the arena is reset or ends.
struct Piece {
    at: NonNull<[u8]>,
    layout: Layout,
    holds: Vec<u8>,
}

/// An arena, and what must be in it.
struct Tenant {
    arena: Arena<Scarce>,
    blocks: Vec<Block>,
    pieces: Vec<Piece>,
}

impl Tenant {
    /// The layouts of all that lies in it.
    fn layouts(&self) -> impl Iterator<Item = Layout> {
        self.blocks.iter().map(|block| block.layout).chain(self.pieces.iter().map(|piece| piece.layout))
    }

    /// Those of blocks from the pool.
    fn large(&self) -> impl Iterator<Item = Layout> {
        self.layouts().filter(|layout| !is_small(*layout))
    }

    fn in_use(&self, setting: Setting) -> usize {
        self.large().map(|layout| setting.reported(layout)).sum()
    }

    /// Where all of it lies.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let all = self.blocks.iter().map(|block| block.at).chain(self.pieces.iter().map(|piece| piece.at));
        all.filter(|at| !at.is_empty()).map(|at| (at.cast::<u8>().addr().get(), at.len()))
    }

    /// Puts one in, and writes to it. False: it was refused.
    fn put(&mut self, put: Put, seed: u8) -> bool {
        if self.pieces.len() >= PIECES {
            return true;
        }
        let put = match put {
            Put::Bytes(size) => self.arena.try_alloc_bytes(size.bytes(&SIZES)).map(|bytes| {
                assert!(bytes.iter().all(|byte| *byte == 0));
                bytes.fill(seed);
                Piece::new(bytes)
            }),
            Put::Str(size) => {
                let text = char::from(seed % 128).to_string().repeat(size.bytes(&SIZES));
                self.arena.try_alloc_str(&text).map(|copy| {
                    assert_eq!(*copy, *text);
                    // SAFETY: the bytes are not changed.
                    Piece::new(unsafe { copy.as_bytes_mut() })
                })
            }
            Put::Words(size) => {
                let words: Vec<_> = (0..size.bytes(&SIZES) / 8).map(|n| (n as u64) << 8 | u64::from(seed)).collect();
                self.arena.try_alloc_slice_copy(&words).map(|copy| {
                    assert_eq!(copy, words);
                    Piece::new(copy)
                })
            }
            Put::FillWith(size) => {
                let make = |n: usize| [n ^ usize::from(seed), n, 0].map(|n| n as u16);
                self.arena.try_alloc_slice_fill_with(size.bytes(&SIZES) / 6, make).map(|made| {
                    assert!(made.iter().enumerate().all(|(n, of_it)| *of_it == make(n)));
                    Piece::new(made)
                })
            }
            Put::Aligned => self.arena.try_alloc(Aligned([seed; 512])).map(|value| {
                assert_eq!(value.0, [seed; 512]);
                Piece::new(std::slice::from_mut(value))
            }),
        };
        match put {
            Ok(piece) => self.pieces.push(piece),
            Err(GetError::LimitReached { .. } | GetError::OutOfMemory { .. }) => return false,
            Err(error) => panic!("{error}"),
        }
        true
    }

    /// False: it was refused. Nothing is left of it.
    fn vector(&self, sizes: [Size; 3], seed: u8, may_fail: bool) -> bool {
        let (mut vector, mut model) = (VecIn::new_in(&self.arena), Vec::new());
        for size in sizes {
            let len = size.bytes(&SIZES);
            if vector.try_reserve(len.saturating_sub(vector.len())).is_err() {
                assert_eq!(*vector, *model);
                return false;
            }
            vector.resize(len, seed);
            model.resize(len, seed);
            // Where that is refused, a vector ends the process.
            if !may_fail {
                vector.shrink_to_fit();
            }
            vector.extend_from_slice(&[!seed; 3][..vector.capacity().saturating_sub(len).min(3)]);
            model.resize(vector.len(), !seed);
            assert_eq!(*vector, *model);
        }
        true
    }

    fn check(&self, setting: Setting) {
        self.blocks.iter().for_each(Block::check);
        self.pieces.iter().for_each(Piece::check);
        for block in &self.blocks {
            let size = block.layout.size();
            let reported = if is_small(block.layout) { size } else { setting.reported(block.layout) };
            assert_eq!(block.at.len(), reported, "{:?}", block.layout);
        }
        let stats = self.arena.stats();
        assert_eq!((stats.large_blocks, stats.large_bytes), (self.large().count(), self.in_use(setting)), "{stats:?}");
        let small: usize = self.layouts().filter(|layout| is_small(*layout)).map(|layout| layout.size()).sum();
        assert!(small <= stats.bumped_bytes && stats.bumped_bytes <= stats.chunk_bytes, "{stats:?} for {small}");
    }

    fn reset(&mut self, setting: Setting) {
        self.check(setting);
        self.blocks.clear();
        self.pieces.clear();
        self.arena.reset();
        assert_eq!(self.arena.stats().bumped_bytes, 0);
        self.check(setting);
    }
}

impl Piece {
    fn new<T>(values: &mut [T]) -> Self {
        let at = NonNull::slice_from_raw_parts(NonNull::from(&mut *values).cast(), size_of_val(values));
        assert_eq!(at.cast::<u8>().addr().get() % align_of::<T>(), 0);
        let mut piece = Self { at, layout: layout(at.len(), align_of::<T>()), holds: Vec::new() };
        piece.holds = piece.bytes().to_vec();
        piece
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: it has been written, without padding, and stays until the arena is reset or ends.
        unsafe { self.at.as_ref() }
    }

    fn check(&self) {
        assert!(self.bytes() == self.holds, "{:?} does not hold what was written", self.layout);
    }
}

pub struct World {
    handles: Handles,
    tenants: Vec<Tenant>,
    steps: usize,
}

impl World {
    pub fn new(setting: Setting) -> Self {
        Self { handles: Handles::new(setting), tenants: Vec::new(), steps: 0 }
    }

    /// Runs all, checks at the end that the books balance, drops everything and checks that nothing is left. The arenas
    /// outlive the pool's last handle.
    pub fn run(mut self, ops: impl IntoIterator<Item = Op>) {
        for op in ops {
            self.step(op);
        }
        self.check();
        let setting = self.handles.setting;
        let ledger = self.handles.close();
        while let Some(mut tenant) = self.tenants.pop() {
            tenant.check(setting);
            if self.tenants.len() % 2 == 0 {
                tenant.reset(setting);
            }
        }
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "the pool is freed");
    }

    pub fn step(&mut self, op: Op) {
        self.steps += 1;
        match op {
            Op::Open => self.open(),
            Op::Beside(op) => {
                self.handles.step(op, &SIZES, self.in_use());
                self.check();
            }
            Op::End(n, end) => self.end(n, end),
            Op::Put(n, _) | Op::Block(n, _) | Op::Vector(n, _) => {
                if self.tenants.is_empty() {
                    self.open();
                }
                self.use_one(usize::from(n) % self.tenants.len(), op);
            }
        }
    }

    fn open(&mut self) {
        if self.tenants.len() < ARENAS {
            let arena = self.handles.pick(self.steps).arena();
            assert_eq!(arena.stats().bumped_bytes, 0);
            self.tenants.push(Tenant { arena, blocks: Vec::new(), pieces: Vec::new() });
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "any byte will do")]
    fn use_one(&mut self, n: usize, op: Op) {
        let (setting, in_use, seed) = (self.handles.setting, self.in_use(), self.steps as u8);
        let (failures, armed) = (self.handles.allocator.failures(), self.handles.allocator.is_armed());
        let tenant = &mut self.tenants[n];
        if tenant.in_use(setting) > MOST {
            return;
        }
        match op {
            Op::Put(_, put) => {
                let taken = tenant.put(put, seed);
                let now = self.in_use();
                let failed = self.handles.allocator.failures() > failures;
                assert!(taken && !failed || (failed || setting.limited()) && now == in_use);
                self.handles.check_bound(now);
            }
            Op::Block(_, op) => {
                if let Some(tried) = op.step(&&tenant.arena, &SIZES, &mut tenant.blocks, self.steps) {
                    if is_small(tried.to) {
                        assert!(!tried.refused, "{tried:?}");
                    } else {
                        // What was in a chunk leaves no block behind.
                        let tried = Tried { from: tried.from.filter(|from| !is_small(*from)), ..tried };
                        self.handles.check_refusal(tried, in_use, failures);
                    }
                }
            }
            Op::Vector(_, sizes) => {
                let may_fail = armed || setting.limited();
                assert!(tenant.vector(sizes, seed, may_fail) || may_fail);
            }
            Op::Open | Op::End(..) | Op::Beside(_) => {}
        }
    }

    fn end(&mut self, n: u8, end: End) {
        let len = self.tenants.len().max(1);
        let Some(tenant) = self.tenants.get_mut(usize::from(n) % len) else { return };
        let setting = self.handles.setting;
        if matches!(end, End::Reset) {
            return tenant.reset(setting);
        }
        tenant.check(setting);
        let Tenant { arena, .. } = self.tenants.swap_remove(usize::from(n) % len);
        match end {
            End::DropOnAnotherThread => thread::spawn(move || drop(arena)).join().expect("no drop panics"),
            _ => drop(arena),
        }
        self.check();
    }

    fn in_use(&self) -> usize {
        self.tenants.iter().map(|tenant| tenant.in_use(self.handles.setting)).sum()
    }

    fn check(&self) {
        let setting = self.handles.setting;
        self.tenants.iter().for_each(|tenant| tenant.check(setting));
        let mut places: Vec<_> = self.tenants.iter().flat_map(Tenant::places).collect();
        places.sort_unstable();
        for pair in places.windows(2) {
            assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{pair:?} overlap");
        }
        let stats = self.handles.check(self.tenants.iter().flat_map(Tenant::large));
        let most = if setting.passes_through() { 0 } else { 64 };
        assert!(stats.idle_arenas <= most && stats.idle_arena_bytes <= stats.idle_arenas * (256 << 10), "{stats}");
    }
}
