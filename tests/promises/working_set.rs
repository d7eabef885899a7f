//! What a collection keeps and what it frees, block by block, beside a model that knows when each was last in a buffer.
//!
//! *A block that nobody used through two collections is freed; a block used in between is kept.* In full: to be used is to
//! be gotten or dropped.
//!
//! 1. A collection frees no block that was used since the last one.
//! 2. It frees every idle block that was not, if it has lain in one magazine or in the depot ever since. A magazine is a
//!    stack, and what lies below its lowest end since the last collection is what nobody took since: so although a get says
//!    nothing of which block it wants, this is exact for each block, not only for their number.
//! 3. A block that was moved with others, by a flush or a refill, counts as used: it was a neighbour of one that was. So
//!    where magazines overflow, what was not used may stay, but only of a class that was: a class without a get or a drop
//!    since the last collection has no idle block after it. (But for a thread that can lease no more, which flushes whatever
//!    class gives up most credit by it. No thread comes to that here.)
//! 4. What is kept is found: one thread allocates only when no block of the class is idle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Sender, channel};

use crate::common::{builder, class_size, ledger::Ledger};
use arbitrary::{Arbitrary, Unstructured};
use millpond::{Builder, Pool, PoolBuf};
use proptest::prelude::*;

/// Indices are taken modulo what there is.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Step {
    Get {
        thread: u8,
        class: u8,
    },
    GetMany {
        thread: u8,
        class: u8,
        count: u8,
    },
    Drop {
        thread: u8,
        buffer: u8,
    },
    DropMany {
        thread: u8,
        count: u8,
    },
    /// A thread ends; another one comes and takes its slot, or one that no thread of ours had.
    Replace {
        thread: u8,
    },
    Collect,
}

type Buf = PoolBuf<Ledger>;
type Work = Box<dyn FnOnce() + Send>;

/// A thread that does what it is told, and then waits outside the pool.
struct Worker(Option<(Sender<Work>, std::thread::JoinHandle<()>)>);

impl Worker {
    fn new() -> Self {
        let (sender, work) = channel::<Work>();
        Self(Some((sender, std::thread::spawn(move || work.iter().for_each(|work| work())))))
    }

    fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        let (sender, result) = channel();
        let (work_to, _) = self.0.as_ref().unwrap();
        work_to.send(Box::new(move || sender.send(work()).unwrap())).unwrap();
        result.recv().expect("the work did not panic")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let (sender, thread) = self.0.take().unwrap();
        drop(sender);
        // One that panicked has said so.
        let _ = thread.join();
    }
}

/// What the model knows of a block that exists.
struct Known {
    class: usize,
    out: bool,
    /// The collection that was the last when the block was gotten or dropped.
    used: usize,
}

struct World {
    pool: Pool<Ledger>,
    ledger: Ledger,
    threads: Vec<Worker>,
    lengths: &'static [usize],
    held: Vec<(Buf, usize)>,
    /// By address.
    blocks: BTreeMap<usize, Known>,
    collections: usize,
    /// Classes of which a buffer was gotten or dropped since the last collection.
    active: BTreeSet<usize>,
    /// No magazine overflows, so that rule 2 holds for every block.
    roomy: bool,
}

impl World {
    fn new(
        threads: usize,
        lengths: &'static [usize],
        roomy: bool,
        set: impl FnOnce(Builder<Ledger>) -> Builder<Ledger>,
    ) -> Self {
        let ledger = Ledger::new();
        Self {
            pool: set(builder(&ledger)).build().unwrap(),
            ledger,
            threads: (0..threads).map(|_| Worker::new()).collect(),
            lengths,
            held: Vec::new(),
            blocks: BTreeMap::new(),
            collections: 0,
            active: BTreeSet::new(),
            roomy,
        }
    }

    fn run(mut self, bytes: &[u8]) {
        let mut bytes = Unstructured::new(bytes);
        while let (false, Ok(step)) = (bytes.is_empty(), Step::arbitrary(&mut bytes)) {
            self.step(step);
        }
        // And then nobody uses anything.
        self.give_back(0, 0, self.held.len());
        self.collect();
        self.collect();
        assert_eq!(self.ledger.live(), 0, "{}", self.pool.stats());
        drop(self.threads);
        drop(self.pool);
        self.ledger.assert_empty();
    }

