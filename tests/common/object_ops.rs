//! One interpreter of operations on a pool of objects, for property tests and fuzz targets, beside a census of the objects.

mod pools;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use arbitrary::{Arbitrary, Unstructured};
use millpond::Pooled;

use super::census::{Census, Object};
use super::drawn;
use super::others::Others;
use pools::{Handle, PANICS, REFUSED, Setting, each};

/// Indices are taken modulo what there is.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Op {
    Get,
    TryGet,
    TryTake,
    Adopt,
    Put,
    Detach(u8),
    DropDetached(u8),
    Drop(u8),
    DropAsThread(u8, u8),
    /// By a panic.
    Unwind(u8),
    DropAll,
    /// What its reset will do.
    Spoil(u8, Spoilt),
    /// The next make panics.
    SpoilMake,
    CloneHandle,
    DropHandle,
    Collect,
    Purge,
    Stats,
    /// So many operations that follow, of eight at most, are a thread's.
    AsThread(u8, u8),
    EndThread(u8),
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Spoilt {
    Refused,
    PanicsInReset,
    PanicsInDrop,
}

/// Does what the bytes say, frees everything, and checks that nothing is left.
pub fn play(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return };
    World::new(setting).run(drawn(bytes));
}

struct World {
    setting: Setting,
    handles: Vec<Handle>,
    held: Vec<Pooled<Object>>,
    detached: Vec<Object>,
    census: Census,
    /// Whether the next make panics.
    spoilt: Arc<AtomicBool>,
    others: Others,
    /// Objects that the pool made or was given, those that left it, and those that it did not take back.
    came: u64,
    gone: u64,
    refused: u64,
    reset_panics: u64,
    gets: u64,
}

impl World {
    fn new(setting: Setting) -> Self {
        let (census, spoilt) = (Census::default(), Arc::default());
        Self {
            setting,
            handles: vec![setting.pool(&census, &spoilt)],
            held: Vec::new(),
            detached: Vec::new(),
            census,
            spoilt,
            others: Others::default(),
            came: 0,
            gone: 0,
            refused: 0,
            reset_panics: 0,
            gets: 0,
        }
    }

    /// Runs all, checks at the end that the books balance, drops everything and checks that nothing is left.
    fn run(mut self, mut ops: impl Iterator<Item = Op>) {
        self.perform(&mut ops, true);
        self.check();
        if self.setting.objects_go_first {
            self.held.clear();
        }
        self.handles.clear();
        self.check_after_the_end();
        drop((self.held, self.detached));
        self.census.assert_empty();
    }

    fn perform(&mut self, ops: &mut dyn Iterator<Item = Op>, may_change: bool) {
        while let Some(op) = ops.next() {
            match op {
                Op::AsThread(n, count) if may_change => {
                    let few: Vec<_> = (&mut *ops).take(1 + usize::from(count % 8)).collect();
                    let mut thread = self.others.call(n);
                    thread.run(|| self.perform(&mut few.into_iter(), false));
                    self.others.rest(n, thread);
                }
                Op::EndThread(n) => self.others.end(n),
                op => self.step(op),
            }
        }
    }

