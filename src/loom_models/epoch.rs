//! What was unlinked beside a reader: alone, so that it can be searched with the inside of crossbeam-epoch as well
//! (`.ci/loom epoch`).

use std::process::Command;
use std::sync::Arc;

use crate::alloc::FallibleBox;
use crate::loom_models::{Seen, TWO_THREADS, spawn};
use crate::raw::reclaim::{Shared, Shell};
use crate::sync::UnsafeCell;

/// Something that readers look at and the last hand changes.
#[derive(Debug)]
struct Value(UnsafeCell<u32>);

// SAFETY: loom fails the model if two accesses are not ordered.
unsafe impl Send for Value {}
// SAFETY: as above.
unsafe impl Sync for Value {}

impl Value {
    fn new() -> FallibleBox<Self> {
        FallibleBox::new(Self(UnsafeCell::new(0)))
    }

    fn look(&self) {
        // SAFETY: loom checks it.
        self.0.with(|content| unsafe { *content });
    }

    fn end(&self) {
        // SAFETY: loom checks it.
        self.0.with_mut(|content| unsafe { *content += 1 });
    }
}

/// Both places are read, in the order in which a get asks them, while one rotation retires what the second held.
#[test]
fn a_reader_beside_a_rotation() {
    TWO_THREADS.run(|seen: &Seen| {
        let places = Arc::new((Shared::new(Value::new()), Shared::new(Value::new())));
        let readers = Arc::clone(&places);
        let reader = spawn(1, move || {
            readers.0.read(Value::look);
            readers.1.read(Value::look);
        });
        // SAFETY: by this thread only.
        let mut shell = Some(unsafe { places.1.rotate(&places.0, Value::new()) });
        for _ in 0..3 {
            match shell.take().map(Shell::open) {
                Some(Ok(value)) => value.end(),
                Some(Err(waiting)) => shell = Some(waiting),
                None => {}
            }
        }
        seen.note("opened", shell.is_none());
        seen.note("a slow reader", shell.is_some());
        reader.join();
        if let Some(shell) = shell {
            // SAFETY: the reader has gone.
            unsafe { shell.open_now() }.end();
        }
    });
}

/// In a process of its own: with the inside of crossbeam-epoch a failed model aborts, by a second panic while it unwinds.
#[test]
fn canary_a_shell_opened_at_once() {
    let planted = "loom_models::epoch::a_shell_opened_at_once";
    let mut model = Command::new(std::env::current_exe().unwrap());
    let output = model.args(["--exact", "--ignored", "--nocapture", planted]).output().unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && report.contains("Causality violation"), "{report}");
}

#[test]
#[ignore = "fails, and is run by the canary"]
fn a_shell_opened_at_once() {
    TWO_THREADS.run(|_| {
        let places = Arc::new((Shared::new(Value::new()), Shared::new(Value::new())));
        let readers = Arc::clone(&places);
        let reader = spawn(1, move || readers.1.read(Value::look));
        // SAFETY: by this thread only.
        let shell = unsafe { places.1.rotate(&places.0, Value::new()) };
        // SAFETY: none: the reader may be at it.
        unsafe { shell.open_now() }.end();
        reader.join();
    });
}
