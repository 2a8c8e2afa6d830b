//! The PROXY protocol (HAProxy's proxy-protocol.txt): who has connected to whom, told ahead of what
//! they say.
//!
//! `protocol = proxy` tells it to the backend as stunnel does, in a line of text; `protocol = proxy2`
//! in the binary form, with what TLS knows about the client. Both are the first bytes that the
//! backend gets, and both tell the addresses that a trusted proxy in front has told
//! ([`incoming`]).

use alloc::{boxed::Box, format};
use core::net::SocketAddr;

use super::{About, Dialect, Ends, Fault, Progress, Protocol, Setup, Stage};

pub mod incoming;
mod outgoing;
mod v2;

/// The header for the backends of a server.
pub(super) fn server(setup: &Setup) -> Box<dyn Dialect> {
    Box::new(Header {
        binary: setup.protocol == Protocol::Proxy2,
    })
}

struct Header {
    /// Version 2.
    binary: bool,
}

impl Dialect for Header {
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        about: &About<'_>,
    ) -> Result<Progress, Fault> {
        if stage == Stage::Connected {
            match self.binary {
                true => ends.backend.send(&outgoing::header(about)),
                false if is_unknown(about) => ends.backend.send(b"PROXY UNKNOWN\r\n"),
                false => {
                    let (family, client, local) = alike(about);
                    let (from, to) = (client.port(), local.port());
                    let (client, local) = (client.ip(), local.ip());
                    let line = format!("PROXY TCP{family} {client} {local} {from} {to}\r\n");
                    ends.backend.send(line.as_bytes());
                }
            }
        }
        Ok(Progress::Next)
    }
}

/// Whether the client has no address, as those of UNIX sockets.
fn is_unknown(about: &About<'_>) -> bool {
    about.client.ip().is_unspecified()
}

/// Both addresses in one family, and its number: a header has only one. Where they differ, the IPv4
/// one is mapped (RFC 4291 §2.5.5.2).
fn alike(about: &About<'_>) -> (u8, SocketAddr, SocketAddr) {
    let mapped = |address: SocketAddr| match address {
        SocketAddr::V4(address) => {
            SocketAddr::new(address.ip().to_ipv6_mapped().into(), address.port())
        }
        SocketAddr::V6(_) => address,
    };
    match (about.client, about.local) {
        (client @ SocketAddr::V4(_), local @ SocketAddr::V4(_)) => (4, client, local),
        (client, local) => (6, mapped(client), mapped(local)),
    }
}

#[cfg(test)]
mod tests;
