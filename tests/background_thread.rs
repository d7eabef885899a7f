//! The life of the thread that collects: it starts with a miss, runs as the main thread would, sleeps without a timer, outlives
//! panics, and ends with the last pool. Each case has a process of its own, as there is one such thread in each.
#![cfg(all(target_os = "linux", not(miri)))]

mod common;

#[path = "common/cores.rs"]
#[allow(dead_code, reason = "part of it")]
mod cores;

#[path = "common/seccomp.rs"]
mod seccomp;

use std::fs::read_to_string;
use std::sync::Barrier;
use std::time::Duration;

use common::flaky::{Call, Flaky};
use common::ledger::Ledger;
use common::process::alone;
use common::wait_until;
use millpond::alloc::{AllocError, Allocator, Global};
use millpond::{Collect, CollectorState, ObjectPool, Pool, Pressure, Recycle};
use seccomp::{ALL_THREADS, filter};

fn pool<A: Allocator + Send + Sync + 'static>(allocator: A, interval: Duration) -> Pool<A> {
    // The machine may be short of memory while the test runs; here that is not the reason for anything.
    let builder = Pool::builder_in(allocator).pressure(|| Pressure::Low);
    builder.collect(Collect::Background(interval)).recycle(Recycle::Always).build().unwrap()
}

/// The folders in `/proc` of the background threads. std's names are there before its threads run.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let folders = tasks.map(|task| task.unwrap().path().display().to_string());
    let is_ours = |folder: &String| read_to_string(format!("{folder}/comm")).is_ok_and(|name| name == "millpond\n");
    folders.filter(is_ours).collect()
}

/// That of the one, once there is one.
fn thread() -> Option<String> {
    threads().pop()
}

