//! What happens to a pool beside the operations under test: handles come and go, it is collected, others use it.

use std::alloc::Layout;

use arbitrary::Arbitrary;
use millpond::{GetError, Pool, Stats};

use super::blocks::{Size, Tried};
use super::books;
use super::ledger::Ledger;
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
}

/// All handles of one pool, of which there is always one.
pub struct Handles {
    pub setting: Setting,
    pub ledger: Ledger,
    all: Vec<Pool<Ledger>>,
}

impl Handles {
    pub fn new(setting: Setting) -> Self {
        let ledger = setting.ledger(LIMIT);
        Self { setting, all: vec![setting.pool(&ledger, LIMIT)], ledger }
    }

    /// The last handle goes, and leaves what the pool did.
    pub fn close(self) -> Ledger {
        self.ledger
    }

    /// Any of them.
    pub fn pick(&self, n: usize) -> &Pool<Ledger> {
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
                match pool.try_get(len) {
                    Ok(buffer) => {
                        assert_eq!(buffer.capacity(), capacity);
                        assert!(self.has_room(capacity, in_use));
                    }
                    Err(GetError::LimitReached { requested, limit: LIMIT, .. }) => {
                        assert_eq!(requested, capacity);
                        assert!(!self.has_room(capacity, in_use));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// That a block was refused exactly where it had no room: so much was in use before.
    #[track_caller]
    pub fn check_refusal(&self, tried: Tried, in_use: usize) {
        let takes = self.setting.takes(tried.from, tried.to);
        let room = self.has_room(takes, in_use);
        assert_eq!(tried.refused, !room, "{tried:?} takes {takes} bytes beside {in_use} of {LIMIT}");
        if tried.refused {
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
