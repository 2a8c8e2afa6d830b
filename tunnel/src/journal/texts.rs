//! Every event's text.

use core::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use net::StreamError;

use super::{Lines, Severity, certificate, text::Shown};
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

/// How a connection's two ends were closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Both in order.
    Closed,
    /// Both with a reset.
    Reset,
    /// The dialled one with a reset, the accepted one in order.
    DialledReset,
    /// The accepted one with a reset, the dialled one in order.
    AcceptedReset,
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

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake(Role::Server) => "SSL_accept",
            Self::Handshake(Role::Client) => "SSL_connect",
            Self::Read => "SSL_read",
            Self::Write => "SSL_write",
        })
    }
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

    /// A listener is open; `listener` counts them.
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

    /// A name could not be resolved.
    pub fn name_not_resolved(&mut self, name: &str, error: &dyn fmt::Display) {
        self.error(format_args!("Error resolving \"{name}\": {error}"));
    }

    /// A name was resolved.
    pub fn name_resolved(&mut self, name: &str, addresses: &[IpAddr]) {
        if self.writes(Severity::Debug) {
            self.debug(format_args!("Resolved \"{name}\": {addresses:?}"));
        }
    }
}

/// From accepting a connection to the end of its handshake.
impl Lines<'_> {
    /// A connection was accepted.
    pub fn accepted(&mut self, peer: SocketAddr) {
        let service = self.service;
        self.debug(format_args!("Service [{service}] started"));
        self.notice(format_args!(
            "Service [{service}] accepted connection from {peer}"
        ));
    }

    /// The service has no virtual services to choose from.
    pub fn sni_no_services(&mut self) {
        self.debug(format_args!("SNI: no virtual services defined"));
    }

    /// The name in a client's hello chose the virtual service `service`.
    pub fn sni_switched(&mut self, name: &str, service: &str) {
        self.sni_requested(name);
        self.notice(format_args!("SNI: switched to service [{service}]"));
    }

    /// No virtual service has the name in a client's hello, or there is none (`None`): the service
    /// itself serves.
    pub fn sni_not_matched(&mut self, name: Option<&str>) {
        let Some(name) = name else {
            return self.notice(format_args!("SNI: no servername received"));
        };
        self.sni_requested(name);
        self.error(format_args!(
            "SNI: no pattern matched servername: {}",
            Shown(name)
        ));
    }

    fn sni_requested(&mut self, name: &str) {
        self.info(format_args!("SNI: requested servername: {}", Shown(name)));
    }

    /// The name that our hello asks for.
    pub fn sni_sent(&mut self, name: &str) {
        self.info(format_args!("SNI: sending servername: {name}"));
    }

    /// Whether the peer must show a certificate.
    pub fn certificate_wanted(&mut self, required: bool) {
        self.info(format_args!(
            "Peer certificate {}required",
            if required { "" } else { "not " }
        ));
    }

    /// Whatever certificate the peer shows is good.
    pub fn verification_disabled(&mut self) {
        self.info(format_args!("Certificate verification disabled"));
    }

    /// The peer was asked for a certificate and showed none.
    pub fn certificate_missing(&mut self) {
        self.info(format_args!("No peer certificate received"));
    }

    /// A certificate of the peer's was accepted: its own at depth 0, its issuer's at depth 1, and
    /// so on.
    pub fn certificate_accepted(&mut self, depth: usize, subject: &str) {
        let severity = match depth {
            0 => Severity::Notice,
            _ => Severity::Info,
        };
        self.line(
            severity,
            format_args!("Certificate accepted at depth={depth}: {}", Shown(subject)),
        );
    }

    /// The peer's certificate was refused: the lines from which scanners learn why.
    /// [`tls_failed`](Self::tls_failed) comes after them.
    pub fn certificate_refused(&mut self, refusal: &tls::Refusal) {
        match refusal.reason {
            tls::RefusalReason::Name { .. } => {
                self.warning(format_args!("CERT: Subject checks failed"));
            }
            tls::RefusalReason::NotPinned => self.warning(format_args!(
                "CERT: Certificate not found in local repository"
            )),
            _ => self.warning(format_args!(
                "CERT: Pre-verification error: {}",
                certificate::words(refusal)
            )),
        }
        self.warning(format_args!(
            "Rejected by CERT at depth={}: {}",
            refusal.depth,
            Shown(&refusal.subject)
        ));
    }

    /// A handshake is over.
    pub fn handshake(&mut self, role: Role, handshake: &tls::Handshake) {
        let tls::Handshake {
            version,
            suite,
            group,
            resumed,
            ..
        } = *handshake;
        // OpenSSL counts a handshake with a pre-shared key among the resumed ones.
        let keyed = handshake.psk_identity.is_some();
        self.negotiated(role, version, suite, group, resumed || keyed);
        if let Some(identity) = &handshake.psk_identity {
            let identity = alloc::string::String::from_utf8_lossy(identity);
            self.notice(format_args!(
                "Key configured for PSK identity \"{}\"",
                Shown(&identity)
            ));
        }
    }

    pub(super) fn negotiated(
        &mut self,
        role: Role,
        version: tls::Version,
        suite: &'static str,
        group: Option<&'static str>,
        resumed: bool,
    ) {
        let what = match role {
            Role::Server => "accepted",
            Role::Client => "connected",
        };
        let session = match resumed {
            false => "new session negotiated",
            true => "previous session reused",
        };
        self.info(format_args!("TLS {what}: {session}"));
        self.info(format_args!(
            "{version} ciphersuite: {} ({}-bit encryption)",
            Suite(suite),
            key_bits(suite)
        ));
        match group {
            None => self.info(format_args!("No peer temporary key received")),
            Some(group) => self.info(format_args!("Peer temporary key: {}", Group(group))),
        }
    }

    /// TLS failed, in a handshake or later.
    pub fn tls_failed(&mut self, operation: Operation, error: &tls::Error) {
        match error {
            tls::Error::Refused(refusal) => self.error(format_args!(
                "{operation}: certificate verify failed: {refusal}"
            )),
            // OpenSSL's words, for which people and scanners look.
            tls::Error::NoCertificate => self.error(format_args!(
                "{operation}: peer did not return a certificate"
            )),
            tls::Error::Certificate { reason } => self.error(format_args!(
                "{operation}: certificate verify failed: {}",
                Shown(reason)
            )),
            tls::Error::Decrypt => self.error(format_args!(
                "{operation}: decryption failed or bad record mac"
            )),
            error => self.error(format_args!("{operation}: {error}")),
        }
    }

    /// A server has ended a handshake with a pre-shared key by an alert that often means the key.
    pub fn key_doubted(&mut self) {
        self.notice(format_args!(
            "The server may not know the PSK identity, or may have another key for it"
        ));
    }

    /// The peer left in the midst of its handshake.
    pub fn handshake_abandoned(&mut self, role: Role) {
        let operation = Operation::Handshake(role);
        self.error(format_args!(
            "{operation}: unexpected eof while reading: the peer left before the end"
        ));
    }

    /// The client failed its authentication: its connection goes to another backend.
    pub fn redirected(&mut self) {
        self.notice(format_args!("Redirecting connection"));
    }
}

