//! A method that panics says where it was called, as `Vec`'s do: in a file of the user's, not one of millpond's.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use millpond::{Collect, Pool, PoolBuf, Recycle};

/// More than the limit.
const MUCH: usize = 100 << 10;

/// What the hook knows of a thread.
enum Watch {
    Off,
    /// A panic is expected.
    On,
    /// It was in this file.
    Seen(String),
}

thread_local!(static WATCH: Cell<Watch> = const { Cell::new(Watch::Off) });

/// Other tests' panics are left to the hook that was there.
fn watch() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| match WATCH.replace(Watch::Off) {
            Watch::On => WATCH.set(Watch::Seen(info.location().unwrap().file().to_owned())),
            _ => before(info),
        }));
    });
    WATCH.set(Watch::On);
}

#[track_caller]
fn panics_here<T>(name: &str, act: impl FnOnce() -> T) {
    watch();
    let ended = catch_unwind(AssertUnwindSafe(|| drop(act())));
    let Watch::Seen(file) = WATCH.replace(Watch::Off) else { panic!("{name} does not panic") };
    assert!(ended.is_err());
    assert_eq!(file, file!(), "{name}");
}

fn pool() -> Pool {
    Pool::builder().collect(Collect::Manual).recycle(Recycle::Always).limit(64 << 10).build().unwrap()
}

/// More than half of the limit, and full.
fn buf(pool: &Pool) -> PoolBuf {
    let mut buf = pool.get(40 << 10);
    buf.resize(buf.capacity(), 1);
    buf
}

#[test]
fn of_buffers() {
    let pool = pool();
    let buf = &mut buf(&pool);
    panics_here("get", || pool.get(MUCH));
    panics_here("reserve", || buf.reserve(MUCH));
    panics_here("push", || buf.push(1));
    panics_here("extend_from_slice", || buf.extend_from_slice(&[1; MUCH]));
    panics_here("resize", || buf.resize(MUCH, 1));
    panics_here("clone", || buf.clone());
    panics_here("clone_from", || pool.get(1).clone_from(buf));
    panics_here("extend by bytes", || buf.extend([1; MUCH]));
    panics_here("extend one by one", || buf.extend(std::iter::repeat_n(1, MUCH).filter(|_| true)));
    panics_here("extend by references", || buf.extend(&[1; MUCH]));
}

#[cfg(feature = "bytes")]
#[test]
fn of_bytes() {
    use bytes::BufMut;

    let pool = pool();
    let buf = &mut buf(&pool);
    // SAFETY: it panics before it believes that they have been written.
    panics_here("advance_mut", || unsafe { buf.advance_mut(1) });
    panics_here("chunk_mut", || buf.chunk_mut().len());
    panics_here("put", || buf.put(&[1; MUCH][..]));
    panics_here("put_slice", || buf.put_slice(&[1; MUCH]));
    panics_here("put_bytes", || buf.put_bytes(1, MUCH));
    panics_here("put_u8", || buf.put_u8(1));
}

#[cfg(feature = "arena")]
#[test]
fn of_arenas() {
    use std::alloc::Layout;

    let pool = pool();
    let arena = &pool.arena();
    panics_here("alloc", || arena.alloc([1_u8; MUCH])[0]);
    panics_here("alloc_with", || arena.alloc_with(|| [1_u8; MUCH])[0]);
    panics_here("alloc_bytes", || arena.alloc_bytes(MUCH).len());
    panics_here("alloc_str", || arena.alloc_str(&"1".repeat(MUCH)).len());
    panics_here("alloc_slice_copy", || arena.alloc_slice_copy(&[1_u8; MUCH]).len());
    panics_here("alloc_slice_clone", || arena.alloc_slice_clone(&[1_u8; MUCH]).len());
    panics_here("alloc_slice_fill_with", || arena.alloc_slice_fill_with(MUCH, |_| 1_u8).len());
    panics_here("alloc_slice_fill_copy", || arena.alloc_slice_fill_copy(MUCH, 1_u8).len());
    panics_here("alloc_slice_fill_default", || arena.alloc_slice_fill_default::<u8>(MUCH).len());
    panics_here("alloc_slice_fill_iter", || arena.alloc_slice_fill_iter([1_u8; MUCH]).len());
    panics_here("alloc_layout", || arena.alloc_layout(Layout::new::<[u8; MUCH]>()));
}
