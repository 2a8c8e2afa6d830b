//! The host side: launches the image under QEMU and gives it a network.
//!
//! [`Qemu`] describes a machine, [`Qemu::spawn`] starts it and [`Vm`] is the running machine:
//! its console, its end, and the certainty that QEMU does not outlive this process. Around
//! them: a network without privileges ([`network`]), a TAP on a bridge ([`Tap`]), a small HTTP server to forward to ([`Backend`]), a
//! development certificate authority ([`pki`]) and stunnel's configuration files ([`conf`]).
//!
//! Nothing here installs software; that is the caller's part. Nothing asks questions but
//! openssl, for the passphrase of a key that a configuration names.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod accel;
mod backend;
mod channel;
mod command_line;
pub mod conf;
pub mod control;
mod error;
pub mod inherited;
pub mod launch;
mod machine;
pub mod memfd;
pub mod network;
pub mod pki;
mod privileges;
mod process;
mod qemu;
pub mod shell;
mod tap;
mod vm;

pub use accel::{Probe, probe};
pub use backend::Backend;
pub use channel::Channel;
pub use command_line::Boot;
pub use error::Error;
pub use machine::{Accel, Firmware, Machine, Network, ParseError, RootlessLink};
pub use privileges::{Account, NoAccount};
pub use qemu::{CommandLine, Qemu};
pub use stockade_config::exit::{ExitStatus, Outcome};
pub use tap::{Privilege, Tap, bridge_exists, interface_exists};
pub use vm::{Line, READY, Vm};

/// Whether this process runs as root, in its user namespace.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
