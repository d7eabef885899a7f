//! Size classes: four per doubling, jemalloc's own sizes, so at most a fifth of a block is waste.
#![forbid(unsafe_code)]

/// The most classes that a pool can have: a slot keeps one bit for each in one word.
pub(crate) const MAX_CLASSES: usize = if cfg!(loom) { 2 } else { 64 };

/// Classes per doubling of the size.
const PER_DOUBLING: usize = 4;

/// The index of a size class, always below [`MAX_CLASSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class(u8);

impl Class {
    /// The class with this index. Indices wrap at [`MAX_CLASSES`], so that no table look-up needs a bounds check.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "masked to six bits")]
    pub(crate) const fn new(index: usize) -> Self {
        Self((index % MAX_CLASSES) as u8)
    }

    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize % MAX_CLASSES
    }

    #[inline(always)]
    pub(crate) const fn bit(self) -> u64 {
        1 << self.index()
    }

    /// The classes whose bits are set in `word`, smallest first.
    pub(crate) fn each_in(mut word: u64) -> impl Iterator<Item = Self> {
        core::iter::from_fn(move || {
            let class = (word != 0).then(|| Self::new(word.trailing_zeros() as usize))?;
            word &= word - 1;
            Some(class)
        })
    }
}

/// The sizes of a pool: `min`, then four per doubling up to a largest class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SizeClasses {
    /// Ranks (see [`rank`]) up to this one belong to class 0.
    base: usize,
    count: usize,
    min: usize,
}

/// The position of a length on the endless ladder of sizes `.. 256, 320, 384, 448, 512, 640 ..`, whatever the pool. A few
/// instructions without a branch, and none if the length is a constant.
///
/// With `n = len - 1`, the two bits below the leading one say in which quarter of its doubling `n` falls. As a float, `n` has
/// the place of its leading bit and those two side by side. That is the cheapest way to them on x86-64, where the search for
/// a leading bit takes eight micro-operations. Lengths up to 4 share a rank, and those above `isize::MAX` rank above
/// all others.
#[inline(always)]
const fn rank(len: usize) -> usize {
    const MANTISSA: u32 = f64::MANTISSA_DIGITS - 1;
    const BIAS: usize = (f64::MAX_EXP as usize - 1) * PER_DOUBLING;
    // Rounded from 2^53 on, which no pool's class reaches: the builder sees to that.
    let n = (len.saturating_sub(1) | 3) as isize as f64;
    #[expect(clippy::cast_possible_truncation, reason = "12 bits and two")]
    let rank = (n.to_bits() >> (MANTISSA - PER_DOUBLING.ilog2())) as usize;
    rank - BIAS
}

/// The ranks that a slot has a cell for. Lengths above 3.5 GiB share the last one, which no class has.
pub(crate) const RANKS: usize = if cfg!(loom) { 2 } else { 128 };

/// The rank of the first cell: models have no class below 64 bytes, and fewer cells.
const FIRST: usize = if cfg!(loom) { rank(64) } else { 0 };

/// A length's cell in a slot, below [`RANKS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank(usize);

impl Rank {
    /// Without a look at the pool's classes, so that a get of a constant length has nothing to compute.
    #[inline(always)]
    pub(crate) const fn of(len: usize) -> Self {
        let cell = rank(len).wrapping_sub(FIRST);
        Self(if cell < RANKS { cell } else { RANKS - 1 })
    }

    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

impl SizeClasses {
    /// The ladder from `min`, a power of two of at least 16 or for one class alone, to the first size that is not below `max`.
    pub(crate) const fn new(min: usize, max: usize) -> Self {
        let base = rank(min);
        Self { base, count: rank(max) - base + 1, min }
    }

    /// The size of the smallest class.
    #[inline(always)]
    pub(crate) const fn min(&self) -> usize {
        self.min
    }

    /// How many classes the ladder from `min` to `max` has.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The smallest class that holds `len` bytes, or `None` if that is oversize.
    pub(crate) const fn class_for(&self, len: usize) -> Option<Class> {
        let len = if len < self.min { self.min } else { len };
        let index = rank(len) - self.base;
        if index < self.count { Some(Class::new(index)) } else { None }
    }

