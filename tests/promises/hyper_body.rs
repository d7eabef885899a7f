//! A body that carries the block itself: once warm, answers take no call of the allocator behind the pool, under load too.

use std::convert::Infallible;
use std::io::{Cursor, Write as _};

use crate::common::ledger::Ledger;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use millpond::{Pool, PoolBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const CONNECTIONS: usize = 16;
const REQUESTS: usize = if cfg!(miri) { 2 } else { 200 };
const LINES: usize = 1000;
const THREADS: usize = 4;

type Body = Full<Cursor<PoolBuf<Ledger>>>;

/// Reads the request's body into a buffer, and answers with another.
async fn answer(pool: Pool<Ledger>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let mut read = pool.get(1000);
    let mut body = request.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        read.extend_from_slice(frame.data_ref().map_or(&[], |bytes| bytes));
    }
    let mut answer = pool.get(16 << 10);
    for _ in 0..LINES {
        answer.write_all(&read).expect("there is no limit");
    }
    Ok(Response::new(Full::new(Cursor::new(answer))))
}

async fn serve(pool: Pool<Ledger>, stream: DuplexStream) {
    let service = service_fn(|request| answer(pool.clone(), request));
    http1::Builder::new().writev(true).serve_connection(TokioIo::new(stream), service).await.expect("served");
}

/// One connection's requests, one after the other.
async fn ask(mut stream: DuplexStream, requests: usize, line: String) -> DuplexStream {
    let request = format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n{line}", line.len());
    let mut answer = Vec::new();
    for _ in 0..requests {
        stream.write_all(request.as_bytes()).await.unwrap();
        answer.clear();
        while !answer.ends_with(line.repeat(LINES).as_bytes()) {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the server hung up");
        }
    }
    stream
}

#[test]
fn once_warm_answers_take_no_call_of_the_allocator() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).build().unwrap();
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    runtime.block_on(async {
        let mut streams = Vec::new();
        let mut servers = Vec::new();
        for _ in 0..CONNECTIONS {
            let (near, far) = tokio::io::duplex(1 << 10);
            streams.push(near);
            servers.push(tokio::spawn(serve(pool.clone(), far)));
        }
        // More than the threads keep to themselves, wherever they are dropped: 64 each.
        let held = [1000, 16 << 10, 32 << 10].map(|len| (0..100 * THREADS).map(|_| pool.get(len)).collect::<Vec<_>>());
        drop(held);
        for round in 0..2 {
            let before = ledger.allocations();
            let asking: Vec<_> = streams
                .drain(..)
                .enumerate()
                .map(|(n, stream)| tokio::spawn(ask(stream, REQUESTS, format!("connection {n:3} asks"))))
                .collect();
            for asked in asking {
                streams.push(asked.await.unwrap());
            }
            let calls = ledger.allocations() - before;
            assert!(round == 0 || calls == 0, "{calls} for {} requests\n{}", CONNECTIONS * REQUESTS, pool.stats());
        }
        drop(streams);
        for server in servers {
            server.await.unwrap();
        }
    });
    drop((runtime, pool));
    ledger.assert_empty();
}
