//! What loom searches: every interleaving with a bounded number of preemptions, and every value that a load may see.
//!
//! The models run the real types: `Magazine` alone ([`gate`]), and whole pools over a ledger instead of an allocator (the
//! others). They fail when two threads use a block at once, when a block is lost, released twice or used later, and when
//! any atomic of a pool is touched after its drop or not ordered before it. Those that involve the gate run with a fence
//! on either side and with the system's barrier, for which `sync::model` has a stand-in; the gate alone runs with the
//! change from one to the other as well. [`canaries`] are replicas with one ordering weakened, which must fail.
//!
//! Bounds: two threads at `LOOM_MAX_PREEMPTIONS` (3 in `.ci/loom`), three threads at one less, or at two less with the
//! system's barrier, and the largest models at one or two less or at 2 at most; 1 class, 4 thread ids, one of them in the table itself;
//! magazines of 4 blocks, batches and buckets of 2. A model notes what its executions met, and fails if none met it; below 3
//! preemptions not all of them do.
//!
//! Not modelled: `ArrayQueue` (a stand-in that promises less; loom reports its cells falsely), what a load of a `Figure` may
//! see, a second class, oversize blocks, `Recycle::Never`, panics of user code, and memory that runs out. The background
//! thread and its list are a stand-in ([`list`](crate::life::collector)); what they ask of a pool, and how it leaves them, is
//! real.
//!
//! crossbeam-epoch runs, but loom is only told of its fences. With `--cfg crossbeam_loom` loom sees its inside too. `.ci/loom
//! epoch`, part of `.ci/long`, runs the readers beside rotations so, at 2 preemptions: [`epoch`] takes 34 000 executions
//! then, a get and a put beside two collections 230 000. Two puts on two threads beside two collections do not end in minutes
//! even at 1, and are left out there.
//!
//! Three things about the method. loom forgets another thread's load of a location that the current thread loads and then
//! stores, so it never tries that store first; `sync::model` adds a compare-exchange that always fails wherever a pointer is
//! accessed, without which a model of installation passes with a planted bug. And nothing may catch a panic: loom reports
//! by panicking, so `contain` would hide what a model found inside the user code that it guards. loom does not track the heap
//! either; [`quarantine`] keeps what was freed, so that its use is found.

mod canaries;

mod close;

mod epoch;

mod gate;

mod ids;

mod ledger;

mod pool;

mod quarantine;

mod rotate;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use loom::model::Builder;
use loom::thread::JoinHandle;

use crate::sync::{Kind, announce, arrive, go_away, set_kind};

/// What happened in some execution of a model: one that never meets the interesting case proves nothing.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Seen {
    fn note(&self, what: &'static str, happened: bool) {
        *self.0.lock().unwrap().entry(what).or_default() += usize::from(happened);
    }
}

/// How a model is searched.
#[derive(Clone, Copy, Debug)]
struct Search {
    kind: Kind,
    /// Preemptions less than the environment says.
    less: usize,
    most: usize,
}

const TWO_THREADS: Search = Search { kind: Kind::Fences, less: 0, most: usize::MAX };
const THREE_THREADS: Search = Search { kind: Kind::Fences, less: 1, most: usize::MAX };

impl Search {
    const fn with(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// For a search that would take minutes.
    const fn one_less(self) -> Self {
        Self { less: self.less + 1, ..self }
    }

    /// For a search that would take hours at more.
    const fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// With a fence on either side of the gate, and with the system's barrier. The second search is some ten times as
    /// long, so three threads have one preemption less again.
    fn both_gates(self, model: fn(&Seen)) {
        self.run(model);
        Self { kind: Kind::System, less: 2 * self.less, ..self }.run(model);
    }

    fn run(self, model: impl Fn(&Seen) + Send + Sync + 'static) {
        let start = Instant::now();
        let mut search = Builder::new();
        search.max_branches = 10_000;
        search.preemption_bound = search.preemption_bound.map(|bound| bound.saturating_sub(self.less).min(self.most));
        let seen = Seen::default();
        let noting = seen.clone();
        set_kind(self.kind);
        search.check(move || {
            quarantine::next(true);
            noting.note("executions", true);
            announce(0);
            arrive(0);
            model(&noting);
        });
        quarantine::next(false);
        let seen = seen.0.lock().unwrap();
        println!("{self:?}: {seen:?} in {:.1?}", start.elapsed());
        assert!(seen.values().all(|times| *times > 0), "never seen: {seen:?}");
    }
}

/// A thread of a model; the main one has place 0.
struct Thread<T>(JoinHandle<T>);

fn spawn<T: 'static>(place: usize, body: impl FnOnce() -> T + 'static) -> Thread<T> {
    announce(place);
    Thread(loom::thread::spawn(move || {
        arrive(place);
        let result = body();
        go_away();
        result
    }))
}

impl<T> Thread<T> {
    /// The caller only joins from now on.
    fn join(self) -> T {
        go_away();
        self.0.join().unwrap()
    }
}
