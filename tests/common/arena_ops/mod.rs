//! One interpreter of operations on arenas, for property tests and fuzz targets, beside a model of what each piece in them holds.
//!
//! Named by its path, not in `common`: it needs the feature `arena`.
#![allow(clippy::cast_possible_truncation, reason = "numbers to tell things by")]

mod put;
mod tenant;

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::common::beside::{Beside, Handles};
use crate::common::blocks::{self, Size, Tried};
use crate::common::drawn;
use crate::common::others::Others;
use crate::common::setting::Setting;
use put::Put;
use tenant::{Tenant, is_small};

/// The edges of what is small, of classes, and of tiers.
const SIZES: [usize; 18] = [0, 1, 8, 24, 64, 127, 128, 200, 255, 256, 257, 320, 512, 1024, 4096, 5120, 20_480, 65_536];

const ARENAS: usize = 4;

/// Bytes that one arena is given before it has to be reset.
const MOST: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
enum Op {
    Put(u8, Put),
    /// With the arena as an allocator.
    Block(u8, blocks::Op),
    /// A vector that is as long as each of these in turn.
    Vector(u8, [Size; 3]),
    Open,
    End(u8, End),
    Beside(Beside),
    /// So many operations that follow, of eight at most, are a thread's.
    AsThread(u8, u8),
    EndThread(u8),
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum End {
    Reset,
    Drop,
    DropAsThread(u8),
}

impl<'a> Arbitrary<'a> for Op {
    /// Mostly pieces, and few threads.
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match bytes.arbitrary()? {
            0..=7_u8 => Self::Open,
            8..=15 => Self::AsThread(bytes.arbitrary()?, bytes.arbitrary()?),
            16..=17 => Self::EndThread(bytes.arbitrary()?),
            18..=31 => Self::End(bytes.arbitrary()?, if bytes.ratio(1, 8)? { bytes.arbitrary()? } else { End::Reset }),
            32..=63 => Self::Beside(bytes.arbitrary()?),
            64..=79 => Self::Vector(bytes.arbitrary()?, bytes.arbitrary()?),
            80..=143 => Self::Put(bytes.arbitrary()?, bytes.arbitrary()?),
            144.. => Self::Block(bytes.arbitrary()?, bytes.arbitrary()?),
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
    tenants: Vec<Tenant>,
    others: Others,
    steps: usize,
}

impl World {
    fn new(setting: Setting) -> Self {
        Self { handles: Handles::new(setting), tenants: Vec::new(), others: Others::default(), steps: 0 }
    }

    /// Runs all, checks at the end that the books balance, drops everything and checks that nothing is left. The arenas
    /// outlive the pool's last handle.
    fn run(mut self, mut ops: impl Iterator<Item = Op>) {
        self.perform(&mut ops, true);
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
            Op::AsThread(..) | Op::EndThread(_) => {}
        }
    }

    fn open(&mut self) {
        if self.tenants.len() < ARENAS {
            let pool = self.handles.pick(self.steps);
            let arena = if self.steps % 2 == 0 { pool.arena() } else { pool.try_arena().expect("there is memory") };
            self.tenants.push(Tenant::new(arena));
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
                let sure = seed % 2 == 0 && !armed && !setting.limited();
                let taken = tenant.put(put, seed, sure);
                let now = self.in_use();
                let failed = self.handles.allocator.failures() > failures;
                assert!(if taken { !failed } else { failed || setting.limited() }, "{put:?}");
                assert!(taken || now == in_use || matches!(put, Put::Within(..)));
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
            _ => {}
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
            End::DropAsThread(n) => {
                let mut other = self.others.call(n);
                other.run(|| drop(arena));
                self.others.rest(n, other);
            }
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
