//! Size classes: four per doubling, jemalloc's own sizes, so at most a fifth of a block is waste.
#![forbid(unsafe_code)]

/// The most classes that a pool can have: a slot keeps one bit for each in one word.
pub(crate) const MAX_CLASSES: usize = if cfg!(loom) { 2 } else { 64 };

/// Classes per doubling of the size.
const PER_DOUBLING: u32 = 4;

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
    base: u32,
    count: u32,
    min: usize,
}

/// The position of a length on the endless ladder of sizes `.. 256, 320, 384, 448, 512, 640 ..`.
///
/// With `n = len - 1`, the two bits below the leading one say in which quarter of its doubling `n` falls. Lengths
/// below 5 share a rank; no class is that small.
#[inline(always)]
const fn rank(len: usize) -> u32 {
    let n = if len > 4 { len - 1 } else { 4 };
    let log = n.ilog2();
    let quarter = (n >> (log - 2)) & 3;
    #[expect(clippy::cast_possible_truncation, reason = "two bits")]
    let quarter = quarter as u32;
    log * PER_DOUBLING + quarter + 1
}

impl SizeClasses {
    /// The ladder from `min`, a power of two of at least 16, to the first size that is not below `max`.
    pub(crate) const fn new(min: usize, max: usize) -> Self {
        let base = rank(min);
        Self { base, count: rank(max) - base + 1, min }
    }

    /// How many classes the ladder from `min` to `max` has.
    pub(crate) const fn count(&self) -> usize {
        self.count as usize
    }

    /// The smallest class that holds `len` bytes, or `None` if that is oversize.
    #[inline(always)]
    pub(crate) const fn class_for(&self, len: usize) -> Option<Class> {
        let index = rank(len).saturating_sub(self.base);
        if index < self.count { Some(Class::new(index as usize)) } else { None }
    }

    /// The size of the class that [`class_for`](Self::class_for) gives, without a look at the class.
    #[inline(always)]
    pub(crate) const fn size_for(&self, len: usize) -> usize {
        let n = if len > 4 { len - 1 } else { 4 };
        let step = 1 << (n.ilog2() - 2);
        let size = (n | (step - 1)) + 1;
        if size < self.min { self.min } else { size }
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
                assert_eq!(classes.size_for(len), size);
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
    fn lengths_at_the_end_of_the_address_space_are_oversize() {
        let classes = SizeClasses::new(256, 4 << 20);
        for len in [usize::MAX, usize::MAX - 1, isize::MAX as usize, (isize::MAX as usize) + 1] {
            assert!(classes.class_for(len).is_none());
        }
    }
}
