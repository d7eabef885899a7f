//! A thread takes the id, and so the slot, of one that has ended: its first get finds what that one left. As where each connection has a
//! thread of its own.
//!
//! In a process of its own, as other tests' threads take ids too.

mod common;

use common::census::Census;
use common::ledger::Ledger;
use common::{pool, threads};
use millpond::{Collect, ObjectPool, Recycle, objects::Given};

/// One after another.
fn fifty_threads(work: impl Fn(usize) + Sync) {
    for n in 0..50 {
        threads::scope(|scope| scope.spawn(|| work(n)));
    }
}

#[test]
fn fifty_threads_one_after_another_need_one_block() {
    for len in [300, 64 << 10, 1 << 20] {
        let ledger = Ledger::new();
        let pool = pool(&ledger);
        fifty_threads(|n| {
            drop(pool.get(len));
            if n % 3 == 0 {
                pool.collect();
            }
        });
        assert_eq!(ledger.allocations(), 1, "{}", pool.stats());
        drop(pool);
        ledger.assert_empty();
    }

    let census = Census::default();
    let builder = ObjectPool::<_, Given>::builder_empty().collect(Collect::Manual).recycle(Recycle::Always);
    let pool = builder.build().unwrap();
    fifty_threads(|n| {
        let object = pool.try_take();
        assert_eq!(object.is_some(), n > 0);
        drop(object.unwrap_or_else(|| pool.adopt(census.make())));
    });
    drop(pool);
    census.assert_empty();
}
