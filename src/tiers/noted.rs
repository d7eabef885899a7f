//! What is out, in a pool that tracks: noted where it is handed out, struck off where it comes back.

use core::panic::Location;

use crate::raw::home::Lent;
use crate::raw::track::Tracks;
use crate::stats::Outstanding;
use crate::tiers::Tiers;
use crate::tiers::backing::Backing;

impl<B: Backing> Tiers<B> {
    /// The same block from a home without a magazine, if it was noted that it is out.
    ///
    /// # Safety
    /// (I2) the caller has the block, of this pool, and its unit.
    #[inline]
    pub(crate) unsafe fn noted(&self, lent: Lent, bytes: usize, site: &'static Location<'static>) -> Lent {
        match self.tracks() {
            // SAFETY: passed on.
            Some(tracks) if tracks.is_due() && tracks.note(lent.block, bytes, site) => unsafe { self.unowned(lent) },
            _ => lent,
        }
    }

    /// As [`noted`](Self::noted), if that was noted of the block that it takes the place of.
    ///
    /// # Safety
    /// As there, of both.
    pub(crate) unsafe fn followed(&self, from: Lent, lent: Lent, bytes: usize) -> Lent {
        // SAFETY: passed on.
        match unsafe { self.tracks_of(from) } {
            // SAFETY: passed on.
            Some(tracks) if tracks.follow(from.block, lent.block, bytes) => unsafe { self.unowned(lent) },
            _ => lent,
        }
    }

    /// # Safety
    /// As for `noted`.
    unsafe fn unowned(&self, Lent { block, home }: Lent) -> Lent {
        // SAFETY: the unit keeps the home.
        let class = unsafe { home.as_ref() }.class();
        Lent { block, home: self.local.shared_home(class) }
    }

    /// The block is about to go back, or to leave: from here on another owner may be noted.
    ///
    /// # Safety
    /// (I2) the caller has the block, of this pool, and its unit.
    #[inline]
    pub(crate) unsafe fn strike_off(&self, lent: Lent) {
        // SAFETY: passed on.
        if let Some(tracks) = unsafe { self.tracks_of(lent) } {
            tracks.strike_off(lent.block);
        }
    }

    /// None: of this block nothing was noted, as it belongs to a magazine.
    ///
    /// # Safety
    /// As for `strike_off`.
    unsafe fn tracks_of(&self, lent: Lent) -> Option<&Tracks> {
        // SAFETY: the unit keeps the home.
        self.tracks().filter(|_| unsafe { lent.home.as_ref() }.is_unowned())
    }

    /// Not in the child of a `fork`, where another thread may have left a lock behind.
    fn tracks(&self) -> Option<&Tracks> {
        self.tracks.as_deref().filter(|_| !self.is_inherited())
    }

    /// None: nothing is noted here.
    pub(crate) fn outstanding(&self) -> Option<Outstanding> {
        self.tracks().map(Tracks::outstanding)
    }
}
