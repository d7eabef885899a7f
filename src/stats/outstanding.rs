//! What is out, by the place in the program that got it.
#![forbid(unsafe_code)]

use core::fmt::{self, Display, Formatter};
use core::num::NonZeroU32;
use core::panic::Location;
use core::time::Duration;

use super::table::Bytes;

/// What is out of a pool whose builder said `track`, from [`Pool::outstanding`](crate::Pool::outstanding) or
/// [`ObjectPool::outstanding`](crate::ObjectPool::outstanding).
///
/// Printed, it is a table.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Outstanding {
    /// One get in so many was noted, and only those are here; 0: the pool does not track, or is from before a
    /// `fork`.
    pub one_in: u32,
    /// The places in the program, the one with most bytes first.
    pub sites: Vec<Site>,
    /// Gets that were to be noted since the pool began, and for whose note there was no memory.
    pub missed: u64,
}

/// A place in the program, and what was gotten there and is still out.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Site {
    /// Of the call of `get`, or `clone`.
    pub location: &'static Location<'static>,
    /// Buffers, or objects.
    pub count: usize,
    /// Their capacities, or the objects' own sizes, in bytes.
    pub bytes: usize,
    /// Since the get of the oldest. A buffer that grew is as old as its first block.
    pub oldest: Duration,
    /// Since the get of the youngest. If this grows too, nothing is gotten there any more, or all comes back but for these.
    pub youngest: Duration,
}

impl Site {
    pub(crate) fn new(location: &'static Location<'static>, age: Duration) -> Self {
        Self { location, count: 0, bytes: 0, oldest: age, youngest: age }
    }

    pub(crate) fn add(&mut self, bytes: usize, age: Duration) {
        self.count += 1;
        self.bytes += bytes;
        self.oldest = self.oldest.max(age);
        self.youngest = self.youngest.min(age);
    }
}

impl Outstanding {
    /// Of a pool that was not used yet.
    #[cfg_attr(loom, expect(dead_code, reason = "the face calls it"))]
    pub(crate) fn none_yet(track: Option<NonZeroU32>) -> Self {
        Self { one_in: track.map_or(0, NonZeroU32::get), ..Self::default() }
    }

    /// Of all sites.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sites.iter().map(|site| site.count).sum()
    }

    /// Of all sites.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.sites.iter().map(|site| site.bytes).sum()
    }
}

impl Display for Outstanding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.one_in {
            0 => return writeln!(f, "nothing is noted: the pool does not track, or is from before a `fork`"),
            1 => {}
            n => writeln!(f, "one get in {n} was noted:")?,
        }
        writeln!(f, "{:>7} {:>10} {:>10} {:>10}  gotten at", "out", "bytes", "oldest", "youngest")?;
        for site in &self.sites {
            write!(f, "{:>7} {:>10}", site.count, Bytes(site.bytes))?;
            writeln!(
                f,
                " {:>9.1}s {:>9.1}s  {}",
                site.oldest.as_secs_f64(),
                site.youngest.as_secs_f64(),
                site.location
            )?;
        }
        if self.missed > 0 {
            writeln!(f, "not noted, as there was no memory: {}", self.missed)?;
        }
        Ok(())
    }
}
