//! An object comes from the pool or is made, is reset when it comes back, and goes back once or not at all.
//!
//! G and N with a number are rows of the tests of Go's and .NET's pools; section 10 of `docs/design.md` accounts for all of them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use crate::common::census::{Census, Object};
use millpond::objects::{Clear, Given};
use millpond::{Collect, ObjectPool, Pooled, Recycle};

/// G1: a fresh pool has nothing, and says so; a get makes an object. G3: `make` runs for a miss only.
#[test]
fn one_is_made_where_none_is_idle_and_only_there() {
    let census = Census::default();
    let pool = census.pool();
    assert!(pool.try_take().is_none());
    let first = pool.get();
    assert!(pool.try_take().is_none(), "it is out");
    let second = pool.get();
    assert_eq!((first.number, second.number, census.made()), (0, 1, 2));
    drop((first, second));
    for _ in 0..100 {
        drop(pool.get());
        drop(pool.try_take().expect("two are idle"));
    }
    let stats = pool.stats();
    assert_eq!((census.made(), stats.objects.misses, stats.objects.gets()), (2, 2, 202), "{stats}");
    drop(pool);
    census.assert_empty();
}

/// G2: what went back comes out once each, the last first. N8: to the thread that gave it back.
#[test]
fn what_went_back_comes_out_once_the_last_first() {
    let census = Census::default();
    let pool = census.pool();
    let mut held: Vec<_> = (0..50).map(|_| pool.get()).collect();
    let places: Vec<_> = held.iter().map(|object| &raw const **object).collect();
    while let Some(object) = held.pop() {
        drop(object);
    }
    let again: Vec<_> = (0..50).map(|_| pool.get()).collect();
    assert!(again.iter().map(|object| &raw const **object).eq(places), "in their boxes");
    assert!(pool.try_take().is_none());
    drop((again, pool));
    census.assert_empty();
}

#[test]
fn a_reset_runs_when_an_object_comes_back_and_not_when_it_goes_out() {
    let resets = Arc::new(AtomicUsize::new(0));
    let counted = resets.clone();
    let pool = ObjectPool::builder(|| String::from("as made"))
        .reset(move |text: &mut String| {
            counted.fetch_add(1, SeqCst);
            text.clear();
        })
        .recycle(Recycle::Always)
        .build()
        .unwrap();
    let mut text = pool.get();
    assert_eq!((text.as_str(), resets.load(SeqCst)), ("as made", 0));
    text.push_str(", and used");
    drop(text);
    assert_eq!(resets.load(SeqCst), 1);
    assert_eq!(*pool.get(), "");
    pool.put(String::from("given"));
    assert_eq!(resets.load(SeqCst), 3);
    assert_eq!(pool.get().detach(), "");
    assert_eq!(resets.load(SeqCst), 3, "what leaves is not reset");
}

#[test]
fn one_that_its_reset_refuses_is_dropped_at_once() {
    let census = Census::default();
    let pool = census.builder().reset(|object: &mut Object| object.tag == 0).build().unwrap();
    pool.get().tag = 1;
    assert_eq!((census.live(), pool.stats().refused), (0, 1));
    drop(pool.get());
    assert_eq!((census.live(), pool.stats().objects.idle), (1, 1));
    drop(pool);
    census.assert_empty();
}

/// Neither a reset nor a drop that panics leaves a drop; the object is gone, and the pool goes on.
#[test]
fn panics_of_resets_and_drops_end_where_they_happen() {
    let census = Census::default();
    let reset = |object: &mut Object| {
        if object.tag == 1 {
            resume_unwind(Box::new("a reset"));
        }
        object.tag != 2
    };
    let pool = census.builder().reset(reset).max_idle(1).build().unwrap();
    pool.get().tag = 1;
    assert_eq!((census.live(), pool.stats().reset_panics), (0, 1));

    census.panic_in_drops(true);
    pool.get().tag = 1; // both panic
    pool.get().tag = 2; // refused
    drop((pool.get(), pool.get())); // one too many
    pool.purge();
    let stats = pool.stats();
    assert_eq!((census.live(), stats.reset_panics, stats.refused, stats.drop_panics), (0, 2, 3, 4), "{stats}");
    pool.put(census.make());
    drop(pool.clone());
    drop(pool);
    census.assert_empty();
}

/// Such a closure returns neither nothing nor a bool.
#[test]
fn a_reset_may_do_nothing_but_panic() {
    let pool = ObjectPool::with(String::new, |_| resume_unwind(Box::new("a reset")));
    drop(pool.get());
    assert_eq!((pool.stats().reset_panics, pool.stats().objects.idle), (1, 0));
}

