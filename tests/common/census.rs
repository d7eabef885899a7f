//! Objects that are counted in and out, and that tell where two hands have the same one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, ThreadId};

use millpond::{Collect, ObjectBuilder, ObjectPool, Recycle};

#[derive(Clone, Debug, Default)]
pub struct Census(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    made: AtomicUsize,
    dropped: AtomicUsize,
    dropped_by_others: AtomicUsize,
    panics: AtomicBool,
}

#[derive(Debug)]
pub struct Object {
    /// From 0, in the order of making.
    pub number: usize,
    /// Written by its users.
    pub tag: usize,
    held: AtomicBool,
    panics: bool,
    maker: ThreadId,
    census: Census,
}

impl Census {
    pub fn make(&self) -> Object {
        let number = self.0.made.fetch_add(1, SeqCst);
        Object {
            number,
            tag: 0,
            held: AtomicBool::new(false),
            panics: false,
            maker: thread::current().id(),
            census: self.clone(),
        }
    }

    /// A pool that recycles also under the tools that make it pass through by default, and collects only when told.
    pub fn builder(&self) -> ObjectBuilder<Object> {
        let census = self.clone();
        ObjectPool::builder(move || census.make()).collect(Collect::Manual).recycle(Recycle::Always)
    }

    pub fn pool(&self) -> ObjectPool<Object> {
        self.builder().build().unwrap()
    }

    pub fn made(&self) -> usize {
        self.0.made.load(SeqCst)
    }

    pub fn dropped(&self) -> usize {
        self.0.dropped.load(SeqCst)
    }

    pub fn live(&self) -> usize {
        self.made() - self.dropped()
    }

    /// How many were dropped by a thread other than their maker.
    pub fn dropped_by_others(&self) -> usize {
        self.0.dropped_by_others.load(SeqCst)
    }

    /// From now on drops panic, or not.
    pub fn panic_in_drops(&self, yes: bool) {
        self.0.panics.store(yes, SeqCst);
    }

    /// At the end of a test, when all pools are gone.
    pub fn assert_empty(&self) {
        assert_eq!(self.live(), 0, "of {} made", self.made());
    }
}

impl Object {
    /// Uses it as its only owner may.
    pub fn hold(&mut self, tag: usize) {
        assert!(!self.held.swap(true, SeqCst), "object {} is in two hands", self.number);
        self.tag = tag;
    }

    pub fn panic_when_dropped(&mut self, yes: bool) {
        self.panics = yes;
    }

    /// Ends what `hold` began.
    pub fn let_go(&mut self, tag: usize) {
        assert_eq!(self.tag, tag, "object {} was changed by another", self.number);
        assert!(self.held.swap(false, SeqCst), "object {} is in two hands", self.number);
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let counts = &self.census.0;
        counts.dropped.fetch_add(1, SeqCst);
        if thread::current().id() != self.maker {
            counts.dropped_by_others.fetch_add(1, SeqCst);
        }
        if self.panics || counts.panics.load(SeqCst) {
            std::panic::resume_unwind(Box::new("a drop"));
        }
    }
}
