//! What is said in a protocol of its own around TLS: STARTTLS, proxies' requests, PROXY headers.
//!
//! Each dialect is a state machine in a file of its own ([`Dialect`]). It performs no I/O: its owner
//! lends it what waits on each [`Wire`], sends what it has written, and asks again when there is
//! more. Which [`Stage`] a connection is in is the owner's business, too, and so are deadlines.
//!
//! What arrives in the clear never counts as part of what TLS protects. Where a dialect ends in the
//! clear, nothing may wait any more behind its last line from the peer that begins TLS
//! ([`Wire::refuse_early`]): whoever sits in between could have put it there, to be taken for the
//! first words under TLS (CVE-2011-0411, CVE-2021-23214).

use core::{fmt, net::SocketAddr};

pub use config::Host;

use crate::session::DialError;

mod connect;
mod fault;
mod imap;
mod ldap;
mod lines;
mod nntp;
mod pgsql;
mod pop3;
pub mod proxy;
#[cfg(test)]
mod random;
mod setup;
mod smtp;
mod socks;
#[cfg(test)]
mod trial;
mod wire;

pub use fault::{End, Fault};
pub use setup::{Authentication, Protocol, Setup, begin};
pub use wire::Wire;

/// Most bytes that wait on a wire and are shown to a dialect at once. Whatever has to be there as a
/// whole, such as a line, must fit.
pub const WINDOW: usize = 8 * 1024;

/// A dialect's answers wait for their reader once there are so many bytes of them: it is not polled
/// before it has room again.
pub const MAX_OUTPUT: usize = 4 * 1024;

/// How far a connection has come. A connection goes through its stages in this order, and a dialect
/// is asked in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// TLS has not begun. In client mode both ends are there; in server mode the client, and the
    /// backend only where [`Dialect::dials_first`].
    Clear,
    /// TLS is established. In client mode both ends are there; in server mode the backend is not yet
    /// dialled, unless [`Dialect::dials_first`].
    Secured,
    /// Server mode: TLS is established, and the backend has answered. What is written now precedes
    /// everything that is relayed.
    Connected,
}

/// What becomes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More has to come from a peer.
    Wait,
    /// This stage is over: all that was written is to be sent, then the next one comes. What waits
    /// on the wires and was not taken belongs to whoever comes next: TLS, or the relay.
    Next,
    /// Server mode, [`Stage::Secured`]: this stage is over, and the client has named the backend.
    Connect(Destination),
}

/// A backend that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its name or address; nothing about it is checked yet but its syntax.
    pub host: Host,
    /// Its TCP port, never 0.
    pub port: u16,
}

/// The two ends of a connection. One that is not there is empty, has not ended, and takes nothing.
pub struct Ends<'a> {
    /// The end that was accepted.
    pub client: Wire<'a>,
    /// The end that is dialled.
    pub backend: Wire<'a>,
}

/// What a dialect may tell about the connection.
pub struct About<'a> {
    /// The client's address: the true one, where a trusted proxy has told it.
    pub client: SocketAddr,
    /// The address that the client connected to, likewise.
    pub local: SocketAddr,
    /// The backend's address, once it is dialled.
    pub backend: Option<SocketAddr>,
    /// TLS, once it is established.
    pub tls: Option<&'a tls::Connection>,
}

/// Why a backend that a client has asked for is not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Its name is unknown.
    NotResolved,
    /// Nobody may be led there: it is this host itself, or no host at all.
    Forbidden,
    /// It was dialled.
    Failed(DialError),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{port}"),
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotResolved => f.write_str("its name is unknown"),
            Self::Forbidden => f.write_str("nobody is led there"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// One protocol, in one mode, on one connection.
pub trait Dialect {
    /// Server mode: whether the backend is dialled before TLS, as its greeting is passed on.
    fn dials_first(&self) -> bool {
        false
    }

    /// Goes on as far as it can with what waits. Called whenever either end has more, or has ended,
    /// and again in the next stage after [`Progress::Next`]. A dialect has nothing to do in a stage
    /// that it does not know: it answers [`Progress::Next`].
    ///
    /// # Errors
    /// A peer breaks the protocol, or says no. What was written until then is still sent.
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        about: &About<'_>,
    ) -> Result<Progress, Fault>;

    /// The backend that the client has asked for can't be reached: its last words to it.
    fn unreachable(&mut self, _client: &mut Wire<'_>, _why: Unreachable) {}
}
