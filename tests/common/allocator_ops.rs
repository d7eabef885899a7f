//! One interpreter of operations on a pool as an allocator, for property tests and fuzz targets: any sequence of layouts, beside a
//! model of each block's contents, and of what the pool has to say of them, over an allocator that fails now and then.

use std::thread;

use arbitrary::{Arbitrary, Result, Unstructured};

use super::beside::{Beside, Handles};
use super::blocks::{self, Block, Fits};
use super::setting::Setting;

/// The edges of what is pooled at all, of classes, and of tiers.
const SIZES: [usize; 20] =
    [0, 1, 8, 64, 127, 128, 129, 256, 257, 320, 512, 1024, 4096, 5120, 8192, 16_384, 20_480, 65_536, 81_920, 131_072];

#[derive(Clone, Copy, Debug)]
pub enum Op {
    Block(blocks::Op),
    FreeOnAnotherThread { which: u8, fits: Fits },
    Beside(Beside),
}

impl<'a> Arbitrary<'a> for Op {
    /// Mostly blocks, and few threads.
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match bytes.arbitrary()? {
            0..=3_u8 => Self::FreeOnAnotherThread { which: bytes.arbitrary()?, fits: bytes.arbitrary()? },
            4..=79 => Self::Beside(bytes.arbitrary()?),
            80.. => Self::Block(bytes.arbitrary()?),
        })
    }
}

pub struct World {
    handles: Handles,
    blocks: Vec<Block>,
    steps: usize,
}

impl World {
    pub fn new(setting: Setting) -> Self {
        Self { handles: Handles::new(setting), blocks: Vec::new(), steps: 0 }
    }

    /// Runs all, frees everything, and checks before and after that the books balance, and at the end that nothing is left.
    pub fn run(mut self, ops: impl IntoIterator<Item = Op>) {
        for op in ops {
            self.step(op);
        }
        self.check();
        for (n, block) in std::mem::take(&mut self.blocks).into_iter().enumerate() {
            block.free(&self.handles.pick(n), n % 2 == 0);
        }
        self.check();
        let ledger = self.handles.close();
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "the pool is freed");
    }

    pub fn step(&mut self, op: Op) {
        self.steps += 1;
        let (in_use, failures) =
            (self.blocks.iter().map(|block| block.at.len()).sum(), self.handles.allocator.failures());
        match op {
            Op::Block(op) => {
                let pool = self.handles.pick(self.steps);
                if let Some(tried) = op.step(pool, &SIZES, &mut self.blocks, self.steps) {
                    self.handles.check_refusal(tried, in_use, failures);
                }
            }
            Op::FreeOnAnotherThread { which, fits } => {
                if let Some(block) = blocks::take(&mut self.blocks, which) {
                    let pool = self.handles.pick(self.steps).clone();
                    thread::spawn(move || block.free_as(&pool, fits)).join().expect("holds what was written");
                }
            }
            Op::Beside(op) => {
                self.handles.step(op, &SIZES, in_use);
                self.check();
            }
        }
    }

    fn check(&self) {
        for block in &self.blocks {
            block.check();
            assert_eq!(block.at.len(), self.handles.setting.reported(block.layout), "{:?}", block.layout);
        }
        self.handles.check(self.blocks.iter().map(|block| block.layout));
    }
}
