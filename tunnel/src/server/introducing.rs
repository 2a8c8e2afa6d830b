//! Telling a program of the host who its client is, ahead of the first byte.

use alloc::string::{String, ToString};

use config::introduction::Introduction;
use net::{Status, Stream};

use super::active::{Active, Stage};
use crate::journal::Address;

/// What the log calls a name without attributes.
const NO_NAME: &str = "no subject";

/// What the program is told about the client of a connection. What TLS knows is left out where it has
/// not begun.
pub(super) fn introduction(active: &Active, published: bool) -> Introduction {
    let (host, port) = match Address::of_client(active.client, published) {
        // getnameinfo(3) gives UNIX sockets this host.
        Address::Unnamed => (Some("localhost".to_string()), String::new()),
        _ if active.client.ip().is_unspecified() => (None, String::new()),
        _ => {
            let client = active.client;
            (Some(client.ip().to_string()), client.port().to_string())
        }
    };
    let names = match &active.stage {
        Stage::Session(session) => {
            let leaf = session.connection().peer_chain().into_iter().next();
            leaf.map(|leaf| (named(leaf.subject), named(leaf.issuer)))
        }
        Stage::Header { .. } | Stage::Opening(_) | Stage::Greeting { .. } | Stage::Answering(_) => {
            None
        }
    };
    Introduction { host, port, names }
}

/// Nothing where the log has words for it.
fn named(name: String) -> String {
    match name == NO_NAME {
        true => String::new(),
        false => name,
    }
}

/// Says it once the program's end is there: nothing was sent to it before, so there is room.
pub(super) fn introduce(introduction: &mut Option<Introduction>, dialled: Option<&mut Stream<'_>>) {
    if let Some(stream) = dialled
        && stream.status() == Status::Open
        && let Some(introduction) = introduction.take()
    {
        stream.send(&introduction.encode());
    }
}
