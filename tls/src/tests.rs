//! Two ends of a connection in memory, and how to set them up.

mod choices;
mod close;
mod hello;
mod hostile;
mod hybrid;
mod identity;
pub(crate) mod interop;
mod keys;
mod matrix;
pub(crate) mod mutation;
mod note;
mod resume;
mod sessions;
mod stream;

use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, NamedGroup};

use crate::{
    Client, ClientOptions, Connection, Error, Identity, MAX_PLAINTEXT, Provider, Server,
    ServerOptions, VerifyMode, Version, Versions, WallClock,
};

/// A time at which all test certificates are valid: 2027-01-15.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) const PROVIDERS: [Provider; 2] = [Provider::Ring, Provider::RustCrypto];
pub(crate) const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];

/// A file of `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn identity(certificate: &str, key: &str, provider: Provider) -> Identity {
    Identity::from_pem(&fixture(certificate), &fixture(key), provider).unwrap()
}

/// Both ends' configuration. The default: *ring*, P-256, everything allowed, verification on.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) server: Provider,
    pub(crate) client: Provider,
    pub(crate) versions: Versions,
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) suite: Option<CipherSuite>,
    pub(crate) group: Option<NamedGroup>,
    pub(crate) verify: VerifyMode,
    pub(crate) server_alpn: Vec<Vec<u8>>,
    pub(crate) client_alpn: Vec<Vec<u8>>,
    pub(crate) tickets: bool,
    pub(crate) session_cache: usize,
    pub(crate) clock: WallClock,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            server: Provider::Ring,
            client: Provider::Ring,
            versions: Versions::default(),
            certificate: "test-p256.pem".to_string(),
            key: "test-p256.key".to_string(),
            suite: None,
            group: None,
            verify: VerifyMode::ChainAndName,
            server_alpn: Vec::new(),
            client_alpn: Vec::new(),
            tickets: true,
            session_cache: 16,
            clock: WallClock::new(NOW),
        }
    }
}

impl Setup {
    pub(crate) fn providers(server: Provider, client: Provider) -> Setup {
        Setup {
            server,
            client,
            ..Setup::default()
        }
    }

    pub(crate) fn version(self, version: Version) -> Setup {
        Setup {
            versions: Versions {
                min: version,
                max: version,
            },
            ..self
        }
    }

    fn leaf(self, name: &str) -> Setup {
        Setup {
            certificate: std::format!("test-{name}.pem"),
            key: std::format!("test-{name}.key"),
            ..self
        }
    }

    /// A provider's cryptography, narrowed to what the setup asks for.
    fn crypto(&self, provider: Provider) -> CryptoProvider {
        let mut crypto = provider.crypto();
        if let Some(suite) = self.suite {
            crypto.cipher_suites.retain(|each| each.suite() == suite);
        }
        if let Some(group) = self.group {
            crypto.kx_groups.retain(|each| each.name() == group);
        }
        crypto
    }

    pub(crate) fn server_options(&self) -> ServerOptions {
        let identity = identity(&self.certificate, &self.key, self.server);
        ServerOptions {
            versions: self.versions,
            alpn: self.server_alpn.clone(),
            tickets: self.tickets,
            session_cache: self.session_cache,
            ..ServerOptions::new(identity, self.clock.clone())
        }
    }

    pub(crate) fn client_options(&self) -> ClientOptions {
        ClientOptions {
            provider: self.client,
            verify: self.verify.clone(),
            alpn: self.client_alpn.clone(),
            versions: self.versions,
            ..ClientOptions::new(Vec::from([fixture("test-ca.pem")]), self.clock.clone())
        }
    }

    pub(crate) fn server(&self) -> Server {
        Server::with_crypto(self.server_options(), self.crypto(self.server)).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::with_crypto(self.client_options(), self.crypto(self.client)).unwrap()
    }

    fn pair(&self) -> Pair {
        Pair::of(&self.server(), &self.client(), Some("localhost"))
    }

