//! Where buffers come from: the pool, or plain allocation to compare it with.
//!
//! The server is generic over [`Memory`] and so compiled once for each. One difference remains: where memory ends, a
//! pooled buffer that must grow fails with an `io::Error`, a `Vec` ends the process.

use std::io;

use millpond::{Pool, PoolBuf, Recycle, Stats};

pub trait Memory: Clone + Send + Sync + 'static {
    type Buffer: io::Write + AsRef<[u8]> + Send + Unpin + 'static;

    const NAME: &'static str;

    /// For whatever else is pooled, or is not.
    const RECYCLE: Recycle;

    /// An empty buffer with room for `capacity` bytes.
    fn get(&self, capacity: usize) -> io::Result<Self::Buffer>;

    fn stats(&self) -> Option<Stats>;
}

impl Memory for Pool {
    type Buffer = PoolBuf;

    const NAME: &'static str = "buffers from the pool";
    const RECYCLE: Recycle = Recycle::Auto;

    fn get(&self, capacity: usize) -> io::Result<PoolBuf> {
        Ok(self.try_get(capacity)?)
    }

    fn stats(&self) -> Option<Stats> {
        Some(Self::stats(self))
    }
}

#[derive(Clone)]
pub struct Plain;

impl Memory for Plain {
    type Buffer = Vec<u8>;

    const NAME: &'static str = "buffers from plain allocation";
    const RECYCLE: Recycle = Recycle::Never;

    fn get(&self, capacity: usize) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(capacity)?;
        Ok(buffer)
    }

    fn stats(&self) -> Option<Stats> {
        None
    }
}
