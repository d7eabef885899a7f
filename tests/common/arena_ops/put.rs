//! What is put into an arena by its methods, and how it is known again.

use std::alloc::Layout;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

use allocator_api2::vec::Vec as VecIn;
use arbitrary::Arbitrary;
use millpond::{Arena, GetError};

use super::SIZES;
use crate::common::blocks::{Align, Size, layout};
use crate::common::scarce::Scarce;

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Put {
    Bytes(Size),
    Str(Size),
    SliceCopy(Size),
    SliceClone(Size),
    FillWith(Size),
    FillCopy(Size),
    FillDefault(Size),
    FillIter(Size),
    Value,
    With,
    Aligned,
    Layout(Size, Align),
    /// By a closure that puts some more in, and takes some of that out.
    Within(Size, Size),
    /// By a closure that panics for one of the elements.
    Panics(Size, u16, Maker),
}

/// Who calls the closure.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Maker {
    With,
    FillWith,
    FillIter,
    SliceClone,
}

/// What one of the methods put in: nobody has a reference to it, and it stays until the arena is reset or ends.
pub struct Piece {
    /// None: a closure panicked, so that nobody knows where it would be.
    pub at: Option<NonNull<[u8]>>,
    pub layout: Layout,
    holds: Vec<u8>,
}

// SAFETY: it has its memory alone.
unsafe impl Send for Piece {}

impl Piece {
    /// Of values without padding.
    fn new<T>(values: &mut [T]) -> Self {
        let at = NonNull::slice_from_raw_parts(NonNull::from(&mut *values).cast(), size_of_val(values));
        Self::at(at, layout(at.len(), align_of::<T>()))
    }

    /// Of bytes that are written.
    fn at(at: NonNull<[u8]>, layout: Layout) -> Self {
        assert_eq!(at.cast::<u8>().addr().get() % layout.align(), 0);
        let mut piece = Self { at: Some(at), layout, holds: Vec::new() };
        piece.holds = piece.bytes().to_vec();
        piece
    }

    fn lost(layout: Layout) -> Self {
        Self { at: None, layout, holds: Vec::new() }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: it has been written, without padding, and stays until the arena is reset or ends.
        self.at.as_ref().map_or(&[], |at| unsafe { at.as_ref() })
    }

    pub fn check(&self) {
        assert!(self.bytes() == self.holds, "{:?} does not hold what was written", self.layout);
    }
}

/// So aligned that even one is the pool's.
#[repr(align(512))]
#[derive(Clone, Copy)]
struct Aligned([u8; 512]);

/// The method, or its twin that cannot fail.
macro_rules! put {
    ($sure:expr, $arena:ident.$put:ident or $try_put:ident($($what:expr),*)) => {
        if $sure { Ok($arena.$put($($what),*)) } else { $arena.$try_put($($what),*) }
    };
}

impl Put {
    /// `sure`: it cannot fail. What was put in beside it, by the closure, is there in any case.
    pub fn make(self, arena: &Arena<Scarce>, seed: u8, sure: bool, beside: &mut Vec<Piece>) -> Result<Piece, GetError> {
        let numbered = |n: usize| (n as u64) << 8 | u64::from(seed);
        let words = |size: Size| (0..size.bytes(&SIZES) / 8).map(numbered).collect::<Vec<_>>();
        match self {
            Self::Bytes(size) => put!(sure, arena.alloc_bytes or try_alloc_bytes(size.bytes(&SIZES))).map(|bytes| {
                assert!(bytes.iter().all(|byte| *byte == 0));
                bytes.fill(seed);
                Piece::new(bytes)
            }),
            Self::Str(size) => {
                let text = char::from(seed % 128).to_string().repeat(size.bytes(&SIZES));
                put!(sure, arena.alloc_str or try_alloc_str(&text)).map(|copy| {
                    assert_eq!(*copy, *text);
                    // SAFETY: the bytes are not changed.
                    Piece::new(unsafe { copy.as_bytes_mut() })
                })
            }
            Self::SliceCopy(size) => {
                let words = words(size);
                put!(sure, arena.alloc_slice_copy or try_alloc_slice_copy(&words)).map(|copy| seen(copy, &words))
            }
            Self::SliceClone(size) => {
                let words = words(size);
                put!(sure, arena.alloc_slice_clone or try_alloc_slice_clone(&words)).map(|copy| seen(copy, &words))
            }
            Self::FillWith(size) => {
                let make = |n: usize| [n ^ usize::from(seed), n, 0].map(|n| n as u16);
                let len = size.bytes(&SIZES) / 6;
                let made = put!(sure, arena.alloc_slice_fill_with or try_alloc_slice_fill_with(len, make));
                made.map(|made| seen(made, &(0..len).map(make).collect::<Vec<_>>()))
            }
            Self::FillCopy(size) => {
                let (len, value) = (size.bytes(&SIZES) / 4, u32::from(seed) << 24 | 5);
                let made = put!(sure, arena.alloc_slice_fill_copy or try_alloc_slice_fill_copy(len, value));
                made.map(|made| seen(made, &vec![value; len]))
            }
            Self::FillDefault(size) => {
                let len = size.bytes(&SIZES) / 2;
                let made = put!(sure, arena.alloc_slice_fill_default or try_alloc_slice_fill_default(len));
                made.map(|made| seen::<u16>(made, &vec![0; len]))
            }
            Self::FillIter(size) => {
                let words = words(size);
                let made = put!(sure, arena.alloc_slice_fill_iter or try_alloc_slice_fill_iter(words.iter().copied()));
                made.map(|made| seen(made, &words))
            }
            Self::Value => put!(sure, arena.alloc or try_alloc(numbered(7)))
                .map(|value| seen(std::slice::from_mut(value), &[numbered(7)])),
            Self::With => {
                put!(sure, arena.alloc_with or try_alloc_with(|| [seed; 300])).map(|value| seen(value, &[seed; 300]))
            }
            Self::Aligned => put!(sure, arena.alloc or try_alloc(Aligned([seed; 512]))).map(|value| {
                assert_eq!(value.0, [seed; 512]);
                Piece::new(std::slice::from_mut(value))
            }),
            Self::Layout(size, align) => {
                let layout = layout(size.bytes(&SIZES), align.bytes());
                let at = put!(sure, arena.alloc_layout or try_alloc_layout(layout))?;
                // SAFETY: just allocated.
                unsafe { at.write_bytes(seed, layout.size()) };
                Ok(Piece::at(NonNull::slice_from_raw_parts(at, layout.size()), layout))
            }
            Self::Within(size, inner) => within(arena, size, inner, seed, beside),
            Self::Panics(size, at, maker) => panics(arena, size, at, maker),
        }
    }
}

