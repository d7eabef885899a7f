//! An allocator that writes every block down, checks that it comes back once and with its layout, and knows what is out.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "an allocator of its own, with a lock")]

use std::alloc::Layout;
use std::collections::HashMap;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use millpond::alloc::{AllocError, Allocator, Global};

/// Clones share their book. A pool over it must leave nothing: see [`Ledger::assert_empty`].
#[derive(Clone, Default)]
pub struct Ledger(Arc<Shared>);

#[derive(Default)]
struct Shared {
    book: Mutex<Book>,
    changed: Condvar,
    /// What the [`Hand`]s add up to.
    in_hand: AtomicUsize,
}

#[derive(Default)]
pub struct Book {
    live: HashMap<usize, Layout>,
    pub live_bytes: usize,
    pub peak_bytes: usize,
    pub allocations: usize,
    pub deallocations: usize,
    /// Blocks that came back twice, or with another layout, and calls that found too much idle. Kept, as a pool contains the
    /// panic that tells of one.
    mistakes: usize,
    /// No allocation may take `live_bytes` above this.
    limit: Option<usize>,
    /// No call may find more bytes out than this and what is in hand.
    idle_limit: Option<usize>,
}

/// Bytes that an operation may have out of the pool: made before a get begins, dropped after the drop has returned.
#[must_use = "it ends when it is dropped"]
pub struct Hand<'ledger> {
    ledger: &'ledger Ledger,
    bytes: usize,
}

/// What a builder of a pool over it prints.
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}

impl Ledger {
    pub fn new() -> Self {
        Self::default()
    }

    /// Panics in `allocate` if more than `bytes` would be out.
    pub fn with_limit(bytes: usize) -> Self {
        let ledger = Self::new();
        ledger.book().limit = Some(bytes);
        ledger
    }

    /// From here on every call panics that finds more than `bytes` idle. For one pool at a time, whose every get, growth and
    /// drop is covered by a [`Hand`].
    ///
    /// A block that is out is idle, or an operation or a buffer has it, and then some hand counts it. So this errs on one side
    /// only, by what hands count while their operations are under way: a get that has no block yet, a drop that has stored
    /// its own.
    pub fn bound_idle(&self, bytes: usize) {
        let mut book = self.book();
        assert_eq!((book.live.len(), self.0.in_hand.load(Ordering::Relaxed)), (0, 0), "the bound is one pool's");
        book.idle_limit = Some(bytes);
    }

