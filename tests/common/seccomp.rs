//! A seccomp filter: system calls that this process, from now on, is refused. Its own file, as the fuzz targets share the rest
//! of this folder and have no libc.

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, c_long, c_ulong, sock_filter};

/// A filter for all threads that there are, not only for the calling one and those that it starts.
pub const ALL_THREADS: c_ulong = libc::SECCOMP_FILTER_FLAG_TSYNC;

/// Has the system do `action` instead of each of `calls`. False, and a line that says so, where filters are not permitted.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the fields are narrower than the constants"
)]
pub fn filter(threads: c_ulong, calls: &[c_long], action: u32) -> bool {
    let step = |code: u32, k: u32, jump_unless: u8| sock_filter { code: code as u16, jt: 0, jf: jump_unless, k };
    // The number of the call is the first field of what a filter sees.
    let mut steps = vec![step(BPF_LD | BPF_W | BPF_ABS, 0, 0)];
    for call in calls {
        steps.push(step(BPF_JMP | BPF_JEQ | BPF_K, *call as u32, 1));
        steps.push(step(BPF_RET | BPF_K, action, 0));
    }
    steps.push(step(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW, 0));
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: takes integers only.
    let prepared = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program has as many steps as it says, and the system copies it.
    let installed =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, threads, &raw const program) };
    if prepared == 0 && installed == 0 {
        return true;
    }
    // A child's libtest captures nothing, so this is seen.
    eprintln!("\nSKIPPED: this machine permits no seccomp filter ({})", std::io::Error::last_os_error());
    false
}
