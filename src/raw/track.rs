//! Where in the program what is out was gotten, for pools whose builder said `track`.
//!
//! A note is found by the address of its block, so that a buffer carries nothing. What has a note belongs to no magazine (see
//! `home`): its drop takes the way on which it is struck off, and one without a note the short one.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_types, reason = "a lock that only tracked pools take")]

use core::cell::Cell;
use core::mem;
use core::num::NonZeroU32;
use core::panic::Location;
use core::ptr::{self, NonNull};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::PoisonError;
use std::time::Instant;

use crate::raw::counters::add;
use crate::stats::{Outstanding, Site};
use crate::sync::{CachePadded, Figure, Mutex, MutexGuard, Ordering::Relaxed};

/// Threads meet at one in so many locks.
const SHARDS: usize = 16;

/// std's hasher without its random keys: a system that has none to give makes that one panic, here with a block in hand. Nobody chooses
/// addresses so that they collide.
type Hasher = BuildHasherDefault<DefaultHasher>;

/// Notes by the addresses of their blocks.
type Notes = HashMap<usize, Note, Hasher>;

/// Its locks are held for a few steps, in which no memory is allocated or freed: the program's allocator may use this pool.
#[derive(Debug)]
pub(crate) struct Tracks {
    /// Of so many gets one is noted.
    one_in: NonZeroU32,
    shards: [CachePadded<Mutex<Notes>>; SHARDS],
    /// Gets whose turn it was, and for whose note there was no memory.
    missed: Figure,
}

#[derive(Clone, Copy, Debug)]
struct Note {
    site: &'static Location<'static>,
    bytes: usize,
    since: Instant,
}

impl Tracks {
    pub(crate) fn new(one_in: NonZeroU32) -> Self {
        Self { one_in, shards: core::array::from_fn(|_| CachePadded::default()), missed: Figure::new(0) }
    }

    /// Whether the next get is to be noted.
    pub(crate) fn is_due(&self) -> bool {
        self.one_in.get() == 1 || draw() % u64::from(self.one_in.get()) == 0
    }

    /// Notes a block that was just handed out. False: there is no memory for that.
    pub(crate) fn note(&self, block: NonNull<u8>, bytes: usize, site: &'static Location<'static>) -> bool {
        self.insert(block, Note { site, bytes, since: Instant::now() })
    }

    /// What was noted of one block holds for another one from now on; false if nothing was.
    pub(crate) fn follow(&self, from: NonNull<u8>, to: NonNull<u8>, bytes: usize) -> bool {
        let note = self.shard(from).remove(&from.addr().get());
        note.is_some_and(|note| self.insert(to, Note { bytes, ..note }))
    }

    /// The block is about to go back.
    pub(crate) fn strike_off(&self, block: NonNull<u8>) {
        self.shard(block).remove(&block.addr().get());
    }

    fn insert(&self, block: NonNull<u8>, note: Note) -> bool {
        // A larger table, once one is needed; and then the smaller one, which ends after the lock.
        let mut spare: Option<Notes> = None;
        loop {
            let mut shard = self.shard(block);
            let needed = shard.len() + 1;
            if let Some(spare) = spare.as_mut().filter(|spare| shard.capacity() < needed && spare.capacity() >= needed)
            {
                spare.extend(shard.drain());
                mem::swap(&mut *shard, spare);
            }
            if shard.capacity() >= needed {
                shard.insert(block.addr().get(), note);
                return true;
            }
            drop(shard);
            if spare.get_or_insert_default().try_reserve(2 * needed).is_err() {
                add(&self.missed);
                return false;
            }
        }
    }

    fn shard(&self, block: NonNull<u8>) -> MutexGuard<'_, Notes> {
        // Blocks of a page or more would all meet in the shards of low bits.
        let bits = block.addr().get() / 64;
        let shard = &self.shards[(bits ^ (bits >> 6) ^ (bits >> 12)) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn outstanding(&self) -> Outstanding {
        let mut sites: BTreeMap<&Location<'_>, Site> = BTreeMap::new();
        let mut notes = Vec::new();
        for shard in &self.shards {
            copy(shard, &mut notes);
            for note in notes.drain(..) {
                let age = note.since.elapsed();
                let site = sites.entry(note.site).or_insert_with(|| Site::new(note.site, age));
                site.add(note.bytes, age);
            }
        }
        let mut sites: Vec<_> = sites.into_values().collect();
        sites.sort_by_key(|site| core::cmp::Reverse((site.bytes, site.count)));
        Outstanding { one_in: self.one_in.get(), sites, missed: self.missed.load(Relaxed) }
    }
}

/// Copies a shard's notes, into room that was made while it was not locked.
fn copy(shard: &Mutex<Notes>, notes: &mut Vec<Note>) {
    loop {
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = shard.len();
        if notes.capacity() >= needed {
            notes.extend(shard.values());
            return;
        }
        drop(shard);
        notes.reserve(needed);
    }
}

/// The calling thread's next number: xorshift (Marsaglia: Xorshift RNGs, 2003). By chance, as a loop that gets at two places in turn
/// would hit the same one every time with a count.
fn draw() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    STATE.with(|state| {
        let mut next = match state.get() {
            // Threads one after another have their variables at one address, and those of one moment at several.
            0 => Hasher::default().hash_one((Instant::now(), ptr::from_ref(state).addr())) | 1,
            state => state,
        };
        next ^= next << 13;
        next ^= next >> 7;
        next ^= next << 17;
        state.set(next);
        next
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn block(n: usize) -> NonNull<u8> {
        NonNull::new(core::ptr::without_provenance_mut(64 * (n + 1))).unwrap()
    }

    #[test]
    fn a_note_goes_with_the_block() {
        let tracks = Tracks::new(NonZeroU32::MIN);
        let site = Location::caller();
        assert!((0..100).all(|n| tracks.note(block(n), 10, site)));
        (0..90).for_each(|n| tracks.strike_off(block(n)));
        assert!(tracks.follow(block(95), block(1000), 30));
        assert!(!tracks.follow(block(95), block(1001), 30), "nothing is known of it any more");
        let outstanding = tracks.outstanding();
        assert_eq!((outstanding.sites.len(), outstanding.sites[0].count, outstanding.sites[0].bytes), (1, 10, 120));
        assert_eq!(outstanding.sites[0].location, site);
    }

    #[test]
    fn about_one_in_so_many_is_due() {
        let tracks = Tracks::new(NonZeroU32::new(100).unwrap());
        let due = (0..100_000).filter(|_| tracks.is_due()).count();
        assert!((800..1200).contains(&due), "{due}");
    }

    /// As where each connection has a thread of its own, with a get each.
    #[test]
    fn so_are_the_first_ones_of_threads() {
        let tracks = Tracks::new(NonZeroU32::new(4).unwrap());
        let first = || std::thread::scope(|scope| scope.spawn(|| tracks.is_due()).join().unwrap());
        let due = (0..400).filter(|_| first()).count();
        assert!((50..150).contains(&due), "{due}");
    }
}
