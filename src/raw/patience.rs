//! Waiting for a thread that is about to be done, but not for ever: it may be one that was stopped, or that is not in this process.
#![forbid(unsafe_code)]

use core::time::Duration;
use std::time::Instant;

use crate::sync::yield_now;

/// Turns that the other thread is left at least. A process that was stopped for longer than a wait goes on with its time up.
const TURNS: u32 = 1000;

#[derive(Debug)]
pub(crate) struct Patience {
    since: Instant,
    turns: u32,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), turns: 0 }
    }

    /// Lets other threads run; false once that took longer than `bound`.
    pub(crate) fn wait(&mut self, bound: Duration) -> bool {
        yield_now();
        self.turns = self.turns.saturating_add(1);
        self.turns <= TURNS || self.since.elapsed() <= bound
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_ends_after_its_turns_and_its_time() {
        let mut patience = Patience::new();
        assert!((0..TURNS).all(|_| patience.wait(Duration::ZERO)));
        assert!(!patience.wait(Duration::ZERO));
        assert!(patience.wait(Duration::MAX));
    }
}
