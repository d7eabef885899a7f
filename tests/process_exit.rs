//! A static pool is used while the process exits: by threads that still run when `main` returns, by the destructors of
//! main's locals, and by an `atexit` handler. The process ends, with status 0.
//!
//! A main of its own, as libtest's runs tests on another thread and leaves by `exit`.
#![allow(clippy::disallowed_types, reason = "tests may wait")]

#[cfg(all(target_os = "linux", not(miri)))]
#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod process;

fn main() {
    #[cfg(all(target_os = "linux", not(miri)))]
    exits::main();
}

#[cfg(all(target_os = "linux", not(miri)))]
mod exits {
    use std::cell::RefCell;
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::sync::mpsc::channel;
    use std::sync::{Mutex, OnceLock};
    use std::time::Duration;

    use millpond::{Collect, CollectorState, Pool, PoolBuf, Recycle};

    use crate::process::wait;

    const MODE: &str = "MILLPOND_TEST_EXIT";

    pub fn main() {
        if let Ok(mode) = std::env::var(MODE) {
            run(&mode);
            return;
        }
        // Each is a race of the exit with the threads, so it gets some tries.
        for mode in ["static", "manual", "background"] {
            (0..20).for_each(|_| check(mode));
            println!("process_exit: {mode} ok");
        }
    }

    /// Runs this binary in a mode; all that must happen on its way out must have been said.
    fn check(mode: &str) {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let said = wait(child.env(MODE, mode).stdout(Stdio::piped()).spawn().unwrap());
        assert_eq!(said, "main returns\na local of main ends\nthe process ends\n", "{mode}");
    }

    static DEFAULT: Pool = Pool::new();
    /// Used instead, in the modes that need a builder.
    static BUILT: OnceLock<Pool> = OnceLock::new();

    fn pool() -> &'static Pool {
        BUILT.get().unwrap_or(&DEFAULT)
    }

    /// Held by the process to its end, and dropped there.
    static HELD: Mutex<Vec<PoolBuf>> = Mutex::new(Vec::new());

    /// Goes through all tiers, so that every lock and local that the pool has is asked for.
    fn use_pool(collect: bool) {
        let mut buf = pool().get(1000);
        buf.resize(10_000, 7);
        drop((0..100).map(|_| pool().get(1000)).collect::<Vec<_>>());
        if collect {
            pool().collect();
            pool().purge();
        }
        assert_eq!(buf, [7; 10_000]);
    }

    /// At once, as std's own buffer may be gone already.
    fn say(what: &str) {
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{what}").unwrap();
        stdout.flush().unwrap();
    }

    struct Local(PoolBuf);

    impl Drop for Local {
        fn drop(&mut self) {
            assert_eq!(self.0, "a local of main");
            use_pool(true);
            say("a local of main ends");
        }
    }

    thread_local!(static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) });

    extern "C" fn at_exit() {
        use_pool(true);
        let held = std::mem::take(&mut *HELD.lock().unwrap());
        assert!(held.iter().all(|buf| *buf == "held"));
        drop(held);
        use_pool(true);
        say("the process ends");
    }

    fn run(mode: &str) {
        let collect = match mode {
            "manual" => Some(Collect::Manual),
            "background" => Some(Collect::Background(Duration::from_micros(100))),
            _ => None,
        };
        if let Some(collect) = collect {
            let built = Pool::builder().collect(collect).recycle(Recycle::Always).build().unwrap();
            assert!(BUILT.set(built).is_ok());
        }
        // SAFETY: a plain function, which does not unwind: a panic in `extern "C"` aborts.
        assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
        let held = |text: &str| {
            let mut buf = pool().get(100);
            buf.extend_from_slice(text.as_bytes());
            buf
        };
        let local_first = std::process::id() % 2 == 0;
        if local_first {
            LOCAL.set(None);
        }
        LOCAL.set(Some(Local(held("a local of main"))));
        HELD.lock().unwrap().extend((0..10).map(|_| held("held")));
        let (send, working) = channel();
        for n in 0..4 {
            let send = send.clone();
            std::thread::spawn(move || {
                loop {
                    use_pool(n == 0);
                    let _ = send.send(());
                }
            });
        }
        // Every thread has its slot by now, or has at least begun.
        working.iter().take(100).for_each(drop);
        drop(working);
        let state = pool().stats().collector;
        assert_eq!(state == CollectorState::Manual, collect == Some(Collect::Manual), "{state:?}");
        say("main returns");
    }
}
