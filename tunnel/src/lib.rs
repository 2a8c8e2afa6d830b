//! The product: services that carry connections into and out of TLS.
//!
//! One connection's way through this crate: [`server::Server`] takes it from the TCP stack and
//! makes a [`session::Session`] for the [`service::Service`] it belongs to; the session drives
//! its handshake, asks for the backend, and lets [`relay`] move bytes until both directions have
//! ended. [`start`] is where the machine comes in with its command line.
//!
//! Nothing here reads a clock, touches a device or blocks: time, entropy and frames come in
//! through [`Machine`].
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

extern crate stockade_acme as acme;
extern crate stockade_channel as channel;
extern crate stockade_config as config;
extern crate stockade_http as http;
extern crate stockade_net as net;
extern crate stockade_store as store;
extern crate stockade_tls as tls;

pub mod dialect;
pub mod errand;
pub mod hosting;
pub mod journal;
pub mod keeper;
pub mod limits;
mod machine;
mod management;
pub mod negotiation;
pub mod opening;
mod pair;
pub mod relay;
pub mod revocation;
pub mod server;
pub mod service;
pub mod session;
mod setup;
mod start;
mod throttle;

pub use config::exit::ExitStatus;
pub use machine::Machine;
pub use net::Instant;
pub use pair::judge;
pub use start::{check, start};
