//! A thread, or the whole process, stops at an arbitrary instruction, also inside the gate of its slot. Collections go on
//! without it and never touch what it holds; closing waits for it, and after a bound leaks.
//!
//! One thread cannot be stopped from outside, so a signal's handler holds it where it was. Not inside the depot's queue,
//! where others may have to wait for it (`docs/safety.md`), unless a test says so.
#![cfg(all(target_os = "linux", not(miri)))]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::thread::JoinHandleExt;
use std::process::Stdio;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use common::ledger::Ledger;
use common::process::{again, alone, is_child, wait};
use libc::{SIGUSR1, c_int};
use millpond::alloc::{AllocError, Allocator};
use millpond::{Collect, Pool, PoolBuf, Recycle};

/// The handler's end of the line to whoever stops threads.
static LINE: AtomicI32 = AtomicI32::new(-1);

/// Stays here until told to go on. Both calls may be made in a handler, and succeed, so that `errno` is left alone.
extern "C" fn stop(_: c_int) {
    let (line, mut byte) = (LINE.load(SeqCst), 0_u8);
    // SAFETY: one byte, of the stack.
    let written = unsafe { libc::write(line, (&raw const byte).cast(), 1) };
    // SAFETY: as above.
    let read = unsafe { libc::read(line, (&raw mut byte).cast(), 1) };
    if (written, read) != (1, 1) {
        std::process::abort();
    }
}

/// Stops threads of this process, one at a time.
struct Stopper(UnixStream, #[expect(dead_code, reason = "kept open")] UnixStream);

impl Stopper {
    fn new() -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        LINE.store(theirs.as_raw_fd(), SeqCst);
        let handler: extern "C" fn(c_int) = stop;
        // SAFETY: the handler calls nothing that a handler may not call.
        let before = unsafe { libc::signal(SIGUSR1, handler as libc::sighandler_t) };
        assert_ne!(before, libc::SIG_ERR);
        Self(ours, theirs)
    }

    /// Stops a thread that has not been joined, and runs `meanwhile` before it goes on.
    fn while_stopped<T, R>(&mut self, thread: &JoinHandle<T>, meanwhile: impl FnOnce() -> R) -> R {
        // Else every stop would be a few steps after the last.
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(50) {
            std::hint::spin_loop();
        }
        // SAFETY: the thread has not been joined, so the system still knows it.
        assert_eq!(unsafe { libc::pthread_kill(thread.as_pthread_t(), SIGUSR1) }, 0);
        self.0.read_exact(&mut [0]).unwrap();
        let result = meanwhile();
        self.0.write_all(&[0]).unwrap();
        result
    }
}

/// Runs an allocator's call with the signal held back: allocators have locks, and the pool's promises end where they begin.
fn whole<R>(call: impl FnOnce() -> R) -> R {
    let mask = |how, set: &libc::sigset_t| {
        let mut before = std::mem::MaybeUninit::uninit();
        // SAFETY: both sets are whole, or are made so here.
        unsafe { libc::pthread_sigmask(how, set, before.as_mut_ptr()) };
        // SAFETY: written by the call above, which cannot fail.
        unsafe { before.assume_init() }
    };
    let mut stop = std::mem::MaybeUninit::uninit();
    // SAFETY: made whole here.
    unsafe { libc::sigemptyset(stop.as_mut_ptr()) };
    // SAFETY: made whole above.
    unsafe { libc::sigaddset(stop.as_mut_ptr(), SIGUSR1) };
    // SAFETY: as above.
    let before = mask(libc::SIG_BLOCK, unsafe { stop.assume_init_ref() });
    let result = call();
    mask(libc::SIG_SETMASK, &before);
    result
}

struct Whole<A>(A);

// SAFETY: memory comes from `System`, unchanged.
unsafe impl GlobalAlloc for Whole<System> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        whole(|| unsafe { self.0.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        whole(|| unsafe { self.0.dealloc(block, layout) });
    }
}

#[global_allocator]
static SYSTEM: Whole<System> = Whole(System);

// SAFETY: memory comes from the ledger, unchanged.
#[allow(clippy::disallowed_methods, reason = "an allocator of its own")]
unsafe impl Allocator for Whole<Ledger> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        whole(|| self.0.allocate(layout))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        whole(|| unsafe { self.0.deallocate(block, layout) });
    }
}

type Buffer = PoolBuf<Whole<Ledger>>;

