//! The background thread: one for all pools of the process, started by a miss, asleep without a timer while no pool
//! holds a block.

use core::cell::LazyCell;
use core::mem;
use core::ptr::NonNull;
use core::time::Duration;
use std::sync::mpsc::sync_channel;
use std::sync::{MutexGuard, TryLockError};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::life::schedule::{LOOK, Schedule, Watch};
use crate::pressure::Pressure;
use crate::raw::contain::contain;
use crate::raw::fork::PerProcess;
use crate::raw::patience::Patience;
use crate::raw::scheduling;
use crate::raw::slot::Reach;
use crate::sync::{AtomicBool, Ordering::Relaxed};

/// A pool on the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// In the order of joining.
    number: u64,
    pool: NonNull<()>,
    calls: &'static Calls,
    schedule: Schedule,
    watch: Watch,
}

/// What the thread asks of a pool whose type it does not know.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) holds_blocks: unsafe fn(NonNull<()>) -> bool,
    /// Makes a handle, if the pool is not closing.
    pub(crate) upgrade: unsafe fn(NonNull<()>) -> bool,
    /// What the pool's signal says, or else the system's.
    pub(crate) memory: unsafe fn(NonNull<()>, system: &dyn Fn() -> Pressure) -> Pressure,
    /// Collects, if there is a reason, and drops the handle that `upgrade` made. False: somebody else was collecting.
    pub(crate) collect: unsafe fn(NonNull<()>, Pressure, Option<Reach>) -> bool,
}

// SAFETY: the pointer is followed only under the list's lock, or with a handle; what is behind it is `Sync`.
unsafe impl Send for Member {}

#[derive(Debug)]
struct List {
    /// In the order of their numbers.
    members: Vec<Member>,
    /// How many there ever were.
    joined: u64,
    /// When to look at memory next; one time for all, so that many pools do not make many wake-ups.
    look: Option<Instant>,
    /// The thread, while it runs. It ends, under the lock, when the list is empty.
    thread: Option<Thread>,
}

/// A pool that the thread goes to now, with a handle.
#[derive(Clone, Copy, Debug)]
struct Visit {
    member: Member,
    due: bool,
}

#[expect(clippy::disallowed_types, reason = "locked by a pool's first and last use, and by the thread itself")]
type Lock<T> = std::sync::Mutex<T>;

/// Neither the thread nor its list comes along into a child of `fork`, where only pools made there are collected.
static LIST: PerProcess<Lock<List>> = PerProcess::new();

/// Whether the thread runs as the request thread did that started it, because the system let it have nothing else.
static INHERITED: AtomicBool = AtomicBool::new(false);

/// See [`INHERITED`].
pub(crate) fn inherits_scheduling() -> bool {
    // Relaxed: a figure.
    INHERITED.load(Relaxed)
}

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
        Self {
            number: 0,
            pool,
            calls,
            schedule: Schedule::new(interval, pool.addr().get() as u64),
            watch: Watch::default(),
        }
    }
}

/// How long to wait for the list. Nobody holds it for long, unless this is a child of which we were not told: one that was
/// made by the bare system call; or a fixed-priority scheduler runs this thread instead of the one that holds it.
const PATIENCE: Duration = Duration::from_secs(1);

fn list() -> Option<MutexGuard<'static, List>> {
    let list = LIST.get(|| Lock::new(List::new()))?;
    let mut patience = Patience::new();
    loop {
        match list.try_lock() {
            Ok(list) => return Some(list),
            Err(TryLockError::Poisoned(list)) => return Some(list.into_inner()),
            Err(TryLockError::WouldBlock) if patience.wait(PATIENCE) => {}
            Err(TryLockError::WouldBlock) => return None,
        }
    }
}

/// The list, with room for one more. Nothing is allocated or freed under its lock, as the program's allocator may use pools too.
fn list_with_room() -> Option<MutexGuard<'static, List>> {
    let mut spare = Vec::new();
    loop {
        let mut list = list()?;
        let wanted = list.members.len() + 1;
        let (has_room, fits) = (wanted <= list.members.capacity(), wanted <= spare.capacity());
        if has_room && spare.capacity() == 0 {
            return Some(list);
        }
        if fits && !has_room {
            spare.append(&mut list.members);
            mem::swap(&mut spare, &mut list.members);
        }
        drop(list);
        if has_room || fits {
            spare = Vec::new();
        } else {
            spare.try_reserve(2 * wanted).ok()?;
        }
    }
}