/// Dialling.
impl Lines<'_> {
    /// A resumed session goes to the backend that it had before.
    pub fn persistence(&mut self, backend: SocketAddr) {
        self.notice(format_args!("persistence: {backend} reused"));
    }

    /// A resumed session knows no backend that it had before.
    pub fn persistence_missing(&mut self) {
        self.notice(format_args!("persistence: No cached address found"));
    }

    /// The backend is kept with the session.
    pub fn persistence_cached(&mut self, backend: SocketAddr) {
        self.info(format_args!("persistence: {backend} cached"));
    }

    /// There are several backends, and this one's turn is first.
    pub fn failover(&mut self, round_robin: bool, entry: usize) {
        let strategy = match round_robin {
            true => "round-robin",
            false => "priority",
        };
        self.info(format_args!(
            "failover: {strategy}, starting at entry #{entry}"
        ));
    }

    /// An address is being dialled.
    pub fn connecting(&mut self, backend: SocketAddr) {
        self.info(format_args!("s_connect: connecting {backend}"));
    }

    /// A backend's address answered; `local` is our end.
    pub fn connected(&mut self, backend: SocketAddr, local: SocketAddr) {
        let service = self.service;
        self.notice(format_args!("s_connect: connected {backend}"));
        self.notice(format_args!(
            "Service [{service}] connected remote server from {local}"
        ));
    }

    /// A backend's address did not answer for as long as was `waited`, or said no.
    pub fn connect_failed(&mut self, backend: SocketAddr, error: DialError, waited: Duration) {
        if error == DialError::Failed(StreamError::TimedOut) {
            return self.error(format_args!(
                "s_connect: s_poll_wait {backend}: TIMEOUTconnect exceeded: no answer in {} s",
                waited.as_secs()
            ));
        }
        self.error(format_args!(
            "s_connect: connect {backend}: {}",
            Reason(error)
        ));
    }

    /// Every address was tried.
    pub fn no_more_addresses(&mut self) {
        self.error(format_args!("No more addresses to connect"));
    }

    /// No backend has an address. stunnel has the first words, xapi's scanner looks for those in
    /// parentheses.
    pub fn no_remote_host(&mut self) {
        self.error(format_args!("No remote host resolved (No host resolved)"));
    }
}

