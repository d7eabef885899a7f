//! An object that is out. [`Drop`] is where its way back starts.

use core::borrow::{Borrow, BorrowMut};
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::panic::{Location, RefUnwindSafe, UnwindSafe};
use core::ptr::NonNull;
use std::thread;

use crate::life::close::Core;
use crate::raw::counters::add;
use crate::raw::home::{Home, Lent};
use crate::raw::poison::{poison, unpoison};
use crate::raw::size_class::Rank;
use crate::tiers::backing::Backing;
use crate::tiers::backing::objects::{OBJECT, Objects};

/// An object from an [`ObjectPool`](crate::ObjectPool), which gets it back when this is dropped, on any thread, reset.
///
/// It may outlive every handle of its pool; then the object is dropped with it. `mem::forget` leaks the object, and the pool with it.
///
/// It may go to another thread, and be shared, where the object may:
///
/// ```compile_fail,E0277
/// let pool = millpond::ObjectPool::new(std::cell::Cell::<u8>::default);
/// let cell = pool.get();
/// std::thread::scope(|scope| scope.spawn(|| cell.set(1)));
/// ```
///
/// Nor may it pass for an object of another type, as a `Box` of a subtype may: what is written to it is handed out again as the pool's.
///
/// ```compile_fail,E0308
/// use millpond::{ObjectPool, Pooled};
///
/// fn keep(_: &'static String) {}
/// let pool = ObjectPool::<for<'a> fn(&'a String)>::new(|| |_| ());
/// let mut taker: Pooled<fn(&'static String)> = pool.get();
/// *taker = keep; // the next owner could give it a string that does not live as long
/// ```
pub struct Pooled<T: Send + 'static> {
    /// The object's box (I2).
    object: NonNull<T>,
    /// The way back, of which this is one unit.
    home: NonNull<Home>,
    /// Of just this type: a subtype's object must not come back. Covariance would let it.
    owns: PhantomData<(T, Cell<T>)>,
}

// SAFETY: (I2) it owns its object, of the pool's own type, and the pool's parts are all `Send` and `Sync`.
unsafe impl<T: Send + 'static> Send for Pooled<T> {}
// SAFETY: as above; a shared one gives shared access to the object and to nothing else.
unsafe impl<T: Send + Sync + 'static> Sync for Pooled<T> {}

/// What a length of one has: an object counts as one.
const RANK: Rank = Rank::of(1);

impl<T: Send + 'static> Pooled<T> {
    /// # Safety
    /// The block is an object's, and the caller owns it and its unit.
    #[inline(always)]
    pub(crate) unsafe fn of(Lent { block, home }: Lent) -> Self {
        // SAFETY: (I2) passed on.
        unsafe { unpoison(block, size_of::<T>()) };
        Self { object: block.cast(), home, owns: PhantomData }
    }

    /// An object that the thread itself has, where there is no more to it.
    ///
    /// # Safety
    /// The caller holds a handle or a unit of `core`.
    #[inline(always)]
    pub(crate) unsafe fn take_local(core: NonNull<Core<Objects<T>>>) -> Option<Self> {
        // SAFETY: passed on.
        let lent = unsafe { Core::take_local(core, RANK)? };
        // SAFETY: just lent, by a pool of such objects.
        Some(unsafe { Self::of(lent) })
    }

    /// An idle object.
    ///
    /// # Safety
    /// As for `take_local`.
    pub(crate) unsafe fn take(core: NonNull<Core<Objects<T>>>) -> Option<Self> {
        // SAFETY: passed on.
        let lent = unsafe { Core::take(core, OBJECT)? };
        // SAFETY: as above.
        Some(unsafe { Self::of(lent) })
    }

    /// The object, which the pool does not get back.
    ///
    /// ```
    /// let pool = millpond::ObjectPool::with(String::new, String::clear);
    /// let mut name = pool.get();
    /// name.push_str("kept");
    /// let name: String = name.detach();
    /// assert_eq!((name.as_str(), pool.stats().detached), ("kept", 1));
    /// ```
    #[must_use = "dropped, it is lost to the pool"]
    pub fn detach(self) -> T {
        let this = ManuallyDrop::new(self);
        let lent = Lent { block: this.object.cast(), home: this.home };
        // SAFETY: the unit keeps the core.
        let tiers = unsafe { &this.core().as_ref().tiers };
        // SAFETY: (I2) the object is this one's.
        unsafe { tiers.strike_off(lent) };
        // SAFETY: (I2) the object is this one's, which ends here.
        let object = unsafe { Objects::unboxed(this.object) };
        add(&this.objects().figures.detached);
        // SAFETY: its block has ended, and the unit ends here.
        unsafe { Core::forget(this.core(), OBJECT) };
        object
    }

    /// The same, noted as the caller's if that is wanted.
    #[track_caller]
    pub(crate) fn noted_here(mut self) -> Self {
        let lent = Lent { block: self.object.cast(), home: self.home };
        // SAFETY: the unit keeps the core.
        let tiers = unsafe { &self.core().as_ref().tiers };
        // Objects of no size have no address of their own.
        if size_of::<T>() > 0 {
            // SAFETY: (I2) the object is this one's, and so is the unit.
            self.home = unsafe { tiers.noted(lent, size_of::<T>(), Location::caller()) }.home;
        }
        self
    }

    /// Somebody else had made the object.
    pub(crate) fn count_adopted(&self) {
        add(&self.objects().figures.adopted);
    }

    #[inline(always)]
    fn core(&self) -> NonNull<Core<Objects<T>>> {
        // SAFETY: the unit keeps the home.
        unsafe { self.home.as_ref() }.pool().cast()
    }

    #[inline(always)]
    fn objects(&self) -> &Objects<T> {
        // SAFETY: the unit keeps the core.
        unsafe { &self.core().as_ref().tiers.backing }
    }
}

