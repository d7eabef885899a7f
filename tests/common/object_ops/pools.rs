//! Pools of objects of each kind, and what their objects are marked with.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use arbitrary::Arbitrary;
use millpond::objects::{Clear, Given};
use millpond::{Collect, ObjectBuilder, ObjectPool, Pooled, Recycle};

use crate::common::census::{Census, Object};

#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Setting {
    few: Option<u8>,
    resets: Resets,
    /// Half of them recycle, a quarter pass through, and a quarter are chaos.
    recycle: u8,
    /// Half of them note nothing, a quarter each get, and a quarter one in a few.
    track: u8,
    /// It makes none.
    given: bool,
    pub objects_go_first: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
enum Resets {
    No,
    By,
    Clears,
}

/// Tags that a reset acts on.
pub const REFUSED: usize = usize::MAX;
pub const PANICS: usize = usize::MAX - 1;

fn reset(object: &mut Object) -> bool {
    match std::mem::take(&mut object.tag) {
        PANICS => resume_unwind(Box::new("a reset")),
        tag => tag != REFUSED,
    }
}

/// One that has outgrown its use is marked as refused.
impl Clear for Object {
    fn clear(&mut self) {
        assert!(reset(self));
    }

    fn capacity(&self) -> usize {
        self.tag / 2
    }
}

/// Of a pool that makes objects, or of one that does not.
#[derive(Clone)]
pub enum Handle {
    Making(ObjectPool<Object>),
    Given(ObjectPool<Object, Given>),
}

/// The same for both.
macro_rules! each {
    ($handle:expr, $pool:ident => $act:expr) => {
        match $handle {
            $crate::common::object_ops::pools::Handle::Making($pool) => $act,
            $crate::common::object_ops::pools::Handle::Given($pool) => $act,
        }
    };
}

pub(super) use each;

impl Setting {
    /// While `spoilt` is set a make panics, and takes that back.
    pub fn pool(self, census: &Census, spoilt: &Arc<AtomicBool>) -> Handle {
        if self.given {
            Handle::Given(self.set(ObjectPool::builder_empty()).build().expect("every setting is sound"))
        } else {
            let (census, spoilt) = (census.clone(), spoilt.clone());
            let make = move || {
                if spoilt.swap(false, SeqCst) {
                    resume_unwind(Box::new("a make"));
                }
                census.make()
            };
            Handle::Making(self.set(ObjectPool::builder(make)).build().expect("every setting is sound"))
        }
    }

    fn set<M>(self, mut builder: ObjectBuilder<Object, M>) -> ObjectBuilder<Object, M> {
        builder = match self.resets {
            Resets::No => builder,
            Resets::By => builder.reset(reset),
            Resets::Clears => builder.clear(PANICS / 2 - 1),
        };
        if let Some(few) = self.few {
            builder = builder.max_idle(usize::from(few).max(1));
        }
        builder = match self.noted() {
            0 => builder,
            1 => builder.track(true),
            gets => builder.track_one_in(gets),
        };
        builder.collect(Collect::Manual).recycle(match self.recycle % 4 {
            1 => Recycle::Never,
            3 => Recycle::Chaos(self.recycle.into()),
            _ => Recycle::Always,
        })
    }

    /// One get in so many; 0: none.
    pub fn noted(self) -> u32 {
        match self.track % 4 {
            1 => 1,
            3 => 2 + u32::from(self.track / 4 % 4),
            _ => 0,
        }
    }

    /// Whether its reset refuses it, and whether by a panic.
    pub fn refuses(self, object: &Pooled<Object>) -> (bool, bool) {
        match (self.resets, object.tag) {
            (Resets::By, PANICS) => (true, true),
            (Resets::By, REFUSED) | (Resets::Clears, REFUSED | PANICS) => (true, false),
            _ => (false, false),
        }
    }
}
