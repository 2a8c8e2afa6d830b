//! stunnel's configuration file: the grammar of stunnel(8), "CONFIGURATION FILE".
//!
//! [`read`] turns a file, what it includes and what it names into a [`Configuration`], or into
//! every error with its place, in stunnel's own words. The host and the image run the same code
//! over the same bytes: the host through a [`Recorder`], which remembers each file for the boot
//! archive; the image through [`PackedFiles`].

use alloc::vec::Vec;

mod ciphers;
mod draft;
mod endpoint;
mod error;
mod files;
mod finish;
mod host_ports;
mod lines;
mod listing;
mod material;
mod negotiation;
mod ocsp;
mod pack;
mod program;
mod psk;
mod read;
mod set;
mod show;
mod sockets;
mod suites;
mod table;
mod tls_options;
mod types;
mod values;

#[cfg(test)]
mod tests;

use read::Reader;

pub use error::{Diagnostic, Errors};
pub use files::{FileError, Files};
pub use host_ports::{HOST_SOCKETS, HostPorts};
pub use listing::{KnownOption, Support, known_options, known_socket_options, known_tls_options};
pub use negotiation::{Authentication, Negotiation, Network, Protocol};
pub use ocsp::{Ocsp, Responder, ResponderError};
pub use pack::{INDEX, PackedFiles, Recorder, Recording};
pub use program::Program;
pub use suites::{Group, Suite};
pub use types::{
    Accept, Configuration, Connect, Disposition, Facility, Failover, File, Global, LogId, Notice,
    Origin, Psk, Reported, Service, SocketOptions, Sockets, TicketKeys, Timeouts, Verify, Version,
    VirtualName,
};

/// Everything that can be said about a configuration, for the user who checks one.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// What became of each option that is there, in the order of the files.
    pub report: Vec<Reported>,
    /// Every error; empty when the configuration can be used.
    pub errors: Errors,
    /// What the user is told beside.
    pub notices: Vec<Notice>,
    /// The configuration, when there is no error.
    pub configuration: Option<Configuration>,
}

/// Reads the configuration file `path` and what it names.
///
/// # Errors
///
/// Every error that it has, not just the first.
pub fn read(path: &str, files: &mut dyn Files) -> Result<Configuration, Errors> {
    let examination = examine(path, files);
    match examination.configuration {
        Some(configuration) => Ok(configuration),
        None => Err(examination.errors),
    }
}

/// Reads the configuration as [`read`] does and tells everything about it, options that can't be
/// used included.
pub fn examine(path: &str, files: &mut dyn Files) -> Examination {
    Reader::new(files).run(path)
}
