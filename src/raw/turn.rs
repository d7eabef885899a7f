//! The turn to collect, and what one collection leaves for the next.

use crate::raw::generation::Generation;
use crate::raw::reclaim::Shell;

/// Locked by a collection while it has its turn; nobody ever waits for it.
#[expect(clippy::disallowed_types, reason = "only tried, never waited for")]
pub(crate) type TurnLock = crate::sync::Mutex<Turn>;

#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The generation that was unlinked last, until its last reader has gone.
    pub(crate) shell: Option<Shell<Generation>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(shell) = self.shell.take() {
            // SAFETY: (I4) the pool is being freed, so it has neither handle nor unit, hence no reader.
            drop(unsafe { shell.open_now() });
        }
    }
}
