//! One model of a builder's settings and of the size classes that they make, for property tests and fuzz targets.
#![allow(clippy::disallowed_methods, reason = "an allocator of its own")]

use std::alloc::Layout;
use std::collections::{BTreeMap, BTreeSet};
use std::ptr::NonNull;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use millpond::alloc::{AllocError, Allocator};
use millpond::{BuildError, Builder, Collect, GetError, Pool, Recycle};

use super::drawn;
use super::ledger::Ledger;

/// The bounds that the documentation gives.
const LEAST_CLASS: usize = 16;
const LARGEST_CLASS: usize = 1 << if usize::BITS == 64 { 52 } else { 28 };
const LARGEST_ALIGN: usize = 2 << 20;
const MOST_CLASSES: usize = 64;

/// Any number, most of them small or near a power of two.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Number {
    Small(u16),
    NearPower { shift: u8, off: i8 },
    NearQuarter { shift: u8, quarters: u8, off: i8 },
    Any(usize),
}

impl Number {
    #[expect(clippy::cast_sign_loss, reason = "wraps")]
    fn value(self) -> usize {
        let near = |at: usize, off: i8| at.wrapping_add(isize::from(off % 4) as usize);
        let power = |shift: u8| 1_usize << (u32::from(shift) % usize::BITS);
        match self {
            Self::Small(n) => n.into(),
            Self::NearPower { shift, off } => near(power(shift), off),
            Self::NearQuarter { shift, quarters, off } => {
                near((power(shift) / 4).wrapping_mul(4 + usize::from(quarters % 4)), off)
            }
            Self::Any(n) => n,
        }
    }
}

/// What the builder is told; nothing is a default.
#[derive(Clone, Copy, Debug, Arbitrary)]
struct Knobs {
    min_class: Option<Number>,
    max_class: Option<Number>,
    idle_limit: Option<Number>,
    local_limit: Option<Number>,
    limit: Option<Number>,
    align: Option<Number>,
    interval: Option<u8>,
    zero: bool,
    /// Half of them recycle, a quarter pass through, and a quarter are chaos.
    recycle: u8,
}

/// Builds what the bytes say, and gets what they say from it.
pub fn play(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(knobs) = Knobs::arbitrary(&mut bytes) else { return };
    knobs.run(drawn(bytes));
}

/// A [`Ledger`] that has no memory for long blocks.
#[derive(Clone)]
struct Modest(Ledger);

impl Modest {
    /// The longest block that there is memory for.
    const MOST: usize = 256 << 10;
}

// SAFETY: memory comes from the ledger, unchanged.
unsafe impl Allocator for Modest {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() > Self::MOST { Err(AllocError) } else { self.0.allocate(layout) }
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.deallocate(block, layout) };
    }
}

/// The settings as numbers.
struct Model {
    min_class: usize,
    max_class: usize,
    idle_limit: usize,
    local_limit: usize,
    limit: usize,
    align: usize,
    never: bool,
}

impl Model {
    fn new(knobs: Knobs) -> Self {
        let value = |knob: Option<Number>, default| knob.map_or(default, Number::value);
        Self {
            min_class: value(knobs.min_class, 256),
            max_class: value(knobs.max_class, 4 << 20),
            idle_limit: value(knobs.idle_limit, 64 << 20),
            local_limit: value(knobs.local_limit, 4 << 20),
            limit: value(knobs.limit, usize::MAX),
            align: value(knobs.align, 64),
            never: knobs.interval == Some(0),
        }
    }

    /// All that is wrong with them.
    fn faults(&self) -> Vec<BuildError> {
        let mut faults = Vec::new();
        let &Self { min_class, max_class, align, .. } = self;
        let mut at_least = |knob, value, min| {
            if value < min {
                faults.push(BuildError::TooSmall { knob, value, min });
            }
        };
        at_least("min_class", min_class, LEAST_CLASS);
        if let Some(min) = min_class.checked_next_power_of_two() {
            at_least("idle_limit", self.idle_limit, min);
            at_least("local_limit", self.local_limit, min);
            at_least("limit", self.limit, min);
        }
        at_least("align", align, 1);
        for (knob, value, max) in [("max_class", max_class, LARGEST_CLASS), ("align", align, LARGEST_ALIGN)] {
            if value > max {
                faults.push(BuildError::TooLarge { knob, value, max });
            }
        }
        if !align.is_power_of_two() {
            faults.push(BuildError::NotPowerOfTwo { knob: "align", value: align });
        }
        if min_class > max_class {
            faults.push(BuildError::Inverted { min_class, max_class });
        }
        if min_class >= LEAST_CLASS && max_class <= LARGEST_CLASS && min_class <= max_class {
            let classes = self.ladder().len();
            if classes > MOST_CLASSES {
                faults.push(BuildError::TooManyClasses { min_class, max_class, classes, max: MOST_CLASSES });
            }
        }
        if self.never {
            faults.push(BuildError::ZeroInterval);
        }
        faults
    }

