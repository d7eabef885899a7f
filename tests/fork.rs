//! A child of `fork` uses its parent's pools, and new ones, and ends, whatever the parent's other threads were in the middle
//! of. The parent loses nothing by it.

#[cfg(all(unix, not(miri)))]
mod common;

#[cfg(all(unix, not(miri)))]
#[path = "common/child.rs"]
mod child;

#[cfg(not(all(unix, not(miri))))]
fn main() {}

#[cfg(all(unix, not(miri)))]
fn main() {
    children::all();
}

#[cfg(all(unix, not(miri)))]
mod children {
    use std::ptr;
    use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::SeqCst};
    use std::thread::{self, JoinHandle};
    use std::time::{Duration, Instant};

    use millpond::{Builder, Collect, CollectorState, GetError, Pool, PoolBuf, Recycle};

    use super::child::{Ended, in_child};
    use super::common::{self, ledger::Ledger};

    /// The last class has no magazine: each get and drop goes to the depot.
    const SIZES: [usize; 4] = [1000, 4096, 16 << 10, SHARED];
    const SHARED: usize = 100 << 10;
    const LIMIT: usize = 4 << 20;

    /// What the parent's threads keep busy.
    struct World {
        /// Its only handle is here.
        pool: Pool<Ledger>,
        limited: Pool<Ledger>,
        /// Never used before, or somebody's first use is under way, or just done.
        fresh: AtomicPtr<Pool<Ledger>>,
        stop: AtomicBool,
        ledger: Ledger,
    }

    impl World {
        fn new() -> Self {
            let ledger = Ledger::new();
            Self {
                pool: builder(&ledger).build().unwrap(),
                limited: builder(&ledger).collect(Collect::Manual).limit(LIMIT).build().unwrap(),
                fresh: AtomicPtr::default(),
                stop: AtomicBool::new(false),
                ledger,
            }
        }

        fn start(&'static self) -> Vec<JoinHandle<()>> {
            let busy: [fn(&Self); 5] = [Self::hold, Self::hold, Self::hold_to_the_limit, Self::collect, Self::begin];
            let repeat = |work: fn(&Self)| {
                move || {
                    while !self.stop.load(SeqCst) {
                        work(self);
                    }
                }
            };
            busy.into_iter().map(|work| thread::spawn(repeat(work))).collect()
        }

        fn hold(&self) {
            drop(some(&self.pool, 100));
            (0..10_000).for_each(|_| drop(self.pool.get(SHARED)));
        }

        fn hold_to_the_limit(&self) {
            drop((0..100).map_while(|_| self.limited.try_get(64 << 10).ok()).collect::<Vec<_>>());
        }

        fn collect(&self) {
            self.hold();
            self.pool.collect();
            self.limited.collect();
            drop(self.pool.clone());
        }

        fn begin(&self) {
            let fresh = Box::into_raw(Box::new(builder(&self.ledger).build().unwrap()));
            self.fresh.store(fresh, SeqCst);
            // SAFETY: made above; nobody else of this process uses it.
            drop(unsafe { &*fresh }.get(100));
            self.fresh.store(ptr::null_mut(), SeqCst);
            // SAFETY: made above, and given up once.
            drop(unsafe { Box::from_raw(fresh) });
        }
    }

    /// Small slots, so that blocks are always on their way; and room in the depot, so that they seldom meet the ledger.
    fn builder(ledger: &Ledger) -> Builder<Ledger> {
        let often = Collect::Background(Duration::from_millis(5));
        Pool::builder_in(ledger.clone())
            .recycle(Recycle::Always)
            .local_limit(128 << 10)
            .idle_limit(256 << 20)
            .collect(often)
    }

    /// Buffers of all sizes, each with its number in it.
    fn some(pool: &Pool<Ledger>, count: usize) -> Vec<PoolBuf<Ledger>> {
        let numbered = |n: usize| {
            let mut buf = pool.get(SIZES[n % SIZES.len()]);
            buf.extend_from_slice(&n.to_ne_bytes());
            buf
        };
        (0..count).map(numbered).collect()
    }

    fn check(bufs: &[PoolBuf<Ledger>]) {
        assert!(bufs.iter().enumerate().all(|(n, buf)| *buf == n.to_ne_bytes()), "a buffer is somebody else's");
    }

    pub(super) fn all() {
        let start = Instant::now();
        let children = std::env::var("MILLPOND_FORKS").map_or(100, |n| n.parse().expect("a number"));
        let world: *mut World = Box::into_raw(Box::new(World::new()));
        // SAFETY: freed below, when the threads have ended.
        let here: &'static World = unsafe { &*world };
        let threads = here.start();
        let (mut forked, mut hung, mut failed) = (0, 0, 0);
        while forked < children && hung < 3 {
            let held = some(&here.pool, 100);
            match in_child(&here.ledger, || live(world, held, forked)) {
                Ended::Well => {}
                Ended::Hung => hung += 1,
                Ended::Badly => failed += 1,
            }
            forked += 1;
        }
        here.stop.store(true, SeqCst);
        for thread in threads {
            thread.join().expect("no thread fails");
        }
        println!("{forked} children, {hung} hung, {failed} failed, in {:.1?}", start.elapsed());
        assert_eq!((hung, failed), (0, 0));

        let ledger = here.ledger.clone();
        // SAFETY: made above; the threads that used it have ended.
        drop(unsafe { Box::from_raw(world) });
        assert!(ledger.wait_until_empty(), "the parent lost a block");
        ledger.assert_empty();
    }

    /// A child's life.
    fn live(world: *mut World, held: Vec<PoolBuf<Ledger>>, number: u32) {
        // SAFETY: the child's own copy; its `pool` is not used after the `read` below.
        let inherited = unsafe { &*world };
        check(&held);
        use_inherited(&inherited.pool, held);
        let stats = inherited.pool.stats();
        assert_eq!(stats.collector, CollectorState::Failed);
        assert!(stats.total().discarded.no_depot > 0, "what a slot has no room for is released: {stats}");
        reach_limit(&inherited.limited);
        // SAFETY: taken back before it is freed, by the thread that is not here.
        if let Some(fresh) = unsafe { inherited.fresh.load(SeqCst).as_ref() } {
            use_inherited(fresh, Vec::new());
        }

        let late = some(&inherited.pool, 100);
        // SAFETY: dropped once: the world is not dropped here.
        drop(unsafe { ptr::read(&raw const inherited.pool) });
        check(&late);
        drop(late);

        if number % 4 == 0 {
            use_own();
        }
    }

    /// Every face of a pool, and the drop of what was out.
    fn use_inherited(pool: &Pool<Ledger>, held: Vec<PoolBuf<Ledger>>) {
        for count in [1, 10, 100] {
            check(&some(pool, count));
        }
        // As many as a bucket can have, so that each of its cells is met.
        drop((0..200).map(|_| pool.get(SHARED)).collect::<Vec<_>>());
        drop(held);
        #[cfg(feature = "arena")]
        drop([pool.arena(), pool.arena()].map(|arena| {
            arena.alloc_str("small");
            arena.alloc_bytes(5000);
            arena
        }));
        let clone = pool.clone();
        clone.collect();
        drop(some(&clone, 100));
        clone.purge();
        drop(clone);
        let stats = pool.stats();
        // Beside a collection the figures are not of one moment.
        let collects_beside = stats.collector == CollectorState::Background;
        assert!(collects_beside || stats.allocated_bytes >= stats.idle_bytes, "{stats}");
    }

    fn reach_limit(pool: &Pool<Ledger>) {
        let mut held = Vec::new();
        let error = loop {
            match pool.try_get(64 << 10) {
                Ok(buf) => held.push(buf),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, GetError::LimitReached { limit: LIMIT, .. }) && held.len() <= LIMIT >> 16, "{error}");
        let reached = held.len();
        drop(held);
        assert_eq!((0..reached).map_while(|_| pool.try_get(64 << 10).ok()).count(), reached);
    }

    /// A pool that the child makes is like any other: all tiers, threads, collections, and nothing is lost.
    fn use_own() {
        let ledger = Ledger::new();
        let pool = builder(&ledger).build().unwrap();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let pool = pool.clone();
                thread::spawn(move || (0..3).for_each(|_| check(&some(&pool, 200))))
            })
            .collect();
        for thread in threads {
            thread.join().expect("no thread fails");
        }
        drop(some(&pool, 200));
        assert!(pool.stats().classes.iter().any(|class| class.depot_hits > 0), "{}", pool.stats());
        assert!(ledger.wait_until_empty(), "the child's background thread collects");
        assert_eq!(pool.stats().collector, CollectorState::Background);

        let manual = common::pool(&ledger);
        drop(some(&manual, 200));
        // The background thread may be in the depot, which delays the end of a shell.
        let shells_go = (0..1000).any(|_| {
            thread::yield_now();
            let collected = manual.collect();
            assert!(!collected.already_running && collected.slots_skipped == 0, "{collected}");
            collected.shells_waiting == 0
        });
        assert!(shells_go, "no reader of the parent holds a shell of the child");
        let held = some(&manual, 10);
        let ended = in_child(&ledger, || use_inherited(&manual, held));
        assert!(matches!(ended, Ended::Well), "a child's child");
        drop((pool, manual));
        assert!(ledger.wait_until_empty(), "the child lost a block");
        ledger.assert_empty();
    }
}
