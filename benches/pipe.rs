//! What does it cost when another thread drops the buffer? One thread gets buffers of 64 KiB and sends them through a
//! bounded channel, the other drops them; wall time per message, beside a channel that carries one word.

use std::hint::black_box;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

use millpond_benches::args::Args;
use millpond_benches::baseline::{Contender, Nothing, One, TlsVec};
use millpond_benches::contest::{Contest, Question, Work, touch, until};
use millpond_benches::report::{Cell, show};

const SIZE: usize = 64 << 10;

/// Messages that the channel holds.
const DEPTHS: [usize; 2] = [64, 1024];

/// Messages between two looks at the clock.
const CHUNK: u64 = 64;

struct Pipe {
    depth: usize,
}

impl Question for Pipe {
    const ALIVE: usize = 1;
    /// One would keep every buffer that was ever sent.
    const HOARDERS: bool = false;

    fn largest(&self) -> usize {
        SIZE
    }

    fn work<C: Contender>(&self, contender: &'static C) -> Work {
        let (sender, receiver) = bounded(self.depth);
        Box::new(move |thread, end| match thread {
            0 => produce(contender, &sender, end),
            _ => consume::<C>(&receiver),
        })
    }
}

/// Sends until the time is over, and then that it is over.
fn produce<C: Contender>(contender: &'static C, sender: &Sender<Option<C::Buf>>, end: Instant) -> u64 {
    let send = |message| assert!(sender.send(message).is_ok(), "the receiver lives as long");
    let sent = until(end, || {
        for _ in 0..CHUNK {
            let mut buf = contender.get(black_box(SIZE));
            touch::<C>(&mut buf);
            send(Some(buf));
        }
        CHUNK
    });
    send(None);
    sent
}

/// Drops what comes. Messages are counted where they are sent.
fn consume<C: Contender>(receiver: &Receiver<Option<C::Buf>>) -> u64 {
    while let Ok(Some(buf)) = receiver.recv() {
        drop(buf);
    }
    0
}

fn main() {
    let args = Args::from_env();
    let references = [Nothing::NAME, TlsVec::<One>::NAME];
    // The time that a message takes, whichever of the two threads it is spent on.
    let contest = Contest { args: &args, threads: 2, cores: 1 };
    for depth in DEPTHS {
        let rows = contest.ask::<One, _>(references, &Pipe { depth });
        show(&args, "pipe", references, &[Cell { name: format!("64 KiB, {depth} in flight"), rows }]);
    }
}
