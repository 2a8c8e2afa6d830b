//! Stockade as a library: TLS clients for programs that have none.
//!
//! A program that speaks plaintext connects to a socket of this host, usually a UNIX socket; an
//! image carries each connection into TLS to a remote, whose certificate it verifies. A [`Config`]
//! says which remote, which socket, and whom to trust.
//!
//! [`Proxy::start`] starts one, [`with_proxy`] ends it by itself, and a [`ProxyPool`] has many of them
//! in one machine. [`Proxy::diagnose`] tells what has happened, each failure as an [`Error`] too.
//! Whoever wants to run the machine himself makes with [`setup`] what a
//! [`Launcher`](stockade_host::launch::Launcher) boots.
//!
//! A machine is QEMU with the image in it; QEMU has to be installed, and the environment variable
//! `STOCKADE_IMAGE` has to name the image's file, unless [`Options`] do.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod config;
mod desk;
mod diary;
mod error;
mod event;
mod file;
mod options;
mod pool;
mod proxy;
mod setup;
mod socket;
mod verification;

pub use config::{Config, Identity, Remote};
pub use error::Error;
pub use event::{Event, EventKind};
pub use options::Options;
pub use pool::ProxyPool;
pub use proxy::{Proxy, with_proxy};
pub use setup::setup;
pub use socket::socket_path;
pub use stockade_channel::{CertificateProblem, CertificateReason};
pub use stockade_host::Accel;
pub use stockade_host::launch::Image;
pub use stockade_host::network::{Families, Listen, UnixSocket};
pub use verification::{Check, Verification};
