//! The wall clock, as a number that its owner keeps current.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// Seconds since 1970-01-01T00:00:00Z, shared by every server and client that was given a clone.
///
/// Nothing here reads a clock: the owner calls [`set`](Self::set), once a second is enough.
/// Certificate validity and ticket lifetimes are judged by it.
#[derive(Clone, Debug)]
pub struct WallClock(Arc<AtomicU64>);

impl WallClock {
    /// A clock that stands at `unix_seconds` until it is set.
    #[must_use]
    pub fn new(unix_seconds: u64) -> WallClock {
        WallClock(Arc::new(AtomicU64::new(unix_seconds)))
    }

    /// Moves the clock, for every clone of it.
    pub fn set(&self, unix_seconds: u64) {
        self.0.store(unix_seconds, Ordering::Relaxed);
    }

    /// The time it was last set to, in Unix seconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.now())))
    }
}
