//! Rounds of the background thread over pools that only write down what they are asked, at times that the test moves.

use core::cell::{Cell, RefCell};

use super::*;

const INTERVAL: Duration = Duration::from_secs(10);

#[derive(Default)]
struct FakePool {
    holds_blocks: Cell<bool>,
    closing: Cell<bool>,
    memory: Cell<Option<Pressure>>,
    panics: Cell<bool>,
    busy: Cell<bool>,
    handles: Cell<usize>,
    collected: RefCell<Vec<(Pressure, Option<Reach>)>>,
}

fn pool_at<'pool>(pool: NonNull<()>) -> &'pool FakePool {
    // SAFETY: the tests make their pools first, so each is dropped after the rounds.
    unsafe { pool.cast().as_ref() }
}

const CALLS: &Calls = &Calls {
    holds_blocks: |pool| pool_at(pool).holds_blocks.get(),
    upgrade: |pool| {
        let pool = pool_at(pool);
        if !pool.closing.get() {
            pool.handles.set(pool.handles.get() + 1);
        }
        !pool.closing.get()
    },
    memory: |pool, system| pool_at(pool).memory.get().unwrap_or_else(system),
    collect: |pool, memory, reach| {
        let pool = pool_at(pool);
        pool.handles.set(pool.handles.get() - 1);
        if pool.busy.get() {
            return false;
        }
        pool.collected.borrow_mut().push((memory, reach));
        if pool.panics.get() {
            std::panic::resume_unwind(Box::new("as the test wants it"));
        }
        true
    },
};

fn pool() -> Box<FakePool> {
    let pool = FakePool::default();
    pool.holds_blocks.set(true);
    Box::new(pool)
}

/// The thread, without the thread.
struct Rounds {
    list: List,
    visits: Vec<Visit>,
    now: Instant,
}

impl Rounds {
    fn of(pools: &[&FakePool]) -> Self {
        let mut rounds = Self { list: List::new(), visits: Vec::new(), now: Instant::now() };
        pools.iter().for_each(|pool| rounds.join(pool, INTERVAL));
        rounds
    }

    fn join(&mut self, pool: &FakePool, interval: Duration) {
        self.list.push(Member::new(NonNull::from(pool).cast(), CALLS, interval));
    }

    /// One round. How long the thread would sleep.
    fn round(&mut self) -> Option<Duration> {
        self.visits.reserve(self.list.members.len());
        self.round_without_memory()
    }

    /// With room for no more visits than before.
    fn round_without_memory(&mut self) -> Option<Duration> {
        let next = self.list.next_round(self.now, &mut self.visits);
        self.visits.iter_mut().for_each(|visit| visit.pay(self.now, &|| Pressure::Low));
        next.map(|next| next - self.now)
    }

    /// Rounds for so long, each when the thread would wake up. How many.
    fn pass(&mut self, time: Duration) -> usize {
        let (end, mut rounds) = (self.now + time, 0);
        while let Some(sleep) = self.round() {
            rounds += 1;
            if self.now + sleep > end {
                break;
            }
            self.now += sleep;
        }
        self.now = end;
        rounds
    }
}

fn collections(pool: &FakePool) -> usize {
    pool.collected.borrow().iter().filter(|(_, reach)| reach.is_some()).count()
}

#[test]
fn a_pool_with_blocks_is_collected_at_its_interval() {
    let (pool, rare) = (pool(), pool());
    let mut rounds = Rounds::of(&[&pool]);
    rounds.join(&rare, 10 * INTERVAL);
    rounds.pass(100 * INTERVAL);
    assert!((90..=110).contains(&collections(&pool)), "{}", collections(&pool));
    assert!((9..=11).contains(&collections(&rare)), "{}", collections(&rare));
    assert!(
        pool.collected.borrow().iter().all(|collected| matches!(collected, (Pressure::Low, None | Some(Reach::Idle))))
    );
    assert_eq!(pool.handles.get(), 0, "each visit drops its handle");
}

#[test]
fn without_blocks_there_is_no_timer() {
    let (one, two) = (pool(), pool());
    let mut rounds = Rounds::of(&[&one, &two]);
    assert!(rounds.round().is_some());
    one.holds_blocks.set(false);
    assert!(rounds.round().is_some());
    two.holds_blocks.set(false);
    assert_eq!(rounds.round(), None, "asleep until a miss");
    rounds.now += 100 * INTERVAL;
    two.holds_blocks.set(true);
    assert!(rounds.round().is_some_and(|sleep| sleep <= LOOK));
    assert_eq!((collections(&one), collections(&two)), (0, 0), "and a whole interval begins");
}

/// However many pools there are, the thread wakes for each one's interval and once a second for all.
#[test]
fn looks_at_memory_are_made_together() {
    let pools: Vec<_> = (0..100).map(|_| pool()).collect();
    let mut rounds = Rounds::of(&[]);
    for pool in &pools {
        rounds.join(pool, 100 * INTERVAL);
        rounds.round();
        rounds.now += Duration::from_millis(7);
    }
    let woken = rounds.pass(10 * LOOK);
    assert!((10..=12).contains(&woken), "{woken}");
    assert!(pools.iter().all(|pool| (9..=12).contains(&pool.collected.borrow().len())));
}

