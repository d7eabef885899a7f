//! The table: immutable, shared, replaced as a whole.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::route::Route;

/// Sorted by vrf, so that the routes of one are a slice.
pub struct Table {
    routes: Vec<Route>,
}

impl Table {
    fn new(mut routes: Vec<Route>) -> Self {
        routes.sort_by_key(|route| route.vrf_id);
        Self { routes }
    }

    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    pub fn of_vrf(&self, vrf_id: u32) -> &[Route] {
        let start = self.routes.partition_point(|route| route.vrf_id < vrf_id);
        let end = self.routes.partition_point(|route| route.vrf_id <= vrf_id);
        &self.routes[start..end]
    }
}

/// Readers wait for nobody and then work on a table that does not change.
pub struct SharedTable {
    current: ArcSwap<Table>,
    /// Held while a new table is built: of two built at once, one would be lost.
    adding: Mutex<()>,
    max_routes: usize,
}

impl SharedTable {
    pub fn new(routes: Vec<Route>, max_routes: usize) -> Result<Self, Full> {
        if routes.len() > max_routes {
            return Err(Full { wanted: routes.len(), max_routes });
        }
        let table = Table::new(routes);
        Ok(Self { current: ArcSwap::from_pointee(table), adding: Mutex::new(()), max_routes })
    }

    pub fn snapshot(&self) -> Arc<Table> {
        self.current.load_full()
    }

    /// Returns how many routes the table has now. It copies the table, which takes milliseconds and panics on a thread
    /// that runs async tasks.
    pub fn add(&self, added: Vec<Route>) -> Result<usize, Full> {
        let _adding = self.adding.blocking_lock();
        let before = self.snapshot();
        let wanted = before.routes.len() + added.len();
        if wanted > self.max_routes {
            return Err(Full { wanted, max_routes: self.max_routes });
        }
        let mut routes = Vec::with_capacity(wanted);
        routes.extend_from_slice(&before.routes);
        routes.extend(added);
        self.current.store(Arc::new(Table::new(routes)));
        Ok(wanted)
    }
}

/// The table would have more routes than `--max-routes`.
#[derive(Debug)]
pub struct Full {
    wanted: usize,
    max_routes: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the table would have {} routes, the bound is {}", self.wanted, self.max_routes)
    }
}

impl std::error::Error for Full {}
