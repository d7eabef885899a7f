//! Processes of their own, for tests that would disturb the others, or may hang.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// When a child counts as hung. None takes more than a few seconds; longer than what is waited for within one, so that its own
/// message is seen.
const DEADLINE: Duration = Duration::from_secs(120);

const NAME: &str = "MILLPOND_TEST_ALONE";

/// Runs `body` in a process of its own, which must end well and in time. `test` is the name of the test that calls this.
pub fn alone(test: &str, body: impl FnOnce()) {
    if is_child(test) {
        body();
        println!("\n{test} is done");
        return;
    }
    let said = wait(again(test).stdout(Stdio::piped()).spawn().unwrap());
    print!("{said}");
    // A name that no test has would run none, successfully.
    assert!(said.contains(&format!("\n{test} is done")), "the child did not run {test}");
}

/// Whether this is the process that [`again`] made for the test.
pub fn is_child(test: &str) -> bool {
    std::env::var(NAME).is_ok_and(|name| name == test)
}

/// This test binary again, with this one test.
pub fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(NAME, test);
    command
}

/// Waits for a child that must end with status 0 before the deadline, and returns what it printed.
pub fn wait(mut child: Child) -> String {
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!("the child hung, and was killed after {DEADLINE:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let mut said = String::new();
    if let Some(mut stdout) = child.stdout {
        stdout.read_to_string(&mut said).unwrap();
    }
    assert!(status.success(), "the child ended with {status}:\n{said}");
    said
}
