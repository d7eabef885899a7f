//! When memory runs short the background thread frees at once what is idle: here the pool's interval is an hour, so nothing but
//! the signal can be the reason.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use common::census::Census;
use common::ledger::Ledger;
use common::wait_until;
use millpond::{Builder, Collect, Pool, Pressure, Recycle};

const HOUR: Duration = Duration::from_secs(3600);

fn builder(ledger: &Ledger, interval: Duration) -> Builder<Ledger> {
    Pool::builder_in(ledger.clone()).collect(Collect::Background(interval)).recycle(Recycle::Always)
}

/// A signal that the test sets.
#[derive(Clone, Default)]
struct Memory(Arc<AtomicU8>);

impl Memory {
    fn set(&self, pressure: Pressure) {
        self.0.store(pressure as u8, Relaxed);
    }

    fn get(&self) -> Pressure {
        [Pressure::Low, Pressure::Moderate, Pressure::Severe][usize::from(self.0.load(Relaxed))]
    }
}

/// N15.
#[test]
fn a_severe_shortage_purges_once_and_all_tiers() {
    let (ledger, memory) = (Ledger::new(), Memory::default());
    let signal = memory.clone();
    let pool = builder(&ledger, HOUR).pressure(move || signal.get()).build().unwrap();
    let held = pool.get(4096);
    drop((0..300).map(|_| pool.get(4096)).collect::<Vec<_>>());
    memory.set(Pressure::Severe);
    // Blocks in the cache of this thread, which makes no call meanwhile, in the depot and in none.
    assert!(ledger.wait_until(|book| book.deallocations == 300), "{}", pool.stats());
    wait_until("the purge is counted", || pool.stats().pressure_purges > 0);
    // The shortage goes on. What is used stays all the same: later looks collect.
    let before = pool.stats();
    wait_until("two more collections", || {
        drop(pool.get(4096));
        pool.stats().pressure_collections >= before.pressure_collections + 2
    });
    let stats = pool.stats();
    assert_eq!((stats.pressure, stats.pressure_purges), (Pressure::Severe, 1), "{stats}");
    assert!(
        ledger.allocations() as u64 <= 301 + 3 * stats.collections,
        "the working set was freed again and again: {stats}"
    );
    drop(held);
    drop(pool);
    // The thread may be at it, and is then the one that closes the pool.
    assert!(ledger.wait_until_empty());
}

/// Pools of objects have a signal too.
#[test]
fn a_severe_shortage_drops_idle_objects() {
    let (census, memory) = (Census::default(), Memory::default());
    let signal = memory.clone();
    let builder = census.builder().collect(Collect::Background(HOUR)).recycle(Recycle::Always);
    let pool = builder.pressure(move || signal.get()).build().unwrap();
    let held = pool.get();
    drop((0..100).map(|_| pool.get()).collect::<Vec<_>>());
    memory.set(Pressure::Severe);
    wait_until("what is idle is dropped", || census.live() == 1);
    drop((held, pool));
    wait_until("the thread is not at it any more", || census.live() == 0);
}

#[test]
fn a_moderate_shortage_frees_what_was_not_used_lately() {
    let (ledger, memory) = (Ledger::new(), Memory::default());
    let signal = memory.clone();
    let pool = builder(&ledger, HOUR).pressure(move || signal.get()).build().unwrap();
    drop((0..300).map(|_| pool.get(4096)).collect::<Vec<_>>());
    memory.set(Pressure::Moderate);
    // The working set, and that of the last collections: while a collector is in a thread's cache, what lies there cannot be
    // gotten, and others take its place.
    wait_until("what was not used is freed", || {
        drop((0..3).map(|_| pool.get(4096)).collect::<Vec<_>>());
        ledger.live() <= 4 * 3
    });
    let stats = pool.stats();
    assert_eq!(stats.pressure_purges, 0, "{stats}");
    assert!(ledger.allocations() as u64 <= 300 + 3 * stats.collections, "{stats}");
    drop(pool);
    // The thread may be at it, and is then the one that closes the pool.
    assert!(ledger.wait_until_empty());
}