    fn step(&mut self, step: Step) {
        let index = |n: u8, len: usize| usize::from(n) % len;
        match step {
            Step::Get { thread, class } => self.get(thread, index(class, self.lengths.len()), 1),
            Step::GetMany { thread, class, count } => {
                let most = if self.roomy { 8 } else { 120 };
                self.get(thread, index(class, self.lengths.len()), 1 + index(count, most));
            }
            Step::Drop { thread, buffer } if !self.held.is_empty() => {
                self.give_back(thread, index(buffer, self.held.len()), 1);
            }
            Step::DropMany { thread, count } => {
                let count = usize::from(count).min(self.held.len());
                self.give_back(thread, self.held.len() - count, count);
            }
            Step::Replace { thread } if self.threads.len() > 1 => {
                let thread = index(thread, self.threads.len());
                // The former one has ended when the new one first works.
                self.threads[thread] = Worker::new();
            }
            Step::Collect => self.collect(),
            Step::Drop { .. } | Step::Replace { .. } => {}
        }
    }

    fn thread(&self, thread: u8) -> &Worker {
        &self.threads[usize::from(thread) % self.threads.len()]
    }

    fn get(&mut self, thread: u8, class: usize, count: usize) {
        let existing = self.blocks.values().filter(|known| known.class == class).count();
        // So many fit into any one magazine, or one by one into the depot; or in full batches.
        let most: usize = if self.roomy { 16 } else { 1500 };
        let count = count.min(most.saturating_sub(existing));
        let (pool, len) = (self.pool.clone(), self.lengths[class]);
        let before = self.ledger.allocations();
        let gotten = self.thread(thread).run(move || (0..count).map(|_| pool.get(len)).collect::<Vec<_>>());
        let allocated = self.ledger.allocations() - before;
        let idle = self.blocks.values().filter(|known| known.class == class && !known.out).count();
        if self.threads.len() == 1 {
            assert_eq!(allocated, count.saturating_sub(idle), "{count} of {idle} idle ones\n{}", self.pool.stats());
        }
        for buf in gotten {
            assert_eq!(buf.capacity(), class_size(len));
            let known = Known { class, out: true, used: self.collections };
            let former = self.blocks.insert(buf.as_ptr().addr(), known);
            assert!(former.is_none_or(|former| (former.class, former.out) == (class, false)));
            self.held.push((buf, class));
        }
        if count > 0 {
            self.active.insert(class);
        }
    }

    fn give_back(&mut self, thread: u8, first: usize, count: usize) {
        let before = self.ledger.deallocations();
        let buffers: Vec<_> = self.held.drain(first..first + count).collect();
        for (buf, class) in &buffers {
            let known = self.blocks.get_mut(&buf.as_ptr().addr()).unwrap();
            (known.out, known.used) = (false, self.collections);
            self.active.insert(*class);
        }
        self.thread(thread).run(move || drop(buffers));
        assert_eq!(self.ledger.deallocations(), before, "there is room for all");
    }

    fn collect(&mut self) {
        let collected = self.pool.collect();
        assert_eq!((collected.slots_skipped, collected.already_running), (0, false));
        let (now, ledger, stats) = (self.collections, &self.ledger, self.pool.stats());
        let (mut freed, roomy, active) = (0, self.roomy, &self.active);
        self.blocks.retain(|block, known| {
            let kept = ledger.holds(*block);
            if known.out || known.used == now {
                assert!(kept, "a block of class {} was used and is freed\n{stats}", known.class);
            } else if roomy || !active.contains(&known.class) {
                assert!(
                    !kept,
                    "a block of class {}, last used {} collections ago, is kept\n{stats}",
                    known.class,
                    now - known.used
                );
            }
            freed += usize::from(!kept);
            kept
        });
        assert_eq!((collected.blocks(), self.ledger.live()), (freed, self.blocks.len()), "{collected}{stats}");
        self.collections += 1;
        self.active.clear();
    }
}

/// Three classes with magazines, and one whose blocks are always in the depot.
const LENGTHS: [usize; 4] = [256, 1000, 4096, 300_000];

fn steps(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..most)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(300))]

    /// N14:
    /// Rules 1 and 2.
    #[test]
    fn a_block_is_kept_if_and_only_if_it_was_used_since_the_last_collection(bytes in steps(800)) {
        World::new(3, &LENGTHS, true, |pool| pool.local_limit(1 << 20)).run(&bytes);
    }

    /// Rules 1 and 3: bursts that pass through the depot, from threads to threads.
    #[test]
    fn where_magazines_overflow_no_used_block_is_freed_and_no_unused_class_kept(bytes in steps(400)) {
        World::new(3, &LENGTHS[..3], false, |pool| pool.local_limit(1 << 20)).run(&bytes);
    }

    /// Rules 1, 3 and 4.
    #[test]
    fn one_thread_finds_whatever_is_kept(bytes in steps(400)) {
        World::new(1, &LENGTHS[..3], false, |pool| pool.local_limit(1 << 20)).run(&bytes);
    }
}
