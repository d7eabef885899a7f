//! One interpreter of operations on a pool of objects, for property tests and fuzz targets, beside a census of the objects.

use std::panic::resume_unwind;
use std::thread;

use arbitrary::Arbitrary;
use millpond::{ObjectPool, Pooled, Recycle};

use super::census::{Census, Object};

/// Indices are taken modulo what there is.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Op {
    Get,
    TryTake,
    Adopt,
    Put,
    Detach(u8),
    DropDetached(u8),
    Drop(u8),
    DropOnAnotherThread(u8),
    DropAll,
    /// What its reset will do.
    Spoil(u8, Spoilt),
    CloneHandle,
    DropHandle,
    Collect,
    Purge,
    Stats,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Spoilt {
    Refused,
    PanicsInReset,
    PanicsInDrop,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Setting {
    few: Option<u8>,
    resets: bool,
    /// Half of them recycle, a quarter pass through, and a quarter are chaos.
    recycle: u8,
    objects_go_first: bool,
}

/// Tags that a reset acts on.
const REFUSED: usize = usize::MAX;
const PANICS: usize = usize::MAX - 1;

pub struct World {
    setting: Setting,
    handles: Vec<ObjectPool<Object>>,
    held: Vec<Pooled<Object>>,
    detached: Vec<Object>,
    census: Census,
    /// Objects that the pool made or was given, and those that left it.
    came: u64,
    gone: u64,
    gets: u64,
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let census = Census::default();
        let mut builder = census.builder();
        if setting.resets {
            builder = builder.reset(|object: &mut Object| match std::mem::take(&mut object.tag) {
                PANICS => resume_unwind(Box::new("a reset")),
                tag => tag != REFUSED,
            });
        }
        if let Some(few) = setting.few {
            builder = builder.max_idle(usize::from(few).max(1));
        }
        builder = builder.recycle(match setting.recycle % 4 {
            1 => Recycle::Never,
            3 => Recycle::Chaos(setting.recycle.into()),
            _ => Recycle::Always,
        });
        let handles = vec![builder.build().expect("every setting is sound")];
        Self { setting, handles, held: Vec::new(), detached: Vec::new(), census, came: 0, gone: 0, gets: 0 }
    }

    /// Runs all, checks at the end that the books balance, drops everything and checks that nothing is left.
    pub fn run(mut self, ops: impl IntoIterator<Item = Op>) {
        for op in ops {
            self.step(op);
        }
        self.check();
        if self.setting.objects_go_first {
            self.held.clear();
        }
        self.handles.clear();
        self.check_after_the_end();
        drop((self.held, self.detached));
        self.census.assert_empty();
    }

    pub fn step(&mut self, op: Op) {
        let made = self.census.made();
        match op {
            Op::Get => self.held.extend(self.handles.first().map(ObjectPool::get)),
            Op::TryTake => self.held.extend(self.handles.first().and_then(ObjectPool::try_take)),
            Op::Adopt => self.held.extend(self.handles.first().map(|pool| pool.adopt(self.census.make()))),
            Op::Put => {
                if let Some(pool) = self.handles.first() {
                    pool.put(self.census.make());
                }
            }
            Op::Detach(n) => {
                if let Some(object) = take(&mut self.held, n) {
                    let mut object = object.detach();
                    object.panic_when_dropped(false);
                    self.detached.push(object);
                    self.gone += 1;
                }
            }
            Op::DropDetached(n) => drop(take(&mut self.detached, n)),
            Op::Drop(n) => drop(take(&mut self.held, n)),
            Op::DropOnAnotherThread(n) => {
                if let Some(object) = take(&mut self.held, n) {
                    thread::spawn(move || drop(object)).join().expect("no drop panics");
                }
            }
            Op::DropAll => self.held.clear(),
            Op::Spoil(n, spoilt) => {
                let len = self.held.len().max(1);
                if let Some(object) = self.held.get_mut(usize::from(n) % len) {
                    match spoilt {
                        Spoilt::Refused => object.tag = REFUSED,
                        Spoilt::PanicsInReset => object.tag = PANICS,
                        Spoilt::PanicsInDrop => object.panic_when_dropped(true),
                    }
                }
            }
            Op::CloneHandle => {
                if let Some(pool) = self.handles.first().filter(|_| self.handles.len() < 8) {
                    self.handles.push(pool.clone());
                }
            }
            Op::DropHandle => drop(self.handles.pop()),
            Op::Collect | Op::Purge => {
                if let Some(pool) = self.handles.first() {
                    let collected = if matches!(op, Op::Collect) { pool.collect() } else { pool.purge() };
                    assert!(!collected.already_running && collected.slots_skipped == 0, "{collected}");
                    if matches!(op, Op::Purge) {
                        assert_eq!(pool.stats().objects.idle, 0);
                    }
                }
            }
            Op::Stats => self.check(),
        }
        self.came += (self.census.made() - made) as u64;
        if matches!(op, Op::Get | Op::TryTake | Op::Adopt) {
            self.gets += 1;
        }
        if self.handles.is_empty() {
            self.check_after_the_end();
        }
    }

    fn check(&self) {
        let Some(pool) = self.handles.first() else { return };
        let stats = pool.stats();
        let objects = stats.objects;
        assert_eq!(objects.in_use, self.held.len(), "{stats}");
        assert_eq!(objects.allocated, objects.in_use + objects.idle, "{stats}");
        assert_eq!(objects.allocated + self.detached.len(), self.census.live(), "{stats}");
        assert!(objects.idle <= stats.reserved && stats.reserved <= stats.max_idle, "{stats}");
        assert_eq!((objects.misses + stats.adopted, stats.detached), (self.came, self.gone), "{stats}");
        let freed = objects.discarded.total() + objects.trimmed + objects.purged + objects.passed;
        assert_eq!(self.came, objects.allocated as u64 + stats.detached + stats.refused + freed, "{stats}");
        assert!(objects.gets() <= self.gets, "{stats}");
    }

    /// What is idle has gone with the last handle.
    fn check_after_the_end(&self) {
        assert_eq!(self.census.live(), self.held.len() + self.detached.len());
    }
}

fn take<T>(from: &mut Vec<T>, n: u8) -> Option<T> {
    let index = usize::from(n) % from.len().max(1);
    (index < from.len()).then(|| from.swap_remove(index))
}
