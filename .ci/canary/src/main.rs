//! One planted bug per sanitizer, and a clean program as the control.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("bits") => println!("{}", usize::BITS),
        Some("clean") => clean(),
        Some("use-after-free") => use_after_free(),
        Some("leak") => leak(),
        Some("race") => race(),
        Some("uninitialised") => uninitialised(),
        _ => {
            eprintln!("usage: canary bits|clean|use-after-free|leak|race|uninitialised");
            std::process::exit(2);
        }
    }
}

/// Runs `step` often on each of two threads.
fn on_two_threads(step: fn()) {
    let steps = move || {
        for n in 0..100_000 {
            step();
            if n % 100 == 0 {
                // On a busy machine they might run one after the other.
                thread::yield_now();
            }
        }
    };
    let threads = [(); 2].map(|()| thread::spawn(steps));
    for thread in threads {
        thread.join().expect("the thread does not panic");
    }
}

fn clean() {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    on_two_threads(|| drop(black_box(Box::new(COUNT.fetch_add(1, Relaxed)))));
    assert_eq!(COUNT.load(Relaxed), 200_000);
}

fn use_after_free() {
    let layout = Layout::new::<u64>();
    // SAFETY: not upheld on purpose: the block is read after it was freed.
    let read = unsafe {
        let block = black_box(alloc(layout));
        block.write(7);
        dealloc(block, layout);
        block.read_volatile()
    };
    black_box(read);
}

fn leak() {
    // Many, because the last one may still be found in a register.
    for size in 1..100 {
        black_box(Box::leak(vec![1_u8; size].into_boxed_slice()));
    }
}

fn uninitialised() {
    let block = black_box(Box::<u64>::new_uninit());
    // SAFETY: not upheld on purpose: nothing was written there.
    if unsafe { block.as_ptr().read_volatile() } == 7 {
        println!("seven");
    }
}

fn race() {
    struct Racy(UnsafeCell<u64>);
    // SAFETY: not upheld on purpose: two threads write the cell without any order between them.
    unsafe impl Sync for Racy {}
    static COUNT: Racy = Racy(UnsafeCell::new(0));

    on_two_threads(|| {
        let count = COUNT.0.get();
        // SAFETY: not upheld on purpose, as above.
        unsafe { count.write_volatile(count.read_volatile() + 1) }
    });
}