fn pool(ledger: &Ledger) -> Pool<Whole<Ledger>> {
    let builder = Pool::builder_in(Whole(ledger.clone()));
    builder.collect(Collect::Manual).recycle(Recycle::Always).build().unwrap()
}

/// Calls `step` until told to end. Returns when it was called once: a thread's first steps take locks of the system's.
fn again_and_again(done: &Arc<AtomicBool>, mut step: impl FnMut() + Send + 'static) -> JoinHandle<()> {
    let done = done.clone();
    let (send, first_step) = channel();
    let thread = spawn(move || {
        step();
        send.send(()).unwrap();
        while !done.load(SeqCst) {
            step();
        }
    });
    first_step.recv().unwrap();
    thread
}

/// Gets some, and checks that nobody else writes them.
fn request(pool: &Pool<Whole<Ledger>>, buffers: usize, tag: u8) {
    let mut held: Vec<_> = (0..buffers).map(|_| pool.get(4096)).collect();
    held.iter_mut().for_each(|buf| buf.resize(64, tag));
    assert!(held.iter().all(|buf| *buf == [tag; 64]), "a block is in two hands");
}

/// The stopped thread goes on only after the others have had, collected and purged what they like: they wait for nothing.
#[test]
fn collections_go_on_without_a_stopped_thread() {
    alone("collections_go_on_without_a_stopped_thread", || {
        let (ledger, done) = (Ledger::new(), Arc::default());
        let pool = pool(&ledger);
        let using = again_and_again(&done, {
            let pool = pool.clone();
            move || {
                // Mostly in and out of the gate.
                (0..100).for_each(|_| drop([pool.get(4096), pool.get(4096)]));
                request(&pool, 3, 1);
            }
        });
        let (mut stopper, mut stops, mut inside) = (Stopper::new(), 0, 0);
        while stops < 300 || (inside < 10 && stops < 10_000) {
            stops += 1;
            stopper.while_stopped(&using, || {
                let others = [2, 3].map(|tag| {
                    let pool = pool.clone();
                    spawn(move || {
                        request(&pool, 10, tag);
                        pool.collect();
                        request(&pool, 10, tag);
                    })
                });
                others.into_iter().for_each(|other| other.join().unwrap());
                let purged = pool.purge();
                assert!(purged.slots_skipped <= 1, "{purged}");
                inside += purged.slots_skipped;
                // All that is left is in the stopped thread's hands, and in its slot if it is inside.
                assert!(ledger.live() <= 3 + 3 * purged.slots_skipped, "{purged}\n{}", pool.stats());
            });
        }
        println!("{inside} of {stops} stops were inside the gate");
        assert!(inside > 0, "no stop was inside the gate");
        // The others' handles go while it is stopped; its own closes the pool.
        stopper.while_stopped(&using, || drop(pool));
        done.store(true, SeqCst);
        using.join().unwrap();
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "the pool is freed");
    });
}

/// The thread that is stopped has buffers and no handle, so the pool is closed under it.
fn clones_its_buffer(pool: &Pool<Whole<Ledger>>, done: &Arc<AtomicBool>) -> JoinHandle<()> {
    let mut kept = pool.get(4096);
    kept.resize(64, 5);
    again_and_again(done, move || {
        (0..100).for_each(|_| drop([kept.clone(), kept.clone()]));
        assert_eq!(kept.clone(), [5; 64], "a block is in two hands");
    })
}

#[test]
fn closing_waits_for_a_stopped_thread_to_leave_its_slot() {
    alone("closing_waits_for_a_stopped_thread_to_leave_its_slot", || {
        let (mut stopper, mut closings, mut waited) = (Stopper::new(), 0, 0);
        while closings < 200 || (waited == 0 && closings < 10_000) {
            closings += 1;
            let (ledger, done) = (Ledger::new(), Arc::default());
            let pool = pool(&ledger);
            request(&pool, 50, 2);
            let using = clones_its_buffer(&pool, &done);
            let closing = stopper.while_stopped(&using, || {
                let closing = spawn(move || drop(pool));
                let start = Instant::now();
                while !closing.is_finished() && start.elapsed() < Duration::from_millis(3) {
                    std::thread::yield_now();
                }
                waited += usize::from(!closing.is_finished());
                closing
            });
            closing.join().unwrap();
            done.store(true, SeqCst);
            using.join().unwrap();
            ledger.assert_empty();
            assert_eq!(ledger.clones(), 1, "the pool is freed");
        }
        println!("{waited} of {closings} closings waited");
        assert!(waited > 0, "no stop was inside the gate");
    });
}

