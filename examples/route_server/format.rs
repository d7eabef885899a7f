//! Routes become JSON, in a buffer that is large enough from the start.

use std::io;

use serde::Serialize;

use crate::memory::Memory;
use crate::route::Route;

/// All of a route's JSON but its two texts, with the comma behind it and the longest number.
const FRAME: usize = r#"{"vrf_id":4294967295,"prefix":"","next_hop":""},"#.len();

pub struct Formatter<M> {
    memory: M,
}

impl<M: Memory> Formatter<M> {
    pub fn new(memory: M) -> Self {
        Self { memory }
    }

    pub fn format(&self, route: &Route) -> io::Result<M::Buffer> {
        self.write(route, estimate(route))
    }

    pub fn format_many(&self, routes: &[Route]) -> io::Result<M::Buffer> {
        self.write(routes, "[]".len() + routes.iter().map(estimate).sum::<usize>())
    }

    fn write<T: Serialize + ?Sized>(&self, value: &T, capacity: usize) -> io::Result<M::Buffer> {
        let mut buffer = self.memory.get(capacity)?;
        serde_json::to_writer(&mut buffer, value)?;
        Ok(buffer)
    }
}

/// Enough unless a text needs escapes, which a checked prefix or address never does; a buffer grows if it must.
fn estimate(route: &Route) -> usize {
    FRAME + route.prefix.len() + route.next_hop.len()
}
