//! What is out, in a pool that tracks: noted where it is handed out, struck off where it comes back.

use core::panic::Location;
use core::ptr::NonNull;

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
    /// As there.
    pub(crate) unsafe fn followed(&self, from: NonNull<u8>, lent: Lent, bytes: usize) -> Lent {
        match self.tracks() {
            // SAFETY: passed on.
            Some(tracks) if tracks.follow(from, lent.block, bytes) => unsafe { self.unowned(lent) },
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
    #[inline]
    pub(crate) fn strike_off(&self, block: NonNull<u8>) {
        if let Some(tracks) = self.tracks() {
            tracks.strike_off(block);
        }
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
