//! A child of `fork` has its parent's tracked pools without their lists, whose locks another thread may have had; and new ones with
//! all of theirs.

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
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::thread;

    use millpond::{Pool, PoolBuf};

    use super::child::{Ended, in_child};
    use super::common::builder;
    use super::common::ledger::Ledger;

    const CHILDREN: usize = 50;
    const HELD: usize = 100;

    fn some(pool: &Pool<Ledger>) -> Vec<PoolBuf<Ledger>> {
        let numbered = |n: usize| {
            let mut buf = pool.get(100 + 50 * n);
            buf.extend_from_slice(&n.to_ne_bytes());
            buf
        };
        (0..HELD).map(numbered).collect()
    }

    fn check(bufs: &[PoolBuf<Ledger>]) {
        assert!(bufs.iter().enumerate().all(|(n, buf)| *buf == n.to_ne_bytes()), "a buffer is somebody else's");
    }

    pub(super) fn all() {
        for one_in in [1, 3] {
            let ledger = Ledger::new();
            let pool = builder(&ledger).track_one_in(one_in).build().unwrap();
            let (kept, over) = (some(&pool), AtomicBool::new(false));
            let noted = pool.outstanding().count();
            assert!(noted > 0 && (one_in > 1 || noted == HELD));
            let (mut hung, mut failed) = (0, 0);
            thread::scope(|scope| {
                // So that there is always somebody at a lock.
                let busy: [fn(&Pool<Ledger>); 3] =
                    [|pool| drop(some(pool)), |pool| drop(some(pool)), |pool| _ = pool.outstanding()];
                let (pool, over) = (&pool, &over);
                for work in busy {
                    scope.spawn(move || {
                        while !over.load(SeqCst) {
                            work(pool);
                        }
                    });
                }
                for _ in 0..CHILDREN {
                    let held = some(pool);
                    match in_child(&ledger, || live(pool, held)) {
                        Ended::Well => {}
                        Ended::Hung => hung += 1,
                        Ended::Badly => failed += 1,
                    }
                    if hung > 2 {
                        break;
                    }
                }
                over.store(true, SeqCst);
            });
            println!("one in {one_in}: {CHILDREN} children, {hung} hung, {failed} failed");
            assert_eq!((hung, failed), (0, 0));
            // What the children dropped is out here, and was never theirs to strike off.
            assert_eq!(pool.outstanding().count(), noted, "the parent's list is as it was");
            drop((kept, pool));
            ledger.assert_empty();
        }
    }

    fn live(inherited: &Pool<Ledger>, mut held: Vec<PoolBuf<Ledger>>) {
        check(&held);
        let outstanding = inherited.outstanding();
        assert_eq!((outstanding.one_in, outstanding.count()), (0, 0), "{outstanding}");
        for buf in &mut held {
            buf.reserve(buf.capacity());
        }
        check(&held);
        check(&held.clone());
        #[cfg(feature = "bytes")]
        drop(held.pop().map(PoolBuf::freeze));
        drop(held);
        let late = some(inherited);
        assert_eq!(inherited.outstanding().count(), 0);
        drop(late);

        let ledger = Ledger::new();
        let own = builder(&ledger).track(true).build().unwrap();
        let (held, line) = (own.get(1000), line!());
        let outstanding = own.outstanding();
        let site = outstanding.sites[0];
        assert_eq!((outstanding.count(), site.location.line(), site.bytes), (1, line, 1024), "{outstanding}");
        drop(held);
        assert_eq!(own.outstanding().count(), 0);
        drop(own);
        ledger.assert_empty();
    }
}