#[test]
fn a_shortage_is_met_within_a_look() {
    let (short, other) = (pool(), pool());
    let mut rounds = Rounds::of(&[&short, &other]);
    rounds.pass(LOOK);
    short.memory.set(Some(Pressure::Moderate));
    rounds.pass(LOOK);
    assert_eq!(short.collected.borrow().last(), Some(&(Pressure::Moderate, Some(Reach::Idle))));
    short.memory.set(Some(Pressure::Severe));
    rounds.pass(3 * LOOK);
    let reaches: Vec<_> = short.collected.borrow().iter().filter_map(|(_, reach)| *reach).collect();
    assert_eq!(reaches, [Reach::Idle, Reach::All, Reach::Idle, Reach::Idle], "one purge, and the working set stays");
    assert_eq!(collections(&other), 0, "the other pool has its own signal");
}

/// A collection that somebody else is at is none that was made.
#[test]
fn a_purge_that_another_collection_keeps_out_comes_at_the_next_look() {
    let pool = pool();
    let mut rounds = Rounds::of(&[&pool]);
    rounds.pass(LOOK);
    pool.memory.set(Some(Pressure::Severe));
    pool.busy.set(true);
    rounds.pass(3 * LOOK);
    pool.busy.set(false);
    rounds.pass(LOOK);
    assert_eq!(pool.collected.borrow().last(), Some(&(Pressure::Severe, Some(Reach::All))));
}

/// Nobody looks at the memory of a pool that holds no block, so the next shortage is another one.
#[test]
fn a_pool_that_was_empty_for_long_is_purged_again() {
    let pool = pool();
    let mut rounds = Rounds::of(&[&pool]);
    pool.memory.set(Some(Pressure::Severe));
    let mut purges = Vec::new();
    for rest in [Duration::ZERO, INTERVAL / 2, 2 * INTERVAL] {
        pool.holds_blocks.set(false);
        rounds.pass(LOOK);
        rounds.now += rest;
        pool.holds_blocks.set(true);
        rounds.pass(3 * LOOK);
        purges.push(pool.collected.borrow().iter().filter(|(_, reach)| *reach == Some(Reach::All)).count());
    }
    assert_eq!(purges, [1, 1, 2]);
}

/// The visits of a round are remembered although pools come and go meanwhile.
#[test]
fn a_purge_is_remembered_while_other_pools_leave_and_join() {
    let pools: Vec<_> = (0..10).map(|_| pool()).collect();
    let late = pool();
    let mut rounds = Rounds::of(&pools.iter().map(|pool| &**pool).collect::<Vec<_>>());
    rounds.pass(LOOK);
    pools.iter().for_each(|pool| pool.memory.set(Some(Pressure::Severe)));
    rounds.pass(LOOK);
    for n in [0, 3, 4, 9] {
        let gone = NonNull::from(&*pools[n]).cast();
        rounds.list.members.retain(|member| member.pool != gone);
    }
    rounds.join(&late, INTERVAL);
    rounds.pass(5 * LOOK);
    for n in [1, 2, 5, 6, 7, 8] {
        let collected = pools[n].collected.borrow();
        assert_eq!(
            collected.iter().filter(|(_, reach)| *reach == Some(Reach::All)).count(),
            1,
            "pool {n}: {collected:?}"
        );
    }
    assert_eq!(pools[3].collected.borrow().iter().filter(|(_, reach)| *reach == Some(Reach::Idle)).count(), 0);
}

#[test]
fn a_closing_pool_is_not_visited() {
    let pool = pool();
    let mut rounds = Rounds::of(&[&pool]);
    rounds.round();
    pool.closing.set(true);
    rounds.pass(10 * INTERVAL);
    assert!(pool.collected.borrow().is_empty());
}

#[test]
fn a_pool_that_there_is_no_memory_for_is_visited_later() {
    let pools = [pool(), pool(), pool()];
    let mut rounds = Rounds::of(&pools.iter().map(|pool| &**pool).collect::<Vec<_>>());
    rounds.visits = Vec::with_capacity(1);
    let room = rounds.visits.capacity();
    for _ in 0..20 {
        rounds.round_without_memory();
        rounds.now += LOOK;
    }
    assert_eq!(rounds.visits.capacity(), room, "no allocation under the lock");
    assert!(pools.iter().all(|pool| pool.handles.get() == 0), "nor a handle that nobody drops");
    rounds.pass(2 * INTERVAL);
    assert!(pools.iter().all(|pool| collections(pool) > 0));
}

#[test]
fn a_panic_in_one_pool_is_nothing_to_the_others() {
    let (first, second) = (pool(), pool());
    first.panics.set(true);
    let mut rounds = Rounds::of(&[&first, &second]);
    rounds.pass(10 * INTERVAL);
    assert!(collections(&second) >= 8);
    assert!(collections(&first) >= 8, "and that pool is visited again");
}

/// As in a child that was made by the bare system call while another thread was in the list.
#[test]
fn a_list_that_nobody_gives_back_is_not_waited_for() {
    let pool = pool();
    let member = Member::new(NonNull::from(&*pool).cast(), CALLS, INTERVAL);
    let held = list();
    assert!(held.is_some());
    assert!(join(member).is_none(), "the pool is not collected");
    assert!(!leave(member.pool), "and must stay");
    drop(held);
    assert!(leave(member.pool));
}
