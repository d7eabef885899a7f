//! The resources and their answers.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use millpond::BuildError;
use serde_json::json;
use tokio::time::timeout;

use crate::format::Formatter;
use crate::memory::Memory;
use crate::options::Options;
use crate::patience::{Waits, waits};
use crate::problem::Problem;
use crate::reply::{Answer, Bytes, JSON, reply};
use crate::route::{self, Route};
use crate::statistics;
use crate::table::{SharedTable, Table};

/// A Content-Length is a claim, so no more than this is taken before the bytes are there.
const FIRST_BODY_BUFFER: usize = 64 << 10;

pub struct App<M> {
    memory: M,
    formatter: Formatter<M>,
    table: Arc<SharedTable>,
    waits: Waits,
    max_body: usize,
    timeout: Duration,
}

pub async fn answer<M: Memory>(app: Arc<App<M>>, request: Request<Incoming>) -> Result<Answer<M>, Infallible> {
    let (head, mut body) = request.into_parts();
    let answer = app.find(&head, &mut body).await.unwrap_or_else(Problem::answer::<M>);
    // A client that waits for "100 Continue" will not send the body any more.
    if !body.is_end_stream() && !head.headers.contains_key(EXPECT) {
        tokio::spawn(discard(body));
    }
    Ok(answer)
}

impl<M: Memory> App<M> {
    pub fn new(memory: M, table: SharedTable, options: &Options) -> Result<Self, BuildError> {
        Ok(Self {
            formatter: Formatter::new(memory.clone()),
            memory,
            table: Arc::new(table),
            waits: waits(M::RECYCLE)?,
            max_body: options.max_body,
            timeout: options.timeout,
        })
    }

    pub fn waits(&self) -> &Waits {
        &self.waits
    }

    pub fn statistics(&self) -> String {
        statistics::text(&self.memory, &self.waits)
    }

    pub fn formatter(&self) -> &Formatter<M> {
        &self.formatter
    }

    pub fn snapshot(&self) -> Arc<Table> {
        self.table.snapshot()
    }

    /// HEAD is answered like GET: hyper sends the head and drops the body.
    async fn find(&self, head: &Parts, body: &mut Incoming) -> Result<Answer<M>, Problem> {
        let reads = matches!(head.method, Method::GET | Method::HEAD);
        match head.uri.path() {
            "/routes" if reads => self.send(self.snapshot().routes()),
            "/routes" if head.method == Method::POST => self.add(body).await,
            "/routes" => Err(Problem::not_allowed("GET, HEAD, POST")),
            "/stats" if reads => Ok(statistics::answer(&self.memory, &self.waits, &head.headers)),
            "/stats" => Err(Problem::not_allowed("GET, HEAD")),
            path => match path.strip_prefix("/routes/") {
                Some(vrf_id) if !vrf_id.contains('/') => {
                    if reads {
                        self.send_vrf(vrf_id)
                    } else {
                        Err(Problem::not_allowed("GET, HEAD"))
                    }
                }
                _ => Err(Problem::new(StatusCode::NOT_FOUND, "there are only /routes, /routes/{vrf_id} and /stats")),
            },
        }
    }

    fn send(&self, routes: &[Route]) -> Result<Answer<M>, Problem> {
        let buffer = self.formatter.format_many(routes)?;
        Ok(reply(StatusCode::OK, JSON, Bytes::Buffer(buffer)))
    }

    fn send_vrf(&self, vrf_id: &str) -> Result<Answer<M>, Problem> {
        let Some(vrf_id) = route::decimal(vrf_id) else {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "a vrf_id is a number from 0 to 4294967295"));
        };
        let table = self.snapshot();
        match table.of_vrf(vrf_id) {
            [] => Err(Problem::new(StatusCode::NOT_FOUND, format!("no routes in vrf {vrf_id}"))),
            routes => self.send(routes),
        }
    }

    async fn add(&self, body: &mut Incoming) -> Result<Answer<M>, Problem> {
        let Ok(read) = timeout(self.timeout, self.read(body)).await else {
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long"));
        };
        let routes =
            route::parse(read?.as_ref()).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        let count = routes.len();
        let table = Arc::clone(&self.table);
        // Copying the table must not hold up the requests that share this thread.
        let total = tokio::task::spawn_blocking(move || table.add(routes))
            .await
            .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the table could not be changed"))?
            .map_err(|full| Problem::new(StatusCode::INSUFFICIENT_STORAGE, full.to_string()))?;
        let text = json!({ "count": count, "total": total }).to_string();
        Ok(reply(StatusCode::CREATED, JSON, Bytes::Text(text + "\n")))
    }

    async fn read(&self, body: &mut Incoming) -> Result<M::Buffer, Problem> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.max_body {
            return Err(self.too_large());
        }
        let mut buffer = self.memory.get(announced.min(FIRST_BODY_BUFFER))?;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body broke off"))?;
            let Some(bytes) = frame.data_ref() else { continue };
            if bytes.len() > self.max_body - buffer.as_ref().len() {
                return Err(self.too_large());
            }
            buffer.write_all(bytes)?;
        }
        Ok(buffer)
    }

    fn too_large(&self) -> Problem {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {} bytes", self.max_body))
    }
}

/// Reads on for a little while: closing with bytes unread makes the system throw away an answer on its way.
async fn discard(mut body: Incoming) {
    const TIME: Duration = Duration::from_secs(1);
    const BYTES: usize = 8 << 20;
    let mut read = 0;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, hyper::body::Bytes::len);
            if read > BYTES {
                break;
            }
        }
    };
    let _ = timeout(TIME, reading).await;
}
