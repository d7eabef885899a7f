//! The buffer. [`Drop`] is where the way back starts.

mod cmp;

#[cfg(feature = "bytes")]
mod freeze;

mod grow;

mod read;

mod traits;

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::num::NonZeroUsize;
use core::ptr::{self, NonNull};
use core::slice;

use crate::alloc::{Allocator, Global};
use crate::error::GetError;
use crate::life::close::Core;
use crate::raw::home::{Home, Lent};
use crate::raw::poison::{poison, unpoison};
use crate::raw::size_class::Rank;
use crate::raw::wipe::wipe;
use crate::tiers::backing::Bytes;

/// A growable byte buffer from a [`Pool`](crate::Pool), with the everyday methods of `Vec<u8>`, each with its meaning there, and all of a
/// slice's. What would move the tail, or shrink the block (`insert`, `drain`, `split_off`, `shrink_to_fit`), is absent.
///
/// It is `'static`, `Send` and `Sync`, may be dropped on any thread, and may outlive every handle of its pool. It always
/// owns exactly one block, which goes back when it is dropped; what was written into it cannot be read by the next
/// owner through safe code. `mem::forget` leaks the block, and the pool with it.
///
/// ```
/// use std::io::Write;
///
/// let pool = millpond::Pool::new();
/// let mut buf = pool.get(64);
/// write!(buf, "{}-{}", 7, 11)?;
/// buf.push(b'!');
/// assert_eq!(buf, "7-11!");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct PoolBuf<A: Allocator + Send + Sync + 'static = Global> {
    /// The block: `cap` bytes, of which the first `len` are initialised (I5).
    ptr: NonNull<u8>,
    len: usize,
    cap: NonZeroUsize,
    /// The way back: to the magazine that the block came through, and to the pool, of which this buffer is one unit.
    home: NonNull<Home>,
    pool: PhantomData<NonNull<Core<Bytes<A>>>>,
}

// SAFETY: (I2) a buffer owns its block as a `Vec` does, and the pool's parts are all `Send` and `Sync`.
unsafe impl<A: Allocator + Send + Sync + 'static> Send for PoolBuf<A> {}
// SAFETY: as above; a shared buffer can only be read.
unsafe impl<A: Allocator + Send + Sync + 'static> Sync for PoolBuf<A> {}

