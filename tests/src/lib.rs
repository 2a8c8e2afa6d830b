//! What the boot tests are made of: a network of their own, a backend with many behaviours, real
//! and home-made clients, certificates, and the virtual machine under test.
//!
//! Everything here waits for a bounded time and cleans up when it is dropped. Traffic stays inside
//! a network namespace made for the test run; [`namespace::require`] refuses anything else.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod backend;
pub mod bench;
pub mod capture;
pub mod certificates;
pub mod client;
pub mod fuzz;
pub mod hosted;
pub mod launcher;
pub mod memory_file;
pub mod messages;
pub mod namespace;
pub mod pattern;
pub mod peers;
pub mod process;
pub mod raw;
pub mod segment;
pub mod simulation;
pub mod stunnel;
pub mod tap;
pub mod tools;
pub mod vm;

use std::time::{Duration, Instant};

/// How long any single wait of a test may last before the test fails.
///
/// Generous on purpose: an emulated guest on a busy machine may be slow, and a test must not fail
/// for that. It only bounds how long a defect can hold up the run.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Asks `ready` every few milliseconds until it answers, for at most `limit`.
pub fn wait_until<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
