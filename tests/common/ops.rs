//! One interpreter of operations, for property tests, fuzz targets and the stress test: buffers beside a `Vec` each that
//! says what they must hold.

use arbitrary::Arbitrary;
use millpond::{Collect, GetError, Pool, PoolBuf, Recycle};

use super::ledger::Ledger;

/// Sizes are drawn from here as well as freely: the edges of classes and tiers.
const EDGES: [usize; 12] = [0, 1, 255, 256, 257, 320, 1023, 1024, 4096, 65_537, (1 << 20) + 1, (2 << 20) + 1];

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Size {
    Edge(u8),
    Small(u16),
}

impl Size {
    pub fn bytes(self) -> usize {
        match self {
            Self::Edge(n) => EDGES[usize::from(n) % EDGES.len()],
            Self::Small(n) => usize::from(n),
        }
    }
}

/// Indices are taken modulo what there is.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Op {
    Get(Size),
    TryGetTooMuch(usize),
    Extend(u8, Size, u8),
    Push(u8, u8),
    Pop(u8),
    Truncate(u8, Size),
    Resize(u8, Size, u8),
    Reserve(u8, Size),
    Clear(u8),
    Clone(u8),
    Drop(u8),
    DropAll,
    DropOnAnotherThread(u8),
    CloneHandle,
    DropHandle,
    Collect,
    Purge,
    Stats,
}

/// Settings that make every tier small enough to overflow, or leave the defaults.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Setting {
    tiny: bool,
    limited: bool,
    zero: bool,
    pass_through: bool,
}

impl Setting {
    pub const LIMIT: usize = 8 << 20;

    pub fn pool(self, ledger: &Ledger) -> Pool<Ledger> {
        let mut builder = Pool::builder_in(ledger.clone()).collect(Collect::Manual).zero_on_return(self.zero);
        builder = builder.recycle(if self.pass_through { Recycle::Never } else { Recycle::Always });
        if self.tiny {
            builder = builder.max_class(4096).idle_limit(20_000).local_limit(5000);
        }
        if self.limited {
            builder = builder.limit(Self::LIMIT);
        }
        builder.build().expect("every setting is sound")
    }

    pub fn ledger(self) -> Ledger {
        if self.limited { Ledger::with_limit(Self::LIMIT) } else { Ledger::new() }
    }
}