impl<A: Allocator + Send + Sync + 'static> PoolBuf<A> {
    /// An empty buffer with room for at least `min` bytes.
    ///
    /// # Safety
    /// The caller holds a handle or a unit of `core`.
    pub(crate) unsafe fn new(core: NonNull<Core<Bytes<A>>>, min: usize) -> Result<Self, GetError> {
        // SAFETY: passed on.
        let lent = unsafe { Self::lend(core, min)? };
        // SAFETY: just lent for `min` bytes.
        Ok(unsafe { Self::of(lent, min) })
    }

    /// The block of [`new`](Self::new), and its home: what fits into two registers.
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn lend(core: NonNull<Core<Bytes<A>>>, min: usize) -> Result<Lent, GetError> {
        // SAFETY: the caller keeps the core.
        match unsafe { &core.as_ref().tiers.config.classes }.class_for(min) {
            // SAFETY: passed on.
            Some(class) => unsafe { Core::get(core, class) },
            // SAFETY: passed on.
            None => unsafe { Core::get_oversize(core, min) },
        }
    }

    /// The buffer of a block that was lent for `min` bytes.
    ///
    /// # Safety
    /// It is, and nobody else has it.
    #[inline(always)]
    pub(crate) unsafe fn of(lent: Lent, min: usize) -> Self {
        // SAFETY: the unit keeps the home.
        let home = unsafe { lent.home.as_ref() };
        let cap = match home.class() {
            Some(_) => home.size(),
            // An oversize block has the size that was asked for.
            None => NonZeroUsize::new(min).unwrap_or(NonZeroUsize::MIN),
        };
        // SAFETY: passed on.
        unsafe { Self::empty(lent, cap) }
    }

    /// # Safety
    /// The block has `cap` bytes, and nobody else has it nor its unit.
    #[inline(always)]
    unsafe fn empty(Lent { block, home }: Lent, cap: NonZeroUsize) -> Self {
        // SAFETY: passed on.
        unsafe { poison(block, cap.get()) };
        Self { ptr: block, len: 0, cap, home, pool: PhantomData }
    }

    /// As [`new`](Self::new), where the thread itself has a block for it and there is no more to it.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn new_local(core: NonNull<Core<Bytes<A>>>, min: usize) -> Option<Self> {
        // SAFETY: the caller keeps the core.
        let lent = unsafe { Core::take_local(core, Rank::of(min))? };
        // SAFETY: the unit keeps the home.
        let cap = unsafe { lent.home.as_ref() }.size();
        // SAFETY: just lent, of that size.
        Some(unsafe { Self::empty(lent, cap) })
    }

    /// How many bytes the buffer holds.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no byte.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes fit before the buffer has to grow: the size of its block.
    #[inline]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.cap.get()
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: (I5) the first `len` bytes are initialised, and (I2) the block is this buffer's.
        unsafe { slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// The bytes, to be changed.
    #[inline]
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: (I5) the first `len` bytes are initialised, and (I2) the block is this buffer's.
        unsafe { slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }

    /// A pointer to the block, valid for reads of `len` bytes until the buffer grows or is dropped.
    #[inline]
    #[must_use]
    pub const fn as_ptr(&self) -> *const u8 {
        self.ptr.as_ptr()
    }

    /// A pointer to the block, valid for writes of `capacity` bytes until the buffer grows or is dropped.
    #[inline]
    #[must_use]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        // SAFETY: (I2) the block is this buffer's.
        unsafe { unpoison(self.ptr, self.capacity()) };
        self.ptr.as_ptr()
    }

    /// The rest of the block, to be written before [`set_len`](Self::set_len) declares it initialised.
    ///
    /// ```
    /// let mut buf = millpond::Pool::new().get(16);
    /// buf.spare_capacity_mut()[0].write(b'x');
    /// // SAFETY: the first byte was just written.
    /// unsafe { buf.set_len(1) };
    /// assert_eq!(buf, "x");
    /// ```
    #[inline]
    #[must_use]
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let room = self.capacity() - self.len;
        // SAFETY: there is so much room.
        let spare = unsafe { self.spare(room) };
        // SAFETY: (I2) the block is this buffer's, and `MaybeUninit` asks nothing of its bytes.
        unsafe { slice::from_raw_parts_mut(spare.as_ptr().cast(), room) }
    }

    /// Where to write `count` bytes, before the length covers them.
    ///
    /// # Safety
    /// There is room for as many.
    #[inline(always)]
    unsafe fn spare(&mut self, count: usize) -> NonNull<u8> {
        // SAFETY: `len <= cap`, so this stays inside the block.
        let spare = unsafe { self.ptr.add(self.len) };
        // SAFETY: (I2) so many bytes of this buffer's block.
        unsafe { unpoison(spare, count) };
        spare
    }

    /// Every change of the length ends here. What is new was written through [`spare`](Self::spare).
    #[inline(always)]
    fn resized(&mut self, len: usize) {
        let before = core::mem::replace(&mut self.len, len);
        if len < before {
            // SAFETY: inside the block.
            let rest = unsafe { self.ptr.add(len) };
            // All of it, as `as_mut_ptr` may have opened it.
            // SAFETY: (I2) the block is this buffer's.
            unsafe { poison(rest, self.capacity() - len) };
        }
    }

    /// Declares the first `len` bytes initialised.
    ///
    /// # Safety
    /// `len` is at most [`capacity`](Self::capacity), and the bytes below it have been written.
    #[inline]
    pub unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity());
        // SAFETY: (I2) the block is this buffer's.
        unsafe { poison(self.ptr, self.capacity()) };
        // SAFETY: as above.
        unsafe { unpoison(self.ptr, len) };
        self.len = len;
    }

    /// Empties the buffer; the capacity stays.
    #[inline]
    pub fn clear(&mut self) {
        self.resized(0);
    }

    /// Keeps the first `len` bytes; does nothing if there are fewer. The capacity stays.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.resized(len);
        }
    }

    /// Makes room for `additional` more bytes. Grows to at least twice the capacity, into another block; where that cannot be
    /// had, under the pool's `limit` or at all, to less, and to what is needed at least.
    ///
    /// # Panics
    /// Where [`try_reserve`](Self::try_reserve) would fail; out of memory is treated as `Vec` treats it.
    ///
    /// # Cost
    /// Growing copies what there is, and holds both blocks meanwhile: ask for the whole capacity at once where it is known.
    #[inline]
    #[track_caller]
    pub fn reserve(&mut self, additional: usize) {
        if additional > self.capacity() - self.len {
            self.reserve_slow(additional);
        }
    }

    /// Apart, so that an error takes no room in each of the places that this is inlined into.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn reserve_slow(&mut self, additional: usize) {
        if let Err(error) = self.grow(additional) {
            failed(error);
        }
    }

    /// Makes room for `additional` more bytes.
    ///
    /// # Errors
    /// As [`Pool::try_get`](crate::Pool::try_get); the buffer is then as it was. While it grows it holds both blocks, so
    /// both must fit under the pool's `limit`.
    #[inline]
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), GetError> {
        if additional <= self.capacity() - self.len { Ok(()) } else { self.grow(additional) }
    }

    /// Appends a byte.
    ///
    /// # Panics
    /// As [`reserve`](Self::reserve).
    #[inline]
    #[track_caller]
    pub fn push(&mut self, byte: u8) {
        if self.len == self.capacity() {
            self.reserve(1);
        }
        // SAFETY: `len < cap`.
        let end = unsafe { self.spare(1) };
        // SAFETY: (I2) the block is this buffer's.
        unsafe { end.write(byte) };
        self.resized(self.len + 1);
    }

    /// Takes the last byte.
    #[inline]
    pub fn pop(&mut self) -> Option<u8> {
        let last = self.as_slice().last().copied()?;
        self.resized(self.len - 1);
        Some(last)
    }

    /// Appends `bytes`.
    ///
    /// # Panics
    /// As [`reserve`](Self::reserve).
    #[inline]
    #[track_caller]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        // SAFETY: there is room now.
        unsafe { self.append_unchecked(bytes) };
    }

    /// Appends `bytes`, all or none.
    ///
    /// # Errors
    /// As [`try_reserve`](Self::try_reserve).
    #[inline]
    pub fn try_extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), GetError> {
        self.try_reserve(bytes.len())?;
        // SAFETY: there is room now.
        unsafe { self.append_unchecked(bytes) };
        Ok(())
    }

    /// Appends `bytes` where there is room for them.
    ///
    /// # Safety
    /// `bytes.len()` is at most `capacity - len`.
    #[inline]
    unsafe fn append_unchecked(&mut self, bytes: &[u8]) {
        // SAFETY: passed on.
        let end = unsafe { self.spare(bytes.len()) };
        // SAFETY: as above; `bytes` cannot lie in a block that is borrowed mutably.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), end.as_ptr(), bytes.len()) };
        self.resized(self.len + bytes.len());
    }

    /// Makes the length `len`, with copies of `value` where it grows.
    ///
    /// # Panics
    /// As [`reserve`](Self::reserve).
    #[track_caller]
    pub fn resize(&mut self, len: usize, value: u8) {
        if let Some(additional) = len.checked_sub(self.len) {
            self.reserve(additional);
            // SAFETY: there is room for as many.
            let end = unsafe { self.spare(additional) };
            // SAFETY: (I2) the block is this buffer's.
            unsafe { end.write_bytes(value, additional) };
        }
        self.resized(len);
    }

    /// A copy outside the pool.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.as_slice().to_vec()
    }
}

