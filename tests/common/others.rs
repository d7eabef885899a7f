//! Other threads, one at a time, for an interpreter that says what they do. Real ones, each of which is gone with its locals when
//! it has done its part; under `cfg(fuzzing)` stand-ins that stay, and come in no other order than they are told.

/// A few, by number. Those that stand for threads stay until they are ended.
#[derive(Default)]
pub struct Others {
    #[cfg(fuzzing)]
    idle: [Option<millpond::StandIn>; 4],
}

/// One of them, at work.
pub struct Other {
    #[cfg(fuzzing)]
    stand_in: millpond::StandIn,
}

#[cfg(not(fuzzing))]
impl Others {
    pub fn call(&mut self, _: u8) -> Other {
        Other {}
    }

    pub fn rest(&mut self, _: u8, _: Other) {}

    pub fn end(&mut self, _: u8) {}
}

#[cfg(not(fuzzing))]
impl Other {
    pub fn run<R: Send>(&mut self, f: impl FnOnce() -> R + Send) -> R {
        let joined = std::thread::scope(|scope| scope.spawn(f).join());
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

#[cfg(fuzzing)]
impl Others {
    fn place(&mut self, n: u8) -> &mut Option<millpond::StandIn> {
        &mut self.idle[usize::from(n) % 4]
    }

    /// A new one where that one is at work, or has ended.
    pub fn call(&mut self, n: u8) -> Other {
        let idle = self.place(n).take();
        Other { stand_in: idle.or_else(millpond::StandIn::begin).expect("few threads") }
    }

    pub fn rest(&mut self, n: u8, other: Other) {
        *self.place(n) = Some(other.stand_in);
    }

    pub fn end(&mut self, n: u8) {
        *self.place(n) = None;
    }
}

#[cfg(fuzzing)]
impl Other {
    pub fn run<R: Send>(&mut self, f: impl FnOnce() -> R + Send) -> R {
        self.stand_in.run(f)
    }
}
