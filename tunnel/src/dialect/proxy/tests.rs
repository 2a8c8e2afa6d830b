//! What backends are told.

use alloc::{string::String, vec, vec::Vec};

use rcgen::{CertificateParams, CertifiedKey, DnType, KeyPair};
use tls::{
    Client, ClientAuth, ClientOptions, ClientVerify, Connection, Identity, Provider, Server,
    ServerOptions, VerifyMode, Version, Versions, WallClock,
};

use super::*;
use crate::dialect::{Authentication, End, Wire};
use crate::session::Mode;

fn about<'a>(client: &str, local: &str, tls: Option<&'a Connection>) -> About<'a> {
    About {
        client: client.parse().unwrap(),
        local: local.parse().unwrap(),
        backend: None,
        tls,
    }
}

/// What the backend hears of it, when it is there and not before.
fn told(protocol: Protocol, about: &About<'_>) -> Vec<u8> {
    let setup = Setup {
        protocol,
        host: None,
        username: None,
        password: None,
        authentication: Authentication::Basic,
        headers: Vec::new(),
    };
    assert!(crate::dialect::begin(&setup, Mode::Client).is_none());
    let mut dialect = crate::dialect::begin(&setup, Mode::Server).unwrap();
    assert!(!dialect.dials_first());
    let (mut to_client, mut to_backend) = (Vec::new(), Vec::new());
    for stage in [Stage::Clear, Stage::Secured, Stage::Connected] {
        assert!(to_backend.is_empty());
        let mut ends = Ends {
            client: Wire::new(End::Client, b"data", false, &mut to_client),
            backend: Wire::new(End::Backend, b"", false, &mut to_backend),
        };
        let progress = dialect.poll(stage, &mut ends, about);
        assert_eq!(progress, Ok(Progress::Next));
        assert_eq!(ends.client.taken(), 0);
    }
    assert!(to_client.is_empty());
    to_backend
}

#[test]
fn a_line_tells_both_addresses_as_stunnel_does() {
    for (client, local, line) in [
        (
            "192.0.2.1:35854",
            "198.51.100.2:443",
            "PROXY TCP4 192.0.2.1 198.51.100.2 35854 443\r\n",
        ),
        (
            "[2001:db8::1]:1",
            "[2001:db8:0:0:1::2]:65535",
            "PROXY TCP6 2001:db8::1 2001:db8::1:0:0:2 1 65535\r\n",
        ),
        (
            "[::ffff:192.0.2.1]:50504",
            "[::ffff:198.51.100.2]:443",
            "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 50504 443\r\n",
        ),
        (
            "192.0.2.1:1",
            "[2001:db8::2]:2",
            "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n",
        ),
    ] {
        let about = about(client, local, None);
        let told = told(Protocol::Proxy, &about);
        assert_eq!(core::str::from_utf8(&told), Ok(line));
        let told = read_back(&told);
        assert_eq!(
            told.map(|(client, _)| client.port()),
            Some(about.client.port())
        );
    }
}

/// What a receiver makes of it.
fn read_back(header: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let mut output = Vec::new();
    let mut wire = Wire::new(End::Client, header, false, &mut output);
    let told = incoming::read(&mut wire).unwrap().unwrap();
    assert_eq!(wire.rest(), b"");
    told.source
}

#[test]
fn a_binary_header_tells_both_addresses() {
    let ipv4 = told(
        Protocol::Proxy2,
        &about("192.0.2.1:56324", "198.51.100.2:443", None),
    );
    let expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\
        \xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb";
    assert_eq!(ipv4, expected);
    for (client, local) in [
        ("192.0.2.1:56324", "198.51.100.2:443"),
        ("[2001:db8::1]:1", "[2001:db8::2]:65535"),
    ] {
        let header = told(Protocol::Proxy2, &about(client, local, None));
        let source = (client.parse().unwrap(), local.parse().unwrap());
        assert_eq!(read_back(&header), Some(source));
    }
    let mixed = told(
        Protocol::Proxy2,
        &about("[2001:db8::1]:1", "198.51.100.2:2", None),
    );
    let source = (
        "[2001:db8::1]:1".parse().unwrap(),
        "[::ffff:198.51.100.2]:2".parse().unwrap(),
    );
    assert_eq!(read_back(&mixed), Some(source));
}