impl<A: Allocator + Send + Sync + 'static> Drop for PoolBuf<A> {
    #[inline(always)]
    fn drop(&mut self) {
        let lent = Lent { block: self.ptr, home: self.home };
        // SAFETY: (I2) the block is this buffer's.
        unsafe { poison(self.ptr, self.capacity()) };
        // SAFETY: the block is this buffer's, and so is the unit; if it is stored neither is used again.
        if !unsafe { Core::<Bytes<A>>::store_local(lent) } {
            // SAFETY: the block is this buffer's, and so is the unit; neither is used again.
            unsafe { give_back::<A>(lent, self.cap.get()) };
        }
    }
}

/// Takes a buffer's block back where the short way does not.
///
/// # Safety
/// The block, of `cap` bytes, and the unit were a buffer's, which ends.
#[cold]
#[inline(never)]
unsafe fn give_back<A: Allocator + Send + Sync + 'static>(lent: Lent, cap: usize) {
    // SAFETY: the unit keeps the home.
    let home = unsafe { *lent.home.as_ptr() };
    let core = home.pool().cast::<Core<Bytes<A>>>();
    // SAFETY: and the core.
    let tiers = unsafe { &core.as_ref().tiers };
    // SAFETY: (I2) the block is the caller's.
    unsafe { tiers.strike_off(lent) };
    if tiers.config.zero_on_return {
        // SAFETY: (I2) the block is the caller's, of `cap` bytes.
        unsafe { unpoison(lent.block, cap) };
        // SAFETY: as above.
        unsafe { wipe(lent.block, cap) };
        // SAFETY: as above.
        unsafe { poison(lent.block, cap) };
        // SAFETY: passed on.
        if unsafe { Core::<Bytes<A>>::store_reset(lent) } {
            return;
        }
    }
    match home.class() {
        // SAFETY: passed on.
        Some(class) => unsafe { Core::put(core, class, lent.block) },
        // SAFETY: passed on.
        None => unsafe { Core::put_oversize(core, cap, lent.block) },
    }
}

/// What a method without `try_` makes of its twin's result. A closure would not pass the caller's place on.
#[inline(always)]
#[track_caller]
pub(crate) fn or_failed<T>(result: Result<T, GetError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => failed(error),
    }
}

/// What a method without `try_` does with an error: out of memory as `Vec` does, the rest by a panic.
#[cold]
#[inline(never)]
#[track_caller]
pub(crate) fn failed(error: GetError) -> ! {
    if let GetError::OutOfMemory { requested, align } = error {
        if let Ok(layout) = core::alloc::Layout::from_size_align(requested, align) {
            std::alloc::handle_alloc_error(layout);
        }
    }
    panic!("{error}");
}
