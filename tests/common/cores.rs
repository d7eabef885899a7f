//! Where threads run, and what the system grants them.

/// How many cores the process may use.
pub fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Moves the calling thread to the `nth` core that it may use, as far as the system lets it: on a busy machine the
/// scheduler may let two threads take turns on one core, and then they never meet.
#[cfg(target_os = "linux")]
pub fn move_to(nth: usize) {
    // SAFETY: a set of no core, which is all zeroes.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let bytes = size_of_val(&set);
    // SAFETY: 0 is the calling thread, and the set is so many bytes long.
    if unsafe { libc::sched_getaffinity(0, bytes, &raw mut set) } != 0 {
        return;
    }
    // SAFETY: `cpu` is below the bits of the set.
    let allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &set) };
    let Some(cpu) = (0..8 * bytes).filter(allowed).nth(nth) else { return };
    // SAFETY: as above.
    unsafe { libc::CPU_ZERO(&mut set) };
    // SAFETY: as above.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: as for `sched_getaffinity`.
    unsafe { libc::sched_setaffinity(0, bytes, &raw const set) };
}

/// Whether the system would register this process for the barrier.
#[cfg(target_os = "linux")]
pub fn have_barrier() -> bool {
    // SAFETY: the call takes three integers and touches no memory of ours.
    let commands = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_QUERY, 0, 0) };
    commands > 0 && commands & libc::c_long::from(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0
}

#[cfg(not(target_os = "linux"))]
pub fn move_to(_: usize) {}

#[cfg(not(target_os = "linux"))]
pub fn have_barrier() -> bool {
    false
}
