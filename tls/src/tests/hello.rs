//! A look at ClientHellos: ours, OpenSSL's, damaged ones, and what is none.

use std::net::TcpListener;
use std::process::Stdio;
use std::string::ToString;
use std::vec::Vec;
use std::{format, io::Read};

use super::{Random, Setup, VERSIONS};
use crate::{ClientHello, MAX_CLIENT_HELLO, Peek, Version, peek_client_hello};

/// The first message of a client.
fn hello(setup: &Setup, name: Option<&str>) -> Vec<u8> {
    let mut connection = setup.client().connect(name).unwrap();
    let mut output = std::vec![0; connection.pending_output()];
    connection.transmit(&mut output);
    output
}

fn peeked(bytes: &[u8]) -> ClientHello {
    match peek_client_hello(bytes) {
        Peek::Hello(hello) => hello,
        other => panic!("{other:?}"),
    }
}

/// The same message in records of at most `size` bytes.
fn split(record: &[u8], size: usize) -> Vec<u8> {
    let mut records = Vec::new();
    for piece in record[5..].chunks(size) {
        records.extend_from_slice(&record[..3]);
        records.extend_from_slice(&(piece.len() as u16).to_be_bytes());
        records.extend_from_slice(piece);
    }
    records
}

/// A ClientHello of parts, in one record.
fn made(version: u16, suites: &[u16], extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend_from_slice(&[7; 32]);
    body.push(0);
    body.extend_from_slice(&(suites.len() as u16 * 2).to_be_bytes());
    body.extend(suites.iter().flat_map(|suite| suite.to_be_bytes()));
    body.extend_from_slice(&[1, 0]);
    let mut list = Vec::new();
    for (kind, content) in extensions {
        list.extend_from_slice(&kind.to_be_bytes());
        list.extend_from_slice(&(content.len() as u16).to_be_bytes());
        list.extend_from_slice(content);
    }
    if !list.is_empty() {
        body.extend_from_slice(&(list.len() as u16).to_be_bytes());
        body.extend(list);
    }
    let mut record = Vec::from([22, 3, 1]);
    record.extend_from_slice(&(body.len() as u16 + 4).to_be_bytes());
    record.extend_from_slice(&[1, 0]);
    record.extend_from_slice(&(body.len() as u16).to_be_bytes());
    record.extend(body);
    record
}