fn seen<T: PartialEq + std::fmt::Debug>(made: &mut [T], wanted: &[T]) -> Piece {
    assert!(*made == *wanted, "{made:?} is not {wanted:?}");
    Piece::new(made)
}

fn within(
    arena: &Arena<Scarce>,
    size: Size,
    inner: Size,
    seed: u8,
    beside: &mut Vec<Piece>,
) -> Result<Piece, GetError> {
    let mut refused = Ok(());
    let make = |n: usize| {
        if n < 3 {
            match arena.try_alloc_slice_fill_copy(inner.bytes(&SIZES), !seed) {
                Ok(bytes) => beside.push(Piece::new(bytes)),
                Err(error) => refused = Err(error),
            }
            // It is the last in the chunk, which takes it back.
            let mut passing = VecIn::new_in(arena);
            passing.extend_from_slice(&[seed; 24]);
            passing.truncate(n);
            // In the chunk nothing fails.
            passing.shrink_to_fit();
        }
        n as u64
    };
    let made = arena.try_alloc_slice_fill_with(size.bytes(&SIZES) / 8, make)?;
    assert!(made.iter().enumerate().all(|(n, word)| *word == n as u64));
    beside.push(Piece::new(made));
    refused?;
    Ok(beside.pop().expect("just pushed"))
}

/// Counts how many there are.
struct Counted<'a>(&'a Cell<isize>, [usize; 3]);

impl<'a> Counted<'a> {
    fn new(count: &'a Cell<isize>) -> Self {
        count.set(count.get() + 1);
        Self(count, [7; 3])
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
        assert_eq!(self.1, [7; 3]);
    }
}

/// Panics when it is cloned at its turn.
struct Turn<'make, 'count>(
    &'make dyn Fn() -> Counted<'count>,
    #[expect(dead_code, reason = "only its drop is seen")] Option<Counted<'count>>,
);

impl Clone for Turn<'_, '_> {
    fn clone(&self) -> Self {
        Self(self.0, Some((self.0)()))
    }
}

/// What was made by then is dropped, and the memory goes with the arena.
fn panics(arena: &Arena<Scarce>, size: Size, at: u16, maker: Maker) -> Result<Piece, GetError> {
    let (count, left) = (Cell::new(0), Cell::new(0));
    let make = || {
        if left.get() == 0 {
            resume_unwind(Box::new("a closure"));
        }
        left.set(left.get() - 1);
        Counted::new(&count)
    };
    let len = 1 + size.bytes(&SIZES) / size_of::<Counted<'_>>();
    left.set(usize::from(at) % len);
    let array = |size: usize, align| layout(len * size, align);
    let (layout, refused) = match maker {
        Maker::With => {
            left.set(0);
            let made = catch_unwind(AssertUnwindSafe(|| arena.try_alloc_with(|| [make(), make()]).map(drop)));
            (Layout::new::<[Counted<'_>; 2]>(), made)
        }
        Maker::FillWith => {
            let made = catch_unwind(AssertUnwindSafe(|| arena.try_alloc_slice_fill_with(len, |_| make()).map(drop)));
            (array(size_of::<Counted<'_>>(), align_of::<Counted<'_>>()), made)
        }
        Maker::FillIter => {
            let made = (0..len).map(|_| make());
            let made = catch_unwind(AssertUnwindSafe(|| arena.try_alloc_slice_fill_iter(made).map(drop)));
            (array(size_of::<Counted<'_>>(), align_of::<Counted<'_>>()), made)
        }
        Maker::SliceClone => {
            let originals: Vec<_> = (0..len).map(|_| Turn(&make, None)).collect();
            let made = catch_unwind(AssertUnwindSafe(|| arena.try_alloc_slice_clone(&originals).map(drop)));
            (array(size_of::<Turn<'_, '_>>(), align_of::<Turn<'_, '_>>()), made)
        }
    };
    assert_eq!(count.get(), 0, "each that was made was dropped once");
    match refused {
        Err(_) => Ok(Piece::lost(layout)),
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) => panic!("{maker:?} has all of {len}"),
    }
}