#[test]
fn closing_leaks_what_a_thread_stopped_for_long_may_be_using() {
    /// The bytes of a buffer that is gone: they keep the pool that is leaked in reach of a leak checker.
    static KEPT: OnceLock<MaybeUninit<Buffer>> = OnceLock::new();
    alone("closing_leaks_what_a_thread_stopped_for_long_may_be_using", || {
        let mut stopper = Stopper::new();
        for _ in 0..1000 {
            let (ledger, done) = (Ledger::new(), Arc::default());
            let pool = pool(&ledger);
            let using = clones_its_buffer(&pool, &done);
            let late = pool.get(4096);
            let start = Instant::now();
            stopper.while_stopped(&using, || drop(pool));
            let closing = start.elapsed();
            // The thread goes on, with copies of its buffer.
            let more = late.clone();
            done.store(true, SeqCst);
            using.join().unwrap();
            drop(late);
            // SAFETY: in the same place as the buffer, and any bytes may be there; nobody takes them for one.
            let was = unsafe { ptr::from_ref(&more).cast::<MaybeUninit<Buffer>>().read() };
            drop(more);
            if ledger.clones() > 1 {
                assert!(closing > Duration::from_secs(1), "the pool is leaked after {closing:?}");
                // The two copies that the slot kept, less those in the thread's hand.
                assert!(ledger.live() <= 2, "{} blocks", ledger.live());
                ledger.assert_sound();
                KEPT.set(was).unwrap();
                return;
            }
            ledger.assert_empty();
        }
        panic!("no stop was inside the gate");
    });
}

/// Anywhere, also in the depot's queue: whoever meets that cell spins until the thread goes on, and nothing is lost.
#[test]
fn stops_anywhere_lose_nothing() {
    alone("stops_anywhere_lose_nothing", || {
        let (ledger, done) = (Ledger::new(), Arc::default());
        let pool = pool(&ledger);
        let mut threads: Vec<_> = (1..4)
            .map(|tag| {
                let pool = pool.clone();
                again_and_again(&done, move || request(&pool, 100, tag))
            })
            .collect();
        let collecting = pool.clone();
        threads.push(again_and_again(&done, move || {
            collecting.collect();
            collecting.purge();
        }));
        let mut stopper = Stopper::new();
        for n in 0..200 {
            stopper.while_stopped(&threads[n % 4], || std::thread::sleep(Duration::from_millis(1)));
        }
        done.store(true, SeqCst);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let stats = pool.stats();
        assert_eq!((stats.in_use_bytes, stats.release_panics), (0, 0), "{stats}");
        drop(pool);
        ledger.assert_empty();
        assert_eq!(ledger.clones(), 1, "the pool is freed");
    });
}

#[test]
fn a_stopped_process_goes_on_where_it_was() {
    let test = "a_stopped_process_goes_on_where_it_was";
    if is_child(test) {
        let (ledger, done) = (Ledger::new(), Arc::default());
        let pool = pool(&ledger);
        let threads = [1, 2, 3].map(|tag| {
            let pool = pool.clone();
            again_and_again(&done, move || {
                request(&pool, 100, tag);
                pool.collect();
            })
        });
        // The parent closes it when it has stopped and continued this process often enough.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        done.store(true, SeqCst);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(pool.stats().collections > 0);
        drop(pool);
        ledger.assert_empty();
        println!("\nnothing is lost");
        return;
    }
    let mut child = again(test).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let process = libc::pid_t::try_from(child.id()).unwrap();
    for _ in 0..50 {
        std::thread::sleep(Duration::from_millis(3));
        // SAFETY: a child that has not been waited for, so the number is still its own.
        assert_eq!(unsafe { libc::kill(process, libc::SIGSTOP) }, 0);
        let mut status = 0;
        // SAFETY: as above; it returns when the child has stopped, or ended.
        assert_eq!(unsafe { libc::waitpid(process, &raw mut status, libc::WUNTRACED) }, process);
        assert!(libc::WIFSTOPPED(status), "the child has ended: {status}");
        std::thread::sleep(Duration::from_millis(3));
        // SAFETY: as above.
        assert_eq!(unsafe { libc::kill(process, libc::SIGCONT) }, 0);
    }
    drop(child.stdin.take());
    assert!(wait(child).contains("\nnothing is lost"));
}
