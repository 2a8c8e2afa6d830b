//! A stunnel configuration as the rest of the product sees it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use zeroize::Zeroizing;

use super::negotiation::{Negotiation, Network};
use super::ocsp::Ocsp;
use super::program::Program;
use super::suites::{Group, Suite};
use crate::types::Host;

/// Where an option stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The path of the configuration file, as it was named.
    pub file: Arc<str>,
    /// The line, from 1; 0 stands for the whole file.
    pub line: u32,
}

/// A whole configuration, checked and with defaults filled in.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// What holds for the process.
    pub global: Global,
    /// The services, in the order of the file.
    pub services: Vec<Service>,
    /// What the user is told while the configuration is taken, in the order of the files.
    pub notices: Vec<Notice>,
    /// What became of each option that is there, in the order of the files.
    pub report: Vec<Reported>,
}

/// Something worth telling that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where.
    pub origin: Origin,
    /// syslog's severity (RFC 5424 §6.2.1), 4 (warning) to 7 (debug).
    pub level: u8,
    /// One sentence.
    pub text: String,
}

/// What became of one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It does what stunnel's manual says.
    Honoured,
    /// It is accepted and changes nothing, for this reason.
    WithoutEffect(String),
    /// The configuration is refused because of it, for this reason.
    Refused(String),
}

/// One option as it stands in a file, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Where it stands.
    pub origin: Origin,
    /// The section that it stands in; `None` before the first one.
    pub service: Option<String>,
    /// The option's name as the manual spells it.
    pub option: &'static str,
    /// Its value; a secret is never shown.
    pub value: String,
    /// What became of it.
    pub disposition: Disposition,
}

/// The options that hold for the whole process (stunnel(8), "GLOBAL OPTIONS").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// The level of the log, 0 (emergencies) to 7 (everything).
    pub debug: u8,
    /// The syslog facility.
    pub facility: Facility,
    /// `foreground`: whether stunnel would stay in the foreground.
    pub foreground: bool,
    /// `output`: the log file's path on the host.
    pub output: Option<String>,
    /// `log`: whether the log file is continued (else it is emptied first).
    pub append: bool,
    /// `syslog`: whether log lines may go to a syslog server.
    pub syslog: bool,
    /// `pid`: the path of the file for the launcher's process number, on the host.
    pub pid: Option<String>,
    /// `service`: the name under which syslog shows the lines.
    pub service: String,
}

impl Default for Global {
    /// stunnel's defaults.
    fn default() -> Global {
        Global {
            debug: 5,
            facility: Facility::default(),
            foreground: false,
            output: None,
            append: true,
            syslog: true,
            pid: None,
            service: "stunnel".into(),
        }
    }
}

