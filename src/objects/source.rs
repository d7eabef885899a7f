//! Where the objects of a pool come from.
#![forbid(unsafe_code)]

use core::fmt;
use std::sync::Arc;

use crate::raw::contain::Closure;

/// The pool makes objects: [`ObjectPool::get`](crate::ObjectPool::get).
pub struct Making<T>(Make<T>);

enum Make<T> {
    Function(fn() -> T),
    Closure(Closure<dyn Fn() -> T + Send + Sync>),
}

/// The pool makes none: it has only those that it is given by [`put`](crate::ObjectPool::put) and [`adopt`](crate::ObjectPool::adopt).
#[derive(Clone, Copy, Debug)]
pub struct Given;

impl<T> Making<T> {
    pub(super) const fn function(make: fn() -> T) -> Self {
        Self(Make::Function(make))
    }

    pub(super) fn closure(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self(Make::Closure(Closure::new(Arc::new(make))))
    }

    pub(super) fn make(&self) -> T {
        match &self.0 {
            Make::Function(make) => make(),
            Make::Closure(make) => make(),
        }
    }
}

impl<T> Clone for Making<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Make::Function(make) => Make::Function(*make),
            Make::Closure(make) => Make::Closure(make.clone()),
        })
    }
}

impl<T> fmt::Debug for Making<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Making")
    }
}
