//! One interpreter of operations on a pool as an allocator, for property tests and fuzz targets: any sequence of layouts, beside a
//! model of each block's contents, and of what the pool has to say of them, over an allocator that fails now and then.

use arbitrary::{Arbitrary, Result, Unstructured};

use super::beside::{Beside, Handles};
use super::blocks::{self, Block};
use super::drawn;
use super::others::Others;
use super::setting::Setting;

/// The edges of what is pooled at all, of classes, and of tiers.
const SIZES: [usize; 20] =
    [0, 1, 8, 64, 127, 128, 129, 256, 257, 320, 512, 1024, 4096, 5120, 8192, 16_384, 20_480, 65_536, 81_920, 131_072];

#[derive(Clone, Copy, Debug)]
enum Op {
    Block(blocks::Op),
    Beside(Beside),
    /// So many operations that follow, of eight at most, are a thread's.
    AsThread(u8, u8),
    EndThread(u8),
}

impl<'a> Arbitrary<'a> for Op {
    /// Mostly blocks, and few threads.
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match bytes.arbitrary()? {
            0..=7_u8 => Self::AsThread(bytes.arbitrary()?, bytes.arbitrary()?),
            8..=9 => Self::EndThread(bytes.arbitrary()?),
            10..=79 => Self::Beside(bytes.arbitrary()?),
            80.. => Self::Block(bytes.arbitrary()?),
        })
    }
}

/// Does what the bytes say, frees everything, and checks that nothing is left.
pub fn play(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return };
    World::new(setting).run(drawn(bytes));
}

struct World {
    handles: Handles,
    blocks: Vec<Block>,
    others: Others,
    steps: usize,
}

impl World {
    fn new(setting: Setting) -> Self {
        Self { handles: Handles::new(setting), blocks: Vec::new(), others: Others::default(), steps: 0 }
    }

    /// Runs all, frees everything, and checks before and after that the books balance, and at the end that nothing is left.
    fn run(mut self, mut ops: impl Iterator<Item = Op>) {
        self.perform(&mut ops, true);
        self.check();
        for (n, block) in std::mem::take(&mut self.blocks).into_iter().enumerate() {
            block.free(&self.handles.pick(n), n % 2 == 0);
        }
        self.check();
        let ledger = self.handles.close();
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "the pool is freed");
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
        }
    }

    fn step(&mut self, op: Op) {
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
            Op::Beside(op) => {
                self.handles.step(op, &SIZES, in_use);
                self.check();
            }
            Op::AsThread(..) | Op::EndThread(_) => {}
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