    /// For a get of a block of at most so many bytes that has not begun.
    pub fn hand(&self, bytes: usize) -> Hand<'_> {
        let mut hand = Hand { ledger: self, bytes: 0 };
        hand.raise(bytes);
        hand
    }

    /// By trying, as ThreadSanitizer's quick form does not see into std's waiting.
    fn book(&self) -> MutexGuard<'_, Book> {
        loop {
            match self.0.book.try_lock() {
                Ok(book) => return book,
                Err(TryLockError::Poisoned(book)) => return book.into_inner(),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
    }

    /// This one and its clones. A pool that was freed has dropped its own.
    pub fn clones(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Runs `f` while no other thread is at the book.
    pub fn alone<R>(&self, f: impl FnOnce() -> R) -> R {
        let _book = self.book();
        f()
    }

    /// Blocks that are out.
    pub fn live(&self) -> usize {
        self.book().live.len()
    }

    /// Whether the block at this address is out.
    pub fn holds(&self, block: usize) -> bool {
        self.book().live.contains_key(&block)
    }

    pub fn live_bytes(&self) -> usize {
        self.book().live_bytes
    }

    pub fn peak_bytes(&self) -> usize {
        self.book().peak_bytes
    }

    pub fn allocations(&self) -> usize {
        self.book().allocations
    }

    pub fn deallocations(&self) -> usize {
        self.book().deallocations
    }

    /// No block came back twice, or with another layout, and never was too much idle.
    #[track_caller]
    pub fn assert_sound(&self) {
        assert_eq!(self.book().mistakes, 0, "a panic above says what was wrong");
    }

    #[track_caller]
    pub fn assert_empty(&self) {
        self.assert_sound();
        let book = self.book();
        assert!(book.live.is_empty(), "{} blocks are lost: {:?}", book.live.len(), book.live.values().next());
        assert_eq!(book.allocations, book.deallocations);
    }

    /// Waits until `condition` holds, looking again at every change. False after a minute.
    #[must_use]
    pub fn wait_until(&self, condition: impl Fn(&Book) -> bool) -> bool {
        let waiting = self.0.changed.wait_timeout_while(self.book(), Duration::from_secs(60), |book| !condition(book));
        !waiting.unwrap().1.timed_out()
    }

    /// Waits until nothing is out. False after a minute.
    #[must_use]
    pub fn wait_until_empty(&self) -> bool {
        self.wait_until(|book| book.live.is_empty())
    }

    fn check_idle(&self, book: &mut Book) {
        let Some(idle_limit) = book.idle_limit else { return };
        // The hands are raised and lowered with relaxed accesses, so that they order nothing that the pool must order. The
        // fences alone make the sum no less than what is out: the same block is not missed here and there.
        fence(Ordering::SeqCst);
        let in_hand = self.0.in_hand.load(Ordering::Relaxed);
        if book.live_bytes > idle_limit + in_hand {
            book.mistakes += 1;
            panic!("of {} bytes {in_hand} are in hand, and more than {idle_limit} idle", book.live_bytes);
        }
    }
}

impl Hand<'_> {
    /// For a growth that has not begun: it holds both blocks.
    pub fn raise(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.ledger.0.in_hand.fetch_add(bytes, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The operation has returned, and this is the block that it left in hand; 0 for none.
    pub fn settle(&mut self, bytes: usize) {
        assert!(bytes <= self.bytes, "a block of {bytes} is more than {} bytes", self.bytes);
        fence(Ordering::SeqCst);
        self.ledger.0.in_hand.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        self.settle(0);
    }
}

// SAFETY: memory comes from `Global`, unchanged; clones share one book.
unsafe impl Allocator for Ledger {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let mut book = self.book();
        if let Some(limit) = book.limit {
            assert!(book.live_bytes + layout.size() <= limit, "{} + {layout:?} pass {limit}", book.live_bytes);
        }
        let block = Global.allocate(layout)?;
        assert!(book.live.insert(block.cast::<u8>().as_ptr().addr(), layout).is_none());
        book.live_bytes += layout.size();
        book.peak_bytes = book.peak_bytes.max(book.live_bytes);
        book.allocations += 1;
        // Also with the new block, which is in the hand of a get.
        self.check_idle(&mut book);
        drop(book);
        self.0.changed.notify_all();
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let mut book = self.book();
        // With the old block still: a collection keeps it covered, a drop has it in hand.
        self.check_idle(&mut book);
        let made = book.live.remove(&block.as_ptr().addr());
        if made != Some(layout) {
            book.mistakes += 1;
            panic!("a block comes back with {layout:?} that is out with {made:?}");
        }
        book.live_bytes -= layout.size();
        book.deallocations += 1;
        // SAFETY: made by `allocate` with this layout, and removed from the book once.
        unsafe { Global.deallocate(block, layout) };
        drop(book);
        self.0.changed.notify_all();
    }
    /// The trait's own has both blocks out for a moment. No pool counts that, as it refuses none to become smaller.
    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let mut book = self.book();
        let made = book.live.remove(&block.as_ptr().addr());
        if made != Some(old) {
            book.mistakes += 1;
            panic!("a block shrinks from {old:?} that is out with {made:?}");
        }
        // SAFETY: made by `allocate` with this layout, and the new one is no larger.
        let shrunk = unsafe { Global.shrink(block, old, new) }.expect("there is memory for less");
        assert!(book.live.insert(shrunk.cast::<u8>().as_ptr().addr(), new).is_none());
        book.live_bytes -= old.size() - new.size();
        book.allocations += 1;
        book.deallocations += 1;
        Ok(shrunk)
    }
}
