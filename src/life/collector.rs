//! The background thread: one for all pools of the process, started by a miss, asleep without a timer while no pool
//! holds a block.

use core::ptr::NonNull;
use core::time::Duration;
use std::sync::{MutexGuard, TryLockError};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::raw::contain::contain;
use crate::raw::fork::PerProcess;

/// A pool on the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pool: NonNull<()>,
    calls: &'static Calls,
    interval: Duration,
    /// When to collect next; none while the pool holds no block.
    due: Option<Instant>,
}

/// What the thread asks of a pool whose type it does not know.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) holds_blocks: unsafe fn(NonNull<()>) -> bool,
    /// Makes a handle, if the pool is not closing.
    pub(crate) upgrade: unsafe fn(NonNull<()>) -> bool,
    /// Collects and drops the handle that `upgrade` made.
    pub(crate) collect: unsafe fn(NonNull<()>),
}

// SAFETY: the pointer is followed only under the list's lock, or with a handle; what is behind it is `Sync`.
unsafe impl Send for Member {}

#[derive(Debug)]
struct List {
    members: Vec<Member>,
    /// The thread, while it runs. It ends, under the lock, when the list is empty.
    thread: Option<Thread>,
}

#[expect(clippy::disallowed_types, reason = "locked by a pool's first and last use, and by the thread itself")]
type Lock<T> = std::sync::Mutex<T>;

/// Neither the thread nor its list comes along into a child of `fork`, where only pools made there are collected.
static LIST: PerProcess<Lock<List>> = PerProcess::new();

/// Wakes the background thread.
#[derive(Debug)]
pub(crate) struct Waker(Thread);

impl Waker {
    /// Safe to call at any time: a token that comes before the thread sleeps keeps it awake.
    pub(crate) fn wake(&self) {
        self.0.unpark();
    }
}

impl Member {
    pub(crate) fn new(pool: NonNull<()>, calls: &'static Calls, interval: Duration) -> Self {
        Self { pool, calls, interval, due: None }
    }
}

/// How long to wait for the list. Nobody holds it for long, unless this is a child of which we were not told: one that was
/// made by the bare system call.
const PATIENCE: Duration = Duration::from_secs(1);

fn list() -> Option<MutexGuard<'static, List>> {
    let list = LIST.get(|| Lock::new(List { members: Vec::new(), thread: None }))?;
    let start = Instant::now();
    loop {
        match list.try_lock() {
            Ok(list) => return Some(list),
            Err(TryLockError::Poisoned(list)) => return Some(list.into_inner()),
            Err(TryLockError::WouldBlock) if start.elapsed() > PATIENCE => return None,
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
}

/// Puts a pool on the list and starts the thread if it does not run. None: it could not be started.
pub(crate) fn join(member: Member) -> Option<Waker> {
    let mut list = list()?;
    list.members.try_reserve(1).ok()?;
    if list.thread.is_none() {
        let started = thread::Builder::new().name("millpond".into()).spawn(run).ok()?;
        list.thread = Some(started.thread().clone());
    }
    list.members.push(member);
    list.thread.clone().map(Waker)
}

/// Takes a pool off the list. False: the list could not be had, and the pool must not be freed.
pub(crate) fn leave(pool: NonNull<()>) -> bool {
    let Some(mut list) = list() else { return false };
    list.members.retain(|member| member.pool != pool);
    if list.members.is_empty() {
        if let Some(thread) = &list.thread {
            thread.unpark();
        }
    }
    true
}

fn run() {
    loop {
        let now = Instant::now();
        let mut due = Vec::new();
        let next = {
            let Some(mut list) = list() else { continue };
            if list.members.is_empty() {
                list.thread = None;
                return;
            }
            list.members.iter_mut().filter_map(|member| schedule(member, now, &mut due)).min()
        };
        for Member { pool, calls, .. } in due {
            // A panic of user code is caught where it happens; this keeps the thread for the other pools all the same.
            // SAFETY: `schedule` made the handle that the call uses and drops.
            contain(|| unsafe { (calls.collect)(pool) });
        }
        match next {
            Some(next) => thread::park_timeout(next.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
    }
}

/// When this member wants to be looked at next. One that is due now goes to `due`, with a handle of its own.
fn schedule(member: &mut Member, now: Instant, due: &mut Vec<Member>) -> Option<Instant> {
    // SAFETY: the list's lock is held, and a pool leaves the list before it is freed.
    if !unsafe { (member.calls.holds_blocks)(member.pool) } {
        member.due = None;
        return None;
    }
    let next = now.checked_add(member.interval);
    if member.due.is_none() {
        member.due = next;
    } else if member.due.is_some_and(|due| due <= now) {
        // SAFETY: as above.
        if unsafe { (member.calls.upgrade)(member.pool) } {
            due.push(*member);
        }
        member.due = next;
    }
    member.due
}
