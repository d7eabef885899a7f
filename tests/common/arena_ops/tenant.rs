//! An arena, and a model of what each piece in it holds.

use std::alloc::Layout;

use allocator_api2::vec::Vec as VecIn;
use millpond::{Arena, GetError};

use super::SIZES;
use super::put::{Piece, Put};
use crate::common::blocks::{Block, Size};
use crate::common::scarce::Scarce;
use crate::common::setting::Setting;

/// What is larger, or aligned to more, is the pool's.
const SMALL: usize = 256;

/// Pieces that it is given before it has to be reset.
const PIECES: usize = 64;

pub fn is_small(layout: Layout) -> bool {
    layout.size() <= SMALL && (layout.align() <= SMALL || layout.size() == 0)
}

/// An arena, and what must be in it.
pub struct Tenant {
    pub arena: Arena<Scarce>,
    pub blocks: Vec<Block>,
    pieces: Vec<Piece>,
}

impl Tenant {
    pub fn new(arena: Arena<Scarce>) -> Self {
        assert_eq!(arena.stats().bumped_bytes, 0);
        Self { arena, blocks: Vec::new(), pieces: Vec::new() }
    }

    /// The layouts of all that lies in it.
    fn layouts(&self) -> impl Iterator<Item = Layout> {
        self.blocks.iter().map(|block| block.layout).chain(self.pieces.iter().map(|piece| piece.layout))
    }

    /// Those of blocks from the pool.
    pub fn large(&self) -> impl Iterator<Item = Layout> {
        self.layouts().filter(|layout| !is_small(*layout))
    }

    pub fn in_use(&self, setting: Setting) -> usize {
        self.large().map(|layout| setting.reported(layout)).sum()
    }

    /// Where all of it lies.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let all = self.blocks.iter().map(|block| block.at).chain(self.pieces.iter().filter_map(|piece| piece.at));
        all.filter(|at| !at.is_empty()).map(|at| (at.cast::<u8>().addr().get(), at.len()))
    }

    /// Puts one in, and writes to it. False: it was refused, or something that it puts in beside it.
    pub fn put(&mut self, put: Put, seed: u8, sure: bool) -> bool {
        if self.pieces.len() >= PIECES {
            return true;
        }
        match put.make(&self.arena, seed, sure, &mut self.pieces) {
            Ok(piece) => self.pieces.push(piece),
            Err(GetError::LimitReached { .. } | GetError::OutOfMemory { .. }) => return false,
            Err(error) => panic!("{error}"),
        }
        true
    }

    /// False: it was refused. Nothing is left of it.
    pub fn vector(&self, sizes: [Size; 3], seed: u8, may_fail: bool) -> bool {
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

    pub fn check(&self, setting: Setting) {
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

    pub fn reset(&mut self, setting: Setting) {
        self.check(setting);
        self.blocks.clear();
        self.pieces.clear();
        self.arena.reset();
        assert_eq!(self.arena.stats().bumped_bytes, 0);
        self.check(setting);
    }
}