    /// A pair that has finished its handshake.
    fn connected(&self) -> Pair {
        let mut pair = self.pair();
        pair.pump().unwrap();
        assert!(pair.client.0.may_send() && pair.server.0.may_send());
        pair
    }
}

/// A connection and what it has received.
pub(crate) struct End(pub(crate) Connection, Vec<u8>);

impl End {
    pub(crate) fn new(connection: Connection) -> End {
        End(connection, Vec::new())
    }

    pub(crate) fn handshake(&self) -> &crate::Handshake {
        self.0.handshake().unwrap()
    }

    /// All records that wait to be sent.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        let mut output = vec![0; self.0.pending_output()];
        let length = self.0.transmit(&mut output);
        assert_eq!((length, self.0.pending_output()), (output.len(), 0));
        output
    }

    /// `plaintext` as records, after what waits.
    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut records = Vec::new();
        let mut output = vec![0; 40_000];
        let mut read = 0;
        while read < plaintext.len() {
            let sealed = self.0.send(&plaintext[read..], &mut output).unwrap();
            assert!(
                sealed.read > 0,
                "nothing taken with {} bytes of room",
                output.len()
            );
            read += sealed.read;
            records.extend_from_slice(&output[..sealed.written]);
        }
        records.extend(self.take_output());
        records
    }

    /// Takes all of `records` in one go.
    pub(crate) fn receive(&mut self, mut records: Vec<u8>) -> Result<(), Error> {
        let End(connection, received) = self;
        let length = records.len();
        let done = connection.receive(&mut records, usize::MAX, &mut |plaintext| {
            assert!(plaintext.len() <= MAX_PLAINTEXT);
            received.extend_from_slice(plaintext);
        })?;
        assert_eq!((done.consumed, done.needed), (length, None));
        Ok(())
    }
}

pub(crate) struct Pair {
    pub(crate) client: End,
    pub(crate) server: End,
}

impl Pair {
    pub(crate) fn of(server: &Server, client: &Client, name: Option<&str>) -> Pair {
        Pair {
            client: End(client.connect(name).unwrap(), Vec::new()),
            server: End(server.accept().unwrap(), Vec::new()),
        }
    }

    pub(crate) fn joined(server: Connection, client: Connection) -> Pair {
        Pair {
            client: End::new(client),
            server: End::new(server),
        }
    }

    /// Carries what waits to and fro until nothing does.
    pub(crate) fn pump(&mut self) -> Result<(), Error> {
        for _ in 0..10 {
            let there = self.client.take_output();
            self.server.receive(there.clone())?;
            let back = self.server.take_output();
            self.client.receive(back.clone())?;
            if there.is_empty() && back.is_empty() {
                return Ok(());
            }
        }
        panic!("the two ends never fall silent");
    }

    pub(crate) fn client_sends(&mut self, plaintext: &[u8]) {
        let records = self.client.seal(plaintext);
        self.server.1.clear();
        self.server.receive(records).unwrap();
        assert!(self.server.1 == plaintext, "the server got something else");
    }

    pub(crate) fn server_sends(&mut self, plaintext: &[u8]) {
        let records = self.server.seal(plaintext);
        self.client.1.clear();
        self.client.receive(records).unwrap();
        assert!(self.client.1 == plaintext, "the client got something else");
    }

    /// Data both ways, and both ends' view of the handshake the same.
    pub(crate) fn check(&mut self) {
        self.client_sends(b"from the client");
        self.server_sends(b"from the server");
        let (client, server) = (self.client.handshake(), self.server.handshake());
        assert_eq!(
            (
                client.version,
                client.suite,
                client.group,
                client.resumed,
                &client.alpn
            ),
            (
                server.version,
                server.suite,
                server.group,
                server.resumed,
                &server.alpn
            ),
        );
    }
}

/// Bytes that do not repeat soon.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    (0..length).map(|_| random.next() as u8).collect()
}

/// xorshift64*: the same numbers every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
