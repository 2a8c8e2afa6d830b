//! Every event's text.

use core::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{Lines, Severity};
use crate::session::DialError;

/// Which side of TLS a handshake was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// TLS was accepted (`SSL_accept`).
    Server,
    /// TLS was dialled (`SSL_connect`).
    Client,
}

/// Which time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// A peer was silent in a handshake.
    Busy,
    /// A backend's address did not answer.
    Connect,
    /// Nothing moved.
    Idle,
    /// One end had ended, the other did not follow.
    Close,
}

/// How a connection ended, in order or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Both directions in order.
    Closed,
    /// With a reset.
    Reset,
}

/// Starting.
impl Lines<'_> {
    /// A configuration is being read.
    pub fn reading_configuration(&mut self, path: &str) {
        self.notice(format_args!("Reading configuration from file {path}"));
    }

    /// A service is being set up.
    pub fn initializing_service(&mut self) {
        let service = self.service;
        self.info(format_args!("Initializing service [{service}]"));
    }

    /// The configuration is good.
    pub fn configuration_successful(&mut self) {
        self.notice(format_args!("Configuration successful"));
    }

    /// The configuration is no good; its errors were written before.
    pub fn configuration_failed(&mut self) {
        self.error(format_args!("Configuration failed"));
    }

    /// A listener is open; `listener` counts them from 0.
    pub fn bound(&mut self, listener: usize, local: SocketAddr) {
        let service = self.service;
        self.info(format_args!(
            "Service [{service}] (FD={listener}) bound to {local}"
        ));
    }

    /// A listener could not be opened.
    pub fn binding_failed(&mut self, local: SocketAddr, error: &dyn fmt::Display) {
        let service = self.service;
        self.error(format_args!(
            "Binding service [{service}] to {local}: {error}"
        ));
    }

    /// Every listener is open.
    pub fn accepting_new_connections(&mut self) {
        self.info(format_args!("Accepting new connections"));
    }
}

/// Connections.
impl Lines<'_> {
    /// A connection was accepted.
    pub fn accepted(&mut self, peer: SocketAddr) {
        let service = self.service;
        self.notice(format_args!(
            "Service [{service}] accepted connection from {peer}"
        ));
    }

    /// The name in a client's hello chose a virtual service.
    pub fn sni_switched(&mut self, name: &str, service: &str) {
        let _ = name;
        self.info(format_args!("SNI: switched to service [{service}]"));
    }

    /// No virtual service has the name in a client's hello, or there is none (`None`).
    pub fn sni_not_matched(&mut self, name: Option<&str>) {
        let _ = name;
        self.debug(format_args!("SNI: no virtual services defined"));
    }

    /// The name that a client's hello asks for.
    pub fn sni_sent(&mut self, name: &str) {
        self.info(format_args!("SNI: sending servername: {name}"));
    }

    /// A handshake is over.
    pub fn handshake(&mut self, role: Role, handshake: &tls::Handshake) {
        let _ = (role, handshake);
    }

    /// The peer's certificate was accepted.
    pub fn certificate_accepted(&mut self, depth: usize, subject: &str) {
        self.info(format_args!(
            "Certificate accepted at depth={depth}: {subject}"
        ));
    }

    /// The peer's certificate was refused.
    pub fn certificate_refused(&mut self, refusal: &tls::Refusal) {
        let _ = refusal;
    }

    /// No certificate is asked for.
    pub fn certificate_not_required(&mut self) {
        self.info(format_args!("Peer certificate not required"));
    }

    /// A handshake failed, or a record later on.
    pub fn tls_failed(&mut self, operation: Operation, error: &tls::Error) {
        let _ = (operation, error);
    }

    /// A peer left in the midst of its handshake.
    pub fn handshake_abandoned(&mut self, role: Role) {
        let _ = role;
    }

    /// A handshake with a client that failed its authentication ends at another backend.
    pub fn redirected(&mut self) {
        self.notice(format_args!("Redirecting connection"));
    }

    /// A resumed session goes to the backend that it had before.
    pub fn persistence(&mut self, backend: SocketAddr) {
        self.notice(format_args!("persistence: {backend} reused"));
    }

    /// The failover strategy begins with this entry of the list.
    pub fn failover(&mut self, round_robin: bool, entry: usize) {
        let _ = (round_robin, entry);
    }

    /// An address is being dialled.
    pub fn connecting(&mut self, backend: SocketAddr) {
        self.info(format_args!("s_connect: connecting {backend}"));
    }

    /// A backend's address answered; `local` is our end.
    pub fn connected(&mut self, backend: SocketAddr, local: SocketAddr) {
        let _ = (backend, local);
    }

    /// A backend's address did not answer or said no.
    pub fn connect_failed(&mut self, backend: SocketAddr, error: DialError, waited: Duration) {
        let _ = (backend, error, waited);
    }

    /// Every address was tried.
    pub fn no_more_addresses(&mut self) {
        self.error(format_args!("No more addresses to connect"));
    }

    /// A name could not be resolved.
    pub fn name_not_resolved(&mut self, name: &str, error: &dyn fmt::Display) {
        let _ = (name, error);
    }

    /// A name was resolved.
    pub fn name_resolved(&mut self, name: &str, addresses: &[IpAddr]) {
        let _ = (name, addresses);
    }

    /// No backend has an address.
    pub fn no_remote_host(&mut self) {
        self.error(format_args!("No remote host resolved (No host resolved)"));
    }

    /// A time ran out.
    pub fn timed_out(&mut self, timeout: Timeout) {
        let _ = timeout;
    }

    /// A peer's TCP connection was lost; `tls` says at which end.
    pub fn connection_lost(&mut self, tls: bool, error: net::StreamError) {
        let _ = (tls, error);
    }

    /// The TLS peer sent close_notify, or ended TCP without (`truncated`).
    pub fn tls_closed(&mut self, truncated: bool) {
        let _ = truncated;
    }

    /// The plain peer ended its direction.
    pub fn socket_closed(&mut self) {}

    /// A connection is over: plaintext bytes that went into TLS and out of it.
    pub fn closed(&mut self, how: Closed, to_tls: u64, to_socket: u64) {
        let how = match how {
            Closed::Closed => "closed",
            Closed::Reset => "reset",
        };
        self.notice(format_args!(
            "Connection {how}: {to_tls} byte(s) sent to TLS, {to_socket} byte(s) sent to socket"
        ));
    }

    /// A session is gone; `left` others go on.
    pub fn finished(&mut self, left: usize) {
        let service = self.service;
        self.debug(format_args!("Service [{service}] finished ({left} left)"));
    }

    /// Lines were left out so that the log is not flooded.
    pub fn left_out(&mut self, lines: u64) {
        self.warning(format_args!("{lines} more lines like the next left out"));
    }
}

/// What was being done when TLS failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A handshake.
    Handshake(Role),
    /// Reading a record.
    Read,
    /// Writing a record.
    Write,
}

impl Lines<'_> {
    pub(super) fn error(&mut self, arguments: fmt::Arguments<'_>) {
        self.line(Severity::Error, arguments);
    }

    pub(super) fn warning(&mut self, arguments: fmt::Arguments<'_>) {
        self.line(Severity::Warning, arguments);
    }

    pub(super) fn notice(&mut self, arguments: fmt::Arguments<'_>) {
        self.line(Severity::Notice, arguments);
    }

    pub(super) fn info(&mut self, arguments: fmt::Arguments<'_>) {
        self.line(Severity::Info, arguments);
    }

    pub(super) fn debug(&mut self, arguments: fmt::Arguments<'_>) {
        self.line(Severity::Debug, arguments);
    }
}
