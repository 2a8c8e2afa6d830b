//! State for a machine with one core and no re-entrant code.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value that one caller at a time may use.
///
/// The image has one core and its interrupt handlers touch nothing but counters, so a second
/// caller can only be a re-entrant call. It is refused, never waited for: waiting would hang.
pub struct OneAtATime<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `try_with` hands the value to one caller at a time: the swap of `taken` decides.
unsafe impl<T: Send> Sync for OneAtATime<T> {}

impl<T> OneAtATime<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> OneAtATime<T> {
        OneAtATime {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Lends the value to `f`, or gives `None` when a caller further up already has it.
    pub fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        struct Release<'a>(&'a AtomicBool);
        impl Drop for Release<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Release);
            }
        }

        if self.taken.swap(true, Ordering::Acquire) {
            return None;
        }
        let _release = Release(&self.taken);
        // SAFETY: `taken` was false and is now true, so nobody else has a reference; it becomes
        // false again only after `f` has returned.
        let value = unsafe { &mut *self.value.get() };
        Some(f(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lends_to_one_caller_at_a_time() {
        let cell = OneAtATime::new(1);
        let inner = cell.try_with(|value| {
            *value += 1;
            cell.try_with(|_| ())
        });
        assert_eq!(inner, Some(None));
        assert_eq!(cell.try_with(|value| *value), Some(2));
    }
}
