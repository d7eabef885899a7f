//! What can go wrong, with the value and the bound.
#![forbid(unsafe_code)]

use core::fmt;

/// Why a pool could not hand out a buffer, or a buffer could not grow. Nothing is lost: the buffer is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetError {
    /// The capacity asked for exceeds what an allocation can have.
    CapacityOverflow {
        /// The capacity asked for, in bytes; `usize::MAX` where the sum itself overflowed.
        requested: usize,
        /// The largest capacity there can be, in bytes.
        max: usize,
    },
    /// The pool's `limit` leaves no room for the block, also after a purge, where one could help and could run.
    LimitReached {
        /// The size of the block that did not fit, in bytes.
        requested: usize,
        /// What the pool had allocated, idle and in use, in bytes.
        allocated: usize,
        /// The pool's limit in bytes.
        limit: usize,
    },
    /// The allocator behind the pool had no memory for the block.
    OutOfMemory {
        /// The size of the block, in bytes.
        requested: usize,
        /// Its alignment, in bytes.
        align: usize,
    },
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CapacityOverflow { requested, max } => {
                write!(f, "a capacity of {requested} bytes exceeds the largest possible, {max} bytes")
            }
            Self::LimitReached { requested, allocated, limit } => write!(
                f,
                "a block of {requested} bytes does not fit: {allocated} of at most {limit} bytes are allocated"
            ),
            Self::OutOfMemory { requested, align } => {
                write!(f, "the allocator has no memory for {requested} bytes aligned to {align}")
            }
        }
    }
}

impl core::error::Error for GetError {}

/// Why a [`Builder`](crate::Builder) did not build a pool: the knob, its value and the bound that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A knob is below its smallest value.
    TooSmall {
        /// The builder's method.
        knob: &'static str,
        /// What it was given.
        value: usize,
        /// The smallest value that is accepted.
        min: usize,
    },
    /// A knob is above its largest value.
    TooLarge {
        /// The builder's method.
        knob: &'static str,
        /// What it was given.
        value: usize,
        /// The largest value that is accepted.
        max: usize,
    },
    /// A knob takes powers of two only.
    NotPowerOfTwo {
        /// The builder's method.
        knob: &'static str,
        /// What it was given.
        value: usize,
    },
    /// The smallest size class is larger than the largest.
    Inverted {
        /// `min_class` in bytes.
        min_class: usize,
        /// `max_class` in bytes.
        max_class: usize,
    },
    /// The ladder from the smallest to the largest class has too many steps.
    TooManyClasses {
        /// `min_class` in bytes.
        min_class: usize,
        /// `max_class` in bytes.
        max_class: usize,
        /// How many classes that makes.
        classes: usize,
        /// The most that a pool can have.
        max: usize,
    },
    /// `Collect::Background` with an interval of zero.
    ZeroInterval,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { knob, value, min } => write!(f, "`{knob}` is {value}, it must be at least {min}"),
            Self::TooLarge { knob, value, max } => write!(f, "`{knob}` is {value}, it must be at most {max}"),
            Self::NotPowerOfTwo { knob, value } => write!(f, "`{knob}` is {value}, it must be a power of two"),
            Self::Inverted { min_class, max_class } => {
                write!(f, "`min_class` is {min_class}, it must be at most `max_class`, which is {max_class}")
            }
            Self::TooManyClasses { min_class, max_class, classes, max } => write!(
                f,
                "`min_class` {min_class} to `max_class` {max_class} makes {classes} size classes, \
                 there can be at most {max}"
            ),
            Self::ZeroInterval => write!(f, "`collect` is `Background` every 0 ns, it must be at least 1 ns"),
        }
    }
}

impl core::error::Error for BuildError {}

/// Why [`PoolBuf::read_from`](crate::PoolBuf::read_from) ended early, where the reader did not say so itself: inside its
/// `io::Error`. What was read before is in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// There is more than the caller's limit: `io::ErrorKind::FileTooLarge`.
    TooLong {
        /// The limit in bytes; the buffer got as many.
        limit: usize,
        /// The byte after these. What follows it is still the reader's.
        next: u8,
    },
    /// The buffer could not grow for another byte: `io::ErrorKind::OutOfMemory`.
    NoRoom {
        /// Why not.
        error: GetError,
        /// The byte that had no place. What follows it is still the reader's.
        next: u8,
    },
    /// The reader says that it read more than it was asked for, which is a bug there: `io::ErrorKind::InvalidData`.
    FalseCount {
        /// How many bytes it says it read.
        claimed: usize,
        /// How many it was asked for. None of them is kept.
        asked: usize,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit, .. } => write!(f, "there is more to read than the limit, {limit} bytes"),
            Self::NoRoom { error, .. } => write!(f, "no room for what is read: {error}"),
            Self::FalseCount { claimed, asked } => {
                write!(f, "the reader claims to have read {claimed} bytes, it was asked for at most {asked}")
            }
        }
    }
}

impl core::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::NoRoom { error, .. } => Some(error),
            Self::TooLong { .. } | Self::FalseCount { .. } => None,
        }
    }
}