    /// The sizes of the classes: four for each doubling from the smallest, until one holds `max_class`.
    fn ladder(&self) -> Vec<usize> {
        let doublings = (0..).map(|n| self.min_class.next_power_of_two() << n);
        let sizes = doublings.flat_map(|start| [4, 5, 6, 7].map(|quarters| start / 4 * quarters));
        let mut enough = false;
        sizes.take_while(|size| !std::mem::replace(&mut enough, *size >= self.max_class)).collect()
    }
}

impl Knobs {
    fn builder(self, model: &Model, allocator: Modest) -> Builder<Modest> {
        let Model { min_class, max_class, idle_limit, local_limit, limit, align, .. } = *model;
        let builder = Pool::builder_in(allocator).min_class(min_class).max_class(max_class).idle_limit(idle_limit);
        let builder = builder.local_limit(local_limit).align(align).zero_on_return(self.zero);
        let builder = builder.recycle(match self.recycle % 4 {
            1 => Recycle::Never,
            3 => Recycle::Chaos(self.recycle.into()),
            _ => Recycle::Always,
        });
        if self.limit.is_some() { builder.limit(limit) } else { builder }
    }

    /// Builds the pool, or does not and hears of something that is wrong; then gets a buffer for every length.
    fn run(self, lengths: impl IntoIterator<Item = Number>) {
        let (model, ledger) = (Model::new(self), Ledger::new());
        let builder = self.builder(&model, Modest(ledger.clone()));
        let collect = self
            .interval
            .map_or(Collect::Manual, |hours| Collect::Background(Duration::from_secs(3600 * u64::from(hours))));
        let faults = model.faults();
        match builder.clone().collect(collect).build() {
            Ok(_) => assert_eq!(faults, [], "built all the same: {self:?}"),
            Err(error) => {
                assert!(faults.contains(&error), "{error:?} is none of {faults:?}");
                return;
            }
        }
        // Without a thread that would come and go with each pool.
        let pool = builder.collect(Collect::Manual).build().expect("as sound as before");
        let mut seen = Seen { ladder: model.ladder(), model, capacities: BTreeMap::new() };
        for len in lengths {
            let len = len.value();
            seen.get(&pool, len);
            // From either side of the edge that was found.
            if let Some(&capacity) = seen.capacities.get(&len) {
                seen.get(&pool, capacity);
                seen.get(&pool, capacity + 1);
                assert!(seen.capacities.get(&capacity).is_none_or(|again| *again == capacity));
            }
        }
        seen.check(&pool);
        drop(pool);
        ledger.assert_empty();
    }
}

/// The capacity that was got for each length.
struct Seen {
    model: Model,
    ladder: Vec<usize>,
    capacities: BTreeMap<usize, usize>,
}

impl Seen {
    fn largest(&self) -> usize {
        self.ladder[self.ladder.len() - 1]
    }

    fn get(&mut self, pool: &Pool<Modest>, len: usize) {
        let &Model { limit: most, align: aligned, .. } = &self.model;
        let longest = isize::MAX as usize - (aligned - 1);
        let size = self.ladder.iter().copied().find(|size| *size >= len).unwrap_or(len);
        match pool.try_get(len) {
            Ok(buf) => {
                let capacity = buf.capacity();
                assert!(buf.is_empty() && capacity >= len.max(1), "{len} in {capacity}");
                assert_eq!(capacity, size);
                assert_eq!(buf.as_ptr().addr() % aligned, 0);
                assert!(capacity <= most && capacity <= Modest::MOST);
                if len > self.largest() {
                    assert_eq!(capacity, len, "oversize is exact");
                } else if len > self.ladder[0] {
                    assert!((capacity - len) * 5 <= capacity, "{len} in {capacity}");
                }
                self.capacities.insert(len, capacity);
            }
            Err(GetError::CapacityOverflow { requested, max }) => {
                assert_eq!((requested, max), (len, longest));
                assert!(len > longest);
            }
            Err(GetError::LimitReached { requested, allocated, limit }) => {
                assert_eq!((requested, limit), (size, most));
                // For what can never fit nothing idle is freed.
                assert!(allocated <= most && size > most && size <= longest);
            }
            Err(GetError::OutOfMemory { requested, align }) => {
                assert_eq!((requested, align), (size, aligned));
                assert!(size > Modest::MOST && size <= most);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn check(&self, pool: &Pool<Modest>) {
        let capacities: Vec<_> = self.capacities.values().collect();
        assert!(capacities.is_sorted(), "{:?}", self.capacities);
        let stats = pool.stats();
        let sizes: Vec<_> = stats.classes.iter().map(|class| class.size).collect();
        assert!(sizes.len() <= MOST_CLASSES && sizes.is_sorted_by(|a, b| a < b), "{sizes:?}");
        let used: BTreeSet<_> = self.capacities.values().copied().filter(|size| *size <= self.largest()).collect();
        assert!(sizes.iter().eq(&used), "{sizes:?} are not {used:?}");
        assert_eq!((stats.in_use_bytes, stats.release_panics), (0, 0), "{stats}");
        assert!(stats.idle_bytes <= stats.idle_limit && stats.slot_bytes <= stats.local_limit, "{stats}");
    }
}
