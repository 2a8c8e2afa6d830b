//! Every event's text.

use core::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use channel::CertificateReason;
use net::{ConnectError, StreamError};

use super::{
    Address, CertificateProblem, Kind, Lines, Severity, certificate,
    text::Shown,
    words::{Group, Reason, Suite, key_bits},
};
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
        self.tell(
            Kind::ConfigurationSuccessful,
            Severity::Notice,
            format_args!("Configuration successful"),
        );
    }

    /// The configuration is no good; its errors were written before.
    pub fn configuration_failed(&mut self) {
        self.tell(
            Kind::ConfigurationFailed,
            Severity::Error,
            format_args!("Configuration failed"),
        );
    }

    /// A listener is open; `listener` counts them.
    pub fn bound(&mut self, listener: usize, local: impl fmt::Display) {
        let service = self.service;
        self.tell(
            Kind::Listening,
            Severity::Info,
            format_args!("Service [{service}] (FD={listener}) bound to {local}"),
        );
    }

    /// A listener could not be opened.
    pub fn binding_failed(&mut self, local: impl fmt::Display, error: &dyn fmt::Display) {
        let line = binding(self.service, &local, error);
        self.tell(
            Kind::ConfigurationFailed,
            Severity::Error,
            format_args!("{line}"),
        );
    }

    /// Every listener is open.
    pub fn accepting_new_connections(&mut self) {
        self.info(format_args!("Accepting new connections"));
    }

    /// A name could not be resolved.
    pub fn name_not_resolved(&mut self, name: &str, error: &dyn fmt::Display) {
        self.tell(
            Kind::NameNotResolved,
            Severity::Error,
            format_args!("Error resolving \"{name}\": {error}"),
        );
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
    pub fn accepted(&mut self, peer: impl fmt::Display) {
        let service = self.service;
        self.debug(format_args!("Service [{service}] started"));
        self.tell(
            Kind::Accepted,
            Severity::Notice,
            format_args!("Service [{service}] accepted connection from {peer}"),
        );
    }

    /// The service has no virtual services to choose from.
    pub fn sni_no_services(&mut self) {
        self.debug(format_args!("SNI: no virtual services defined"));
    }

    /// The name in a client's hello, or its protocols alone, chose the virtual service `service`.
    pub fn sni_switched(&mut self, name: Option<&str>, service: &str) {
        if let Some(name) = name {
            self.sni_requested(name);
        }
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
        let words = certificate::reason(refusal).log_words();
        self.warning(format_args!("CERT: {words}"));
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
        let failed = match operation {
            Operation::Handshake(_) => Kind::HandshakeFailed,
            Operation::Read | Operation::Write => Kind::Line,
        };
        match error {
            tls::Error::Refused(refusal) => self.unverified(
                certificate::problem(refusal),
                format_args!("{operation}: certificate verify failed: {refusal}"),
            ),
            // OpenSSL's words, for which people and scanners look.
            tls::Error::NoCertificate => self.unverified(
                certificate::of_leaf(CertificateReason::Missing),
                format_args!("{operation}: peer did not return a certificate"),
            ),
            tls::Error::Certificate { reason } => self.unverified(
                certificate::of_leaf(CertificateReason::Rejected),
                format_args!("{operation}: certificate verify failed: {}", Shown(reason)),
            ),
            tls::Error::Decrypt => self.failure(
                failed,
                format_args!("{operation}: decryption failed or bad record mac"),
            ),
            error => self.failure(failed, format_args!("{operation}: {error}")),
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
        self.failure(
            Kind::HandshakeFailed,
            format_args!("{operation}: unexpected eof while reading: the peer left before the end"),
        );
    }

    /// What was found of a client that failed its authentication.
    pub fn client_unverified(&mut self, verdict: &tls::Verdict) {
        let problem = match verdict {
            tls::Verdict::Refused {
                refusal: Some(refusal),
                ..
            } => certificate::problem(refusal),
            tls::Verdict::Missing => certificate::of_leaf(CertificateReason::Missing),
            _ => certificate::of_leaf(CertificateReason::Rejected),
        };
        self.tell_of(
            Kind::VerificationFailed,
            Severity::Warning,
            &[problem],
            format_args!("{verdict}"),
        );
    }

    /// The client failed its authentication: its connection goes to another backend.
    pub fn redirected(&mut self) {
        self.notice(format_args!("Redirecting connection"));
    }
}

/// Dialling.
impl Lines<'_> {
    /// A resumed session goes to the backend that it had before.
    pub fn persistence(&mut self, backend: impl fmt::Display) {
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
    pub fn connecting(&mut self, backend: impl fmt::Display) {
        self.info(format_args!("s_connect: connecting {backend}"));
    }

    /// A backend's address answered; `local` is our end.
    pub fn connected(&mut self, backend: impl fmt::Display, local: impl fmt::Display) {
        let service = self.service;
        self.notice(format_args!("s_connect: connected {backend}"));
        self.tell(
            Kind::Connected,
            Severity::Notice,
            format_args!("Service [{service}] connected remote server from {local}"),
        );
    }

    /// A backend's address did not answer for as long as was `waited`, or said no.
    pub fn connect_failed<'a>(
        &mut self,
        backend: impl Into<Address<'a>>,
        error: DialError,
        waited: Duration,
    ) {
        let backend = backend.into();
        if error == DialError::Failed(StreamError::TimedOut) {
            return self.failure(
                Kind::Timeout,
                format_args!(
                    "s_connect: s_poll_wait {backend}: TIMEOUTconnect exceeded: no answer in {} s",
                    waited.as_secs()
                ),
            );
        }
        let kind = match error {
            DialError::Failed(StreamError::Refused | StreamError::Reset) => Kind::BackendRefused,
            DialError::Refused(ConnectError::Unaddressable) => Kind::InvalidArgument,
            _ => Kind::BackendUnreachable,
        };
        let reason = Reason {
            error,
            unix: backend.is_unix(),
        };
        self.failure(kind, format_args!("s_connect: connect {backend}: {reason}"));
    }

    /// Every address was tried.
    pub fn no_more_addresses(&mut self) {
        self.error(format_args!("No more addresses to connect"));
    }

    /// No backend has an address. stunnel has the first words, xapi's scanner looks for those in
    /// parentheses.
    pub fn no_remote_host(&mut self) {
        self.failure(
            Kind::NameNotResolved,
            format_args!("No remote host resolved (No host resolved)"),
        );
    }
}

