//! Every event's text.

use core::{fmt, net::IpAddr};

use net::{ConnectError, StreamError};

use super::{Address, CertificateProblem, Kind, Lines, Severity, words::Reason};
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
    /// It is kept with the session, where TLS was accepted (`cached`).
    pub fn connected(
        &mut self,
        backend: impl fmt::Display,
        local: impl fmt::Display,
        cached: bool,
    ) {
        let service = self.service;
        self.notice(format_args!("s_connect: connected {backend}"));
        if cached {
            self.info(format_args!("persistence: {backend} cached"));
        }
        self.tell(
            Kind::Connected,
            Severity::Notice,
            format_args!("Service [{service}] connected remote server from {local}"),
        );
    }

    /// A backend's address did not answer in time, or said no.
    pub fn connect_failed<'a>(&mut self, backend: impl Into<Address<'a>>, error: DialError) {
        let backend = backend.into();
        if error == DialError::Failed(StreamError::TimedOut) {
            return self.failure(
                Kind::Timeout,
                format_args!("s_connect: s_poll_wait {backend}: TIMEOUTconnect exceeded"),
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

    /// Our close_notify is on its way.
    pub fn close_notify_sent(&mut self) {
        self.info(format_args!(
            "SSL_shutdown successfully sent close_notify alert"
        ));
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
                "SSL_read: {}: the TLS peer ended TCP without close_notify",
                tls::OpensslReason::UNEXPECTED_EOF
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
    pub(super) fn failure(&mut self, kind: Kind, arguments: fmt::Arguments<'_>) {
        self.tell(kind, Severity::Error, arguments);
    }

    pub(super) fn unverified(
        &mut self,
        problem: CertificateProblem,
        arguments: fmt::Arguments<'_>,
    ) {
        let kind = Kind::VerificationFailed;
        self.tell_of(kind, Severity::Error, &[problem], arguments);
    }

    fn omission(&mut self, arguments: fmt::Arguments<'_>) {
        self.tell(Kind::LinesLeftOut, Severity::Warning, arguments);
    }

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
