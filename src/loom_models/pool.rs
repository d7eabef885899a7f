//! A real pool over the ledger, and a buffer of it, as the models use them.

use core::ptr::NonNull;
use core::time::Duration;

use crate::error::GetError;
use crate::life::close::{Core, Handle};
use crate::loom_models::ledger::{CLASS, Ledger, SIZE, config, touch};
use crate::raw::config::{Collect, Config};
use crate::raw::home::Lent;
use crate::raw::size_class::Rank;
use crate::raw::slot::Reach;
use crate::stats::Collected;

/// A pool with room for `idle` blocks, half of them in slots.
pub(super) fn pool(idle: usize, ledger: &Ledger) -> (Handle<Ledger>, View) {
    pool_with(config(idle), ledger)
}

/// One that gets onto the background thread's list with its first get.
pub(super) fn pool_on_the_list(idle: usize, ledger: &Ledger) -> (Handle<Ledger>, View) {
    pool_with(Config { collect: Collect::Background(Duration::ZERO), ..config(idle) }, ledger)
}

fn pool_with(config: Config, ledger: &Ledger) -> (Handle<Ledger>, View) {
    let core = Handle::new(config, ledger.clone()).unwrap().into_raw();
    // SAFETY: from `into_raw`, once.
    (unsafe { Handle::from_raw(core) }, View(core))
}

/// Access for whoever relies on a handle, or on a unit, that somebody holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct View(NonNull<Core<Ledger>>);

/// A block that is out, with its unit; it goes back when dropped.
#[derive(Debug)]
pub(super) struct Buf {
    view: View,
    lent: Lent,
}

// SAFETY: it owns its block; who may follow the pointer to the home is what the models check.
unsafe impl Send for Buf {}

impl View {
    pub(super) fn get(self) -> Buf {
        self.try_get().unwrap()
    }

    pub(super) fn try_get(self) -> Result<Buf, GetError> {
        // SAFETY: the caller relies on a handle, or on a unit.
        let near = unsafe { Core::take_local(self.0, Rank::of(SIZE)) };
        // SAFETY: as above.
        let lent = near.map_or_else(|| unsafe { Core::get(self.0, CLASS) }, Ok)?;
        touch(lent.block);
        Ok(Buf { view: self, lent })
    }

    pub(super) fn collect(self, reach: Reach) -> Collected {
        // SAFETY: the caller relies on a handle.
        unsafe { self.0.as_ref() }.tiers.collect(reach)
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        // A check has failed already; a second panic would hide which.
        if std::thread::panicking() {
            return;
        }
        touch(self.lent.block);
        // SAFETY: the block and its unit end here, if it is stored.
        if !unsafe { Core::<Ledger>::store_local(self.lent) } {
            // SAFETY: it was not, so they end here.
            unsafe { Core::put(self.view.0, CLASS, self.lent.block) };
        }
    }
}
