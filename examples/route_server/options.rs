//! The command line.

use std::fmt::Display;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use crate::Failure;

pub const USAGE: &str = "\
usage: route_server [options]
  --port N           listen on 127.0.0.1:N (default 8080; 0 takes any free port)
  --routes FILE      serve the JSON array of routes in FILE instead of 10000 generated ones
  --no-pool          plain allocation instead of the pool
  --pool-limit N     bytes that the pool may hold, in use and idle (default 256 MiB); beyond that: 503
  --max-body N       bytes that a request body may have (default 1 MiB); beyond that: 413
  --max-routes N     routes that the table may have (default 100000); beyond that: 507
  --timeout N        seconds that a client may take for its headers, for its body, or to read on (default 10)
  --help";

pub struct Options {
    pub port: u16,
    pub routes: Option<PathBuf>,
    pub no_pool: bool,
    pub pool_limit: usize,
    pub max_body: usize,
    pub max_routes: usize,
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 8080,
            routes: None,
            no_pool: false,
            pool_limit: 256 << 20,
            max_body: 1 << 20,
            max_routes: 100_000,
            timeout: Duration::from_secs(10),
        }
    }
}

impl Options {
    /// `None` if help was asked for.
    pub fn parse() -> Result<Option<Self>, Failure> {
        let mut options = Self::default();
        let mut parser = Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("port") => options.port = number(&mut parser, "--port")?,
                Arg::Long("routes") => options.routes = Some(parser.value()?.into()),
                Arg::Long("no-pool") => options.no_pool = true,
                Arg::Long("pool-limit") => options.pool_limit = number(&mut parser, "--pool-limit")?,
                Arg::Long("max-body") => options.max_body = number(&mut parser, "--max-body")?,
                Arg::Long("max-routes") => options.max_routes = number(&mut parser, "--max-routes")?,
                Arg::Long("timeout") => {
                    let seconds: NonZeroU16 = number(&mut parser, "--timeout")?;
                    options.timeout = Duration::from_secs(seconds.get().into());
                }
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                unknown => return Err(format!("{}; see --help", unknown.unexpected()).into()),
            }
        }
        Ok(Some(options))
    }
}

fn number<T>(parser: &mut Parser, option: &str) -> Result<T, Failure>
where
    T: FromStr<Err: Display + Into<Failure>>,
{
    parser.value()?.parse().map_err(|error| format!("{option}: {error}").into())
}
