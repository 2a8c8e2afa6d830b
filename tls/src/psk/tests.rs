//! Two ends with pre-shared keys in memory, and how to set them up.

mod handshake;
mod hostile;
mod interop;
mod replay;
mod schedule;

use std::vec::Vec;

use crate::tests::{End, PROVIDERS, Pair, Random};
use crate::{Error, Group, PreSharedKey, Provider, PskClient, PskOptions, PskServer, Suite};

const IDENTITY: &[u8] = b"client-host";
const KEY: &[u8] = b"shiPaetai3ejaiGees3koi3nuoph5ohm";

fn key(identity: &[u8], key: &[u8]) -> PreSharedKey {
    PreSharedKey::new(identity, key).unwrap()
}

/// Both ends' configuration.
#[derive(Clone)]
struct Setup {
    server: PskOptions,
    client: PskOptions,
    keys: Vec<PreSharedKey>,
    key: PreSharedKey,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            server: PskOptions::default(),
            client: PskOptions::default(),
            keys: Vec::from([key(b"somebody", &[7; 32]), key(IDENTITY, KEY)]),
            key: key(IDENTITY, KEY),
        }
    }
}

impl Setup {
    fn providers(server: Provider, client: Provider) -> Setup {
        let mut setup = Setup::default();
        setup.server.provider = server;
        setup.client.provider = client;
        setup
    }

    fn server(&self) -> PskServer {
        PskServer::new(self.keys.clone(), &self.server).unwrap()
    }

    fn client(&self) -> PskClient {
        PskClient::new(self.key.clone(), &self.client).unwrap()
    }

    fn pair(&self) -> Pair {
        let client = self.client().connect(Some("localhost")).unwrap();
        Pair::joined(self.server().accept(), client)
    }

    fn connected(&self) -> Pair {
        let mut pair = self.pair();
        pair.pump().unwrap();
        pair
    }

    /// What each end says when the handshake fails: the server first.
    fn failed(&self) -> (Option<Error>, Option<Error>) {
        let mut pair = self.pair();
        let mut errors = (None, None);
        for _ in 0..4 {
            let there = pair.client.take_output();
            errors.0 = errors.0.or(pair.server.receive(there).err());
            let back = pair.server.take_output();
            errors.1 = errors.1.or(pair.client.receive(back).err());
        }
        errors
    }
}
