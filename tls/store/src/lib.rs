//! The certificate store: a Git repository on another machine, with a file for each host.
//!
//! Nothing here does I/O, reads a clock or keeps a secret: bytes come in, bytes go out, and whoever
//! owns a conversation has its deadlines.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::expect_used
    )
)]

extern crate alloc;

pub mod git;
pub mod host;
pub mod notice;
pub mod remote;
pub mod sealed;
pub mod snapshot;
pub mod ssh;
pub mod visit;
