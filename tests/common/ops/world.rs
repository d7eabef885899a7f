//! The pools, their buffers and what each must hold.

use millpond::{GetError, Pool, PoolBuf};

use super::account::Account;
use super::{Index, Op, Setting};
use crate::common::flaky::Flaky;
use crate::common::others::Others;

/// Open at a time.
const POOLS: usize = 3;

/// How deep threads may start threads.
const DEPTH: usize = 2;

pub struct World {
    /// Those of open pools, and of closed ones of which a buffer is out.
    accounts: Vec<Account>,
    opened: u64,
    buffers: Vec<Held>,
    others: Others,
}

struct Held {
    account: u64,
    buffer: PoolBuf<Flaky>,
    holds: Vec<u8>,
}

impl Held {
    fn check(&self) {
        assert_eq!(self.buffer, self.holds);
    }
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let accounts = vec![Account::open(0, setting)];
        Self { accounts, opened: 1, buffers: Vec::new(), others: Others::default() }
    }

    /// How many operations there were.
    pub fn run(mut self, mut ops: impl Iterator<Item = Op>) -> u64 {
        let performed = self.perform(&mut ops, 0);
        while let Some(open) = self.open(0) {
            let number = open.number;
            self.check(number);
            self.close(number);
        }
        while !self.buffers.is_empty() {
            self.take(0);
            self.check_closed();
        }
        assert!(self.accounts.is_empty());
        performed
    }

    fn perform(&mut self, ops: &mut dyn Iterator<Item = Op>, depth: usize) -> u64 {
        let mut performed = 0;
        while let Some(op) = ops.next() {
            performed += 1;
            match op {
                Op::AsThread(n, count) if depth < DEPTH => {
                    let few: Vec<_> = (&mut *ops).take(1 + usize::from(count % 8)).collect();
                    let mut thread = self.others.call(n);
                    performed += thread.run(|| self.perform(&mut few.into_iter(), depth + 1));
                    self.others.rest(n, thread);
                }
                Op::DropAsThread(n, thread) => {
                    if let Some(held) = self.taken(n) {
                        let mut other = self.others.call(thread);
                        other.run(|| drop(held));
                        self.others.rest(thread, other);
                    }
                }
                Op::EndThread(n) => self.others.end(n),
                op => self.step(op),
            }
            self.check_closed();
        }
        performed
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Open(setting) => {
                let mut open = self.accounts.iter().filter(|account| account.is_open());
                let oldest = open.next().map_or(0, |account| account.number);
                if open.count() + 1 >= POOLS {
                    self.close(oldest);
                }
                self.accounts.push(Account::open(self.opened, setting));
                self.opened += 1;
            }
            Op::Close(n) => {
                if let Some(number) = self.open(n).map(|account| account.number) {
                    self.close(number);
                }
            }
            Op::Get(n, size) => self.get(n, size.bytes()),
            Op::DropAll => self.buffers.clear(),
            Op::Clone(n) => self.clone_buffer(n),
            Op::Drop(n) => self.take(n),
            Op::Stats(n) => {
                if let Some(number) = self.open(n).map(|account| account.number) {
                    self.check(number);
                }
            }
            Op::TryGetTooMuch(n, _)
            | Op::CloneHandle(n)
            | Op::DropHandle(n)
            | Op::Collect(n)
            | Op::Purge(n)
            | Op::FailAllocation(n, _) => {
                if let Some(account) = self.open(n) {
                    administer(account, op);
                }
            }
            _ => self.write(op),
        }
    }

    fn get(&mut self, n: Index, size: usize) {
        if self.buffers.len() >= 64 {
            return;
        }
        let Some(account) = self.open(n) else { return };
        let armed = account.armed();
        match account.handles[0].try_get(size) {
            Ok(buffer) => {
                assert!(buffer.is_empty() && buffer.capacity() >= size.max(1));
                assert!(!account.failed_since(armed), "a get asks its allocator once");
                account.count_get();
                let account = account.number;
                self.buffers.push(Held { account, buffer, holds: Vec::new() });
            }
            Err(error) => account.count_error(&error, armed),
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
        let Some(held) = pick(&mut self.buffers, n) else { return };
        let account = self.accounts.iter_mut().find(|account| account.number == held.account).expect("a buffer is out");
        let (block, capacity, armed) = (held.buffer.as_ptr(), held.buffer.capacity(), account.armed());
        match write(held, op) {
            Err(error) => {
                account.count_error(&error, armed);
                assert_eq!((held.buffer.as_ptr(), held.buffer.capacity()), (block, capacity), "after {error}");
            }
            // Growth is a get, and always to a larger class.
            Ok(()) if held.buffer.capacity() != capacity => account.count_get(),
            Ok(()) => assert_eq!(held.buffer.as_ptr(), block),
        }
        held.check();
    }

    fn clone_buffer(&mut self, n: Index) {
        let Some(Held { account, buffer, holds }) = pick(&mut self.buffers, n) else { return };
        let of = self.accounts.iter_mut().find(|other| other.number == *account).expect("a buffer is out");
        if of.can_clone() {
            let copy = Held { account: *account, buffer: buffer.clone(), holds: holds.clone() };
            of.count_get();
            self.buffers.push(copy);
        }
    }

    fn take(&mut self, n: Index) {
        drop(self.taken(n));
    }

    fn taken(&mut self, n: Index) -> Option<Held> {
        let index = usize::from(n) % self.buffers.len().max(1);
        let held = (index < self.buffers.len()).then(|| self.buffers.swap_remove(index))?;
        held.check();
        Some(held)
    }

    fn open(&mut self, n: Index) -> Option<&mut Account> {
        let open = self.accounts.iter().filter(|account| account.is_open()).count().max(1);
        self.accounts.iter_mut().filter(|account| account.is_open()).nth(usize::from(n) % open)
    }

    fn close(&mut self, number: u64) {
        let closing = self.accounts.iter_mut().filter(|account| account.number == number);
        closing.for_each(|account| account.handles.clear());
        self.check_closed();
    }

    fn out(&self, number: u64) -> impl Iterator<Item = &PoolBuf<Flaky>> {
        self.buffers.iter().filter(move |held| held.account == number).map(|held| &held.buffer)
    }

    fn check(&self, number: u64) {
        let checked = self.accounts.iter().filter(|account| account.number == number);
        checked.for_each(|account| account.check(self.out(number)));
    }

    /// The account of a closed pool ends with its last buffer.
    fn check_closed(&mut self) {
        for account in self.accounts.iter().filter(|account| !account.is_open()) {
            account.check_closed(self.out(account.number));
        }
        let mut accounts = std::mem::take(&mut self.accounts);
        accounts.retain(|account| {
            let ended = !account.is_open() && self.out(account.number).next().is_none();
            if ended {
                account.check_end();
            }
            !ended
        });
        self.accounts = accounts;
    }
}

