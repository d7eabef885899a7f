//! Each allocator bare and behind the pool; for requests, also arenas.

use std::cell::RefCell;

use bumpalo::Bump;
use millpond_benches::baseline::{Heap, Jemalloc, Malloc, Mimalloc};
use millpond_benches::contest::Work;
use millpond_benches::heap::{bare, pool_over};

use crate::workload::{Workload, request, requests};

pub struct Contender {
    pub name: &'static str,
    /// The bare allocator that it stands on; its own name if it is one.
    pub over: &'static str,
    /// Arenas are for requests only.
    pub region: bool,
    pub start: fn(Workload) -> Running,
}

impl Contender {
    pub fn can(&self, workload: Workload) -> bool {
        !self.region || workload == Workload::Request
    }
}

pub struct Running {
    pub work: Work,
    /// Frees what was not used since it was last called.
    pub collect: Box<dyn Fn() + Send + Sync>,
}

const BUMPALO: &str = "bumpalo over malloc";

pub const ALL: &[Contender] = &[
    Contender { name: Malloc::NAME, over: Malloc::NAME, region: false, start: alone::<Malloc> },
    Contender { name: "pool over malloc", over: Malloc::NAME, region: false, start: pooled::<Malloc> },
    Contender { name: "arena over malloc", over: Malloc::NAME, region: true, start: arena::<Malloc> },
    Contender { name: BUMPALO, over: Malloc::NAME, region: true, start: bump },
    Contender { name: Jemalloc::NAME, over: Jemalloc::NAME, region: false, start: alone::<Jemalloc> },
    Contender { name: "pool over jemalloc", over: Jemalloc::NAME, region: false, start: pooled::<Jemalloc> },
    Contender { name: "arena over jemalloc", over: Jemalloc::NAME, region: true, start: arena::<Jemalloc> },
    Contender { name: Mimalloc::NAME, over: Mimalloc::NAME, region: false, start: alone::<Mimalloc> },
    Contender { name: "pool over mimalloc", over: Mimalloc::NAME, region: false, start: pooled::<Mimalloc> },
    Contender { name: "arena over mimalloc", over: Mimalloc::NAME, region: true, start: arena::<Mimalloc> },
];

fn alone<H: Heap>(workload: Workload) -> Running {
    Running { work: workload.on(bare::<H>()), collect: Box::new(|| {}) }
}

fn pooled<H: Heap>(workload: Workload) -> Running {
    let pool = pool_over::<H>(|builder| builder);
    Running { work: workload.on(pool), collect: Box::new(|| _ = pool.collect()) }
}

/// A request's vectors lie in an arena that ends with it. The small ones are in chunks that are malloc's, whatever is under the
/// pool.
fn arena<H: Heap>(_: Workload) -> Running {
    let pool = pool_over::<H>(|builder| builder);
    let work = requests(move |sizes| request(&pool.arena(), sizes));
    Running { work, collect: Box::new(|| _ = pool.collect()) }
}

/// What one writes by hand: a region for the thread, large vectors in it as well.
fn bump(_: Workload) -> Running {
    thread_local! {
        static BUMP: RefCell<Bump> = RefCell::default();
    }
    let work = requests(|sizes| {
        BUMP.with_borrow_mut(|bump| {
            request(&*bump, sizes);
            bump.reset();
        });
    });
    Running { work, collect: Box::new(|| {}) }
}