/// One pool, its buffers and what each must hold.
pub struct World {
    handles: Vec<Pool<Ledger>>,
    buffers: Vec<(PoolBuf<Ledger>, Vec<u8>)>,
    ledger: Ledger,
    /// Blocks that the pool handed out, and gets that it could not serve.
    gets: u64,
    failed: u64,
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let ledger = setting.ledger();
        Self { handles: vec![setting.pool(&ledger)], buffers: Vec::new(), ledger, gets: 0, failed: 0 }
    }

    /// Runs all, checks at the end that the books balance, drops everything and checks that nothing is left.
    pub fn run(mut self, ops: impl IntoIterator<Item = Op>) {
        for op in ops {
            self.step(op);
        }
        self.check_stats();
        drop(self.handles);
        for (buffer, model) in self.buffers {
            assert_eq!(buffer, model);
        }
        self.ledger.assert_empty();
    }

    pub fn step(&mut self, op: Op) {
        match op {
            Op::Get(size) => self.get(size.bytes()),
            Op::TryGetTooMuch(n) => {
                let n = n | (1 << (usize::BITS - 1));
                if let Some(pool) = self.handles.first() {
                    assert!(
                        matches!(pool.try_get(n), Err(GetError::CapacityOverflow { requested, .. }) if requested == n)
                    );
                }
            }
            Op::DropAll => self.buffers.clear(),
            Op::CloneHandle => {
                if let Some(pool) = self.handles.first().filter(|_| self.handles.len() < 8) {
                    self.handles.push(pool.clone());
                }
            }
            Op::DropHandle => drop(self.handles.pop()),
            Op::Collect => {
                if let Some(pool) = self.handles.first() {
                    assert!(!pool.collect().already_running);
                }
            }
            Op::Purge => {
                if let Some(pool) = self.handles.first() {
                    pool.purge();
                    assert_eq!(pool.stats().idle_bytes, 0);
                }
            }
            Op::Stats => self.check_stats(),
            Op::Clone(n) => self.clone_buffer(n),
            Op::Drop(n) => drop(self.take(n)),
            Op::DropOnAnotherThread(n) => {
                if let Some(pair) = self.take(n) {
                    std::thread::spawn(move || assert_eq!(pair.0, pair.1)).join().expect("holds what was written");
                }
            }
            _ => self.write(op),
        }
    }

    fn get(&mut self, size: usize) {
        let Some(pool) = self.handles.first().filter(|_| self.buffers.len() < 64) else { return };
        match pool.try_get(size) {
            Ok(buffer) => {
                assert!(buffer.is_empty() && buffer.capacity() >= size.max(1));
                self.gets += 1;
                self.buffers.push((buffer, Vec::new()));
            }
            Err(error) => {
                assert!(matches!(error, GetError::LimitReached { .. }), "{error}");
                self.failed += 1;
            }
        }
    }

    fn write(&mut self, op: Op) {
        let (Op::Extend(n, ..)
        | Op::Push(n, _)
        | Op::Pop(n)
        | Op::Truncate(n, _)
        | Op::Resize(n, ..)
        | Op::Reserve(n, _)
        | Op::Clear(n)) = op
        else {
            return;
        };
        let Some((buffer, model)) = pick(&mut self.buffers, n) else { return };
        let capacity = buffer.capacity();
        match op {
            Op::Extend(_, size, byte) => {
                let bytes = vec![byte; size.bytes()];
                if buffer.try_extend_from_slice(&bytes).is_ok() {
                    model.extend_from_slice(&bytes);
                }
            }
            Op::Push(_, byte) => {
                if buffer.try_reserve(1).is_ok() {
                    buffer.push(byte);
                    model.push(byte);
                }
            }
            Op::Pop(_) => assert_eq!(buffer.pop(), model.pop()),
            Op::Truncate(_, size) => {
                buffer.truncate(size.bytes());
                model.truncate(size.bytes());
            }
            Op::Resize(_, size, byte) => {
                if buffer.try_reserve(size.bytes().saturating_sub(buffer.len())).is_ok() {
                    buffer.resize(size.bytes(), byte);
                    model.resize(size.bytes(), byte);
                }
            }
            Op::Reserve(_, size) => {
                if buffer.try_reserve(size.bytes()).is_ok() {
                    assert!(buffer.capacity() - buffer.len() >= size.bytes());
                }
            }
            _ => {
                buffer.clear();
                model.clear();
            }
        }
        // Growth is a get, and always to a larger class.
        self.gets += u64::from(buffer.capacity() != capacity);
        assert_eq!(buffer.len(), model.len());
        assert_eq!(*buffer, *model);
    }

    fn clone_buffer(&mut self, n: u8) {
        // At the limit a clone panics, as `Vec`'s aborts; whether it fits is not this interpreter's question.
        let room = self.ledger.live_bytes() + (4 << 20) <= Setting::LIMIT;
        if let Some((buffer, model)) = pick(&mut self.buffers, n).filter(|_| room) {
            let copy = (buffer.clone(), model.clone());
            self.gets += 1;
            self.buffers.push(copy);
        }
    }

    fn take(&mut self, n: u8) -> Option<(PoolBuf<Ledger>, Vec<u8>)> {
        let len = self.buffers.len();
        (len > 0).then(|| self.buffers.swap_remove(usize::from(n) % len))
    }

    /// I7 and I8, at rest.
    fn check_stats(&self) {
        let Some(pool) = self.handles.first() else { return };
        let stats = pool.stats();
        for class in &stats.classes {
            assert_eq!(class.allocated, class.in_use + class.idle, "{stats}");
            let out = class.discarded.total() + class.trimmed + class.purged + class.passed;
            assert_eq!(class.misses, class.allocated as u64 + out, "{stats}");
            assert!(class.allocated <= class.peak && class.peak as u64 <= class.misses, "{stats}");
        }
        // The same against what the allocator saw.
        let total = stats.total();
        let (made, freed) = (self.ledger.allocations() as u64, self.ledger.deallocations() as u64);
        assert_eq!(total.misses + stats.oversize_gets, made, "{stats}");
        let oversize_freed = stats.oversize_gets - stats.oversize_in_use as u64;
        let out = total.discarded.total() + total.trimmed + total.purged + total.passed;
        assert_eq!(out + oversize_freed, freed, "{stats}");
        assert_eq!(total.gets() + stats.oversize_gets, self.gets, "{stats}");
        // A growth that fits only where it does not double fails once on the way.
        assert!(stats.limit_failed >= self.failed, "{stats}");
        assert_eq!(stats.peak_bytes, self.ledger.peak_bytes(), "{stats}");
        assert_eq!(stats.allocated_bytes, stats.in_use_bytes + stats.idle_bytes, "{stats}");
        assert_eq!(stats.allocated_bytes, self.ledger.live_bytes(), "{stats}");
        assert!(stats.idle_bytes <= stats.reserved_bytes && stats.reserved_bytes <= stats.idle_limit, "{stats}");
        assert!(stats.leased_bytes <= stats.idle_limit / 2, "{stats}");
        for (now, peak, bound) in [
            (stats.allocated_bytes, stats.peak_bytes, stats.limit.unwrap_or(usize::MAX)),
            (stats.reserved_bytes, stats.peak_reserved_bytes, stats.idle_limit),
            (stats.leased_bytes, stats.peak_leased_bytes, stats.idle_limit / 2),
            (stats.slot_bytes, stats.peak_slot_bytes, stats.local_limit),
        ] {
            assert!(now <= peak && peak <= bound, "{stats}");
        }
        let out: usize = self.buffers.iter().map(|(buffer, _)| buffer.capacity()).sum();
        assert_eq!(stats.in_use_bytes, out, "{stats}");
    }
}

fn pick(buffers: &mut [(PoolBuf<Ledger>, Vec<u8>)], n: u8) -> Option<&mut (PoolBuf<Ledger>, Vec<u8>)> {
    let len = buffers.len().max(1);
    buffers.get_mut(usize::from(n) % len)
}
