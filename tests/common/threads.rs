//! Threads that are gone, with their locals, when a scope ends.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

pub struct Threads<'scope, 'env: 'scope> {
    scope: &'scope thread::Scope<'scope, 'env>,
    spawned: RefCell<Vec<ScopedJoinHandle<'scope, ()>>>,
}

impl<'scope> Threads<'scope, '_> {
    pub fn spawn(&self, f: impl FnOnce() + Send + 'scope) {
        self.spawned.borrow_mut().push(self.scope.spawn(f));
    }
}

/// As `std::thread::scope`, which waits for the closures alone: a thread that nobody joins may yet be at the destructors
/// of its locals, where it gives its magazines back.
pub fn scope<'env, R>(f: impl for<'scope> FnOnce(&Threads<'scope, 'env>) -> R) -> R {
    thread::scope(|scope| {
        let threads = Threads { scope, spawned: RefCell::default() };
        let result = f(&threads);
        for thread in threads.spawned.take() {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        result
    })
}