/// The value of a line in a task's `status`.
fn status(task: &str, field: &str) -> String {
    let status = read_to_string(format!("{task}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    line.unwrap().trim().to_owned()
}

#[test]
fn it_starts_with_a_miss_and_ends_with_the_last_pool() {
    alone("it_starts_with_a_miss_and_ends_with_the_last_pool", || {
        for _ in 0..20 {
            let ledger = Ledger::new();
            let (first, second) = (pool(ledger.clone(), Duration::from_millis(1)), pool(ledger.clone(), Duration::MAX));
            assert_eq!(thread(), None, "nothing was gotten yet");
            let held = first.get(1);
            wait_until("the thread runs", || thread().is_some());
            assert_eq!(first.stats().collector, CollectorState::Background);
            assert_eq!(second.stats().collector, CollectorState::NotStarted);
            drop(second.get(1));
            drop(first);
            assert!(thread().is_some(), "the second pool needs it");
            drop(second);
            wait_until("the thread has ended", || thread().is_none());
            drop(held);
            ledger.assert_empty();
        }
    });
}

/// Each starts one, as none may be started under the list's lock; those that come second end.
#[test]
fn pools_that_begin_together_have_one() {
    alone("pools_that_begin_together_have_one", || {
        for _ in 0..50 {
            let ledger = Ledger::new();
            let pools: [_; 8] = std::array::from_fn(|_| pool(ledger.clone(), Duration::from_millis(1)));
            let start = Barrier::new(pools.len());
            std::thread::scope(|scope| {
                for pool in &pools {
                    scope.spawn(|| {
                        start.wait();
                        drop(pool.get(4096));
                    });
                }
            });
            wait_until("one thread stays", || threads().len() == 1);
            assert!(ledger.wait_until_empty(), "and it collects them all");
            drop(pools);
            wait_until("it has ended", || threads().is_empty());
        }
    });
}

/// As the promise goes, for ten seconds: `MILLPOND_QUIET_SECONDS`; for two by default. The wake-ups are counted by the system.
#[test]
fn it_sleeps_without_a_timer_while_nothing_is_allocated() {
    alone("it_sleeps_without_a_timer_while_nothing_is_allocated", || {
        let seconds = std::env::var("MILLPOND_QUIET_SECONDS").map_or(2, |seconds| seconds.parse().unwrap());
        let ledger = Ledger::new();
        let pools: Vec<_> = (0..20).map(|_| pool(ledger.clone(), Duration::from_millis(1))).collect();
        drop(pools.iter().map(|pool| pool.get(4096)).collect::<Vec<_>>());
        assert!(ledger.wait_until_empty());
        let thread = thread().unwrap();
        let switches = || ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].map(|field| status(&thread, field));
        // It is still at the round that freed the last block; then it finds that there is none, and goes to sleep.
        let asleep = || {
            let before = switches();
            std::thread::sleep(Duration::from_millis(50));
            status(&thread, "State").starts_with('S') && before == switches()
        };
        wait_until("the thread sleeps", asleep);
        let before = switches();
        std::thread::sleep(Duration::from_secs(seconds));
        assert_eq!(switches(), before, "woken within {seconds} s");
        // And yet it is there for the next miss.
        drop(pools[7].get(4096));
        assert!(ledger.wait_until_empty());
        assert_ne!(switches(), before);
    });
}

#[test]
fn it_does_not_run_as_the_request_thread_that_started_it() {
    alone("it_does_not_run_as_the_request_thread_that_started_it", || {
        let main = format!("/proc/self/task/{}", std::process::id());
        let scheduling = |task: &str| {
            let stat = read_to_string(format!("{task}/stat")).unwrap();
            // The fields behind the name, which may hold anything: see proc(5), from the third on.
            let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().map(str::to_owned).collect();
            (status(task, "Cpus_allowed"), fields[19 - 3].clone(), fields[41 - 3].clone())
        };
        let ledger = Ledger::new();
        let pool = pool(ledger.clone(), Duration::from_millis(1));
        let (privileged, held) = std::thread::scope(|scope| {
            let request = || {
                cores::move_to(0);
                let parameters = libc::sched_param { sched_priority: 0 };
                // SAFETY: reads the parameters.
                assert_eq!(unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) }, 0);
                // SAFETY: takes numbers only.
                let niceness = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
                // SAFETY: as above.
                let change = |niceness| unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) } == 0;
                let nicer = (niceness + 7).min(19);
                // The way down takes a privilege.
                let privileged = change(nicer) && change(niceness);
                assert!(change(nicer));
                (privileged, pool.get(4096))
            };
            scope.spawn(request).join().unwrap()
        });
        // Once it has collected it is past its beginning.
        wait_until("it collects", || pool.stats().collections > 0);
        let thread = thread().unwrap();
        let (cores, niceness, policy) = scheduling(&thread);
        let (main_cores, main_niceness, main_policy) = scheduling(&main);
        assert_eq!((&cores, &policy), (&main_cores, &main_policy));
        assert!(niceness == main_niceness || !privileged);
        assert_eq!(pool.stats().scheduling_inherited, niceness != main_niceness, "{}", pool.stats());
        let blocked = u64::from_str_radix(&status(&thread, "SigBlk"), 16).unwrap();
        let is_blocked = |signal: i32| blocked >> (signal - 1) & 1 == 1;
        assert!(
            [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGALRM, libc::SIGPROF].iter().all(|s| is_blocked(*s))
        );
        assert!(!is_blocked(libc::SIGSEGV), "the fault of a thread ends the process");
        drop(held);
        drop(pool);
        assert!(ledger.wait_until_empty());
    });
}

/// A thread that may not have the main thread's cores runs on those of the request thread. A pool without one says no such
/// thing.
#[test]
fn what_the_system_refuses_it_shows_in_the_statistics() {
    alone("what_the_system_refuses_it_shows_in_the_statistics", || {
        let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
        if !filter(ALL_THREADS, &[libc::SYS_sched_setaffinity], refuse) {
            return;
        }
        let ledger = Ledger::new();
        let pool = pool(ledger.clone(), Duration::from_millis(1));
        let by_hand = common::manual(&ledger);
        drop((pool.get(4096), by_hand.get(4096)));
        // Once it has collected it is past its beginning.
        wait_until("it collects", || pool.stats().collections > 0);
        assert!(pool.stats().scheduling_inherited, "{}", pool.stats());
        assert!(!by_hand.stats().scheduling_inherited, "{}", by_hand.stats());
        let objects = ObjectPool::builder(|| 0_u8).recycle(Recycle::Always).build().unwrap();
        drop(objects.get());
        assert!(objects.stats().scheduling_inherited, "{}", objects.stats());
        drop((pool, by_hand, objects));
        assert!(ledger.wait_until_empty());
    });
}

/// Takes a block back and panics.
#[derive(Clone, Copy)]
struct PanicsOnRelease;