/// What an unwinding thread had in its hands may be half changed.
#[test]
fn what_an_unwinding_thread_drops_does_not_go_back() {
    let census = Census::default();
    let pool = census.pool();
    let kept = pool.get();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _object = pool.get();
        resume_unwind(Box::new("half way"));
    }));
    assert!(unwound.is_err());
    assert_eq!((census.live(), pool.stats().refused), (1, 1));
    drop(kept);
    assert_eq!(pool.stats().objects.idle, 1);
    drop(pool);
    census.assert_empty();
}

#[test]
fn a_make_that_panics_leaves_the_pool_as_it_was() {
    let census = Census::default();
    let (tries, makes) = (AtomicUsize::new(0), census.clone());
    let make = move || {
        if tries.fetch_add(1, SeqCst) % 2 == 0 {
            resume_unwind(Box::new("a make"));
        }
        makes.make()
    };
    let pool = ObjectPool::builder(make).collect(Collect::Manual).recycle(Recycle::Always).build().unwrap();
    for made in 0..3 {
        assert!(catch_unwind(AssertUnwindSafe(|| pool.get())).is_err());
        assert_eq!(pool.stats().objects.misses, made);
        drop(pool.get().detach());
    }
    assert_eq!(pool.stats().objects.in_use, 0);
    drop(pool);
    census.assert_empty();
}

/// `make` and `reset` may use the pool, and other pools.
#[test]
fn what_a_pool_calls_may_use_it() {
    static NODES: ObjectPool<Vec<u8>> = ObjectPool::new(Vec::new);
    static TREES: ObjectPool<(Pooled<Vec<u8>>, bool)> = ObjectPool::new(|| {
        let inner = if TREES.stats().objects.in_use == 0 { TREES.try_take().is_some() } else { false };
        (NODES.get(), inner)
    });
    let tree = TREES.get();
    assert!(!tree.1);
    drop(tree);
    drop(TREES.get());
    TREES.purge();
    assert_eq!(NODES.stats().objects.in_use, 0);
}

#[test]
fn a_pool_without_make_has_what_it_is_given() {
    let census = Census::default();
    let pool: ObjectPool<Object, Given> =
        ObjectPool::builder_empty().collect(Collect::Manual).recycle(Recycle::Always).build().unwrap();
    assert!(pool.try_take().is_none());
    pool.put(census.make());
    let mut first = pool.try_take().expect("the one that was put");
    assert!(pool.try_take().is_none());
    let second = pool.try_adopt(census.make()).unwrap_or_else(|_| unreachable!("there is memory"));
    first.tag = 7;
    drop(second);
    drop(first);
    assert_eq!(pool.try_take().map(|object| object.tag), Some(7), "it is not reset");
    let stats = pool.stats();
    assert_eq!(
        (stats.adopted, stats.objects.misses, stats.objects.gets(), stats.objects.idle),
        (2, 0, 2, 2),
        "{stats}"
    );
    drop(pool);
    census.assert_empty();
}

#[test]
fn a_detached_object_is_the_users() {
    let census = Census::default();
    let pool = census.pool();
    let (first, second) = (pool.get(), pool.get());
    let first: Object = first.detach();
    assert_eq!((first.number, census.live(), pool.stats().objects.in_use), (0, 2, 1));
    drop(pool);
    // The last unit of a closed pool.
    let second = second.detach();
    assert_eq!(census.live(), 2);
    drop((first, second));
    census.assert_empty();
}

#[test]
fn objects_outlive_every_handle() {
    for by_detach in [false, true] {
        let census = Census::default();
        let pool = census.pool();
        let held: Vec<_> = (0..100).map(|_| pool.get()).collect();
        drop(pool.get());
        drop((pool.clone(), pool));
        assert_eq!(census.live(), 100, "what was idle went with the last handle");
        thread::spawn(move || {
            for object in held {
                if by_detach { drop(object.detach()) } else { drop(object) }
            }
        })
        .join()
        .unwrap();
        census.assert_empty();
    }
}

/// A clone of a builder builds another pool, with the same settings and callbacks.
#[test]
fn a_clone_of_a_builder_builds_a_pool_of_its_own() {
    let census = Census::default();
    let reset = |object: &mut Object| object.tag == 0;
    let builder = census.builder().reset(reset).max_idle(2).collect(Collect::Manual).recycle(Recycle::Always);
    for pool in [builder.clone(), builder].map(|builder| builder.build().unwrap()) {
        let made = census.made();
        let mut held: Vec<_> = (0..4).map(|_| pool.get()).collect();
        held[0].tag = 1;
        drop(held);
        let stats = pool.stats();
        assert_eq!((census.made() - made, stats.objects.idle), (4, 2), "one was refused, and one too many\n{stats}");
    }
    census.assert_empty();
}

