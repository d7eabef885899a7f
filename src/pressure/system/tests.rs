//! The files of a machine, made up.
#![forbid(unsafe_code)]

use super::*;
use std::fs;
use std::path::PathBuf;

/// A folder with a `proc` and a `cgroup`, removed at the end.
struct Machine(PathBuf);

impl Machine {
    /// With half of its memory available, no stalls, and the process in the group `/app/pod`.
    fn new(test: &str) -> Self {
        let root = std::env::temp_dir().join(format!("millpond-pressure-{}-{test}", std::process::id()));
        let machine = Self(root);
        machine.write("proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    8000000 kB\n");
        machine.write("proc/self/cgroup", "12:memory:/old\n1:name=systemd:/x\n0::/app/pod\n");
        machine.stalls("proc/pressure/memory", "0.00", "0.00");
        machine
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn group(&self, group: &str, current: u64, high: &str, max: &str, inactive_file: u64) {
        self.write(&format!("cgroup{group}/memory.current"), &format!("{current}\n"));
        self.write(&format!("cgroup{group}/memory.high"), &format!("{high}\n"));
        self.write(&format!("cgroup{group}/memory.max"), &format!("{max}\n"));
        let stat = format!("anon 5\nfile 7\ninactive_file {inactive_file}\nactive_file 3\n");
        self.write(&format!("cgroup{group}/memory.stat"), &stat);
    }

    fn stalls(&self, file: &str, some: &str, full: &str) {
        let line = |who, share| format!("{who} avg10={share} avg60=99.00 avg300=99.00 total=123456\n");
        self.write(file, &(line("some", some) + &line("full", full)));
    }

    fn read(&self) -> Pressure {
        read_at(&self.0.join("proc"), &self.0.join("cgroup"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_machine_without_the_files_is_not_short() {
    let nowhere = Path::new("/nowhere");
    assert_eq!(read_at(nowhere, nowhere), Pressure::Low);
    let machine = Machine::new("empty");
    machine.write("proc/meminfo", "");
    machine.write("proc/self/cgroup", "0::\n");
    machine.write("proc/pressure/memory", "some total\n");
    machine.write("cgroup/memory.max", "many\n");
    assert_eq!(machine.read(), Pressure::Low);
}

#[test]
fn the_machine_is_short_with_little_available() {
    let machine = Machine::new("meminfo");
    assert_eq!(machine.read(), Pressure::Low);
    for (available, expected) in [
        (1_000_001, Pressure::Low),
        (1_000_000, Pressure::Moderate),
        (500_001, Pressure::Moderate),
        (500_000, Pressure::Severe),
        (0, Pressure::Severe),
    ] {
        machine.write("proc/meminfo", &format!("MemTotal: 16000000 kB\nMemAvailable: {available} kB\n"));
        assert_eq!(machine.read(), expected, "{available} kB");
    }
}

#[test]
fn a_group_is_short_near_the_lower_of_its_limits() {
    let machine = Machine::new("group");
    for (current, high, max, expected) in [
        (1599, "max", "max", Pressure::Low),
        (1399, "max", "1600", Pressure::Low),
        (1400, "max", "1600", Pressure::Moderate),
        (1499, "max", "1600", Pressure::Moderate),
        (1500, "max", "1600", Pressure::Severe),
        (1400, "1600", "max", Pressure::Moderate),
        (1400, "1600", "100000", Pressure::Moderate),
        // Above `memory.high` the kernel throttles.
        (1700, "1600", "100000", Pressure::Severe),
    ] {
        machine.group("/app/pod", current, high, max, 0);
        assert_eq!(machine.read(), expected, "{current} of {high}, {max}");
    }
}

/// The limit of the pod that a container is in, or of a slice that a service is in.
#[test]
fn a_limit_above_counts_as_well() {
    let machine = Machine::new("above");
    machine.group("/app/pod", 100, "max", "1600", 0);
    machine.group("/app", 1450, "max", "1600", 0);
    assert_eq!(machine.read(), Pressure::Moderate);
    machine.group("/app", 100, "max", "1600", 0);
    machine.group("", 1590, "max", "1600", 0);
    assert_eq!(machine.read(), Pressure::Severe, "the root of a name space of its own");
    // A neighbour's is not ours.
    machine.group("", 100, "max", "1600", 0);
    machine.group("/app/other", 1600, "max", "1600", 0);
    assert_eq!(machine.read(), Pressure::Low);
}

#[test]
fn file_pages_that_nobody_uses_are_not_counted() {
    let machine = Machine::new("files");
    machine.group("/app/pod", 1590, "max", "1600", 800);
    assert_eq!(machine.read(), Pressure::Low);
    machine.group("/app/pod", 1590, "max", "1600", 150);
    assert_eq!(machine.read(), Pressure::Moderate);
}

#[test]
fn a_group_outside_of_the_name_space_leaves_the_root() {
    let machine = Machine::new("outside");
    machine.write("proc/self/cgroup", "0::/../../elsewhere\n");
    machine.group("", 1590, "max", "1600", 0);
    assert_eq!(machine.read(), Pressure::Severe);
}

#[test]
fn stalls_of_the_own_group_count_before_those_of_the_machine() {
    let machine = Machine::new("stalls");
    for (some, full, expected) in [
        ("9.99", "9.99", Pressure::Low),
        ("10.00", "0.00", Pressure::Moderate),
        ("99.00", "9.99", Pressure::Moderate),
        ("99.00", "10.00", Pressure::Severe),
    ] {
        machine.stalls("proc/pressure/memory", some, full);
        assert_eq!(machine.read(), expected, "some {some} full {full}");
    }
    machine.stalls("cgroup/app/pod/memory.pressure", "0.00", "0.00");
    assert_eq!(machine.read(), Pressure::Low);
    machine.stalls("cgroup/app/pod/memory.pressure", "11.00", "0.00");
    assert_eq!(machine.read(), Pressure::Moderate);
}

#[test]
fn the_real_machine_answers() {
    // Whatever it says, it says something: this is the parser's run over real files.
    let started = std::time::Instant::now();
    let _ = Pressure::of_system();
    println!("{:?} in {:?}", Pressure::of_system(), started.elapsed() / 2);
}