/// One service (stunnel(8), "SERVICE-LEVEL OPTIONS").
#[derive(Clone, Debug)]
pub struct Service {
    /// The section's name.
    pub name: String,
    /// Where the section begins.
    pub origin: Origin,
    /// Whether the other side of the wire is a TLS server.
    pub client: bool,
    /// Where connections come from; empty for a virtual service.
    pub accept: Vec<Accept>,
    /// The user that is to own the UNIX sockets of `accept`, by name or number; the launcher knows
    /// them.
    pub user: Option<String>,
    /// Their group, likewise.
    pub group: Option<String>,
    /// Where they go; empty where the client says it: a server with `protocol = connect` or
    /// `socks`.
    pub connect: Vec<Connect>,
    /// A program of the host: where they go, or with `connect` where the one comes from
    /// ([`program_behind`](Service::program_behind), [`program_ahead`](Service::program_ahead)).
    pub program: Option<Program>,
    /// How long after its end a program that is started at once is started again.
    pub retry: Option<Duration>,
    /// Where they go instead when the client is not authenticated; empty: nowhere.
    pub redirect: Vec<Connect>,
    /// Whether names are resolved for each connection; they always are when that failed before.
    pub delay: bool,
    /// In which order the addresses of `connect` are tried.
    pub failover: Failover,
    /// The certificate chain, PEM, leaf first (or PKCS #12 by its file name).
    pub cert: Option<File>,
    /// The private key; the certificate's file when no other is named.
    pub key: Option<File>,
    /// Certificates of `CAfile` and `CApath`.
    pub authorities: Vec<File>,
    /// Revocation lists of `CRLfile` and `CRLpath`.
    pub revocation_lists: Vec<File>,
    /// Whether `CRLfile` or `CRLpath` is there, so that revocation is checked.
    pub check_revocation: bool,
    /// How the peer's certificate is verified.
    pub verify: Verify,
    /// Names of which the peer's certificate must have one.
    pub check_host: Vec<String>,
    /// Mail addresses of which the peer's certificate must have one.
    pub check_email: Vec<String>,
    /// Addresses of which the peer's certificate must have one.
    pub check_ip: Vec<IpAddr>,
    /// Whether responders are asked about the peer's certificates.
    pub ocsp: Ocsp,
    /// Client side: the server name to send: `sni`, or the host of `protocolHost`. `Some("")`:
    /// none. `None`: the host of `connect`.
    pub sni: Option<String>,
    /// Server side: the names for which this service replaces another one.
    pub virtual_of: Vec<VirtualName>,
    /// The lowest and the highest version of TLS.
    pub versions: (Version, Version),
    /// The cipher suites of both versions, by preference; none for a version that is off.
    pub suites: Vec<Suite>,
    /// Whether `ciphers` leaves suites with pre-shared keys and none with certificates.
    pub psk_only: bool,
    /// The groups for the key exchange, by preference; empty when the file says nothing.
    pub groups: Vec<Group>,
    /// Whether the server's order of cipher suites counts, not the client's.
    pub server_preference: bool,
    /// Whether session tickets are issued and taken (`options = NO_TICKET` clears it).
    pub tickets: bool,
    /// Whether sessions are resumed.
    pub session_resume: bool,
    /// How many sessions are kept; 0: without a bound of the user's (SSL_CTX_sess_set_cache_size(3)).
    pub session_cache_size: usize,
    /// How long a session may be resumed.
    pub session_cache_timeout: Duration,
    /// The keys of session tickets, so that tickets outlive a restart.
    pub ticket_keys: Option<TicketKeys>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// The level of this service's log lines, 0 to 7.
    pub debug: u8,
    /// Whether a failed connection ends with a TCP reset.
    pub reset: bool,
    /// Whether TLS 1.2 peers may renegotiate. They never can here; `true` is stunnel's default.
    pub renegotiation: bool,
    /// Socket options.
    pub sockets: Sockets,
    /// Pre-shared keys.
    pub psk: Option<Psk>,
    /// How connections are numbered in the log.
    pub log_id: LogId,
    /// The address from which connections to `connect` are made.
    pub local: Option<IpAddr>,
    /// What is said around TLS.
    pub protocol: Option<Negotiation>,
    /// The protocols inside TLS (RFC 7301), by preference; empty: none is named, any is fine.
    pub alpn: Vec<Vec<u8>>,
    /// Proxies that tell their clients' addresses.
    pub accept_proxy: Vec<Network>,
}

/// Where a service's connections come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accept {
    /// A TCP port.
    Tcp {
        /// The address or name to listen on; `None`: all addresses.
        host: Option<Host>,
        /// The port; 0: any that is free.
        port: u16,
        /// The value as it stands in the file.
        text: String,
    },
    /// A UNIX socket of the host.
    Unix(String),
    /// One that the launcher was started with: inetd's.
    Inherited,
}

/// Where a service's connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connect {
    /// A TCP port.
    Tcp {
        /// The host; `localhost` when the file names none.
        host: Host,
        /// The port.
        port: u16,
        /// The value as it stands in the file.
        text: String,
    },
    /// A UNIX socket of the host.
    Unix(String),
}