    fn step(&mut self, op: Op) {
        let made = self.census.made();
        match op {
            Op::Get | Op::TryGet | Op::TryTake | Op::Adopt => self.get(op),
            Op::Put => {
                if let Some(pool) = self.handles.first() {
                    each!(pool, pool => pool.put(self.census.make()));
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
            Op::Drop(n) | Op::DropAsThread(n, _) | Op::Unwind(n) => {
                if let Some(object) = take(&mut self.held, n) {
                    self.drop(object, op);
                }
            }
            Op::DropAll => {
                for object in std::mem::take(&mut self.held) {
                    self.drop(object, op);
                }
            }
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
            Op::SpoilMake => self.spoilt.store(true, SeqCst),
            Op::CloneHandle => {
                if let Some(pool) = self.handles.first().filter(|_| self.handles.len() < 8) {
                    self.handles.push(pool.clone());
                }
            }
            Op::DropHandle => drop(self.handles.pop()),
            Op::Collect | Op::Purge => {
                if let Some(pool) = self.handles.first() {
                    let purge = matches!(op, Op::Purge);
                    let collected = each!(pool, pool => if purge { pool.purge() } else { pool.collect() });
                    assert!(!collected.already_running && collected.slots_skipped == 0, "{collected}");
                    if purge {
                        assert_eq!(each!(pool, pool => pool.stats()).objects.idle, 0);
                    }
                }
            }
            Op::Stats => self.check(),
            Op::AsThread(..) | Op::EndThread(_) => {}
        }
        self.came += (self.census.made() - made) as u64;
        if self.handles.is_empty() {
            self.check_after_the_end();
        }
    }

    fn get(&mut self, op: Op) {
        let Some(pool) = self.handles.first() else { return };
        self.gets += 1;
        let (spoilt, made) = (self.spoilt.load(SeqCst), self.census.made());
        let got = catch_unwind(AssertUnwindSafe(|| match (pool, op) {
            (Handle::Making(pool), Op::Get) => Some(pool.get()),
            (Handle::Making(pool), Op::TryGet) => Some(pool.try_get().expect("there is memory")),
            (_, Op::Adopt) => Some(each!(pool, pool => pool.adopt(self.census.make()))),
            _ => each!(pool, pool => pool.try_take()),
        }));
        match got {
            Ok(object) => self.held.extend(object),
            Err(_) => {
                assert!(spoilt && !self.spoilt.load(SeqCst), "it is the make that panics");
                assert_eq!(self.census.made(), made);
            }
        }
    }

    fn drop(&mut self, object: Pooled<Object>, op: Op) {
        let (refused, by_panic) = self.setting.refuses(&object);
        match op {
            Op::DropAsThread(_, n) => {
                let mut other = self.others.call(n);
                other.run(|| drop(object));
                self.others.rest(n, other);
            }
            Op::Unwind(_) => {
                let unwound = catch_unwind(AssertUnwindSafe(|| {
                    let _object = object;
                    resume_unwind(Box::new("whoever had it"));
                }));
                assert!(unwound.is_err());
                self.refused += 1;
                return;
            }
            _ => drop(object),
        }
        self.refused += u64::from(refused);
        self.reset_panics += u64::from(by_panic);
    }

    fn check(&self) {
        let Some(pool) = self.handles.first() else { return };
        let stats = each!(pool, pool => pool.stats());
        let objects = stats.objects;
        assert_eq!(objects.in_use, self.held.len(), "{stats}");
        assert_eq!(objects.allocated, objects.in_use + objects.idle, "{stats}");
        assert_eq!(objects.allocated + self.detached.len(), self.census.live(), "{stats}");
        assert!(objects.idle <= stats.reserved && stats.reserved <= stats.max_idle, "{stats}");
        assert_eq!((objects.misses + stats.adopted, stats.detached), (self.came, self.gone), "{stats}");
        assert_eq!((stats.refused, stats.reset_panics), (self.refused, self.reset_panics), "{stats}");
        let freed = objects.discarded.total() + objects.trimmed + objects.purged + objects.passed;
        assert_eq!(self.came, objects.allocated as u64 + stats.detached + stats.refused + freed, "{stats}");
        assert!(objects.gets() <= self.gets, "{stats}");

        let outstanding = each!(pool, pool => pool.outstanding());
        let (noted, out) = ((outstanding.count(), outstanding.bytes()), self.held.len());
        match self.setting.noted() {
            0 => assert_eq!((noted, outstanding.one_in), ((0, 0), 0), "{outstanding}"),
            1 => assert_eq!(noted, (out, out * size_of::<Object>()), "{outstanding}"),
            _ => assert!(noted.0 <= out && noted.1 == noted.0 * size_of::<Object>(), "{outstanding} of {out}"),
        }
        let gets = outstanding.sites.iter().all(|site| site.location.file().ends_with("object_ops.rs"));
        assert!(gets && outstanding.missed == 0, "{outstanding}");
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
