//! What happens to a pool beside the operations under test: handles come and go, it is collected, others use it.

use std::alloc::Layout;

use arbitrary::Arbitrary;
use millpond::{GetError, Pool, Stats};

use super::blocks::{Size, Tried};
use super::books;
use super::ledger::Ledger;
use super::scarce::Scarce;
use super::setting::Setting;

/// Of a pool that has one: a few blocks reach it.
const LIMIT: usize = 256 << 10;

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Beside {
    CloneHandle,
    DropHandle,
    Collect,
    Purge,
    Get(Size),
    /// So many calls of the allocator from here, of four at most, a few fail.
    FailAllocations(u8),
}

/// All handles of one pool, of which there is always one.
pub struct Handles {
    pub setting: Setting,
    pub ledger: Ledger,
    pub allocator: Scarce,
    all: Vec<Pool<Scarce>>,
}

impl Handles {
    pub fn new(setting: Setting) -> Self {
        let ledger = setting.ledger(LIMIT);
        let allocator = Scarce::new(&ledger);
        Self { setting, all: vec![setting.pool(&allocator, LIMIT)], allocator, ledger }
    }

    /// The last handle goes, and leaves what the pool did.
    pub fn close(self) -> Ledger {
        self.ledger
    }

    /// Any of them.
    pub fn pick(&self, n: usize) -> &Pool<Scarce> {
        &self.all[n % self.all.len()]
    }

    /// `in_use`: bytes that are out of the pool.
    pub fn step(&mut self, op: Beside, sizes: &[usize], in_use: usize) {
        let pool = &self.all[0];
        match op {
            Beside::CloneHandle if self.all.len() < 8 => self.all.push(pool.clone()),
            Beside::DropHandle if self.all.len() > 1 => drop(self.all.swap_remove(0)),
            Beside::CloneHandle | Beside::DropHandle => {}
            Beside::Collect => assert!(!pool.collect().already_running),
            Beside::Purge => {
                pool.purge();
                let stats = pool.stats();
                assert_eq!((stats.idle_bytes, stats.idle_arenas, stats.idle_arena_bytes), (0, 0, 0), "{stats}");
            }
            Beside::Get(size) => {
                let len = size.bytes(sizes);
                let capacity = self.setting.capacity(len);
                let failures = self.allocator.failures();
                match pool.try_get(len) {
                    Ok(buffer) => {
                        assert_eq!(buffer.capacity(), capacity);
                        assert!(self.has_room(capacity, in_use));
                    }
                    Err(GetError::LimitReached { requested, limit: LIMIT, .. }) => {
                        assert_eq!(requested, capacity);
                        assert!(!self.has_room(capacity, in_use));
                    }
                    Err(GetError::OutOfMemory { requested, .. }) => {
                        assert_eq!((requested, self.allocator.failures()), (capacity, failures + 1));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Beside::FailAllocations(n) => self.allocator.fail(usize::from(n % 4), 1 + usize::from(n / 4 % 4)),
        }
    }

    /// That a block was refused exactly where it had no room, or the allocator no memory: so much was in use, and so many calls had
    /// failed before.
    #[track_caller]
    pub fn check_refusal(&self, tried: Tried, in_use: usize, failures: usize) {
        let takes = self.setting.takes(tried.from, tried.to);
        let (room, failed) = (self.has_room(takes, in_use), self.allocator.failures() > failures);
        assert_eq!(tried.refused, !room || failed, "{tried:?} takes {takes} bytes beside {in_use} of {LIMIT}");
        if tried.refused && !failed {
            assert_eq!(self.ledger.live_bytes(), in_use, "what was idle has been freed for it");
        }
    }

    fn has_room(&self, takes: usize, in_use: usize) -> bool {
        !self.setting.limited() || in_use + takes <= LIMIT
    }

    /// For what is not refused block by block: so much is in use now.
    #[track_caller]
    pub fn check_bound(&self, in_use: usize) {
        assert!(self.has_room(0, in_use), "{in_use} of {LIMIT} bytes");
    }

    /// At rest. `out`: the layouts of all that is out.
    pub fn check(&self, out: impl Iterator<Item = Layout>) -> Stats {
        let stats = self.pick(0).stats();
        books::assert_balanced(&stats, &self.ledger);
        let (mut direct, mut pooled) = (0, 0);
        for layout in out {
            *(if self.setting.is_direct(layout) { &mut direct } else { &mut pooled }) += self.setting.reported(layout);
        }
        assert_eq!((stats.direct_bytes, stats.in_use_bytes), (direct, direct + pooled), "{stats}");
        assert_eq!(stats.oversize_in_use, 0, "{stats}");
        stats
    }
}
