//! Ports that nobody else in the tests' network namespace uses.

use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that Linux hands out by itself (32768 and up, ip(7)).
const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;

/// A port that no earlier call has given.
pub fn next() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(FIRST);
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(port < LAST, "the tests use more ports than there are");
    port
}
