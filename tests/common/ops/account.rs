//! What one pool was asked for, and what its allocator saw: from its first handle to its last buffer.

use millpond::{GetError, Pool, PoolBuf, Stats};

use super::Setting;
use crate::common::books;
use crate::common::flaky::Flaky;
use crate::common::ledger::Ledger;

pub struct Account {
    /// By which buffers say whose they are.
    pub number: u64,
    /// None: the pool is closed.
    pub handles: Vec<Pool<Flaky>>,
    setting: Setting,
    ledger: Ledger,
    allocator: Flaky,
    /// Blocks that the pool handed out, and gets and growths that its limit refused.
    gets: u64,
    failed: u64,
}

/// Whether an allocation has yet to fail, from before an operation.
#[derive(Clone, Copy)]
pub struct Armed(bool);

impl Account {
    pub fn open(number: u64, setting: Setting) -> Self {
        let ledger = setting.ledger();
        let allocator = Flaky::failing(&ledger);
        Self { number, handles: vec![setting.pool(&allocator)], setting, ledger, allocator, gets: 0, failed: 0 }
    }

    pub fn is_open(&self) -> bool {
        !self.handles.is_empty()
    }

    pub fn fail_allocation(&self, nth: usize) {
        self.allocator.arm(nth);
    }

    pub fn armed(&self) -> Armed {
        Armed(self.allocator.is_armed())
    }

    /// Whether an allocation has failed since then.
    pub fn failed_since(&self, before: Armed) -> bool {
        before.0 && !self.allocator.is_armed()
    }

    /// Where a clone can fail it panics or ends the process, as `Vec`'s does; whether it fits is not this interpreter's question.
    pub fn can_clone(&self) -> bool {
        !self.allocator.is_armed() && self.ledger.live_bytes() + (4 << 20) <= Setting::LIMIT
    }

    pub fn count_get(&mut self) {
        self.gets += 1;
    }

    /// An error that there was a reason for.
    pub fn count_error(&mut self, error: &GetError, before: Armed) {
        match error {
            GetError::OutOfMemory { .. } => assert!(self.failed_since(before), "{error}, and no allocation has failed"),
            GetError::LimitReached { limit: Setting::LIMIT, .. } if self.setting.limited => self.failed += 1,
            other => panic!("{other}"),
        }
    }

    /// Closed, it keeps what is out and nothing else.
    pub fn check_closed<'a>(&self, out: impl Iterator<Item = &'a PoolBuf<Flaky>>) {
        let capacities: Vec<_> = out.map(PoolBuf::capacity).collect();
        assert_eq!(self.ledger.live(), capacities.len());
        assert_eq!(self.ledger.live_bytes(), capacities.iter().sum::<usize>());
    }

    /// After the last buffer.
    pub fn check_end(&self) {
        self.ledger.assert_empty();
        assert_eq!(self.ledger.clones(), 2, "the pool's own is gone, `allocator` and this one are left");
    }

    /// I7 and I8, at rest, if it is open.
    pub fn check<'a>(&self, out: impl Iterator<Item = &'a PoolBuf<Flaky>>) {
        let Some(pool) = self.handles.first() else { return };
        let stats = pool.stats();
        books::assert_balanced(&stats, &self.ledger);
        self.check_against_the_book(&stats);
        assert_eq!(stats.in_use_bytes, out.map(PoolBuf::capacity).sum::<usize>(), "{stats}");
    }

    /// Block by block, what the allocator saw.
    fn check_against_the_book(&self, stats: &Stats) {
        let total = stats.total();
        let (made, freed) = (self.ledger.allocations() as u64, self.ledger.deallocations() as u64);
        assert_eq!(total.misses + stats.oversize_gets, made, "{stats}");
        let oversize_freed = stats.oversize_gets - stats.oversize_in_use as u64;
        let out = total.discarded.total() + total.trimmed + total.purged + total.passed;
        assert_eq!(out + oversize_freed, freed, "{stats}");
        assert_eq!(total.gets() + stats.oversize_gets, self.gets, "{stats}");
        // A growth that fits only where it does not double fails once on the way.
        assert!(stats.limit_failed >= self.failed, "{stats}");
    }
}
