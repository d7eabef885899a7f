//! Whatever a client of the example `route_server` sends, in whatever pieces: each request gets a good answer or a proper problem, the
//! bounds on memory hold, and every buffer goes back.
//!
//! The first three bytes say in what pieces and at which limit, the others are what comes over the wire.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

#[path = "server_input/heap.rs"]
mod heap;
#[path = "server_input/replies.rs"]
mod replies;
#[path = "server_input/wire.rs"]
mod wire;

#[path = "../../examples/route_server/answer.rs"]
#[allow(dead_code, reason = "nobody is told of it")]
mod answer;
#[path = "../../examples/route_server/connection.rs"]
mod connection;
#[path = "../../examples/route_server/format.rs"]
#[allow(dead_code, reason = "no sample is shown")]
mod format;
#[path = "../../examples/route_server/memory.rs"]
#[allow(dead_code, reason = "the example's own memory")]
mod memory;
#[path = "../../examples/route_server/options.rs"]
#[allow(dead_code, reason = "no command line is parsed")]
mod options;
#[path = "../../examples/route_server/patience.rs"]
mod patience;
#[path = "../../examples/route_server/problem.rs"]
mod problem;
#[path = "../../examples/route_server/reply.rs"]
mod reply;
#[path = "../../examples/route_server/route.rs"]
#[allow(dead_code, reason = "no file is loaded")]
mod route;
#[path = "../../examples/route_server/statistics.rs"]
mod statistics;
#[path = "../../examples/route_server/table.rs"]
mod table;

use std::error::Error;
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use millpond::{Collect, Pool, PoolBuf, Recycle, Stats};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use answer::App;
use common::ledger::Ledger;
use connection::{READ_BUFFER, connection};
use memory::Memory;
use options::Options;
use replies::Replies;
use table::SharedTable;
use wire::{AtEnd, Wire};

type Failure = Box<dyn Error + Send + Sync>;

/// Small, so that inputs come to all of them. Where the pool's limit is `tight` a full table does not fit.
const ROUTES: u16 = 4;
const MAX_ROUTES: usize = 7;
const MAX_BODY: usize = 1 << 10;
const POOL_LIMIT: usize = 8 << 10;
const TIGHT_LIMIT: usize = 320;

/// A body, or a full table: a route has two addresses, and the text of one has 45 characters at most.
const LONGEST: usize = MAX_BODY;
const _: () =
    assert!(MAX_ROUTES * (2 * 45 + r#"{"vrf_id":4294967295,"prefix":"/128","next_hop":""},"#.len()) < LONGEST);

/// hyper reads and writes through buffers of this size, and replaces one that is shared.
const HEAP: usize = POOL_LIMIT + 4 * READ_BUFFER + 64 * LONGEST;

/// A buffer that never has to be long.
pub struct Bounded(PoolBuf<Ledger>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(self.0.len() + bytes.len() <= LONGEST, "{} bytes and {} more", self.0.len(), bytes.len());
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsRef<[u8]> for Bounded {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Memory for Pool<Ledger> {
    type Buffer = Bounded;

    const NAME: &'static str = "buffers that are counted";
    const RECYCLE: Recycle = Recycle::Always;

    fn get(&self, capacity: usize) -> io::Result<Bounded> {
        assert!(capacity <= LONGEST, "{capacity} bytes at once");
        Ok(Bounded(self.try_get(capacity)?))
    }

    fn stats(&self) -> Option<Stats> {
        Some(Self::stats(self))
    }
}

/// Without I/O, for all inputs. Its time stands while anything moves, and then jumps.
///
/// The thread on which tables are copied stays, and so does the pools' own, as long as one of them is there: where one begins or
/// ends while leaks are looked for, what it has just made counts as one.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<(Runtime, Pool)> = OnceLock::new();
    let (runtime, _) = RUNTIME.get_or_init(|| {
        expect_hypers_assertion();
        let pool = Pool::builder().recycle(Recycle::Always).build().expect("sound");
        drop(pool.get(1));
        let mut builder = Builder::new_current_thread();
        builder
            .enable_time()
            .start_paused(true)
            .max_blocking_threads(1)
            .thread_keep_alive(Duration::from_secs(1 << 20));
        let runtime = builder.build().expect("some memory");
        runtime.block_on(async { _ = spawn_blocking(|| {}).await });
        (runtime, pool)
    });
    runtime
}

fuzz_target!(|bytes: &[u8]| {
    let [read_at_a_time, write_at_a_time, setting, input @ ..] = bytes else { return };
    let mut replies = Replies::default();
    let at_end = match setting >> 1 & 3 {
        0 => AtEnd::Leave,
        1 => AtEnd::Stay,
        _ => AtEnd::Linger(None),
    };
    let [read_at_a_time, write_at_a_time] = [*read_at_a_time, *write_at_a_time].map(usize::from);
    let limit = if setting & 1 == 1 { TIGHT_LIMIT } else { POOL_LIMIT };
    let _runtime = runtime();
    // Who leaves has nobody to send the rest to.
    let mut whole = !matches!(at_end, AtEnd::Leave);
    let peak = heap::peak_of(|| {
        let wire = Wire { input, replies: &mut replies, read_at_a_time, write_at_a_time, waited: false, at_end };
        whole &= serve(wire, limit);
    });
    assert!(peak <= HEAP, "{peak} bytes of memory");
    if whole {
        replies.end();
    }
});

/// Until the connection ends, which it must. False: by hyper's assertion, or by an error: the client broke the protocol or went away, and
/// hyper may not have said all.
fn serve(wire: Wire<'_>, limit: usize) -> bool {
    let ledger = Ledger::with_limit(limit);
    let builder = Pool::builder_in(ledger.clone()).collect(Collect::Manual).recycle(Recycle::Always);
    let pool = builder.limit(limit).build().expect("sound");
    let options = Options { max_body: MAX_BODY, max_routes: MAX_ROUTES, ..Options::default() };
    let table = SharedTable::new(route::generate(ROUTES), MAX_ROUTES).expect("few");
    let app = Arc::new(App::new(pool.clone(), table, &options).expect("sound"));
    let connected = catch_unwind(AssertUnwindSafe(|| {
        runtime().block_on(async { connection(wire, Arc::clone(&app), options.timeout).await })
    }));
    // Bodies that nobody asked for are still read.
    runtime().block_on(async {
        while runtime().metrics().num_alive_tasks() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    });
    assert_eq!(app.waits().stats().objects.in_use, 0);
    assert!(app.snapshot().routes().len() <= MAX_ROUTES);
    let stats = pool.stats();
    assert_eq!(stats.in_use_bytes, 0, "{stats}");
    drop((app, pool));
    ledger.assert_empty();
    connected.is_ok_and(|ended| ended.is_ok())
}

/// hyper 1.12 answers a head that it cannot read also while the reply before it is on its way, of which an assertion in debug builds
/// alone tells. That is its own affair, so only that panic does not end the process; whatever it unwinds must go back.
fn expect_hypers_assertion() {
    let ends_the_process = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let of_hyper = panic.location().is_some_and(|at| at.file().ends_with("/src/proto/h1/conn.rs"));
        if !of_hyper || panic.payload_as_str() != Some("assertion failed: self.can_write_head()") {
            ends_the_process(panic);
        }
    }));
}
