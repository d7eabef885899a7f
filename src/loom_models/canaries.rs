//! Replicas of the protocols with every ordering a parameter. As shipped they pass; with one weakened loom must find the
//! race, or the models of the real types could not be trusted to.

use core::ptr;
use std::sync::Arc;

use crate::loom_models::{TWO_THREADS, spawn};
use crate::sync::Kind::{Fences, System};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::{self, AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU64, Ordering, UnsafeCell, fence};

#[derive(Clone, Copy, Debug)]
struct Orders {
    /// The owner's fence where the system does not pay for it, and the collector's. None: no fence.
    fenced: Option<Ordering>,
    heavy: Option<Ordering>,
    /// Whether the collector asks the system, which has agreed.
    system_call: bool,
    /// The owner's loads of the sign, and its stores of "not busy" when it is kept out and when it leaves.
    see: Ordering,
    bounce: Ordering,
    leave: Ordering,
    /// The collector's load of `busy`, and its last store.
    left: Ordering,
    reinstate: Ordering,
    count_back: Ordering,
    settle: Ordering,
    /// The load of whoever counted the last unit, or dropped the last handle.
    end: Ordering,
    drop_handle: Ordering,
    give_id: Ordering,
    take_id: Ordering,
    /// A place that is filled once: the winner's store, the load of whoever finds it filled, and the loser's.
    install: Ordering,
    find: Ordering,
    lose: Ordering,
    /// A generation's exchange, and a reader's load.
    replace: Ordering,
    read: Ordering,
    /// Whether the collector asks the system only if it has read that it may.
    by_hint: bool,
}

const SHIPPED: Orders = Orders {
    fenced: Some(SeqCst),
    heavy: Some(SeqCst),
    system_call: true,
    see: Acquire,
    bounce: Release,
    leave: Release,
    left: Acquire,
    reinstate: Release,
    count_back: Release,
    settle: Release,
    end: Acquire,
    drop_handle: Release,
    give_id: Release,
    take_id: Acquire,
    install: Release,
    find: Acquire,
    lose: Acquire,
    replace: AcqRel,
    read: Acquire,
    by_hint: false,
};

/// What the protocols protect.
#[derive(Debug)]
struct Treasure(UnsafeCell<u32>);

// SAFETY: loom fails the model if two accesses are not ordered.
unsafe impl Sync for Treasure {}

