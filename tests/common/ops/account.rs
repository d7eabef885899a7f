//! What one pool was asked for, and what its allocator saw: from its first handle to its last buffer.

use millpond::{GetError, Outstanding, Pool, PoolBuf, Stats};

use super::setting::Setting;
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

    /// Whether a buffer of so many bytes surely fits beside all that is there. What cannot say that it does not panics or ends
    /// the process, as `Vec` does, and a fuzz target ends with any panic.
    pub fn surely_fits(&self, len: usize) -> bool {
        // Twice: for its class, and for the block that it grows out of.
        let blocks = 4 * len.max(8192);
        !self.allocator.is_armed() && self.ledger.live_bytes() + blocks <= self.setting.limit().unwrap_or(16 << 20)
    }

    pub fn count_get(&mut self) {
        self.gets += 1;
    }

    /// What the pool has counted; none if it is closed.
    pub fn counted(&self) -> Option<u64> {
        let stats = self.handles.first()?.stats();
        Some(stats.total().gets() + stats.oversize_gets)
    }

    /// For a buffer that may have grown several times: how often is the pool's to say.
    pub fn count_growths(&mut self, before: Option<u64>, grew: bool) {
        if let (Some(before), Some(now)) = (before, self.counted()) {
            assert_eq!(now > before, grew);
            self.gets += now - before;
        }
    }

    /// An error that there was a reason for.
    pub fn count_error(&mut self, error: &GetError, before: Armed) {
        match error {
            GetError::OutOfMemory { .. } => assert!(self.failed_since(before), "{error}, and no allocation has failed"),
            GetError::LimitReached { limit, .. } if Some(*limit) == self.setting.limit() => self.failed += 1,
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
        let (count, bytes) = out.fold((0, 0), |(count, bytes), buffer| (count + 1, bytes + buffer.capacity()));
        assert_eq!(stats.in_use_bytes, bytes, "{stats}");
        self.check_notes(&pool.outstanding(), count, bytes);
    }

    /// What is noted is out, and noted as what it is now. Which of them are is left to chance where not all are.
    fn check_notes(&self, outstanding: &Outstanding, count: usize, bytes: usize) {
        let noted = (outstanding.count(), outstanding.bytes());
        match self.setting.noted() {
            0 => assert_eq!((noted, outstanding.one_in), ((0, 0), 0), "{outstanding}"),
            1 => assert_eq!(noted, (count, bytes), "{outstanding}"),
            _ => assert!(noted.0 <= count && noted.1 <= bytes, "{outstanding} of {count} with {bytes} bytes"),
        }
        assert_eq!(outstanding.missed, 0);
        let gets = outstanding.sites.iter().all(|site| site.location.file().ends_with("world.rs"));
        assert!(gets, "{outstanding}");
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
