//! The two halves of an asymmetric fence: a light one for the many, a heavy one for the few.
//!
//! Between a store and a load on one side, and a store and a load on the other, at least one load sees the other's
//! store if both sides have a full fence in between. Linux's `membarrier` puts one into every running thread of the
//! process, so that the light side needs none (as in folly's `AsymmetricMemoryBarrier` and liburcu).

#[cfg(all(target_os = "linux", feature = "fast-barrier", not(any(loom, miri))))]
mod system {
    use crate::sync::{AtomicU8, Ordering, compiler_fence, fence};

    const UNDECIDED: u8 = 0;
    const AGREED: u8 = 1;
    const REFUSED: u8 = 2;

    /// Whether the system lets the process have the barrier; undecided until the first heavy fence, and then never changed.
    static ANSWER: AtomicU8 = AtomicU8::new(UNDECIDED);

    /// The light half, where the system pays for it.
    #[inline(always)]
    pub(crate) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    /// Whether `light` is enough. Until then, and where this has not been seen yet, `fenced` is.
    pub(crate) fn registered() -> bool {
        // Relaxed: it is a hint. A heavy side that runs meanwhile has both a fence and the system call.
        ANSWER.load(Ordering::Relaxed) == AGREED
    }

    /// Asks the system, if nobody has had an answer yet. The first one counts for all threads, even where another has been
    /// told otherwise (a seccomp filter is a thread's own): light sides rely on it. Nobody waits for it, as in the child of a
    /// `fork` the thread that asked may be missing.
    fn agreed() -> bool {
        // Relaxed, here and below: it publishes nothing but itself.
        let mut answer = ANSWER.load(Ordering::Relaxed);
        if answer == UNDECIDED {
            answer = if register() { AGREED } else { REFUSED };
            let first = ANSWER.compare_exchange(UNDECIDED, answer, Ordering::Relaxed, Ordering::Relaxed);
            answer = first.map_or_else(|first| first, |_| answer);
        }
        answer == AGREED
    }

    /// Takes the time of the first call when nobody waits for the heavy half.
    pub(crate) fn prepare() {
        agreed();
    }

    /// The heavy half. False if the system refused it after it had agreed (a seccomp filter installed later): then
    /// nothing may be concluded from what is read afterwards.
    ///
    /// The first call takes about 10 ms in a process with several threads, if [`prepare`] did not; later ones 1 to 3 us.
    pub(crate) fn heavy() -> bool {
        let agreed = agreed();
        // A planted bug of `.ci/stress`.
        if cfg!(millpond_no_heavy_fence) {
            return true;
        }
        // SeqCst: pairs with the fence of a light side that has not seen the hint yet.
        fence(Ordering::SeqCst);
        if agreed && !barrier() && !(register() && barrier()) {
            return false;
        }
        fence(Ordering::SeqCst);
        true
    }

    /// Also for a child of `fork` that has its parent's answer without the registration. The system copies what it knows of a
    /// process first and the memory then; in between another thread may have registered and left the answer.
    fn register() -> bool {
        membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
    }

    fn barrier() -> bool {
        membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
    }

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: the call takes three integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// In a process of its own, which nobody has registered.
        #[test]
        fn an_answer_without_its_registration_is_no_refusal() {
            const NAME: &str = "raw::barrier::system::tests::an_answer_without_its_registration_is_no_refusal";
            if std::env::var_os("MILLPOND_TEST_ALONE").is_none() {
                let mut again = std::process::Command::new(std::env::current_exe().expect("this binary"));
                let again = again.args(["--exact", NAME]).env("MILLPOND_TEST_ALONE", NAME);
                let output = again.output().expect("it runs");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
                assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
                return;
            }
            assert!(!barrier(), "nobody has registered");
            ANSWER.store(AGREED, Ordering::Relaxed);
            assert!(heavy() || !register(), "where the system has a barrier it can be had");
        }
    }
}

#[cfg(not(any(loom, all(target_os = "linux", feature = "fast-barrier", not(miri)))))]
mod portable {
    use crate::sync::{Ordering, fence};

    /// No light half without a fence here.
    #[inline(always)]
    pub(crate) fn light() {}

    #[inline(always)]
    pub(crate) fn registered() -> bool {
        false
    }

    pub(crate) fn prepare() {}

    /// The heavy half; a fence like the light one here.
    pub(crate) fn heavy() -> bool {
        // SeqCst: pairs with `fenced`.
        fence(Ordering::SeqCst);
        true
    }
}

/// The light half where the system does not pay for it.
#[inline(always)]
pub(crate) fn fenced() {
    // A planted bug of `.ci/stress`.
    if cfg!(millpond_no_light_fence) {
        return;
    }
    // SeqCst: pairs with the fences of `heavy`.
    crate::sync::fence(crate::sync::Ordering::SeqCst);
}

#[cfg(all(target_os = "linux", feature = "fast-barrier", not(any(loom, miri))))]
pub(crate) use system::{heavy, light, prepare, registered};

#[cfg(not(any(loom, all(target_os = "linux", feature = "fast-barrier", not(miri)))))]
pub(crate) use portable::{heavy, light, prepare, registered};

#[cfg(loom)]
pub(crate) use crate::sync::{heavy, light, prepare, registered};