impl Treasure {
    fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    fn change(&self) {
        // SAFETY: loom checks it.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }

    fn look(&self) {
        // SAFETY: loom checks it.
        self.0.with(|value| unsafe { *value });
    }
}

struct Slot {
    busy: AtomicBool,
    sign: AtomicU8,
    magazine: Treasure,
}

const OPEN: u8 = 0;
const OPEN_FENCED: u8 = 1;
const REVOKED: u8 = 2;

fn gate(orders: Orders) {
    let open = if sync::registered() { OPEN } else { OPEN_FENCED };
    let slot = Arc::new(Slot { busy: AtomicBool::new(false), sign: AtomicU8::new(open), magazine: Treasure::new() });
    let owners = Arc::clone(&slot);
    let owner = spawn(1, move || (0..2).for_each(|_| visit(&owners, orders)));
    slot.sign.store(REVOKED, Relaxed);
    if sync::registered() && orders.system_call {
        assert!(sync::heavy());
    } else if let Some(order) = orders.heavy {
        fence(order);
    }
    if !slot.busy.load(orders.left) {
        slot.magazine.change();
    }
    slot.sign.store(open, orders.reinstate);
    owner.join();
}

fn visit(slot: &Slot, orders: Orders) {
    slot.busy.store(true, Relaxed);
    sync::light();
    let mut open = slot.sign.load(orders.see) == OPEN;
    if !open {
        if let Some(order) = orders.fenced {
            fence(order);
        }
        open = slot.sign.load(orders.see) != REVOKED;
    }
    if open {
        slot.magazine.change();
        slot.busy.store(false, orders.leave);
    } else {
        slot.busy.store(false, orders.bounce);
    }
}

/// A unit comes back while the closer settles: one of them frees the pool.
fn units(orders: Orders) {
    const BIAS: i64 = i64::MAX / 2;
    let pool = Arc::new((AtomicI64::new(BIAS + 1), Treasure::new()));
    let other = Arc::clone(&pool);
    let returning = spawn(1, move || {
        other.1.look();
        if other.0.fetch_sub(1, orders.count_back) == 1 && other.0.load(orders.end) == 0 {
            other.1.change();
        }
    });
    pool.1.look();
    if pool.0.fetch_sub(BIAS, orders.settle) == BIAS && pool.0.load(orders.end) == 0 {
        pool.1.change();
    }
    returning.join();
}

/// Two handles go: one of them closes the pool.
fn handles(orders: Orders) {
    let pool = Arc::new((AtomicI64::new(2), Treasure::new()));
    let drop_one = move |pool: &(AtomicI64, Treasure)| {
        pool.1.look();
        if pool.0.fetch_sub(1, orders.drop_handle) == 1 && pool.0.load(orders.end) == 0 {
            pool.1.change();
        }
    };
    let other = Arc::clone(&pool);
    let dropping = spawn(1, move || drop_one(&other));
    drop_one(&pool);
    dropping.join();
}

/// A thread ends, and the next one with its id uses its slot.
fn ids(orders: Orders) {
    let registry = Arc::new((AtomicU64::new(1), Treasure::new()));
    let former = Arc::clone(&registry);
    let ending = spawn(1, move || {
        former.1.change();
        former.0.fetch_and(!1, orders.give_id);
    });
    if registry.0.compare_exchange(0, 1, orders.take_id, Relaxed).is_ok() {
        registry.1.change();
    }
    ending.join();
}

/// What is made once and found by others: a slot, a segment, a magazine, a bucket, a pool's core.
fn place(orders: Orders) {
    let treasure = Arc::new(Treasure::new());
    let cell = Arc::new(AtomicPtr::new(ptr::null_mut()));
    let (makers, place) = (Arc::clone(&treasure), Arc::clone(&cell));
    let maker = spawn(1, move || {
        makers.change();
        place.store(Arc::as_ptr(&makers).cast_mut(), orders.install);
    });
    // SAFETY: not null, and kept by the model.
    if let Some(found) = unsafe { cell.load(orders.find).as_ref() } {
        found.look();
    }
    maker.join();
}

/// Two make the same thing; the loser uses the winner's.
fn race(orders: Orders) {
    let treasures = Arc::new([Treasure::new(), Treasure::new()]);
    let cell = Arc::new(AtomicPtr::new(ptr::null_mut()));
    let install = move |own: &Treasure, cell: &AtomicPtr<Treasure>| {
        own.change();
        let made = ptr::from_ref(own).cast_mut();
        if let Err(there) = cell.compare_exchange(ptr::null_mut(), made, orders.install, orders.lose) {
            // SAFETY: not null, and kept by the model.
            unsafe { &*there }.look();
        }
    };
    let (others, place) = (Arc::clone(&treasures), Arc::clone(&cell));
    let other = spawn(1, move || install(&others[1], &place));
    install(&treasures[0], &cell);
    other.join();
}

/// A collector puts a new generation into the place of the old one, beside a reader.
fn generations(orders: Orders) {
    let generations = Arc::new([Treasure::new(), Treasure::new()]);
    let current = Arc::new(AtomicPtr::new(ptr::from_ref(&generations[0]).cast_mut()));
    let (kept, place) = (Arc::clone(&generations), Arc::clone(&current));
    let reader = spawn(1, move || {
        // SAFETY: not null, and kept by the model.
        unsafe { &*place.load(orders.read) }.look();
        drop(kept);
    });
    generations[1].change();
    current.swap(ptr::from_ref(&generations[1]).cast_mut(), orders.replace);
    reader.join();
}

/// The gate without signs: the owner reads at each visit whether it needs a fence, while a collector registers.
fn flip(orders: Orders) {
    let slot = Arc::new(Slot { busy: AtomicBool::new(false), sign: AtomicU8::new(OPEN), magazine: Treasure::new() });
    let registered = Arc::new(AtomicBool::new(false));
    let (owners, hint) = (Arc::clone(&slot), Arc::clone(&registered));
    let owner = spawn(1, move || {
        owners.busy.store(true, Relaxed);
        if hint.load(Relaxed) {
            sync::light();
        } else {
            fence(SeqCst);
        }
        if owners.sign.load(Acquire) == OPEN {
            owners.magazine.change();
        }
        owners.busy.store(false, Release);
    });
    slot.sign.store(REVOKED, Relaxed);
    let known = registered.load(Relaxed);
    registered.store(true, Relaxed);
    if known || !orders.by_hint {
        assert!(sync::heavy());
    } else {
        fence(SeqCst);
    }
    if !slot.busy.load(Acquire) {
        slot.magazine.change();
    }
    slot.sign.store(OPEN, Release);
    owner.join();
}

#[test]
fn the_replicas_pass_as_shipped() {
    for kind in [Fences, System] {
        TWO_THREADS.with(kind).run(|_| gate(SHIPPED));
        TWO_THREADS.with(kind).run(|_| gate(Orders { bounce: Relaxed, ..SHIPPED }));
    }
    for model in [units, handles, ids, place, race, generations] {
        TWO_THREADS.run(move |_| model(SHIPPED));
    }
    TWO_THREADS.with(System).run(|_| flip(SHIPPED));
    // The turn orders one exchange after another, so what comes out needs no Acquire of its own.
    TWO_THREADS.run(|_| generations(Orders { replace: Release, ..SHIPPED }));
}

/// Ordered, so only the mark of what was dropped can tell.
#[test]
#[should_panic(expected = "used after its drop")]
fn canary_used_after_its_drop() {
    TWO_THREADS.run(|_| {
        let atomic = Box::into_raw(Box::new(AtomicU64::new(0)));
        let other = AtomicPtr::new(atomic);
        // SAFETY: from `into_raw`.
        drop(unsafe { Box::from_raw(atomic) });
        // SAFETY: `quarantine` keeps its memory.
        unsafe { &*other.load(Relaxed) }.load(Relaxed);
    });
}

macro_rules! canaries {
    ($($name:ident: $kind:ident, $model:expr;)*) => {$(
        #[test]
        #[should_panic(expected = "Causality violation")]
        fn $name() {
            TWO_THREADS.with($kind).run(|_| $model);
        }
    )*};
}

canaries! {
    canary_no_light_fence: Fences, gate(Orders { fenced: None, ..SHIPPED });
    canary_light_fence_acq_rel: Fences, gate(Orders { fenced: Some(AcqRel), ..SHIPPED });
    canary_no_heavy_fence: Fences, gate(Orders { heavy: None, ..SHIPPED });
    canary_heavy_fence_acq_rel: Fences, gate(Orders { heavy: Some(AcqRel), ..SHIPPED });
    canary_no_system_call: System, gate(Orders { system_call: false, ..SHIPPED });
    canary_see_relaxed: System, gate(Orders { see: Relaxed, ..SHIPPED });
    canary_leave_relaxed: System, gate(Orders { leave: Relaxed, ..SHIPPED });
    canary_left_relaxed: System, gate(Orders { left: Relaxed, ..SHIPPED });
    canary_reinstate_relaxed: System, gate(Orders { reinstate: Relaxed, ..SHIPPED });
    canary_see_relaxed_fenced: Fences, gate(Orders { see: Relaxed, ..SHIPPED });
    canary_leave_relaxed_fenced: Fences, gate(Orders { leave: Relaxed, ..SHIPPED });
    canary_left_relaxed_fenced: Fences, gate(Orders { left: Relaxed, ..SHIPPED });
    canary_reinstate_relaxed_fenced: Fences, gate(Orders { reinstate: Relaxed, ..SHIPPED });
    canary_count_back_relaxed: Fences, units(Orders { count_back: Relaxed, ..SHIPPED });
    canary_settle_relaxed: Fences, units(Orders { settle: Relaxed, ..SHIPPED });
    canary_last_unit_without_acquire: Fences, units(Orders { end: Relaxed, ..SHIPPED });
    canary_handle_drop_relaxed: Fences, handles(Orders { drop_handle: Relaxed, ..SHIPPED });
    canary_last_handle_without_acquire: Fences, handles(Orders { end: Relaxed, ..SHIPPED });
    canary_id_given_relaxed: Fences, ids(Orders { give_id: Relaxed, ..SHIPPED });
    canary_id_taken_relaxed: Fences, ids(Orders { take_id: Relaxed, ..SHIPPED });
    canary_install_relaxed: Fences, place(Orders { install: Relaxed, ..SHIPPED });
    canary_find_relaxed: Fences, place(Orders { find: Relaxed, ..SHIPPED });
    canary_race_won_relaxed: Fences, race(Orders { install: Relaxed, ..SHIPPED });
    canary_race_lost_relaxed: Fences, race(Orders { lose: Relaxed, ..SHIPPED });
    canary_replace_relaxed: Fences, generations(Orders { replace: Acquire, ..SHIPPED });
    canary_read_relaxed: Fences, generations(Orders { read: Relaxed, ..SHIPPED });
    canary_heavy_by_hint: System, flip(Orders { by_hint: true, ..SHIPPED });
}
