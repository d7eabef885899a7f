//! How a thread of ours runs. It is started by whichever request thread misses first, and would run on that one's core, with its
//! real-time policy or niceness, and take its signals.

/// Gives the calling thread what the process's main thread has: cores, policy and niceness; and blocks all signals that are
/// sent to the process. False: the system refused a part of it.
#[cfg(all(unix, not(any(loom, miri, target_os = "emscripten"))))]
pub(crate) fn take_main_threads() -> bool {
    block_signals() & system::take_main_threads()
}

#[cfg(not(all(unix, not(any(loom, miri, target_os = "emscripten")))))]
pub(crate) fn take_main_threads() -> bool {
    true
}

/// Whoever handles signals by which a system call ends does not expect them on a thread that it does not know.
#[cfg(all(unix, not(any(loom, miri, target_os = "emscripten"))))]
fn block_signals() -> bool {
    let mut signals = core::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` fills the set that it is given.
    unsafe { libc::sigfillset(signals.as_mut_ptr()) };
    // The last one: a sandbox may handle system calls by it.
    let caused_by_code =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGSYS];
    for caused_here in caused_by_code {
        // SAFETY: the set is filled, and these are signals.
        unsafe { libc::sigdelset(signals.as_mut_ptr(), caused_here) };
    }
    // SAFETY: the set is filled; the former one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, signals.as_ptr(), core::ptr::null_mut()) == 0 }
}

#[cfg(all(target_os = "linux", not(any(loom, miri))))]
mod system {
    use core::mem::{MaybeUninit, size_of};

    // On Linux a process's number is its main thread's, 0 is the calling one's, and all three properties are a thread's.
    pub(super) fn take_main_threads() -> bool {
        // SAFETY: asks for nothing but the number.
        let main = unsafe { libc::getpid() };
        take_policy(main) & take_niceness(main) & take_cores(main)
    }

    /// By the system calls: musl's functions of these names only say that they do nothing.
    fn take_policy(main: libc::pid_t) -> bool {
        let mut parameters = MaybeUninit::<libc::sched_param>::zeroed();
        // SAFETY: takes a number only.
        let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, main) };
        // SAFETY: a number and a valid place.
        let known = unsafe { libc::syscall(libc::SYS_sched_getparam, main, parameters.as_mut_ptr()) } == 0;
        // SAFETY: reads the place, which was filled, or zeroed, before.
        policy >= 0
            && known
            && unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, parameters.as_ptr()) } == 0
    }

    fn take_niceness(main: libc::pid_t) -> bool {
        // -1 is an answer as well as an error; the main thread is there.
        // SAFETY: takes numbers only.
        let niceness = unsafe { libc::getpriority(libc::PRIO_PROCESS, main.unsigned_abs()) };
        // SAFETY: as above.
        niceness == unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
            // SAFETY: as above.
            || unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) } == 0
    }

    /// A machine with more cores than a `cpu_set_t` has bits, 1024, counts as a refusal.
    fn take_cores(main: libc::pid_t) -> bool {
        let mut cores = MaybeUninit::<libc::cpu_set_t>::zeroed();
        // SAFETY: the place has that size.
        let known = unsafe { libc::sched_getaffinity(main, size_of::<libc::cpu_set_t>(), cores.as_mut_ptr()) } == 0;
        // SAFETY: the set was filled.
        known && unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), cores.as_ptr()) } == 0
    }
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "emscripten", loom, miri))))]
mod system {
    /// Not known here how another thread runs.
    pub(super) fn take_main_threads() -> bool {
        true
    }
}
