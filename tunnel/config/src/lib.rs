//! Configuration of the image, shared by the image and the host.
//!
//! The image is told what to do by two things only: its kernel command line
//! ([`command_line`]) and an optional boot archive ([`archive`]). [`Settings::read`] turns
//! both into one checked value; the host calls the same code before it boots anything, so
//! both sides agree on every message. [`stunnel`] reads the configuration file that `--conf`
//! names. [`exit`] names the statuses with which an image ends.
//!
//! Nothing here touches a file, a device or a clock.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

extern crate alloc;

pub mod archive;
pub mod command_line;
pub mod exit;
pub mod hosting;
pub mod introduction;
pub mod requests;
mod settings;
mod sort;
pub mod stunnel;
mod types;
pub mod url;

pub use settings::{ContentError, ContentProblem, ReadError, Services, Settings, SourceError};
pub use types::{Accept, Config, Connect, Crypto, Host, Ipv4, Ipv6, ServiceSource, Source};
pub use zeroize::Zeroizing;

/// Version of this crate, and so of the image or the host that was built with it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