fn administer(account: &mut Account, op: Op) {
    let pool = &account.handles[0];
    match op {
        Op::TryGetTooMuch(_, n) => {
            let n = n | (1 << (usize::BITS - 1));
            assert!(matches!(pool.try_get(n), Err(GetError::CapacityOverflow { requested, .. }) if requested == n));
        }
        Op::CloneHandle(_) if account.handles.len() < 8 => {
            let handle = pool.clone();
            account.handles.push(handle);
        }
        Op::DropHandle(_) => drop(account.handles.pop()),
        Op::Collect(_) => assert_eq!(skipped(pool, false), 0),
        Op::Purge(_) => {
            assert_eq!(skipped(pool, true), 0);
            assert_eq!(pool.stats().idle_bytes, 0);
        }
        Op::FailAllocation(_, nth) => account.fail_allocation(1 + usize::from(nth % 8)),
        _ => {}
    }
}

/// Slots that a collection could not empty: there are none where nobody is in one.
fn skipped(pool: &Pool<Flaky>, purge: bool) -> usize {
    let collected = if purge { pool.purge() } else { pool.collect() };
    assert!(!collected.already_running);
    collected.slots_skipped
}

/// The same to the buffer and to what says what it holds. Err: to neither.
fn write(Held { buffer, holds, .. }: &mut Held, op: Op) -> Result<(), GetError> {
    match op {
        Op::Extend(_, size, byte) => {
            let bytes = vec![byte; size.bytes()];
            buffer.try_extend_from_slice(&bytes)?;
            holds.extend_from_slice(&bytes);
        }
        Op::Push(_, byte) => {
            buffer.try_reserve(1)?;
            buffer.push(byte);
            holds.push(byte);
        }
        Op::Pop(_) => assert_eq!(buffer.pop(), holds.pop()),
        Op::Truncate(_, size) => {
            buffer.truncate(size.bytes());
            holds.truncate(size.bytes());
        }
        Op::Resize(_, size, byte) => {
            buffer.try_reserve(size.bytes().saturating_sub(buffer.len()))?;
            buffer.resize(size.bytes(), byte);
            holds.resize(size.bytes(), byte);
        }
        Op::Reserve(_, size) => {
            buffer.try_reserve(size.bytes())?;
            assert!(buffer.capacity() - buffer.len() >= size.bytes());
        }
        _ => {
            buffer.clear();
            holds.clear();
        }
    }
    Ok(())
}

fn pick(buffers: &mut [Held], n: Index) -> Option<&mut Held> {
    let len = buffers.len().max(1);
    buffers.get_mut(usize::from(n) % len)
}