/// From the first byte to the end.
impl Lines<'_> {
    /// A time ran out.
    pub fn timed_out(&mut self, timeout: Timeout) {
        let kind = match timeout {
            Timeout::Busy | Timeout::Connect => Kind::Timeout,
            Timeout::Idle | Timeout::Close => Kind::Idle,
        };
        self.tell(
            kind,
            Severity::Info,
            format_args!(
                "{}",
                match timeout {
                    Timeout::Busy => "ssl_start: s_poll_wait: TIMEOUTbusy exceeded: sending reset",
                    Timeout::Connect => "s_connect: s_poll_wait: TIMEOUTconnect exceeded",
                    Timeout::Idle => "transfer: s_poll_wait: TIMEOUTidle exceeded: sending reset",
                    Timeout::Close => "transfer: s_poll_wait: TIMEOUTclose exceeded: closing",
                }
            ),
        );
    }

    /// A TCP connection was lost: the one that carries TLS, or the other.
    pub fn connection_lost(&mut self, tls: bool, error: StreamError) {
        let operation = match tls {
            true => "SSL_read",
            false => "readsocket",
        };
        let reason = Reason {
            error: DialError::Failed(error),
            unix: false,
        };
        self.error(format_args!("{operation}: {reason}"));
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
        let (kind, how) = match how {
            Closed::Closed => (Kind::Closed, "closed"),
            Closed::Reset => (Kind::Reset, "reset"),
            Closed::DialledReset => (Kind::Reset, "reset/closed"),
            Closed::AcceptedReset => (Kind::Reset, "closed/reset"),
        };
        self.tell(
            kind,
            Severity::Notice,
            format_args!(
                "Connection {how}: {to_tls} byte(s) sent to TLS, {to_socket} byte(s) sent to socket"
            ),
        );
    }

    /// A session is gone; `left` others go on.
    pub fn finished(&mut self, left: usize) {
        let service = self.service;
        self.debug(format_args!("Service [{service}] finished ({left} left)"));
    }

    /// Lines about failures were left out so that the log is not flooded.
    pub fn left_out(&mut self, lines: u64) {
        self.log_only(
            Severity::Warning,
            format_args!("{lines} more lines like the next left out"),
        );
    }

    /// Lines about connections were left out so that the console is not flooded.
    pub(super) fn lines_left_out(&mut self, lines: u64) {
        self.omission(format_args!(
            "{lines} lines about connections left out: the log takes so many a second"
        ));
    }

    /// Lines did not get to the syslog server.
    pub(super) fn syslog_dropped(&mut self, lines: u64) {
        self.omission(format_args!(
            "{lines} lines not sent to the syslog server: its queue was full"
        ));
    }
}

/// What is said of a listener that could not be opened.
pub(crate) fn binding<'a>(
    service: &'a str,
    local: impl fmt::Display + 'a,
    error: &'a dyn fmt::Display,
) -> impl fmt::Display + 'a {
    fmt::from_fn(move |f| write!(f, "Binding service [{service}] to {local}: {error}"))
}

/// By importance.
impl Lines<'_> {
    fn failure(&mut self, kind: Kind, arguments: fmt::Arguments<'_>) {
        self.tell(kind, Severity::Error, arguments);
    }

    fn unverified(&mut self, problem: CertificateProblem, arguments: fmt::Arguments<'_>) {
        let kind = Kind::VerificationFailed;
        self.tell_of(kind, Severity::Error, &[problem], arguments);
    }

    fn omission(&mut self, arguments: fmt::Arguments<'_>) {
        self.tell(Kind::LinesLeftOut, Severity::Warning, arguments);
    }

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
