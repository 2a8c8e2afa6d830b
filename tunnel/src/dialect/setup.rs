//! A service's dialect, as its configuration has it.

use alloc::boxed::Box;

pub use config::stunnel::{Authentication, Negotiation as Setup, Protocol};

use super::{Dialect, connect, imap, ldap, nntp, pgsql, pop3, proxy, smtp, socks};
use crate::session::Mode;

/// The state machine of a new connection; `None` for a protocol that is not spoken in this mode.
pub fn begin(setup: &Setup, mode: Mode) -> Option<Box<dyn Dialect>> {
    Some(match (setup.protocol, mode) {
        (Protocol::Connect, Mode::Client) => connect::client(setup),
        (Protocol::Connect, Mode::Server) => connect::server(setup),
        (Protocol::Imap, Mode::Client) => imap::client(setup),
        (Protocol::Imap, Mode::Server) => imap::server(setup),
        (Protocol::Ldap, Mode::Client) => ldap::client(setup),
        (Protocol::Nntp, Mode::Client) => nntp::client(setup),
        (Protocol::Pgsql, Mode::Client) => pgsql::client(setup),
        (Protocol::Pgsql, Mode::Server) => pgsql::server(setup),
        (Protocol::Pop3, Mode::Client) => pop3::client(setup),
        (Protocol::Pop3, Mode::Server) => pop3::server(setup),
        (Protocol::Proxy | Protocol::Proxy2, Mode::Server) => proxy::server(setup),
        (Protocol::Smtp, Mode::Client) => smtp::client(setup),
        (Protocol::Smtp, Mode::Server) => smtp::server(setup),
        (Protocol::Socks, Mode::Client) => socks::client(setup),
        (Protocol::Socks, Mode::Server) => socks::server(setup),
        _ => return None,
    })
}