/// Type-length-value records.
type Records = Vec<(u8, Vec<u8>)>;

fn records(mut bytes: &[u8]) -> Records {
    let mut records = Vec::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let (value, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        records.push((*kind, value.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    records
}

/// The outer records of the header that tells of `tls`, and of the inner ones behind `client` and
/// `verify`.
fn told_of(tls: &Connection) -> (Records, [u8; 5], Records) {
    let (client, local) = ("192.0.2.1:1", "198.51.100.2:2");
    let header = told(Protocol::Proxy2, &about(client, local, Some(tls)));
    assert!(header.len() <= outgoing::MAX_HEADER);
    let source = (client.parse().unwrap(), local.parse().unwrap());
    assert_eq!(read_back(&header), Some(source));
    let mut outer = records(&header[28..]);
    let (kind, ssl) = outer.pop().unwrap();
    assert_eq!(kind, 0x20);
    let (flags, inner) = ssl.split_first_chunk().unwrap();
    (outer, *flags, records(inner))
}

struct Peers {
    server: Server,
    client: Client,
    /// The client's certificate.
    der: Vec<u8>,
}

/// `auth` is given the client's own certificate as a root.
fn peers(
    auth: impl FnOnce(Vec<u8>) -> ClientAuth,
    versions: Versions,
    shows: bool,
    name: &str,
) -> Peers {
    let clock = WallClock::new(1_800_000_000);
    let make = |mut params: CertificateParams, name: &str| {
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        CertifiedKey {
            cert,
            signing_key: key,
        }
    };
    let identity = |made: &CertifiedKey<KeyPair>| {
        let key = made.signing_key.serialize_pem();
        Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes(), Provider::Ring).unwrap()
    };
    let params = || CertificateParams::new(vec![String::from("localhost")]).unwrap();
    let (own, clients) = (make(params(), "server"), make(params(), name));
    let der = clients.cert.der().to_vec();
    let server = Server::new(ServerOptions {
        client_auth: auth(der.clone()),
        alpn: vec![b"h2".to_vec()],
        versions,
        ..ServerOptions::new(identity(&own), clock.clone())
    })
    .unwrap();
    let client = Client::new(ClientOptions {
        verify: VerifyMode::None,
        identity: shows.then(|| identity(&clients)),
        alpn: vec![b"h2".to_vec()],
        ..ClientOptions::new(Vec::new(), clock)
    })
    .unwrap();
    Peers {
        server,
        client,
        der,
    }
}

impl Peers {
    /// The server's end of a new connection.
    fn connect(&self) -> Connection {
        let mut client = self.client.connect(Some("backend.example")).unwrap();
        let mut server = self.server.accept().unwrap();
        for _ in 0..6 {
            pass(&mut client, &mut server);
            pass(&mut server, &mut client);
        }
        assert!(server.handshake().is_some());
        server
    }
}

fn pass(from: &mut Connection, to: &mut Connection) {
    let mut bytes = vec![0; from.pending_output()];
    let length = from.transmit(&mut bytes);
    let room = tls::MAX_PLAINTEXT;
    let received = to.receive(&mut bytes[..length], room, &mut |_| {}).unwrap();
    assert_eq!(received.consumed, length);
}

fn note(root: Vec<u8>) -> ClientAuth {
    ClientAuth::Note(ClientVerify::Path {
        roots: vec![root],
        options: tls::PathOptions {
            names: tls::NameCheck::Nobody,
            ..tls::PathOptions::default()
        },
    })
}

const NOT_VERIFIED: [u8; 4] = [0, 0, 0, 1];

#[test]
fn what_tls_knows_is_told() {
    for (version, name, suite) in [
        (Version::Tls13, "TLSv1.3", "TLS_AES_"),
        (Version::Tls12, "TLSv1.2", "ECDHE-ECDSA-AES"),
    ] {
        let versions = Versions {
            min: version,
            max: version,
        };
        let peers = peers(|_| ClientAuth::Off, versions, false, "client");
        let (outer, [client, verify @ ..], inner) = told_of(&peers.connect());
        let expected = [(0x01, b"h2".to_vec()), (0x02, b"backend.example".to_vec())];
        assert_eq!(outer, expected);
        assert_eq!(client, 0x01);
        assert_eq!(verify, NOT_VERIFIED);
        let [(0x21, told), (0x23, cipher)] = &inner[..] else {
            panic!("{inner:?}");
        };
        assert_eq!(told, name.as_bytes());
        assert!(cipher.starts_with(suite.as_bytes()));
        let tail = &cipher[cipher.len() - 6..];
        assert!(matches!(tail, b"SHA256" | b"SHA384"));
    }
}

#[test]
fn the_client_s_certificate_is_told() {
    let peers = peers(note, Versions::default(), true, "client.example");
    for client in [0x07, 0x05] {
        let (_, [told, verify @ ..], inner) = told_of(&peers.connect());
        assert_eq!(told, client, "resumed the second time");
        assert_eq!(verify, [0; 4]);
        let kinds: Vec<_> = inner.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [0x21, 0x22, 0x23, 0x28]);
        assert_eq!(inner[1].1, b"client.example");
        assert_eq!(inner[3].1, peers.der);
    }
}

#[test]
fn a_certificate_that_is_not_verified_is_told_as_such() {
    let stranger = |_| {
        let other = rcgen::generate_simple_self_signed(["other".into()]).unwrap();
        note(other.cert.der().to_vec())
    };
    let strange = peers(stranger, Versions::default(), true, "client");
    let any = |_| ClientAuth::Require(ClientVerify::Any);
    let any = peers(any, Versions::default(), true, "client");
    let none = peers(note, Versions::default(), false, "client");
    for (peers, client) in [(strange, 0x07), (any, 0x07), (none, 0x01)] {
        let (_, [told, verify @ ..], inner) = told_of(&peers.connect());
        assert_eq!(told, client);
        assert_eq!(verify, NOT_VERIFIED);
        assert_eq!(inner.len(), if client == 0x01 { 2 } else { 4 });
    }
}

#[test]
fn what_is_too_long_is_left_out_whole() {
    let kinds = |name: &str| {
        let peers = peers(note, Versions::default(), true, name);
        let (_, _, inner) = told_of(&peers.connect());
        let kinds: Vec<_> = inner.iter().map(|(kind, _)| *kind).collect();
        kinds
    };
    let name = |length| core::iter::repeat_n('n', length).collect::<String>();
    assert_eq!(kinds(&name(256)), [0x21, 0x22, 0x23, 0x28]);
    assert_eq!(kinds(&name(257)), [0x21, 0x23, 0x28]);
    assert_eq!(kinds("good\0evil"), [0x21, 0x23, 0x28]);
    assert_eq!(kinds(&name(4000)), [0x21, 0x23]);
}

/// Clients of the host's UNIX sockets have no address to tell of.
#[test]
fn a_client_without_an_address_is_unknown() {
    let about = about("0.0.0.0:0", "10.0.2.15:50000", None);
    assert_eq!(told(Protocol::Proxy, &about), b"PROXY UNKNOWN\r\n");
    let header = told(Protocol::Proxy2, &about);
    assert_eq!(header[..12], v2::SIGNATURE);
    assert_eq!(header[12..], [0x21, 0, 0, 0]);
}