    /// The cell of a class in a slot; none if it has none, as its blocks are too large for any.
    pub(crate) const fn rank(&self, class: Class) -> Option<Rank> {
        let cell = self.base - FIRST + class.index();
        if cell < RANKS - 1 { Some(Rank(cell)) } else { None }
    }

    /// The other cells that lead to a class: of the lengths below the smallest one.
    pub(crate) fn aliases(&self, class: Class) -> impl Iterator<Item = Rank> + use<> {
        let below = if class.index() == 0 { (self.base - FIRST).min(RANKS - 1) } else { 0 };
        (0..below).map(Rank)
    }

    /// The size of a class in bytes.
    #[inline]
    pub(crate) const fn size(&self, class: Class) -> usize {
        let index = class.index();
        if index == 0 {
            return self.min;
        }
        let (doubling, quarter) = ((index - 1) / 4, (index - 1) % 4);
        let start = self.min << doubling;
        start + (start / 4) * (quarter + 1)
    }

    /// Every class, smallest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = Class> + use<> {
        (0..self.count()).map(Class::new)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_default_ladder_is_jemallocs() {
        let classes = SizeClasses::new(256, 4 << 20);
        let sizes: Vec<_> = classes.all().map(|c| classes.size(c)).collect();
        assert_eq!(sizes.len(), 57);
        assert_eq!(sizes[..9], [256, 320, 384, 448, 512, 640, 768, 896, 1024]);
        assert_eq!(sizes[56], 4 << 20);
    }

    /// Exhaustive: the class covers the length, the class below does not, and a fifth at most is waste.
    #[test]
    fn every_length_gets_its_tightest_class() {
        for (min, max) in [(256, 4 << 20), (16, 1 << 17), (4096, 5000), (64, 64)] {
            let classes = SizeClasses::new(min, max);
            let largest = classes.size(Class::new(classes.count() - 1));
            for len in 0..=largest {
                let class = classes.class_for(len).expect("pooled");
                let size = classes.size(class);
                assert!(size >= len);
                let cells: Vec<_> = classes.rank(class).into_iter().chain(classes.aliases(class)).collect();
                assert!(cells.contains(&Rank::of(len)), "{len}");
                if class.index() > 0 {
                    assert!(classes.size(Class::new(class.index() - 1)) < len);
                }
                if len >= 1024.max(min) {
                    assert!((size - len) * 5 <= size, "{len} in {size}");
                }
            }
            assert!(classes.class_for(largest + 1).is_none());
        }
    }

    #[test]
    fn a_slot_has_no_cell_for_what_no_magazine_holds() {
        #[cfg(target_pointer_width = "64")]
        assert_eq!(Rank::of(7 << 29), Rank(RANKS - 2));
        for len in [(7 << 29) + 1, usize::MAX] {
            assert_eq!(Rank::of(len), Rank(RANKS - 1));
        }
    }

    /// The last one is that of all lengths beyond.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_class_has_a_cell_if_no_longer_length_has_it_too() {
        let classes = SizeClasses::new(1 << 31, 1 << 34);
        for class in classes.all() {
            assert_eq!(classes.rank(class).is_some(), classes.size(class) <= 7 << 29);
        }
    }

    /// The largest ladders that the builder allows: each size is the last length of its class.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_largest_classes_end_where_they_say() {
        let classes = SizeClasses::new(1 << 40, 1 << 52);
        for class in classes.all() {
            let size = classes.size(class);
            assert_eq!(classes.class_for(size), Some(class));
            assert_ne!(classes.class_for(size + 1), Some(class));
        }
    }

    #[test]
    fn lengths_at_the_end_of_the_address_space_are_oversize() {
        let classes = SizeClasses::new(256, 4 << 20);
        for len in [usize::MAX, usize::MAX - 1, isize::MAX as usize, (isize::MAX as usize) + 1] {
            assert!(classes.class_for(len).is_none());
        }
    }
}
