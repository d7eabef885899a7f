//! What fills a buffer or an arena is user code that may panic at any single call, or lie: what it gave before is there or
//! dropped, and the pool goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::cue::Cue;
use crate::common::ledger::Ledger;
use millpond::{Pool, PoolBuf};

/// Runs `f` with a panic of the user's code at each of its calls in turn, and at last with none; then with what came of it, which is
/// the caller's to see, `check`.
fn at_every_call<T>(f: impl Fn(&Cue, &mut T), make: impl Fn() -> T, check: impl Fn(&Cue, T, bool)) {
    for nth in 1.. {
        let (cue, mut on) = (Cue::default(), make());
        cue.arm(nth);
        let result = catch_unwind(AssertUnwindSafe(|| f(&cue, &mut on)));
        assert_eq!(result.is_err(), cue.has_panicked(), "call {nth}");
        check(&cue, on, result.is_ok());
        if result.is_ok() {
            assert!(nth > 3, "{nth} calls");
            break;
        }
    }
}

fn assert_unharmed(pool: Pool<Ledger>, ledger: &Ledger) {
    let stats = pool.stats();
    assert_eq!((stats.in_use_bytes, stats.release_panics), (0, 0), "{stats}");
    assert_eq!(stats.allocated_bytes, stats.idle_bytes, "{stats}");
    drop(pool);
    ledger.assert_empty();
    assert_eq!(ledger.clones(), 1, "the pool is freed");
}

/// Gives so many bytes. How many, and each, are a call.
struct Feed(Cue, usize);

impl Iterator for Feed {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0.call();
        self.1 = self.1.checked_sub(1)?;
        Some(7)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.call();
        (self.1, None)
    }
}

#[test]
fn an_iterator_that_panics_leaves_what_it_gave() {
    let ledger = Ledger::new();
    let pool = crate::common::pool(&ledger);
    let extend = |cue: &Cue, buf: &mut PoolBuf<Ledger>| buf.extend(Feed(cue.clone(), 300));
    at_every_call(
        extend,
        || pool.get(1),
        |cue, buf, _| {
            // All but the call for the number, and the last one, which panics or gives nothing.
            assert_eq!(buf, vec![7; cue.calls().saturating_sub(2)]);
        },
    );
    assert_unharmed(pool, &ledger);
}

#[cfg(feature = "bytes")]
mod pieces {
    use bytes::{Buf, BufMut};

    use super::*;

    /// What is said of how much is left.
    type Claim = fn(usize) -> usize;

    /// Comes in pieces. What it claims to be left need not be true.
    struct Pieces {
        cue: Cue,
        left: &'static [u8],
        claim: Claim,
    }

    const TEXT: &[u8] = &[7; 1000];

    const PIECE: usize = 300;

    impl Pieces {
        fn new(cue: &Cue, claim: Claim) -> Self {
            Self { cue: cue.clone(), left: TEXT, claim }
        }
    }

    impl Buf for Pieces {
        fn remaining(&self) -> usize {
            self.cue.call();
            (self.claim)(self.left.len())
        }

        fn chunk(&self) -> &[u8] {
            self.cue.call();
            &self.left[..self.left.len().min(PIECE)]
        }

        fn advance(&mut self, count: usize) {
            self.cue.call();
            self.left = &self.left[count..];
        }
    }

    #[test]
    fn a_source_that_panics_leaves_whole_pieces() {
        let ledger = Ledger::new();
        let pool = crate::common::pool(&ledger);
        let put = |cue: &Cue, buf: &mut PoolBuf<Ledger>| buf.put(Pieces::new(cue, |left| left));
        at_every_call(
            put,
            || pool.get(1),
            |cue, buf, done| {
                // First it is asked how much it has. Then each piece takes three calls, of which the second gives it.
                let pieces = cue.calls().saturating_sub(1) / 3;
                assert_eq!(buf, TEXT[..TEXT.len().min(pieces * PIECE)]);
                assert!(!done || buf == TEXT);
            },
        );
        assert_unharmed(pool, &ledger);
    }

