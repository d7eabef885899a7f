//! The system refuses what a pool asks of it, and the allocator fails or panics besides: every scenario ends as it does elsewhere. Each
//! case has a process of its own, as a filter is for life.
#![cfg(all(target_os = "linux", not(miri)))]

mod common;

#[path = "common/scenarios/mod.rs"]
#[allow(dead_code, reason = "part of it")]
mod scenarios;

#[path = "common/seccomp.rs"]
mod seccomp;

use std::time::Duration;

use common::flaky::Flaky;
use common::ledger::Ledger;
use common::process::alone;
use millpond::{Collect, CollectorState, Recycle};
use scenarios::{Scenario, scenarios};
use seccomp::{ALL_THREADS, filter};

const MEMBARRIER: &[libc::c_long] = &[libc::SYS_membarrier];

fn refuse(error: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | error.unsigned_abs()
}

/// One that passes through asks for neither: it has no slots, and nothing to collect.
const KEEPING: [Recycle; 2] = [Recycle::Always, Recycle::Chaos(3)];

fn at_every_call<'a>(scenarios: impl Iterator<Item = &'a Scenario>, collect: Collect) {
    for scenario in scenarios {
        for recycle in KEEPING {
            scenario.fail_at_every_call(recycle, collect);
            scenario.panic_at_every_call(recycle, collect);
        }
    }
}

#[test]
fn membarrier_from_the_start_changes_no_scenario() {
    alone("membarrier_from_the_start_changes_no_scenario", || {
        if filter(ALL_THREADS, MEMBARRIER, refuse(libc::EPERM)) {
            at_every_call(scenarios().iter(), Collect::Manual);
        }
    });
}

/// Those that start threads of their own are left out. Every pool is as good as one with `Collect::Manual`.
#[test]
fn the_background_thread_changes_no_scenario() {
    alone("the_background_thread_changes_no_scenario", || {
        if !filter(ALL_THREADS, &[libc::SYS_clone, libc::SYS_clone3], refuse(libc::EAGAIN)) {
            return;
        }
        let background = Collect::Background(Duration::from_millis(1));
        let scenarios = scenarios();
        let alone = || scenarios.iter().filter(|scenario| !scenario.threads);
        at_every_call(alone(), background);
        for scenario in alone() {
            let ledger = Ledger::new();
            let pool = scenario.pool(&Flaky::failing(&ledger), Recycle::Always, background);
            scenario.run(&pool).unwrap();
            // Not all of them have a block to collect.
            drop(pool.get(1));
            assert_eq!(pool.stats().collector, CollectorState::Failed, "{}", scenario.name);
            drop(pool);
            ledger.assert_empty();
        }
        // LeakSanitizer would start a process at the end, which is refused too.
        println!("\nthe_background_thread_changes_no_scenario is done");
        // SAFETY: ends this process, in which nothing is left to do.
        unsafe { libc::_exit(0) };
    });
}

/// After the call has worked once, owners leave the fence to it, and then it is refused: what is idle in a slot stays there, also when
/// its pool ends. Everything else goes.
#[cfg(feature = "fast-barrier")]
#[test]
fn membarrier_later_leaks_what_is_idle_and_nothing_else() {
    use std::sync::OnceLock;

    use millpond::PoolBuf;
    use scenarios::{Bears, MODES};

    /// Keeps the pools that are leaked in reach of a leak checker.
    static KEPT: OnceLock<Vec<PoolBuf<Flaky>>> = OnceLock::new();

    alone("membarrier_later_leaks_what_is_idle_and_nothing_else", || {
        let first = common::pool(&Ledger::new());
        drop(first.get(1));
        first.purge();
        drop(first);
        if !filter(ALL_THREADS, MEMBARRIER, refuse(libc::EPERM)) {
            return;
        }
        let mut kept = Vec::new();
        for (scenario, recycle) in scenarios().iter().flat_map(|scenario| MODES.map(|recycle| (scenario, recycle))) {
            for nth in 0..10 {
                let ledger = Ledger::new();
                let allocator = Flaky::failing(&ledger);
                let pool = scenario.pool(&allocator, recycle, Collect::Manual);
                if scenario.bears != Bears::Panics {
                    allocator.arm(nth);
                }
                let result = scenario.run(&pool);
                assert_eq!(result.is_err(), allocator.went_wrong().is_some() && !allocator.was_asked_for_less());
                allocator.arm(0);
                scenario.run(&pool).expect("usable afterwards");
                let place = format!("{}, {recycle:?}, call {nth}", scenario.name);
                let late = pool.get(1);
                let stats = pool.stats();
                assert_eq!(stats.in_use_bytes, late.capacity(), "{place}\n{stats}");
                drop(pool);
                assert!(ledger.live_bytes() <= stats.idle_bytes + late.capacity(), "{place}\n{stats}");
                if recycle == Recycle::Never {
                    // No slot, so no owner to keep out by the barrier: it closes as ever.
                    drop(late);
                    ledger.assert_empty();
                    assert_eq!(ledger.clones(), 2, "the pool's own is gone: {place}");
                } else {
                    ledger.assert_sound();
                    kept.push(late);
                }
            }
        }
        assert!(KEPT.set(kept).is_ok());
    });
}