/// User code on the background thread may do all that it may do elsewhere.
#[test]
fn a_signal_may_use_pools_and_panic() {
    let ledger = Ledger::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let signal = {
        let (ledger, asked) = (ledger.clone(), asked.clone());
        let own = builder(&ledger, HOUR).pressure(|| Pressure::Low).build().unwrap();
        move || {
            drop(own.get(4096));
            own.collect();
            // Joins and leaves the background thread's list.
            drop(builder(&ledger, HOUR).build().unwrap().get(4096));
            if asked.fetch_add(1, Relaxed) % 2 == 1 {
                // as a panic, without its message
                std::panic::resume_unwind(Box::new("as the test wants it"));
            }
            Pressure::Low
        }
    };
    let pool = builder(&ledger, Duration::from_millis(1)).pressure(signal).build().unwrap();
    let held = pool.get(4096);
    wait_until("it panics and is asked again", || pool.stats().pressure_panics >= 3);
    let before = pool.stats().collections;
    wait_until("collections go on", || pool.stats().collections >= before + 3);
    let stats = pool.stats();
    // None of them for a lack of memory.
    assert_eq!((stats.pressure, stats.pressure_collections, stats.pressure_purges), (Pressure::Low, 0, 0), "{stats}");
    drop(held);
    drop(pool);
    assert!(ledger.wait_until_empty());
}

#[test]
fn a_signal_is_dropped_with_its_pool_used_or_not() {
    let ledger = Ledger::new();
    let token = Arc::new(());
    for gets in [0, 1] {
        let captured = token.clone();
        let signal = move || {
            let _ = &captured;
            Pressure::Low
        };
        let pool = builder(&ledger, HOUR).pressure(signal).build().unwrap();
        (0..gets).for_each(|_| drop(pool.get(1)));
        let clone = (gets > 0).then(|| pool.clone());
        drop(pool);
        drop(clone);
        assert!(ledger.wait_until_empty());
        wait_until("the signal is dropped", || Arc::strong_count(&token) == 1);
    }
}

/// Against the kernel's own files, where this process may make a control group of version 2.
#[cfg(all(target_os = "linux", not(miri)))]
#[test]
fn a_control_group_near_its_limit_is_a_shortage() {
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;

    const NAME: &str = "a_control_group_near_its_limit_is_a_shortage";
    const LIMIT: usize = 256 << 20;

    struct Group(PathBuf);

    impl Drop for Group {
        fn drop(&mut self) {
            let _ = fs::remove_dir(&self.0);
        }
    }

    if common::process::is_child(NAME) {
        return common::process::alone(NAME, || {
            let group = std::env::var("MILLPOND_TEST_GROUP").unwrap();
            fs::write(format!("{group}/cgroup.procs"), "0").unwrap();
            let ledger = Ledger::new();
            let pool = builder(&ledger, HOUR).idle_limit(LIMIT).build().unwrap();
            // Not a fixed number: a sanitizer's own memory is in the group as well.
            let mut held = Vec::new();
            while Pressure::of_system() < Pressure::Severe {
                let mut buf = pool.get(1 << 20);
                buf.resize(1 << 20, 1);
                held.push(buf);
            }
            drop(held);
            assert!(ledger.wait_until_empty(), "{}", pool.stats());
            assert!(pool.stats().pressure_purges > 0, "{}", pool.stats());
        });
    }
    let group = Group(format!("/sys/fs/cgroup/millpond-test-{}", std::process::id()).into());
    let made = fs::create_dir(&group.0).and_then(|()| {
        // Where it is no control group but a folder, nothing is in it.
        fs::metadata(group.0.join("memory.current"))?;
        fs::write(group.0.join("memory.max"), LIMIT.to_string())?;
        fs::write(group.0.join("memory.swap.max"), "0").or(Ok(()))
    });
    if let Err(error) = made {
        // Not by `eprintln!`, which the test harness keeps to itself.
        let said = "SKIPPED: this machine lets nobody make a control group of version 2 with a memory limit";
        writeln!(std::io::stderr(), "\n{said} ({error})").unwrap();
        return;
    }
    let child = common::process::again(NAME).env("MILLPOND_TEST_GROUP", &group.0).spawn().unwrap();
    common::process::wait(child);
}

/// A pool of objects tells the same, and a panic of its signal.
#[test]
fn objects_are_dropped_in_a_severe_shortage() {
    let (census, memory) = (Census::default(), Memory::default());
    let signal = memory.clone();
    let signal = move || match signal.get() {
        Pressure::Moderate => std::panic::resume_unwind(Box::new("as the test wants it")),
        memory => memory,
    };
    let builder = census.builder().collect(Collect::Background(HOUR)).pressure(signal);
    let pool = builder.recycle(Recycle::Always).build().unwrap();
    drop((0..100).map(|_| pool.get()).collect::<Vec<_>>());
    memory.set(Pressure::Moderate);
    wait_until("the panic is counted", || pool.stats().pressure_panics > 0);
    memory.set(Pressure::Severe);
    wait_until("the purge is counted", || pool.stats().pressure_purges > 0);
    let stats = pool.stats();
    assert_eq!((stats.pressure, census.live()), (Pressure::Severe, 0), "{stats}");
    assert!(stats.to_string().contains("memory pressure: Severe, collections for it 0, purges 1, panics"), "{stats}");
}
