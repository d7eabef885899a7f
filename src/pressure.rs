//! How short of memory the machine is, and the control group that the process lives in.
#![forbid(unsafe_code)]

/// How short memory is; what [`Builder::pressure`](crate::Builder::pressure) has to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pressure {
    /// There is enough: pools are collected at their interval.
    #[default]
    Low,
    /// It runs short: what was not used in the last second or two is freed.
    Moderate,
    /// The kernel may start to kill: all that is idle is freed, once.
    Severe,
}

impl Pressure {
    /// What the system says now; the signal of a pool that was given no other. On Linux the worst of
    ///
    /// | | moderate | severe |
    /// |---|---|---|
    /// | the process's control group (version 2) and every one above it: `memory.current` without the file pages that nobody used lately, of the lower of `memory.high` and `memory.max` | 7/8 | 15/16 |
    /// | the machine: `MemAvailable` of `MemTotal` | under 1/16 | under 1/32 |
    /// | stalls over 10 s: `memory.pressure` of the control group or, without one, of the machine | some 10 % | full 10 % |
    ///
    /// What a file does not say counts as enough; on other systems that is all. Limits of version 1 control groups are not
    /// looked at.
    ///
    /// ```
    /// use millpond::{Pool, Pressure};
    ///
    /// // The system's, and the application's own.
    /// let short = || Pressure::Low;
    /// let pool = Pool::builder().pressure(move || Pressure::of_system().max(short())).build()?;
    /// # Ok::<(), millpond::BuildError>(())
    /// ```
    ///
    /// # Cost
    /// Reads half a dozen small files, tens of microseconds; for the background thread, not for requests.
    #[must_use]
    pub fn of_system() -> Self {
        system::read()
    }
}

/// Not under Miri, which isolates its programs from the machine's files.
#[cfg(all(target_os = "linux", not(any(loom, miri))))]
mod system {
    use super::Pressure;
    use std::fs::read_to_string;
    use std::path::Path;

    pub(super) fn read() -> Pressure {
        read_at(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
    }

    /// `proc` and `cgroup` are where the two file systems lie.
    pub(super) fn read_at(proc: &Path, cgroup: &Path) -> Pressure {
        let own = own_group(proc);
        let own = cgroup.join(own.as_deref().unwrap_or_default());
        // Limits hold for all below, so each level up to the root counts.
        let groups = own.ancestors().take_while(|group| group.starts_with(cgroup)).filter_map(of_group).max();
        let stalls = of_stalls(&own.join("memory.pressure")).or_else(|| of_stalls(&proc.join("pressure/memory")));
        [of_machine(proc), groups, stalls].into_iter().flatten().max().unwrap_or_default()
    }

    /// The process's group of version 2, relative to the root: the line `0::/path`. One outside of our name space has `..` in
    /// it; then the root is all that we see.
    fn own_group(proc: &Path) -> Option<String> {
        let groups = read_to_string(proc.join("self/cgroup")).ok()?;
        let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
        (!path.split('/').any(|part| part == "..")).then(|| path.to_owned())
    }

    /// None: the group has no limit, or is none.
    fn of_group(group: &Path) -> Option<Pressure> {
        let number = |file| read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
        // "max", which is no number, is no limit.
        let limit = [number("memory.high"), number("memory.max")].into_iter().flatten().min()?;
        // The kernel reclaims these pages before anybody is short; a file server's group is always full of them.
        let stat = read_to_string(group.join("memory.stat")).unwrap_or_default();
        let used = number("memory.current")?.saturating_sub(field(&stat, "inactive_file").unwrap_or(0));
        Some(of_free(limit.saturating_sub(used), limit, [8, 16]))
    }

    fn of_machine(proc: &Path) -> Option<Pressure> {
        let info = read_to_string(proc.join("meminfo")).ok()?;
        Some(of_free(field(&info, "MemAvailable:")?, field(&info, "MemTotal:")?, [16, 32]))
    }

    /// Moderate where at most one `parts[0]`th of all is free, severe at one `parts[1]`th.
    fn of_free(free: u64, all: u64, parts: [u64; 2]) -> Pressure {
        match parts.map(|part| free <= all / part) {
            [_, true] => Pressure::Severe,
            [true, _] => Pressure::Moderate,
            _ => Pressure::Low,
        }
    }

    /// Pressure stall information: the share of the last 10 s in which some task, or all of them, waited for memory.
    fn of_stalls(file: &Path) -> Option<Pressure> {
        let stalls = read_to_string(file).ok()?;
        let share = |who: &str| {
            let line = stalls.lines().find_map(|line| line.strip_prefix(who)?.strip_prefix(" avg10="))?;
            line.split(' ').next()?.parse::<f32>().ok()
        };
        Some(match (share("some"), share("full")) {
            (_, Some(full)) if full >= 10.0 => Pressure::Severe,
            (Some(some), _) if some >= 10.0 => Pressure::Moderate,
            _ => Pressure::Low,
        })
    }

    /// The number in the line that begins with this word.
    fn field(text: &str, name: &str) -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.split_whitespace().next()?.parse().ok()
    }

    #[cfg(test)]
    mod tests;
}

#[cfg(not(all(target_os = "linux", not(any(loom, miri)))))]
mod system {
    use super::Pressure;

    pub(super) fn read() -> Pressure {
        Pressure::Low
    }
}