/// An SNI extension's content.
fn names(names: &[(u8, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (kind, name) in names {
        list.push(*kind);
        list.extend_from_slice(&(name.len() as u16).to_be_bytes());
        list.extend_from_slice(name);
    }
    let mut content = (list.len() as u16).to_be_bytes().to_vec();
    content.extend(list);
    content
}

#[test]
fn our_own_hellos_are_understood() {
    for version in VERSIONS {
        let setup = Setup {
            client_alpn: Vec::from([b"h2".to_vec(), b"http/1.1".to_vec()]),
            ..Setup::default().version(version)
        };
        let found = peeked(&hello(&setup, Some("Second.Example.")));
        assert_eq!(found.server_name.as_deref(), Some("second.example"));
        assert_eq!(found.offers_tls13, version == Version::Tls13);
        assert_eq!(found.max_version.1, if found.offers_tls13 { 4 } else { 3 });
        assert_eq!(found.alpn, setup.client_alpn);
        assert!(!found.psk_offered && !found.external_psk);
        assert!(!found.psk_suites && !found.psk_only);
        let unnamed = peeked(&hello(&setup, Some("127.0.0.1")));
        assert_eq!(unnamed.server_name, None);
    }
    // A ticket is a key too, and not an external one.
    let setup = Setup::default();
    let client = setup.client();
    let mut pair = super::Pair::of(&setup.server(), &client, Some("localhost"));
    pair.pump().unwrap();
    let mut again = super::End(client.connect(Some("localhost")).unwrap(), Vec::new());
    let found = peeked(&again.take_output());
    assert!(found.psk_offered && !found.external_psk && !found.psk_only);
}

#[test]
fn every_beginning_is_incomplete_and_every_split_is_put_together() {
    for version in VERSIONS {
        let record = hello(&Setup::default().version(version), Some("localhost"));
        let whole = peeked(&record);
        for size in [1, 2, 3, 4, 5, 7, 100, 1000] {
            let records = split(&record, size);
            for length in 0..records.len() {
                let part = peek_client_hello(&records[..length]);
                assert_eq!(part, Peek::Incomplete, "{length} of {size}");
            }
            // What comes behind it is nobody's business here.
            for behind in [&b""[..], b"\x16\x03\x03\x00\x01\x00", b"anything"] {
                let bytes = [&records, behind].concat();
                assert_eq!(peeked(&bytes), whole, "in pieces of {size}");
            }
        }
    }
}

#[test]
fn versions_count_and_made_up_ones_do_not() {
    let version = |legacy, list: Option<&[u8]>| {
        let extensions: Vec<_> = list.map(|list| (43, list)).into_iter().collect();
        let found = peeked(&made(legacy, &[0x1301], &extensions));
        (found.max_version, found.offers_tls13)
    };
    assert_eq!(version(0x0301, None), ((3, 1), false));
    assert_eq!(version(0x0303, None), ((3, 3), false));
    assert_eq!(
        version(0x0303, Some(&[6, 0x7a, 0x7a, 3, 3, 3, 4])),
        ((3, 4), true)
    );
    assert_eq!(version(0x0303, Some(&[2, 3, 2])), ((3, 2), false));
    assert_eq!(version(0x0303, Some(&[2, 0x7f, 0x1c])), ((3, 3), false));
}

#[test]
fn names_are_read_as_clients_send_them() {
    let name =
        |list: &[(u8, &[u8])]| peeked(&made(0x0303, &[0xc02f], &[(0, &names(list))])).server_name;
    assert_eq!(name(&[(0, b"WWW.Example.org")]).unwrap(), "www.example.org");
    // stunnel sends addresses.
    assert_eq!(name(&[(0, b"127.0.0.1")]).unwrap(), "127.0.0.1");
    assert_eq!(name(&[(9, b"?"), (0, b"a.b")]).unwrap(), "a.b");
    for bad in [
        &b""[..],
        b".",
        b"a b",
        b"a\0b",
        b"\xc3\xa4.example",
        &[b'a'; 256],
    ] {
        assert_eq!(name(&[(0, bad)]), None, "{bad:?}");
    }
    assert_eq!(name(&[]), None);
}

#[test]
fn pre_shared_keys_are_told_apart() {
    let key = |age: u32| {
        let identity = [&[0, 2, b'i', b'd'][..], &age.to_be_bytes()].concat();
        let binder = [&[32][..], &[0; 32]].concat();
        [&[0, 8][..], &identity, &[0, 33], &binder].concat()
    };
    let tls13: (u16, &[u8]) = (43, &[2, 3, 4]);
    let signatures: (u16, &[u8]) = (13, &[0, 2, 4, 3]);
    let (external, ticket) = (key(0), key(77));
    let found = peeked(&made(
        0x0303,
        &[0x1301],
        &[tls13, signatures, (41, &ticket)],
    ));
    assert!(found.psk_offered && !found.external_psk && !found.psk_only);
    let found = peeked(&made(
        0x0303,
        &[0x1301],
        &[tls13, signatures, (41, &external)],
    ));
    assert!(found.psk_offered && found.external_psk && !found.psk_only);
    let found = peeked(&made(0x0303, &[0x1301], &[tls13, (41, &external)]));
    assert!(found.psk_only);
    // TLS 1.2: DHE-PSK-AES256-GCM-SHA384, with a signal that is no suite, and with another suite.
    let found = peeked(&made(0x0303, &[0x00ab, 0x00ff], &[signatures]));
    assert!(found.psk_suites && found.psk_only && !found.psk_offered);
    let found = peeked(&made(0x0303, &[0x00ab, 0xc02f], &[signatures]));
    assert!(found.psk_suites && !found.psk_only);
}

#[test]
fn what_is_no_hello_is_said_in_words() {
    let reason = |bytes: &[u8]| match peek_client_hello(bytes) {
        Peek::NotTls { reason } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(b"G"), "text instead of TLS");
    assert_eq!(reason(b"\x00"), "something that is not TLS");
    assert_eq!(reason(b"\x16\x02"), "something that is not TLS");
    assert_eq!(reason(b"\x80\x2e\x01\x00\x02"), "a ClientHello of SSL 2.0");
    assert_eq!(
        reason(b"\x15\x03\x01\x00\x02\x02\x46"),
        "an alert instead of a ClientHello"
    );
    assert_eq!(reason(b"\x16\x03\x01\x00\x00"), "an empty record");
    assert_eq!(reason(b"\x16\x03\x01\x40\x01"), "a record that is too long");
    assert_eq!(
        reason(b"\x16\x03\x01\x00\x01\x02"),
        "another handshake message instead of a ClientHello"
    );
    assert_eq!(
        reason(b"\x16\x03\x01\x00\x04\x01\x00\xff\xff"),
        "a ClientHello that is too long"
    );
    // Small pieces do not get around the bound.
    let long = [&[22, 3, 1, 0, 0, 1, 0, 0xf0, 0][..], &[0; 0xf000]].concat();
    let reason = reason(&split(&long, 16));
    assert_eq!(reason, "a ClientHello that is too long");
}

#[test]
fn malformed_hellos_are_told() {
    let malformed = Peek::NotTls {
        reason: "a malformed ClientHello",
    };
    let content = names(&[(0, b"localhost")]);
    let good = made(0x0303, &[0xc02f], &[(0, &content)]);
    peeked(&good);
    // Every length within the message, off by one.
    for at in [43, 45, 50, 54, 56, 59] {
        for change in [1u8, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = bytes[at].wrapping_add(change);
            assert_eq!(peek_client_hello(&bytes), malformed, "byte {at}");
        }
    }
    assert_eq!(peek_client_hello(&made(0x0303, &[], &[])), malformed);
}

#[test]
fn damage_never_panics_and_bounds_hold() {
    let record = hello(&Setup::default(), Some("localhost"));
    let mut random = Random(1);
    for _ in 0..20_000 {
        let mut bytes = split(&record, 1 + random.below(300));
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        bytes.truncate(random.below(bytes.len()) + 1);
        if let Peek::Hello(hello) = peek_client_hello(&bytes) {
            assert!(hello.alpn.len() <= 32);
            assert!(hello.server_name.is_none_or(|name| name.len() <= 255));
        }
    }
    assert!(record.len() < MAX_CLIENT_HELLO);
}

/// What `openssl s_client` begins with.
fn openssl_hello(arguments: &[&str]) -> Option<Vec<u8>> {
    let mut command = super::interop::openssl()?;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let child = command
        .args(["s_client", "-connect", &address])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _child = super::interop::Ended(child);
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = std::vec![0; 10_000];
    let mut length = 0;
    while peek_client_hello(&bytes[..length]) == Peek::Incomplete {
        let more = stream.read(&mut bytes[length..]).unwrap();
        assert!(more > 0, "the client gave up");
        length += more;
    }
    bytes.truncate(length);
    Some(bytes)
}

#[test]
fn hellos_of_openssl_are_understood() {
    let key = format!("{:032x}", 0x1234);
    let Some(bytes) = openssl_hello(&["-servername", "Tunnel.Example", "-alpn", "a,b"]) else {
        return;
    };
    let found = peeked(&bytes);
    assert_eq!(found.server_name.as_deref(), Some("tunnel.example"));
    assert!(found.offers_tls13 && !found.psk_offered);
    assert_eq!(found.alpn, [b"a", b"b"]);
    let arguments = ["-noservername", "-tls1_3", "-psk", &key];
    let found = peeked(&openssl_hello(&arguments).unwrap());
    assert_eq!(found.server_name, None);
    assert!(found.offers_tls13 && found.psk_offered && found.external_psk);
    let arguments = ["-tls1_2", "-cipher", "PSK", "-psk", &key];
    let found = peeked(&openssl_hello(&arguments).unwrap());
    assert_eq!(found.max_version, (3, 3));
    assert!(found.psk_suites && found.psk_only && !found.psk_offered);
    let arguments = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    let found = peeked(&openssl_hello(&arguments).unwrap());
    assert_eq!(found.max_version, (3, 2));
}
