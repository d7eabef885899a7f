//! A child of `fork`, as long as it takes. Its own file, as the fuzz targets share the rest of this folder and have no libc.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::common::ledger::Ledger;

pub enum Ended {
    Well,
    Hung,
    Badly,
}

/// After so many seconds a child hangs.
const PATIENCE: u32 = 10;

/// Forks, and waits for the child. It starts with the ledger's book closed, so that it can open it.
pub fn in_child(ledger: &Ledger, life: impl FnOnce()) -> Ended {
    // SAFETY: the child uses only what this test is about, the ledger, and the system's allocator, which expects it.
    match ledger.alone(|| unsafe { libc::fork() }) {
        -1 => panic!("no fork: {}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: an alarm without a handler ends the process.
            unsafe { libc::alarm(PATIENCE) };
            let ended = catch_unwind(AssertUnwindSafe(life));
            // SAFETY: ends the process, without a look at what belongs to threads that are not here.
            unsafe { libc::_exit(i32::from(ended.is_err())) }
        }
        child => {
            let mut status = 0;
            // SAFETY: the place for the status is ours.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGALRM {
                return Ended::Hung;
            }
            if status == 0 { Ended::Well } else { Ended::Badly }
        }
    }
}
