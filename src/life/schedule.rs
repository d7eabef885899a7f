//! When a pool is collected: at its interval, and at once when memory runs short. Told the time, so that tests can move it.
#![forbid(unsafe_code)]

use core::time::Duration;
use std::time::Instant;

use crate::pressure::Pressure;
use crate::raw::slot::Reach;
use crate::raw::splitmix::{STEP, mix};

/// How often memory is looked at, and how far collections for the lack of it lie apart at least: what was used within that
/// time is the working set, which has to stay. Half a pool's interval, if that is less.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// How long there must have been enough memory before another purge; a pool's interval, if that is less.
const ENOUGH: Duration = Duration::from_secs(10);

/// So that the thread, which all pools share, also sleeps.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

/// When one pool is to be looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    interval: Duration,
    /// The time of the next collection. None: the pool holds no block.
    due: Option<Due>,
    random: u64,
}

#[derive(Clone, Copy, Debug)]
enum Due {
    At(Instant),
    /// Further off than the clock goes.
    Never,
}

/// What a pool's collections for the lack of memory depend on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    /// The last collection.
    last: Option<Instant>,
    /// Since when there is enough memory.
    enough: Option<Instant>,
    /// Since when the pool holds no block, so that nobody looks.
    resting: Option<Instant>,
    /// This shortage has had its purge.
    purged: bool,
}

impl Schedule {
    /// `seed` makes the pool's times its own.
    pub(crate) fn new(interval: Duration, seed: u64) -> Self {
        Self { interval: interval.max(LEAST_INTERVAL), due: None, random: seed }
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// The pool holds no block, so there is nothing to wait for.
    pub(crate) fn sleep(&mut self) {
        self.due = None;
    }

    /// The pool holds blocks. Whether it is due; then its next time begins.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = matches!(self.due, Some(Due::At(due)) if due <= now);
        if due || self.due.is_none() {
            let next = self.jittered().and_then(|interval| now.checked_add(interval));
            self.due = Some(next.map_or(Due::Never, Due::At));
        }
        due
    }

    /// When it will be due; none: not as far as anybody can tell.
    pub(crate) fn next(&self) -> Option<Instant> {
        match self.due {
            Some(Due::At(due)) => Some(due),
            Some(Due::Never) | None => None,
        }
    }

    /// The interval, give or take an eighth: pools that began together would all be refilled together otherwise.
    fn jittered(&mut self) -> Option<Duration> {
        self.random = self.random.wrapping_add(STEP);
        let eighth = self.interval / 8;
        let give = (eighth * 2).checked_mul((mix(self.random) >> 48) as u32)? / (1 << 16);
        (self.interval - eighth).checked_add(give)
    }
}

impl Watch {
    /// The pool holds no block: no purge of it could make or end a shortage.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.resting.get_or_insert(now);
    }

    /// What to do with a pool that is looked at now, because it is due or because it is time to look at memory.
    pub(crate) fn decide(&mut self, now: Instant, due: bool, memory: Pressure, interval: Duration) -> Option<Reach> {
        let long_ago = |since| now.saturating_duration_since(since) >= ENOUGH.min(interval);
        if self.resting.take().is_some_and(long_ago) {
            self.purged = false;
        }
        if memory == Pressure::Low {
            let since = *self.enough.get_or_insert(now);
            // Not at once: a purge makes misses, and those could bring the shortage back that it ended.
            self.purged &= !long_ago(since);
        } else {
            self.enough = None;
        }
        let spaced = |last| now.saturating_duration_since(last) >= LOOK.min(interval / 2);
        let reach = match memory {
            Pressure::Severe if !self.purged => Reach::All,
            _ if !due && memory == Pressure::Low => return None,
            // After that purge as well: from then on the working set stays.
            _ if self.last.is_none_or(spaced) => Reach::Idle,
            _ => return None,
        };
        self.purged |= reach == Reach::All;
        self.last = Some(now);
        Some(reach)
    }
}

#[cfg(test)]
mod tests;