#[test]
fn a_clone_of_a_pool_makes_objects_in_the_same_way() {
    let text = String::from("made");
    let by_closure = ObjectPool::builder(move || text.clone()).build().unwrap();
    for pool in [ObjectPool::new(|| String::from("made")), by_closure] {
        let clone = pool.clone();
        assert_eq!([pool.get(), clone.get()].map(Pooled::detach), ["made"; 2]);
        assert_eq!(pool.stats().objects.misses, 2, "it is the same pool");
    }
}

/// A `make` and a `reset` hold what they captured until the last handle and the last object are gone, and their drops may panic.
#[test]
fn closures_live_as_long_as_their_pool() {
    struct Captured(Arc<AtomicUsize>);
    impl Drop for Captured {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
            resume_unwind(Box::new("a captured value"));
        }
    }
    let gone = Arc::new(AtomicUsize::new(0));
    for used in [false, true] {
        let (make, reset) = (Captured(gone.clone()), Captured(gone.clone()));
        let pool = ObjectPool::builder(move || make.0.load(SeqCst)).reset(move |_| reset.0.load(SeqCst) == 0);
        let pool = pool.collect(Collect::Manual).build().unwrap();
        let before = gone.load(SeqCst);
        let held = used.then(|| (pool.get(), pool.clone()));
        drop(pool);
        assert_eq!(gone.load(SeqCst), if used { before } else { before + 2 });
        if let Some((object, clone)) = held {
            drop(clone);
            assert_eq!(gone.load(SeqCst), before + 1, "nobody can make one any more");
            drop(object);
        }
        assert_eq!(gone.load(SeqCst), before + 2);
    }
}

/// N9 and the classic leak of pooled buffers: cleared, and not kept where one huge use has made it large.
#[test]
fn collections_are_emptied_and_outgrown_ones_dropped() {
    fn check<C: Clear + Default + Send + 'static>(fill: impl Fn(&mut C, u64), len: impl Fn(&C) -> usize) {
        let pool: ObjectPool<C> = ObjectPool::clearing(1000);
        fill(&mut pool.get(), 100);
        let kept = pool.get();
        assert_eq!(len(&kept), 0);
        assert!((100..=1000).contains(&kept.capacity()), "the memory stays");
        drop(kept);
        fill(&mut pool.get(), 5000);
        assert_eq!((pool.stats().refused, pool.get().capacity()), (1, 0));
    }
    if cfg!(any(miri, fuzzing)) {
        return; // they pass through
    }
    check::<Vec<u64>>(|list, n| list.extend(0..n), Vec::len);
    check::<String>(|text, n| text.extend((0..n).map(|_| 'x')), String::len);
    check::<std::collections::VecDeque<u64>>(|list, n| list.extend(0..n), std::collections::VecDeque::len);
    check::<std::collections::BinaryHeap<u64>>(|heap, n| heap.extend(0..n), std::collections::BinaryHeap::len);
    check::<HashMap<u64, u64>>(|map, n| map.extend((0..n).map(|i| (i, i))), HashMap::len);
    check::<std::collections::HashSet<u64>>(|set, n| set.extend(0..n), std::collections::HashSet::len);
}

/// N6: more may be out than the pool keeps; what is too much is dropped, and the figures say why.
#[test]
fn no_more_than_max_idle_are_kept() {
    for max_idle in [1, 2, 7, 8, 64, 1000] {
        let census = Census::default();
        let pool = census.builder().max_idle(max_idle).build().unwrap();
        for _ in 0..3 {
            drop((0..2 * max_idle).map(|_| pool.get()).collect::<Vec<_>>());
            assert!(census.live() <= max_idle && 2 * census.live() >= max_idle, "{max_idle}: {}", census.live());
        }
        let stats = pool.stats();
        assert!(stats.objects.discarded.over_budget > 0 && stats.peak_reserved <= max_idle, "{stats}");
        drop(pool);
        census.assert_empty();
    }
}

#[test]
fn a_pool_that_passes_through_keeps_none() {
    let census = Census::default();
    let pool = census.builder().recycle(Recycle::Never).build().unwrap();
    drop(pool.get());
    assert!(pool.try_take().is_none());
    pool.put(census.make());
    drop(pool.adopt(census.make()));
    let stats = pool.stats();
    assert_eq!((census.made(), census.live(), stats.objects.passed), (3, 0, 3), "{stats}");
    drop(pool);
    census.assert_empty();
}