impl<T: Send + 'static> Drop for Pooled<T> {
    #[inline(always)]
    fn drop(&mut self) {
        let lent = Lent { block: self.object.cast(), home: self.home };
        // SAFETY: (I2) the object is this one's.
        unsafe { poison(lent.block, size_of::<T>()) };
        // SAFETY: (I2) the object is this one's, and so is the unit; if it is stored neither is used again.
        if thread::panicking() || !unsafe { Core::<Objects<T>>::store_local(lent) } {
            // SAFETY: as above.
            unsafe { give_back::<T>(lent) };
        }
    }
}

/// The pool of an object that is out.
///
/// # Safety
/// It is one of such objects, and the caller has the unit.
#[inline]
unsafe fn core_of<T: Send + 'static>(lent: Lent) -> NonNull<Core<Objects<T>>> {
    // SAFETY: the unit keeps the home.
    unsafe { lent.home.as_ref() }.pool().cast()
}

/// Takes an object back where the short way does not: as it has to be reset, for one.
///
/// # Safety
/// The object and the unit were a `Pooled`'s, which ends.
#[inline(never)]
unsafe fn give_back<T: Send + 'static>(lent: Lent) {
    // SAFETY: passed on.
    let core = unsafe { core_of::<T>(lent) };
    // SAFETY: the unit keeps the core.
    let objects = unsafe { &core.as_ref().tiers.backing };
    // SAFETY: (I2) the object is the caller's.
    unsafe { unpoison(lent.block, size_of::<T>()) };
    // SAFETY: as above.
    if !objects.takes_back(unsafe { lent.block.cast().as_mut() }) {
        // SAFETY: passed on.
        return unsafe { refuse::<T>(lent) };
    }
    // SAFETY: as above.
    unsafe { poison(lent.block, size_of::<T>()) };
    // SAFETY: passed on.
    if !unsafe { Core::<Objects<T>>::store_reset(lent) } {
        // SAFETY: passed on.
        unsafe { give_back_slow::<T>(lent) };
    }
}

/// Where the thread's own magazine does not take it.
///
/// # Safety
/// As for `give_back`.
#[cold]
#[inline(never)]
unsafe fn give_back_slow<T: Send + 'static>(lent: Lent) {
    // SAFETY: passed on.
    let core = unsafe { core_of::<T>(lent) };
    // SAFETY: the unit keeps the core.
    let tiers = unsafe { &core.as_ref().tiers };
    // SAFETY: (I2) the object is the caller's.
    unsafe { tiers.strike_off(lent) };
    // SAFETY: passed on.
    unsafe { Core::put(core, OBJECT, lent.block) };
}

/// Drops an object that its pool does not take back.
///
/// # Safety
/// As for `give_back`.
#[cold]
#[inline(never)]
unsafe fn refuse<T: Send + 'static>(lent: Lent) {
    // SAFETY: passed on.
    let core = unsafe { core_of::<T>(lent) };
    {
        // SAFETY: the unit keeps the core.
        let tiers = unsafe { &core.as_ref().tiers };
        add(&tiers.backing.figures.refused);
        // SAFETY: (I2) the object is the caller's.
        unsafe { tiers.strike_off(lent) };
        // SAFETY: (I1, I2) passed on.
        tiers.catch(|| unsafe { tiers.backing.release(OBJECT, lent.block) });
    }
    // SAFETY: its block has ended, and so does the unit.
    unsafe { Core::forget(core, OBJECT) };
}

impl<T: Send + 'static> Deref for Pooled<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: (I2) the object is this one's.
        unsafe { self.object.as_ref() }
    }
}

impl<T: Send + 'static> DerefMut for Pooled<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: (I2) the object is this one's.
        unsafe { self.object.as_mut() }
    }
}

impl<T: Send + 'static> AsRef<T> for Pooled<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: Send + 'static> AsMut<T> for Pooled<T> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: Send + 'static> Borrow<T> for Pooled<T> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T: Send + 'static> BorrowMut<T> for Pooled<T> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: Send + fmt::Debug + 'static> fmt::Debug for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Send + fmt::Display + 'static> fmt::Display for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

// As a `Box` is; the pool's part in it is safe whatever unwinds.
impl<T: Send + UnwindSafe + 'static> UnwindSafe for Pooled<T> {}
impl<T: Send + RefUnwindSafe + 'static> RefUnwindSafe for Pooled<T> {}
