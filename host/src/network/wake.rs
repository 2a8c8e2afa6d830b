//! An eventfd(2) by which other threads wake the one that waits in epoll.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

/// A new one.
pub(super) fn new() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Wakes the other thread.
pub(super) fn signal(wake: impl AsFd) {
    // It is full only when it has been signalled already.
    let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
}

/// Takes the signal back.
pub(super) fn clear(wake: impl AsFd) {
    // Without a signal there is nothing to take.
    let _ = rustix::io::read(wake, &mut [0_u8; 8]);
}