/// N12: a script of calls has exactly these figures.
#[test]
fn the_books_balance() {
    let census = Census::default();
    let pool = census.builder().reset(|object: &mut Object| object.tag == 0).max_idle(4).build().unwrap();
    drop((0..6).map(|_| pool.get()).collect::<Vec<_>>());
    pool.get().tag = 1;
    pool.put(census.make());
    drop(pool.get().detach());
    let held = pool.get();
    pool.collect();
    pool.collect();
    drop(held);
    let stats = pool.stats();
    let objects = stats.objects;
    let gone = objects.discarded.total() + objects.trimmed + objects.purged + objects.passed;
    assert_eq!(
        objects.misses + stats.adopted,
        objects.allocated as u64 + stats.detached + stats.refused + gone,
        "{stats}"
    );
    assert_eq!((objects.misses, objects.gets(), stats.adopted), (6, 9, 1), "{stats}");
    assert_eq!((stats.detached, stats.refused, objects.discarded.total(), objects.trimmed), (1, 1, 2, 2), "{stats}");
    assert_eq!((objects.allocated, objects.in_use, objects.idle, census.live()), (1, 0, 1, 1), "{stats}");
    let text = stats.to_string();
    assert!(text.contains("adopted 1, detached 1, refused at return 1\n"), "{text}");
    assert!(text.contains("of at most 4 idle objects"), "{text}");
    assert!(text.contains("collections 2, skipping a slot 0, longest "), "{text}");
    assert!(text.ends_with("collector: Manual\n"), "{text}");
    drop(pool);
    census.assert_empty();
}

#[test]
fn objects_of_any_shape() {
    #[derive(Clone, Copy)]
    #[repr(align(4096))]
    struct Page([u8; 4096]);
    let pages = ObjectPool::builder(|| Page([1; 4096])).recycle(Recycle::Always).build().unwrap();
    let held: Vec<_> = (0..10).map(|_| pages.get()).collect();
    assert!(held.iter().all(|page| (&raw const **page).addr() % 4096 == 0 && page.0 == [1; 4096]));
    drop(held);
    assert_eq!(pages.stats().objects.idle, 10);

    let nothing = ObjectPool::builder(|| ()).recycle(Recycle::Always).build().unwrap();
    drop((0..10).map(|_| nothing.get()).collect::<Vec<_>>());
    assert_eq!((nothing.stats().objects.idle, nothing.purge().blocks()), (10, 10));
    let () = nothing.get().detach();
}

#[test]
fn it_looks_like_what_it_holds() {
    let pool = ObjectPool::new(|| String::from("text"));
    let mut text = pool.get();
    assert_eq!((format!("{text}"), format!("{text:?}")), ("text".into(), "\"text\"".into()));
    let (by_ref, borrowed): (&String, &String) = (text.as_ref(), std::borrow::Borrow::borrow(&text));
    assert_eq!(by_ref, borrowed);
    text.as_mut().push('!');
    assert_eq!(text.len(), 5);
    assert!(format!("{pool:?}").starts_with("ObjectPool { allocated: 1, in_use: 1, idle: 0"));
}

/// T2.
#[test]
fn settings_are_checked_and_a_static_costs_nothing_until_used() {
    static UNUSED: ObjectPool<Vec<u8>> = ObjectPool::clearing(10);
    let stats = UNUSED.stats();
    assert_eq!((stats.max_idle, stats.slots, stats.collector), (1024, 0, millpond::CollectorState::NotStarted));
    assert_eq!(UNUSED.collect().blocks() + UNUSED.purge().blocks(), 0);

    let error = ObjectPool::builder(|| 0).max_idle(0).build().unwrap_err();
    assert_eq!(error.to_string(), "`max_idle` is 0, it must be at least 1");
    let never = Collect::Background(std::time::Duration::ZERO);
    assert!(ObjectPool::<u8, Given>::builder_empty().collect(never).build().is_err());
    assert!(ObjectPool::builder(|| 0).max_idle(usize::MAX).build().is_ok_and(|pool| *pool.get() == 0));
}

#[test]
fn handles_and_objects_go_where_they_may() {
    fn anywhere<T: Send + Sync + 'static + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    fn sent<T: Send>() {}
    anywhere::<ObjectPool<std::cell::Cell<u8>>>();
    anywhere::<ObjectPool<String, Given>>();
    anywhere::<Pooled<String>>();
    sent::<Pooled<std::cell::Cell<u8>>>();
    assert_eq!(size_of::<Pooled<String>>(), 2 * size_of::<usize>());
}
