//! A service's dialect, as its configuration has it.

use alloc::{boxed::Box, string::String, vec::Vec};

use config::Zeroizing;

use super::{Dialect, connect, imap, ldap, nntp, pgsql, pop3, proxy, smtp, socks};
use crate::session::Mode;

/// A protocol of stunnel(8)'s option `protocol`, and those that it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP CONNECT (RFC 9110 §9.3.6).
    Connect,
    /// IMAP STARTTLS (RFC 9051 §6.2.1).
    Imap,
    /// LDAP StartTLS (RFC 4511 §4.14); client mode alone.
    Ldap,
    /// NNTP STARTTLS (RFC 4642); client mode alone.
    Nntp,
    /// PostgreSQL's SSLRequest (PostgreSQL documentation, "Message Flow").
    Pgsql,
    /// POP3 STLS (RFC 2595 §4).
    Pop3,
    /// A PROXY header of version 1 for the backend; server mode alone.
    Proxy,
    /// The same of version 2.
    Proxy2,
    /// SMTP STARTTLS (RFC 3207).
    Smtp,
    /// SOCKS inside TLS, versions 4, 4a and 5 (RFC 1928).
    Socks,
}

/// How a client makes itself known (`protocolAuthentication`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// HTTP's Basic (RFC 7617).
    Basic,
    /// SASL PLAIN (RFC 4616).
    Plain,
    /// SASL LOGIN.
    Login,
}

/// What all connections of a service share.
#[derive(Clone)]
pub struct Setup {
    /// What is spoken.
    pub protocol: Protocol,
    /// `protocolHost` as it stands in the file: `HOST:PORT` for `connect`, the name to greet with
    /// for `smtp`.
    pub host: Option<String>,
    /// `protocolUsername`.
    pub username: Option<String>,
    /// `protocolPassword`.
    pub password: Option<Zeroizing<String>>,
    /// `protocolAuthentication`.
    pub authentication: Authentication,
    /// `protocolHeader`, each `NAME: VALUE`.
    pub headers: Vec<String>,
}

impl Setup {
    /// The state machine of a new connection; `None` for a protocol that is not spoken in this mode.
    pub fn begin(&self, mode: Mode) -> Option<Box<dyn Dialect>> {
        Some(match (self.protocol, mode) {
            (Protocol::Connect, Mode::Client) => connect::client(self),
            (Protocol::Connect, Mode::Server) => connect::server(self),
            (Protocol::Imap, Mode::Client) => imap::client(self),
            (Protocol::Imap, Mode::Server) => imap::server(self),
            (Protocol::Ldap, Mode::Client) => ldap::client(self),
            (Protocol::Nntp, Mode::Client) => nntp::client(self),
            (Protocol::Pgsql, Mode::Client) => pgsql::client(self),
            (Protocol::Pgsql, Mode::Server) => pgsql::server(self),
            (Protocol::Pop3, Mode::Client) => pop3::client(self),
            (Protocol::Pop3, Mode::Server) => pop3::server(self),
            (Protocol::Proxy | Protocol::Proxy2, Mode::Server) => proxy::server(self),
            (Protocol::Smtp, Mode::Client) => smtp::client(self),
            (Protocol::Smtp, Mode::Server) => smtp::server(self),
            (Protocol::Socks, Mode::Client) => socks::client(self),
            (Protocol::Socks, Mode::Server) => socks::server(self),
            _ => return None,
        })
    }
}