// SAFETY: memory comes from `Global`, unchanged.
unsafe impl Allocator for PanicsOnRelease {
    fn allocate(&self, layout: std::alloc::Layout) -> Result<std::ptr::NonNull<[u8]>, AllocError> {
        #[expect(clippy::disallowed_methods, reason = "an allocator of its own")]
        Global.allocate(layout)
    }

    unsafe fn deallocate(&self, block: std::ptr::NonNull<u8>, layout: std::alloc::Layout) {
        #[expect(clippy::disallowed_methods, reason = "an allocator of its own")]
        // SAFETY: passed on.
        unsafe {
            Global.deallocate(block, layout);
        }
        // without the message and the backtrace of `panic!`, which would look like a failure
        std::panic::resume_unwind(Box::new("as the test wants it"));
    }
}

#[test]
fn it_outlives_panics_of_an_allocator() {
    alone("it_outlives_panics_of_an_allocator", || {
        let (broken, ledger) = (pool(PanicsOnRelease, Duration::from_millis(1)), Ledger::new());
        drop((0..5).map(|_| broken.get(4096)).collect::<Vec<_>>());
        wait_until("every block was tried", || broken.stats().release_panics == 5);
        let first = thread().unwrap();
        let sound = pool(ledger.clone(), Duration::from_millis(1));
        drop(sound.get(4096));
        assert!(ledger.wait_until_empty());
        assert_eq!(thread(), Some(first), "the same thread");
        drop(sound);
        ledger.assert_empty();
    });
}

/// One at a time, so that no other hides what it does; and the hook's, which comes after them all.
#[test]
fn it_outlives_a_panic_at_any_call_of_an_allocator() {
    alone("it_outlives_a_panic_at_any_call_of_an_allocator", || {
        const BLOCKS: usize = 6;
        let (ledger, interval) = (Ledger::new(), Duration::from_millis(1));
        // So that the thread stays.
        let beside = pool(ledger.clone(), interval);
        let held = beside.get(1);
        wait_until("the thread runs", || thread().is_some());
        let first = thread();
        for nth in 1..=BLOCKS + 1 {
            let allocator = Flaky::panicking(&ledger);
            let builder = Pool::builder_in(allocator.clone()).pressure(|| Pressure::Low);
            let builder = builder.trimmed(|allocator, _| allocator.hook());
            let pool = builder.collect(Collect::Background(interval)).recycle(Recycle::Always).build().unwrap();
            // These are calls too.
            allocator.arm(BLOCKS + nth);
            drop((0..BLOCKS).map(|n| pool.get(4096 << n)).collect::<Vec<_>>());
            wait_until("the panic is counted", || pool.stats().release_panics == 1);
            assert!(ledger.wait_until(|book| book.live_bytes == held.capacity()));
            // More than one collection may have freed them, each with a call of the hook.
            assert_ne!(allocator.went_wrong(), Some(Call::Allocation), "call {nth}");
            allocator.arm(0);
            drop(pool.get(100));
            assert!(ledger.wait_until(|book| book.live_bytes == held.capacity()), "it goes on");
            assert_eq!(thread(), first, "the same thread");
        }
        drop((held, beside));
        // The thread may just have been in this pool, and closes it then.
        assert!(ledger.wait_until_empty());
        ledger.assert_empty();
    });
}

/// No thread can be had: the pool says so, and is as good as one with `Collect::Manual`.
#[test]
fn a_thread_that_cannot_be_started_shows_in_the_statistics() {
    alone("a_thread_that_cannot_be_started_shows_in_the_statistics", || {
        let refuse = libc::SECCOMP_RET_ERRNO | libc::EAGAIN.unsigned_abs();
        if !filter(ALL_THREADS, &[libc::SYS_clone, libc::SYS_clone3], refuse) {
            return;
        }
        let ledger = Ledger::new();
        let pool = pool(ledger.clone(), Duration::from_millis(1));
        drop(pool.get(1000));
        let stats = pool.stats();
        assert_eq!(stats.collector, CollectorState::Failed, "{stats}");
        assert!(stats.to_string().contains("Failed"), "{stats}");
        assert_eq!(thread(), None);
        pool.collect();
        pool.collect();
        ledger.assert_empty();
        drop(pool);
        // LeakSanitizer would start a process at the end, which is refused too.
        println!("\na_thread_that_cannot_be_started_shows_in_the_statistics is done");
        // SAFETY: ends this process, in which nothing is left to do.
        unsafe { libc::_exit(0) };
    });
}