/// In which order the addresses of `connect` are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failover {
    /// Always from the first.
    #[default]
    Priority,
    /// Each connection begins one further.
    RoundRobin,
}

/// A file that an option names.
#[derive(Clone)]
pub struct File {
    /// Its path as it was named.
    pub path: String,
    /// Its bytes, shared by the services that name it.
    pub bytes: Arc<Zeroizing<Vec<u8>>>,
}

/// How the peer's certificate is verified (`verify`, `verifyChain`, `verifyPeer`, `requireCert`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verify {
    /// A server asks for a certificate; a client looks at the server's.
    pub request: bool,
    /// A peer without a certificate is refused.
    pub require: bool,
    /// The chain must lead to a root of `authorities`.
    pub chain: bool,
    /// The certificate itself must be among `authorities`.
    pub peer: bool,
}

/// A name under which a service replaces another one (`sni = SERVICE:PATTERN`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualName {
    /// The service that listens.
    pub primary: String,
    /// The server name, or `*` and the end of one; compared without regard to case.
    pub pattern: String,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// The keys of session tickets.
#[derive(Clone)]
pub struct TicketKeys {
    /// For encryption: 16 or 32 bytes.
    pub key: Zeroizing<Vec<u8>>,
    /// For authentication: 16 or 32 bytes.
    pub mac: Zeroizing<Vec<u8>>,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `TIMEOUTbusy`: for expected data, as in the handshake.
    pub busy: Duration,
    /// `TIMEOUTclose`: for the other side's end after one side's.
    pub close: Duration,
    /// `TIMEOUTconnect`: for each address of `connect`.
    pub connect: Duration,
    /// `TIMEOUTidle`: for anything, on an open connection.
    pub idle: Duration,
}

/// Socket options of each kind of socket (`socket = a|l|r:OPTION=VALUE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// `a`: of those that listen. Linux's accepted sockets inherit `TCP_NODELAY`, `SO_KEEPALIVE`
    /// and `TCP_KEEP…`, and `l` is set after that.
    pub accept: SocketOptions,
    /// `l`: of those that were accepted.
    pub local: SocketOptions,
    /// `r`: of those that are made to `connect`.
    pub remote: SocketOptions,
}

/// Socket options; `None` where the file says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// `TCP_NODELAY`.
    pub nodelay: Option<bool>,
    /// `SO_KEEPALIVE`.
    pub keepalive: Option<bool>,
    /// `TCP_KEEPIDLE`: silence before the first probe.
    pub keepidle: Option<Duration>,
    /// `TCP_KEEPINTVL`: between probes.
    pub keepintvl: Option<Duration>,
    /// `TCP_KEEPCNT`: probes without an answer.
    pub keepcnt: Option<u32>,
    /// `SO_LINGER`: `Some(None)` turns it off, `Some(Some(time))` on.
    pub linger: Option<Option<Duration>>,
}

/// Pre-shared keys (`PSKsecrets`, `PSKidentity`).
#[derive(Clone)]
pub struct Psk {
    /// Identities and their keys of 16 bytes or more, in the file's order.
    pub secrets: Vec<(String, Zeroizing<Vec<u8>>)>,
    /// Client side: the identity to use, one of `secrets`; the first when no other is named.
    pub identity: Option<String>,
}

/// How connections are numbered in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogId {
    /// 0, 1, 2, …
    #[default]
    Sequential,
    /// A random word for each.
    Unique,
    /// The thread's number: there are no threads here, so the connection's.
    Thread,
    /// The process's number: there is one process here, so it is always 1.
    Process,
}

/// A syslog facility (RFC 5424 §6.2.1), in the order of the numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Facility {
    Kern = 0,
    User = 1,
    Mail = 2,
    #[default]
    Daemon = 3,
    Auth = 4,
    Syslog = 5,
    Lpr = 6,
    News = 7,
    Uucp = 8,
    Cron = 9,
    Authpriv = 10,
    Ftp = 11,
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}
