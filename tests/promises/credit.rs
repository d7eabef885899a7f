//! A drop without credit takes none from the thread's other classes where it would not be enough: those stay hits.

use crate::common::ledger::Ledger;
use crate::common::threads;
use millpond::{ClassStats, Collect, Pool, Recycle};

const KIB: usize = 1 << 10;

/// Half of its 1 MiB can be leased.
fn pool(ledger: &Ledger) -> Pool<Ledger> {
    let builder = Pool::builder_in(ledger.clone()).collect(Collect::Manual).recycle(Recycle::Always);
    builder.idle_limit(KIB * KIB).build().unwrap()
}

fn small(pool: &Pool<Ledger>) -> ClassStats {
    pool.stats().classes[0]
}

/// A request with three small buffers and a large one; the small ones come from the thread's own cache from then on.
fn requests(pool: &Pool<Ledger>, large: usize) {
    let request = || drop(([(); 3].map(|()| pool.get(4 * KIB)), pool.get(large)));
    request();
    let before = small(pool);
    (0..10).for_each(|_| request());
    let after = small(pool);
    assert_eq!((after.size, after.local_hits - before.local_hits), (4 * KIB, 30), "{}", pool.stats());
}

#[test]
fn of_a_class_that_no_lease_could_cover() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    requests(&pool, KIB * KIB);
    drop(pool);
    ledger.assert_empty();
}

#[test]
fn where_other_threads_have_leased_the_rest() {
    let ledger = Ledger::new();
    let pool = pool(&ledger);
    // Registers this thread, or it would take the other's slot over.
    drop(pool.get(4 * KIB));
    threads::scope(|scope| {
        scope.spawn(|| drop([(); 7].map(|()| pool.get(64 * KIB))));
    });
    requests(&pool, 256 * KIB);
    assert!(pool.stats().refused_by_idle_limit > 0, "{}", pool.stats());
    drop(pool);
    ledger.assert_empty();
}