/// Puts a pool on the list and starts the thread if it does not run. None: it could not be started.
pub(crate) fn join(member: Member) -> Option<Waker> {
    let mut started = None;
    let mut list = list_with_room()?;
    if list.thread.is_none() {
        drop(list);
        let (told, wait) = sync_channel(1);
        let run_if_told = move || {
            if wait.recv().is_ok() {
                run();
            }
        };
        let handle = thread::Builder::new().name("millpond".into()).spawn(run_if_told).ok()?;
        list = list_with_room()?;
        // Another pool may have been faster. Then nobody tells this one, and it ends.
        let first = list.thread.is_none();
        if first {
            list.thread = Some(handle.thread().clone());
        }
        started = Some((handle, told, first));
    }
    list.push(member);
    let waker = list.thread.clone().map(Waker);
    drop(list);
    if let Some((_, told, true)) = &started {
        // There is room for it, and the thread waits.
        _ = told.send(());
    }
    waker
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
    // Relaxed: a figure.
    INHERITED.store(!scheduling::take_main_threads(), Relaxed);
    let mut visits = Vec::new();
    loop {
        let now = Instant::now();
        let mut refused = false;
        let next = loop {
            let Some(mut list) = list() else { continue };
            if list.members.is_empty() {
                list.thread = None;
                return;
            }
            let wanted = list.members.len();
            if wanted <= visits.capacity() || refused {
                break list.next_round(now, &mut visits);
            }
            drop(list);
            refused = visits.try_reserve(wanted - visits.len()).is_err();
        };
        let system = LazyCell::new(Pressure::of_system);
        // One time for all: what those before it took must not make a pool's looks seem nearer than they are.
        visits.iter_mut().for_each(|visit| visit.pay(now, &|| *system));
        match next {
            Some(next) => thread::park_timeout(next.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
    }
}

impl List {
    fn new() -> Self {
        Self { members: Vec::new(), joined: 0, look: None, thread: None }
    }

    fn push(&mut self, member: Member) {
        self.joined += 1;
        self.members.push(Member { number: self.joined, ..member });
    }

    /// Takes back what the visits of the last round learnt, and fills in those of this one. Returns when the next one
    /// begins; none: not before a pool has blocks. `visits` has room for as many as there are members, if there is memory for that.
    fn next_round(&mut self, now: Instant, visits: &mut Vec<Visit>) -> Option<Instant> {
        for Visit { member: visited, .. } in visits.drain(..) {
            if let Ok(place) = self.members.binary_search_by_key(&visited.number, |member| member.number) {
                self.members[place].watch = visited.watch;
            }
        }
        let look = self.look.is_some_and(|look| look <= now);
        let mut awake = false;
        let mut next = None;
        for member in &mut self.members {
            // SAFETY: the list's lock is held, and a pool leaves the list before it is freed.
            if !unsafe { (member.calls.holds_blocks)(member.pool) } {
                member.schedule.sleep();
                member.watch.rest(now);
                continue;
            }
            awake = true;
            let due = member.schedule.is_due(now);
            // Without memory for the visit there is none until the next round.
            let has_room = visits.len() < visits.capacity();
            // SAFETY: as above.
            if (due || look) && has_room && unsafe { (member.calls.upgrade)(member.pool) } {
                visits.push(Visit { member: *member, due });
            }
            next = [next, member.schedule.next()].into_iter().flatten().min();
        }
        if look || !awake {
            self.look = None;
        }
        if awake && self.look.is_none() {
            self.look = now.checked_add(LOOK);
        }
        [next, self.look].into_iter().flatten().min()
    }
}

impl Visit {
    fn pay(&mut self, now: Instant, system: &dyn Fn() -> Pressure) {
        let Member { pool, calls, schedule, watch, .. } = &mut self.member;
        // A panic of user code is caught where it happens; this keeps the thread for the other pools all the same.
        contain(|| {
            // SAFETY: `upgrade` made a handle.
            let memory = unsafe { (calls.memory)(*pool, system) };
            let before = *watch;
            let reach = watch.decide(now, self.due, memory, schedule.interval());
            // SAFETY: the call uses and drops that handle.
            if !unsafe { (calls.collect)(*pool, memory, reach) } {
                // Somebody else was collecting, perhaps less than a purge: the next look decides again.
                *watch = before;
            }
        });
    }
}

#[cfg(test)]
mod tests;
