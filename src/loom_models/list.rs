//! `life::collector` under loom: the list of pools behind a lock that loom sees, and [`visit`] for one round of the thread.
//! What a round asks of a pool, and how a pool that closes leaves the list, are the real ones.

use core::ptr::NonNull;
use core::time::Duration;

use crate::pressure::Pressure;
use crate::raw::slot::Reach;
use crate::sync::{Mutex, lazy_static};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pool: NonNull<()>,
    calls: &'static Calls,
}

#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) holds_blocks: unsafe fn(NonNull<()>) -> bool,
    pub(crate) upgrade: unsafe fn(NonNull<()>) -> bool,
    pub(crate) memory: unsafe fn(NonNull<()>, system: &dyn Fn() -> Pressure) -> Pressure,
    pub(crate) collect: unsafe fn(NonNull<()>, Pressure, Option<Reach>) -> bool,
}

// SAFETY: as in the real one.
unsafe impl Send for Member {}

lazy_static! {
    static ref LIST: Mutex<Vec<Member>> = Mutex::new(Vec::new());
}

#[derive(Debug)]
pub(crate) struct Waker;

impl Waker {
    pub(crate) fn wake(&self) {}
}

impl Member {
    pub(crate) fn new(pool: NonNull<()>, calls: &'static Calls, _: Duration) -> Self {
        Self { pool, calls }
    }
}

pub(crate) fn join(member: Member) -> Option<Waker> {
    LIST.lock().unwrap().push(member);
    Some(Waker)
}

pub(crate) fn leave(pool: NonNull<()>) -> bool {
    LIST.lock().unwrap().retain(|member| member.pool != pool);
    true
}

pub(crate) fn inherits_scheduling() -> bool {
    false
}

/// One round of the thread, in which every pool is due. How many it collected.
pub(crate) fn visit() -> usize {
    let due: Vec<Member> = {
        let list = LIST.lock().unwrap();
        // SAFETY: the list's lock is held, and a pool leaves the list before it is freed.
        let holds_blocks = |member: &&Member| unsafe { (member.calls.holds_blocks)(member.pool) };
        // SAFETY: as above.
        let upgrade = |member: &&Member| unsafe { (member.calls.upgrade)(member.pool) };
        list.iter().filter(holds_blocks).filter(upgrade).copied().collect()
    };
    for Member { pool, calls } in &due {
        // SAFETY: `upgrade` made the handle.
        let memory = unsafe { (calls.memory)(*pool, &|| Pressure::Low) };
        // SAFETY: the call uses and drops that handle.
        unsafe { (calls.collect)(*pool, memory, Some(Reach::Idle)) };
    }
    due.len()
}
