//! A dialect's conversation, for tests: what both ends say is handed over in pieces of a size.

use alloc::{boxed::Box, vec::Vec};
use core::net::{Ipv4Addr, SocketAddr};

use super::{
    About, Authentication, Dialect, End, Ends, Fault, Progress, Protocol, Setup, Stage, Wire,
};

/// One end: what it says and has heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// What it says and was not taken.
    pub(super) says: Vec<u8>,
    /// Whether it says nothing more behind that.
    pub(super) ends: bool,
    /// What it was sent.
    pub(super) heard: Vec<u8>,
}

/// A dialect between two peers.
pub(super) struct Trial {
    pub(super) dialect: Box<dyn Dialect>,
    pub(super) client: Peer,
    pub(super) backend: Peer,
}

impl Trial {
    pub(super) fn new(dialect: Box<dyn Dialect>, client: &[u8], backend: &[u8]) -> Trial {
        let peer = |says: &[u8]| Peer {
            says: says.to_vec(),
            ..Peer::default()
        };
        Trial {
            dialect,
            client: peer(client),
            backend: peer(backend),
        }
    }

    /// One stage, with at most `piece` more bytes of each peer at a time. Waits when both have said
    /// everything.
    pub(super) fn stage(&mut self, stage: Stage, piece: usize) -> Result<Progress, Fault> {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let about = About {
            client: local,
            local,
            backend: None,
            tls: None,
        };
        let (mut from_client, mut from_backend) = (0, 0);
        loop {
            from_client = self.client.says.len().min(from_client + piece);
            from_backend = self.backend.says.len().min(from_backend + piece);
            let whole =
                from_client == self.client.says.len() && from_backend == self.backend.says.len();
            let mut ends = Ends {
                client: wire(End::Client, &mut self.client, from_client),
                backend: wire(End::Backend, &mut self.backend, from_backend),
            };
            let progress = self.dialect.poll(stage, &mut ends, &about);
            let (client, backend) = (ends.client.taken(), ends.backend.taken());
            self.client.says.drain(..client);
            self.backend.says.drain(..backend);
            from_client -= client;
            from_backend -= backend;
            if progress != Ok(Progress::Wait) || whole {
                return progress;
            }
        }
    }
}

fn wire(end: End, peer: &mut Peer, length: usize) -> Wire<'_> {
    let ended = peer.ends && length == peer.says.len();
    Wire::new(end, &peer.says[..length], ended, &mut peer.heard)
}

/// How many bytes at a time a peer's words are handed over.
pub(super) const PIECES: [usize; 4] = [1, 2, 7, usize::MAX];

/// A service without options.
pub(super) fn setup(protocol: Protocol) -> Setup {
    Setup {
        protocol,
        host: None,
        username: None,
        password: None,
        authentication: Authentication::Basic,
        headers: Vec::new(),
    }
}

/// What `dialect` makes of it where both ends have said everything and `piece` bytes come at a time:
/// it in its stage before TLS, and the ends then.
pub(super) fn clear(
    dialect: Box<dyn Dialect>,
    client: &[u8],
    backend: &[u8],
    piece: usize,
) -> (Result<Progress, Fault>, Peer, Peer) {
    let mut trial = Trial::new(dialect, client, backend);
    let progress = trial.stage(Stage::Clear, piece);
    (progress, trial.client, trial.backend)
}
