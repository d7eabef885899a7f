//! A small HTTP server that answers from pooled buffers.
//!
//! It keeps a table of routes in memory and sends it as JSON. Every request body is read into a buffer of the pool,
//! every table is formatted into one, and hyper writes to the socket straight from that buffer: when the last byte is
//! out, the block is back in the pool and the next request takes it.
//!
//! ```text
//! cargo run --release --example route_server
//! cargo run --release --example route_server -- --port 0 --routes routes.json
//! cargo run --release --example route_server -- --no-pool      the same code on Vec<u8>, to compare
//! ```
//!
//! The address and the `curl` lines to try are printed at start, the pool's statistics on Ctrl-C.
//!
//! The files, in the order in which a request meets them: `serve` and `connection` (clients, many and one), `answer`
//! (resources), `format` (a table becomes bytes), `memory` (pool or plain allocation), `reply` (bytes leave without a
//! copy). Beside them: `route` and `table` (what is served), `problem` (what is refused), `statistics`, `patience`
//! (clients that stop reading, and a pool of what each connection waits with), `options` (the command line).

#![forbid(unsafe_code)]

mod answer;
mod connection;
mod format;
mod memory;
mod options;
mod patience;
mod problem;
mod reply;
mod route;
mod serve;
mod statistics;
mod table;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use millpond::Pool;
use tokio::net::TcpListener;

use crate::answer::App;
use crate::memory::{Memory, Plain};
use crate::options::{Options, USAGE};
use crate::route::Route;
use crate::serve::{Signals, serve};
use crate::table::SharedTable;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(format_args!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<(), Failure> {
    let Some(options) = Options::parse()? else {
        say(USAGE);
        return Ok(());
    };
    let routes = match &options.routes {
        Some(path) => route::load(path)?,
        None => route::generate(10_000),
    };
    let table = SharedTable::new(routes, options.max_routes)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if options.no_pool {
        runtime.block_on(run(Plain, table, &options))
    } else {
        let pool = Pool::builder().limit(options.pool_limit).build()?;
        runtime.block_on(run(pool, table, &options))
    }
}

async fn run<M: Memory>(memory: M, table: SharedTable, options: &Options) -> Result<(), Failure> {
    let signals = Signals::new()?;
    let listener = listen(options.port).await?;
    let app = Arc::new(App::new(memory, table, options)?);
    introduce(listener.local_addr()?, &app)?;
    serve(listener, Arc::clone(&app), options.timeout, signals).await;
    say(app.statistics().trim_end());
    Ok(())
}

async fn listen(port: u16) -> Result<TcpListener, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}; choose another port with --port").into())
}

/// The first line is for programs (the address is its third word), the others are for people.
fn introduce<M: Memory>(address: SocketAddr, app: &App<M>) -> Result<(), Failure> {
    let table = app.snapshot();
    let known = table.routes().first().map_or(1, |route| route.vrf_id);
    let sample = app.formatter().format(&Route::sample())?;
    let sample = String::from_utf8_lossy(sample.as_ref());
    let url = format!("http://{address}");
    say(format_args!(
        "listening on {url} with {} routes, {}; Ctrl-C stops\n\
         \x20 curl -s {url}/routes | tail -c 300\n\
         \x20 curl -I {url}/routes\n\
         \x20 curl {url}/routes/{known}\n\
         \x20 curl {url}/routes -d '{sample}'\n\
         \x20 curl {url}/stats\n\
         \x20 curl {url}/stats -H 'Accept: application/json'",
        table.routes().len(),
        M::NAME,
    ));
    Ok(())
}

/// Like `println!`, which would panic if whoever started the server no longer reads its output.
fn say(text: impl Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
