//! Connections: taken, bounded in number, and finished on Ctrl-C.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::answer::App;
use crate::connection::connection;
use crate::memory::Memory;
use crate::{complain, say};

/// Below the usual limit of 1024 open files. Further clients wait in the listener's queue.
const MAX_CONNECTIONS: usize = 512;

/// How long running requests may go on after the first signal.
const GRACE: Duration = Duration::from_secs(5);

/// Most errors of `accept` (no file descriptor, no memory) last until some connection ends: trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

pub async fn serve<M: Memory>(listener: TcpListener, app: Arc<App<M>>, timeout: Duration, mut signals: Signals) {
    let connections = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        select! {
            accepted = accept(&listener, &room) => match accepted {
                Ok((stream, permit)) => spawn(&connections, stream, permit, &app, timeout),
                Err(error) => {
                    complain(format_args!("cannot accept a connection: {error}"));
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            () = signals.next() => break,
        }
    }
    // Whoever connects from here on is refused, not left waiting.
    drop(listener);
    say("stopping");
    select! {
        () = connections.shutdown() => {}
        () = sleep(GRACE) => complain("some requests did not finish in time"),
        () = signals.next() => complain("stopped at once"),
    }
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

fn spawn<M: Memory>(
    connections: &GracefulShutdown,
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    app: &Arc<App<M>>,
    timeout: Duration,
) {
    // Only the latency suffers if it fails.
    let _ = stream.set_nodelay(true);
    let connection = connection(TokioIo::new(stream), Arc::clone(app), timeout);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        // An error here is a client that went away or broke the protocol: there is nobody left to tell.
        let _ = connection.await;
        drop(permit);
    });
}

/// Ctrl-C, and on Unix SIGTERM.
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Not to be told of Ctrl-C is no reason to stop.
            std::future::pending::<()>().await;
        }
    }
}