/// From the first byte to the end.
impl Lines<'_> {
    /// A time ran out.
    pub fn timed_out(&mut self, timeout: Timeout) {
        self.info(format_args!(
            "{}",
            match timeout {
                Timeout::Busy => "ssl_start: s_poll_wait: TIMEOUTbusy exceeded: sending reset",
                Timeout::Connect => "s_connect: s_poll_wait: TIMEOUTconnect exceeded",
                Timeout::Idle => "transfer: s_poll_wait: TIMEOUTidle exceeded: sending reset",
                Timeout::Close => "transfer: s_poll_wait: TIMEOUTclose exceeded: closing",
            }
        ));
    }

    /// A TCP connection was lost: the one that carries TLS, or the other.
    pub fn connection_lost(&mut self, tls: bool, error: StreamError) {
        let operation = match tls {
            true => "SSL_read",
            false => "readsocket",
        };
        self.error(format_args!(
            "{operation}: {}",
            Reason(DialError::Failed(error))
        ));
    }

    /// The TLS peer sent close_notify, or ended TCP without (`truncated`).
    pub fn tls_closed(&mut self, truncated: bool) {
        match truncated {
            false => self.info(format_args!("TLS closed (SSL_read)")),
            true => self.error(format_args!(
                "SSL_read: unexpected eof while reading: \
                 the TLS peer ended TCP without close_notify"
            )),
        }
    }

    /// The plain peer ended its direction.
    pub fn socket_closed(&mut self) {
        self.info(format_args!("Read socket closed (readsocket)"));
    }

    /// A connection is over: plaintext bytes that went into TLS and out of it.
    pub fn closed(&mut self, how: Closed, to_tls: u64, to_socket: u64) {
        let how = match how {
            Closed::Closed => "closed",
            Closed::Reset => "reset",
            Closed::DialledReset => "reset/closed",
            Closed::AcceptedReset => "closed/reset",
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

    /// Lines about failures were left out so that the log is not flooded.
    pub fn left_out(&mut self, lines: u64) {
        self.warning(format_args!("{lines} more lines like the next left out"));
    }

    /// Lines about connections were left out so that the console is not flooded.
    pub(super) fn lines_left_out(&mut self, lines: u64) {
        self.warning(format_args!(
            "{lines} lines about connections left out: the log takes so many a second"
        ));
    }

    /// Lines did not get to the syslog server.
    pub(super) fn syslog_dropped(&mut self, lines: u64) {
        self.warning(format_args!(
            "{lines} lines not sent to the syslog server: its queue was full"
        ));
    }
}

/// Why dialling failed, as Linux's `strerror(3)` says it.
struct Reason(DialError);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use net::ConnectError;
        match self.0 {
            DialError::Failed(StreamError::Refused) => f.write_str("Connection refused (111)"),
            DialError::Failed(StreamError::Reset) => f.write_str("Connection reset by peer (104)"),
            DialError::Failed(StreamError::TimedOut) => f.write_str("Connection timed out (110)"),
            DialError::Failed(StreamError::Unreachable)
            | DialError::Refused(ConnectError::NoRoute) => f.write_str("No route to host (113)"),
            DialError::Refused(ConnectError::Unaddressable) => f.write_str("Invalid argument (22)"),
            DialError::Refused(ConnectError::PortsExhausted) => {
                f.write_str("Cannot assign requested address (99)")
            }
            error => error.fmt(f),
        }
    }
}

/// A suite as OpenSSL spells it: TLS 1.3's as the IANA registry does, older ones in its own way.
struct Suite(&'static str);

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((exchange, cipher)) = self.0.split_once("_WITH_") else {
            return f.write_str(self.0);
        };
        let exchange = exchange.strip_prefix("TLS_").unwrap_or(exchange);
        let cipher = match cipher {
            "AES_128_GCM_SHA256" => "AES128-GCM-SHA256",
            "AES_256_GCM_SHA384" => "AES256-GCM-SHA384",
            "CHACHA20_POLY1305_SHA256" => "CHACHA20-POLY1305",
            _ => return f.write_str(self.0),
        };
        for part in exchange.split('_') {
            write!(f, "{part}-")?;
        }
        f.write_str(cipher)
    }
}

/// How long a suite's keys are.
fn key_bits(suite: &str) -> u16 {
    match suite.contains("AES_128") {
        true => 128,
        false => 256,
    }
}

/// A group as OpenSSL describes a key of it.
struct Group(&'static str);

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            "X25519" => "X25519, 253 bits",
            "secp256r1" => "ECDH, P-256, 256 bits",
            "secp384r1" => "ECDH, P-384, 384 bits",
            group => group,
        })
    }
}

/// By importance.
impl Lines<'_> {
    fn error(&mut self, arguments: fmt::Arguments<'_>) {
        self.line(Severity::Error, arguments);
    }

    fn warning(&mut self, arguments: fmt::Arguments<'_>) {
        self.line(Severity::Warning, arguments);
    }

    fn notice(&mut self, arguments: fmt::Arguments<'_>) {
        self.line(Severity::Notice, arguments);
    }

    fn info(&mut self, arguments: fmt::Arguments<'_>) {
        self.line(Severity::Info, arguments);
    }

    fn debug(&mut self, arguments: fmt::Arguments<'_>) {
        self.line(Severity::Debug, arguments);
    }
}