    /// It claims more, less, or something else every time; what is taken is what it gives.
    #[test]
    fn a_source_that_lies_costs_nothing_but_what_it_gave() {
        let ledger = Ledger::new();
        let pool = crate::common::pool(&ledger);
        let claims: [(Claim, usize); 5] = [
            (|left| left.min(1), TEXT.len()),
            (|left| if left == TEXT.len() { 100_000 } else { left }, TEXT.len()),
            (|left| if left > 500 { left } else { 0 }, 2 * PIECE),
            (|_| 0, 0),
            // There is no room for as much: nothing is taken.
            (|_| usize::MAX, 0),
        ];
        for (claim, taken) in claims {
            let mut buf = pool.get(1);
            let result = catch_unwind(AssertUnwindSafe(|| buf.put(Pieces::new(&Cue::default(), claim))));
            assert_eq!(result.is_err(), claim(1) == usize::MAX);
            assert_eq!(buf, TEXT[..taken]);
        }
        assert_unharmed(pool, &ledger);
    }
}

#[cfg(feature = "arena")]
mod arenas {
    use std::cell::RefCell;
    use std::ptr;

    use crate::common::cue::Object;
    use millpond::Arena;

    use super::*;

    thread_local! {
        /// For what is made from nothing.
        static CUE: RefCell<Cue> = RefCell::default();
    }

    impl Default for Object {
        fn default() -> Self {
            CUE.with_borrow(Self::make)
        }
    }

    /// Objects of which it says how many there are: a call, as each of them is, besides its making.
    struct Objects(Cue, usize);

    impl Iterator for Objects {
        type Item = Object;

        fn next(&mut self) -> Option<Object> {
            self.0.call();
            self.1 -= 1;
            Some(Object::make(&self.0))
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            self.0.call();
            (self.1, Some(self.1))
        }
    }

    impl ExactSizeIterator for Objects {}

    /// Of so many, or of those.
    type Fill = for<'arena> fn(&'arena Arena<Ledger>, &Cue, &[Object]) -> &'arena mut [Object];

    const FILLS: [Fill; 6] = [
        |arena, cue, _| arena.alloc_with(|| [(); 4].map(|()| Object::make(cue))),
        |arena, cue, like| arena.alloc_slice_fill_with(like.len(), |_| Object::make(cue)),
        |arena, cue, like| {
            CUE.set(cue.clone());
            arena.alloc_slice_fill_default(like.len())
        },
        |arena, cue, like| arena.alloc_slice_fill_iter(Objects(cue.clone(), like.len())),
        |arena, _, like| arena.alloc_slice_clone(like),
        // One that uses the arena which it fills.
        |arena, cue, like| {
            arena.alloc_slice_fill_with(like.len(), |n| {
                arena.alloc_bytes(100 * n);
                Object::make(cue)
            })
        },
    ];

    /// In the chunk and in a block of its own.
    #[test]
    fn what_was_made_before_a_panic_is_dropped() {
        for (fill, len) in FILLS.iter().flat_map(|fill| [(fill, 4), (fill, 50)]) {
            let ledger = Ledger::new();
            let pool = crate::common::pool(&ledger);
            let use_arena = |cue: &Cue, arena: &mut Arena<Ledger>| {
                let like: Vec<_> = (0..len).map(|_| Object::make(cue)).collect();
                let values = fill(arena, cue, &like);
                assert_eq!(cue.objects(), values.len() + len);
                // SAFETY: they are not used again, and the arena does not drop them.
                unsafe { ptr::drop_in_place(values) };
            };
            at_every_call(
                use_arena,
                || pool.arena(),
                |cue, mut arena, _| {
                    assert_eq!(cue.objects(), 0, "what was made is dropped");
                    assert_eq!(arena.alloc_bytes(1000), [0; 1000]);
                    arena.reset();
                    assert_eq!(arena.stats().large_blocks, 0);
                },
            );
            assert_unharmed(pool, &ledger);
        }
    }
}
