//! Stockade as a library: TLS clients for programs that have none.
//!
//! A program that speaks plaintext connects to a socket of this host, usually a UNIX socket; an
//! image carries each connection into TLS to a remote, whose certificate it verifies. A [`Config`]
//! says which remote, which socket, and whom to trust; [`setup`] makes of one or several of them
//! what a [`Launcher`](stockade_host::launch::Launcher) boots.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod config;
mod error;
mod file;
mod setup;
mod verification;

pub use config::{Config, Identity, Remote};
pub use error::Error;
pub use setup::setup;
pub use stockade_host::network::{Families, Listen, UnixSocket};
pub use verification::{Check, Verification};
