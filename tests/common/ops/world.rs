//! The pools, their buffers and what each must hold.

use millpond::{GetError, Pool, PoolBuf};

use super::account::Account;
use super::setting::Setting;
use super::writes::Write;
use super::{Index, OfBuffer, OfPool, Op};
use crate::common::flaky::Flaky;
use crate::common::others::Others;

/// Open at a time.
const POOLS: usize = 3;

/// Out at a time.
const BUFFERS: usize = 64;

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
                Op::AsThread(..) => {}
                Op::EndThread(n) => self.others.end(n),
                Op::Open(setting) => self.open_another(setting),
                Op::Pool(n, op) => self.of_pool(n, op),
                Op::Buffer(n, op) => self.of_buffer(n, op),
                Op::Write(n, op) => self.write(n, op),
            }
            self.check_closed();
        }
        performed
    }

    fn open_another(&mut self, setting: Setting) {
        let mut open = self.accounts.iter().filter(|account| account.is_open());
        let oldest = open.next().map_or(0, |account| account.number);
        if open.count() + 1 >= POOLS {
            self.close(oldest);
        }
        self.accounts.push(Account::open(self.opened, setting));
        self.opened += 1;
    }

    fn of_pool(&mut self, n: Index, op: OfPool) {
        let full = self.buffers.len() >= BUFFERS;
        let Some(account) = self.open(n) else { return };
        match op {
            OfPool::Get(_) | OfPool::GetSurely(_) if full => {}
            OfPool::Get(size) => self.get(n, size.bytes()),
            OfPool::GetSurely(size) if account.surely_fits(size.bytes()) => {
                account.count_get();
                let (account, buffer) = (account.number, account.handles[0].get(size.bytes()));
                assert!(buffer.is_empty() && buffer.capacity() >= size.bytes().max(1));
                self.buffers.push(Held { account, buffer, holds: Vec::new() });
            }
            OfPool::Stats => {
                let number = account.number;
                self.check(number);
            }
            OfPool::Close => {
                let number = account.number;
                self.close(number);
            }
            op => administer(account, op),
        }
    }

    fn get(&mut self, n: Index, size: usize) {
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

    fn of_buffer(&mut self, n: Index, op: OfBuffer) {
        match op {
            OfBuffer::Clone => self.clone_buffer(n),
            OfBuffer::CloneFrom(from) => self.clone_from(n, from),
            OfBuffer::IntoVec => {
                if let Some(Held { buffer, holds, .. }) = self.taken(n) {
                    assert_eq!(Vec::from(buffer), holds);
                }
            }
            OfBuffer::Drop => self.take(n),
            OfBuffer::DropAsThread(thread) => {
                if let Some(held) = self.taken(n) {
                    let mut other = self.others.call(thread);
                    other.run(|| drop(held));
                    self.others.rest(thread, other);
                }
            }
            OfBuffer::DropAll => self.buffers.clear(),
        }
    }

    fn write(&mut self, n: Index, op: Write) {
        let Some(held) = pick(&mut self.buffers, n) else { return };
        let account = account(&mut self.accounts, held.account);
        if op.sure() > 0 && !account.surely_fits(held.buffer.len() + op.sure()) {
            return;
        }
        let counted = if op.grows_often() { account.counted() } else { None };
        let (block, capacity, armed) = (held.buffer.as_ptr(), held.buffer.capacity(), account.armed());
        let written = op.make(&mut held.buffer, &mut held.holds);
        // Growth is a get, and always to a larger class.
        let grew = held.buffer.capacity() != capacity;
        assert!(grew || held.buffer.as_ptr() == block, "{op:?} moved it for nothing");
        if let Err(error) = written {
            account.count_error(&error, armed);
            assert!(!grew || op.grows_often(), "after {error}");
        }
        if op.grows_often() {
            account.count_growths(counted, grew);
        } else if grew {
            account.count_get();
        }
        held.check();
    }

    fn clone_buffer(&mut self, n: Index) {
        let Some(Held { account: number, buffer, holds }) = pick(&mut self.buffers, n) else { return };
        let of = account(&mut self.accounts, *number);
        if of.surely_fits(buffer.len()) {
            let copy = Held { account: *number, buffer: buffer.clone(), holds: holds.clone() };
            copy.check();
            of.count_get();
            self.buffers.push(copy);
        }
    }

    /// Of any pool.
    fn clone_from(&mut self, n: Index, from: Index) {
        let Some(mut held) = self.taken(n) else { return };
        if let Some(source) = pick(&mut self.buffers, from) {
            let of = account(&mut self.accounts, held.account);
            if of.surely_fits(source.buffer.len()) {
                let (capacity, len) = (held.buffer.capacity(), source.buffer.len());
                held.buffer.clone_from(&source.buffer);
                held.holds.clone_from(&source.holds);
                assert_eq!(held.buffer.capacity() != capacity, len > capacity);
                (0..u8::from(len > capacity)).for_each(|_| of.count_get());
                held.check();
            }
        }
        self.buffers.push(held);
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
        self.check(number);
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

fn administer(account: &mut Account, op: OfPool) {
    let pool = &account.handles[0];
    match op {
        OfPool::TryGetTooMuch(n) => {
            let n = n | (1 << (usize::BITS - 1));
            assert!(matches!(pool.try_get(n), Err(GetError::CapacityOverflow { requested, .. }) if requested == n));
        }
        OfPool::CloneHandle if account.handles.len() < 8 => {
            let handle = pool.clone();
            account.handles.push(handle);
        }
        OfPool::DropHandle => drop(account.handles.pop()),
        OfPool::Collect => assert_eq!(skipped(pool, false), 0),
        OfPool::Purge => {
            assert_eq!(skipped(pool, true), 0);
            assert_eq!(pool.stats().idle_bytes, 0);
        }
        OfPool::FailAllocation(nth) => account.fail_allocation(1 + usize::from(nth % 8)),
        _ => {}
    }
}

/// Slots that a collection could not empty: there are none where nobody is in one.
fn skipped(pool: &Pool<Flaky>, purge: bool) -> usize {
    let collected = if purge { pool.purge() } else { pool.collect() };
    assert!(!collected.already_running);
    collected.slots_skipped
}

fn account(accounts: &mut [Account], number: u64) -> &mut Account {
    accounts.iter_mut().find(|account| account.number == number).expect("a buffer is out")
}

fn pick(buffers: &mut [Held], n: Index) -> Option<&mut Held> {
    let len = buffers.len().max(1);
    buffers.get_mut(usize::from(n) % len)
}
