//! What clients and proxies say, whole, in pieces and spoiled, and what they hear.

use alloc::{string::String, vec, vec::Vec};
use core::net::SocketAddr;

use config::Zeroizing;
use net::{ConnectError, StreamError};

use super::*;
use crate::dialect::{Authentication, Protocol, random::Random};
use crate::session::{DialError, Mode};

/// How many more bytes are there each time.
const PIECES: [usize; 4] = [1, 2, 5, usize::MAX];

const ADDRESS: [u8; 4] = [192, 0, 2, 1];
/// Port 9000.
const PORT: [u8; 2] = [0x23, 0x28];

/// What came of a stage.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    progress: Result<Progress, Fault>,
    /// What the peer was sent.
    heard: Vec<u8>,
    /// What it said and was not taken.
    left: Vec<u8>,
}

/// Runs one stage with a peer at `end` that says `input` in pieces.
fn run(dialect: &mut dyn Dialect, stage: Stage, end: End, input: &[u8], piece: usize) -> Outcome {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let about = About {
        client: nobody,
        local: nobody,
        backend: None,
        tls: None,
    };
    let (mut heard, mut other) = (Vec::new(), Vec::new());
    let (mut taken, mut there) = (0, 0_usize);
    loop {
        there = input.len().min(there.saturating_add(piece));
        let this = Wire::new(end, &input[taken..there], false, &mut heard);
        let mut ends = match end {
            End::Client => Ends {
                client: this,
                backend: Wire::new(End::Backend, b"", false, &mut other),
            },
            End::Backend => Ends {
                client: Wire::new(End::Client, b"GET / HTTP/1.0\r\n", false, &mut other),
                backend: this,
            },
        };
        let progress = dialect.poll(stage, &mut ends, &about);
        let (idle, used) = match end {
            End::Client => (&ends.backend, ends.client.taken()),
            End::Backend => (&ends.client, ends.backend.taken()),
        };
        assert_eq!(idle.taken(), 0);
        taken += used;
        if progress != Ok(Progress::Wait) || there == input.len() {
            assert!(other.is_empty());
            return Outcome {
                progress,
                heard,
                left: input[taken..].to_vec(),
            };
        }
    }
}

fn serve(input: &[u8], piece: usize) -> (Server, Outcome) {
    let mut server = Server::default();
    let outcome = run(&mut server, Stage::Secured, End::Client, input, piece);
    (server, outcome)
}

fn to(host: &str, port: u16) -> Progress {
    let host = named(host.as_bytes()).unwrap();
    Progress::Connect(Destination { host, port })
}

/// Each piece of `request` leads to `host` and to nothing before it is whole; `heard` comes before
/// the dialling, `answer` after it, and what is piped behind it stays.
fn check_request(request: &[u8], heard: &[u8], host: &str, answer: &[u8]) {
    for length in 0..request.len() {
        let (_, outcome) = serve(&request[..length], usize::MAX);
        assert_eq!(outcome.progress, Ok(Progress::Wait), "{length} bytes");
    }
    for piece in PIECES {
        let (mut server, outcome) = serve(&[request, b"PIPED"].concat(), piece);
        assert_eq!(outcome.progress, Ok(to(host, 9000)));
        assert_eq!(outcome.heard, heard);
        assert_eq!(outcome.left, b"PIPED");
        let outcome = run(&mut server, Stage::Connected, End::Client, b"PIPED", piece);
        assert_eq!(outcome.progress, Ok(Progress::Next));
        assert_eq!(outcome.heard, answer);
        assert_eq!(outcome.left, b"PIPED");
    }
}

fn check_refused(input: &[u8], heard: &[u8], text: &str) {
    for piece in PIECES {
        let (_, outcome) = serve(input, piece);
        let fault = outcome.progress.unwrap_err();
        assert_eq!((fault.end, fault.text), (End::Client, text));
        assert_eq!(outcome.heard, heard);
    }
}

fn v4(command: u8, port: [u8; 2], address: [u8; 4], texts: &[u8]) -> Vec<u8> {
    [&[4, command], &port[..], &address, texts].concat()
}

/// Methods and a request.
fn v5(kind: u8, address: &[u8]) -> Vec<u8> {
    [&[5, 1, 0, 5, 1, 0, kind], address, &PORT].concat()
}

const AGREED: [u8; 2] = [5, 0];
const NOWHERE: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

/// The proxy's agreement to a method, and a refusal.
fn refusal(code: u8) -> Vec<u8> {
    [&AGREED, &[5, code, 0][..], &NOWHERE].concat()
}

#[test]
fn version_4_leads_to_addresses() {
    let request = v4(1, PORT, ADDRESS, b"user\0");
    check_request(&request, b"", "192.0.2.1", b"\0\x5a\x23\x28\xc0\0\x02\x01");
    let request = v4(1, PORT, [0, 0, 1, 0], b"\0");
    check_request(&request, b"", "0.0.1.0", b"\0\x5a\x23\x28\0\0\x01\0");
}

#[test]
fn version_4a_leads_to_names() {
    for (name, host) in [
        ("backend.example", "backend.example"),
        ("Backend.Example.", "backend.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
    ] {
        let texts = [b"user\0", name.as_bytes(), b"\0"].concat();
        let request = v4(1, PORT, [0, 0, 0, 7], &texts);
        check_request(&request, b"", host, b"\0\x5a\x23\x28\0\0\0\x07");
    }
}

#[test]
fn version_4_refuses_what_it_does_not_know() {
    for command in [0, 2, 3, 0xf0, 0xff] {
        check_refused(
            &v4(command, PORT, ADDRESS, b"user\0"),
            b"\0\x5b\x23\x28\xc0\0\x02\x01",
            "Unsupported SOCKS4/SOCKS4a command",
        );
    }
    check_refused(
        &v4(1, [0, 0], ADDRESS, b"\0"),
        b"\0\x5b\0\0\xc0\0\x02\x01",
        "No port in the SOCKS4 request",
    );
    for name in [
        "",
        "a b",
        "a..b",
        "a\n.example",
        "-a",
        "a/../b",
        "\u{fc}ber",
    ] {
        let texts = [b"\0", name.as_bytes(), b"\0"].concat();
        check_refused(
            &v4(1, PORT, [0, 0, 0, 1], &texts),
            b"\0\x5b\x23\x28\0\0\0\x01",
            "SOCKS4a failed to resolve",
        );
    }
}

#[test]
fn version_4_has_bounds() {
    let long = "The SOCKS4 request is too long";
    let user = |length| [vec![b'u'; length], vec![0]].concat();
    check_request(
        &v4(1, PORT, ADDRESS, &user(255)),
        b"",
        "192.0.2.1",
        b"\0\x5a\x23\x28\xc0\0\x02\x01",
    );
    check_refused(&v4(1, PORT, ADDRESS, &user(256)), b"", long);
    check_refused(&v4(1, PORT, ADDRESS, &[b'u'; 5000]), b"", long);
    let endless = [&b"\0"[..], &[b'n'; 5000]].concat();
    check_refused(&v4(1, PORT, [0, 0, 0, 1], &endless), b"", long);
}

#[test]
fn version_5_leads_to_addresses_and_names() {
    check_request(
        &v5(1, &ADDRESS),
        &AGREED,
        "192.0.2.1",
        b"\x05\0\0\x01\xc0\0\x02\x01\x23\x28",
    );
    let mut address = [0; 16];
    address[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    address[15] = 1;
    let answer = [&[5, 0, 0, 4][..], &address, &PORT].concat();
    check_request(&v5(4, &address), &AGREED, "2001:db8::1", &answer);
    for (name, host) in [
        (&b"\x0fbackend.example"[..], "backend.example"),
        (b"\x01B", "b"),
    ] {
        let answer = [&[5, 0, 0][..], &NOWHERE].concat();
        check_request(&v5(3, name), &AGREED, host, &answer);
    }
    let answer = b"\x05\0\0\x01\xc0\0\x02\x01\x23\x28";
    check_request(&v5(3, b"\x09192.0.2.1"), &AGREED, "192.0.2.1", answer);
    let longest = [&[b'a'; 63][..], b".", &[b'b'; 63], b".", &[b'c'; 63]].concat();
    let longest = [&longest[..], b".", &[b'd'; 61]].concat();
    let host = String::from_utf8(longest.clone()).unwrap();
    let name = [&[longest.len() as u8], &longest[..]].concat();
    let answer = [&[5, 0, 0][..], &NOWHERE].concat();
    check_request(&v5(3, &name), &AGREED, &host, &answer);
}

#[test]
fn version_5_needs_a_method_that_is_known() {
    let several = [&[5, 3, 2, 1, 0], &v5(1, &ADDRESS)[3..]].concat();
    let (_, outcome) = serve(&several, usize::MAX);
    assert_eq!(outcome.progress, Ok(to("192.0.2.1", 9000)));
    assert_eq!(outcome.heard, AGREED);
    for methods in [&[5, 0][..], &[5, 1, 2], &[5, 2, 1, 0xff]] {
        check_refused(
            methods,
            &[5, 0xff],
            "No supported SOCKS5 authentication method received",
        );
    }
}

#[test]
fn version_5_refuses_what_it_does_not_know() {
    // BIND, UDP ASSOCIATE, and Tor's RESOLVE and RESOLVE_PTR.
    for command in [0, 2, 3, 0xf0, 0xf1] {
        let mut request = v5(1, &ADDRESS);
        request[4] = command;
        check_refused(&request, &refusal(7), "Unsupported SOCKS5 command");
    }
    for kind in [0, 2, 5, 0xff] {
        let request = v5(kind, &ADDRESS);
        check_refused(&request, &refusal(8), "Unsupported SOCKS5 address type");
    }
    let with = |at: usize, byte| {
        let mut request = v5(1, &ADDRESS);
        request[at] = byte;
        request
    };
    let text = "Invalid SOCKS5 message version";
    check_refused(&with(3, 4), &refusal(1), text);
    check_refused(&with(5, 1), &refusal(1), "Malformed SOCKS5 request");
    let mut request = v5(1, &ADDRESS);
    request.truncate(request.len() - 2);
    request.extend([0, 0]);
    check_refused(&request, &refusal(1), "No port in the SOCKS5 request");
    for name in [
        &b"\x00"[..],
        b"\x03a b",
        b"\x03a\0b",
        b"\x02\xff\xfe",
        b"\x041.2.",
    ] {
        check_refused(&v5(3, name), &refusal(4), "SOCKS5 failed to resolve");
    }
    let long = [&[255], &[b'a'; 255][..]].concat();
    check_refused(&v5(3, &long), &refusal(4), "SOCKS5 failed to resolve");
}

#[test]
fn other_protocols_are_refused_at_once() {
    for input in [
        &b"GET / HTTP/1.0\r\n"[..],
        b"\x06\x01\0",
        b"\x16\x03\x01",
        b"\0",
    ] {
        check_refused(input, b"", "Unsupported SOCKS version");
    }
}

#[test]
fn backends_that_are_not_reached_are_told_in_codes() {
    use Unreachable::{Failed, Forbidden, NotResolved};
    for (why, code) in [
        (NotResolved, 4),
        (Forbidden, 2),
        (Failed(DialError::Failed(StreamError::Refused)), 5),
        (Failed(DialError::Failed(StreamError::Reset)), 5),
        (Failed(DialError::Failed(StreamError::TimedOut)), 4),
        (Failed(DialError::Failed(StreamError::Unreachable)), 4),
        (Failed(DialError::Refused(ConnectError::NoRoute)), 3),
        (Failed(DialError::Refused(ConnectError::PortsExhausted)), 1),
        (Failed(DialError::NoAddress), 4),
        (Failed(DialError::Tls), 1),
    ] {
        let told = |input: &[u8]| {
            let (mut server, _) = serve(input, usize::MAX);
            let mut heard = Vec::new();
            let mut wire = Wire::new(End::Client, b"", false, &mut heard);
            server.unreachable(&mut wire, why);
            server.unreachable(&mut wire, why);
            heard
        };
        assert_eq!(
            told(&v5(1, &ADDRESS)),
            [&[5, code, 0, 1], &ADDRESS[..], &PORT].concat(),
            "{why:?}"
        );
        assert_eq!(
            told(&v5(3, b"\x01b")),
            [&[5, code, 0], &NOWHERE[..]].concat()
        );
        assert_eq!(
            told(&v4(1, PORT, ADDRESS, b"\0")),
            [&[0, 0x5b], &PORT[..], &ADDRESS].concat()
        );
        assert_eq!(told(b""), b"");
    }
}

fn setup(host: &str, login: Option<(&str, &str)>) -> Setup {
    Setup {
        protocol: Protocol::Socks,
        host: Some(host.into()),
        username: login.map(|(username, _)| username.into()),
        password: login.map(|(_, password)| Zeroizing::new(password.into())),
        authentication: Authentication::Basic,
        headers: Vec::new(),
    }
}

/// A client whose proxy says `input`.
fn ask(setup: &Setup, input: &[u8], piece: usize) -> Outcome {
    let mut dialect = crate::dialect::begin(setup, Mode::Client).unwrap();
    let clear = run(&mut *dialect, Stage::Clear, End::Backend, input, piece);
    assert_eq!(clear.progress, Ok(Progress::Next));
    assert_eq!((clear.heard, &clear.left[..]), (Vec::new(), input));
    run(&mut *dialect, Stage::Secured, End::Backend, input, piece)
}

fn check_asked(setup: &Setup, says: &[u8], heard: &[u8]) {
    for length in 0..says.len() {
        let outcome = ask(setup, &says[..length], usize::MAX);
        assert_eq!(outcome.progress, Ok(Progress::Wait), "{length} bytes");
        assert!(heard.starts_with(&outcome.heard));
    }
    for piece in PIECES {
        let outcome = ask(setup, says, piece);
        assert_eq!(outcome.progress, Ok(Progress::Next));
        assert_eq!((&outcome.heard[..], &outcome.left[..]), (heard, &b""[..]));
    }
    let outcome = ask(setup, &[says, b"220 hello"].concat(), usize::MAX);
    assert_eq!(outcome.progress, Ok(Progress::Next));
    assert_eq!(outcome.left, b"220 hello");
}

#[test]
fn proxies_are_asked_for_protocol_host() {
    for (host, request) in [
        ("192.0.2.1:9000", v5(1, &ADDRESS)),
        ("backend.example:9000", v5(3, b"\x0fbackend.example")),
        (
            "[::1]:9000",
            v5(4, &core::net::Ipv6Addr::LOCALHOST.octets()),
        ),
        ("::1:9000", v5(4, &core::net::Ipv6Addr::LOCALHOST.octets())),
    ] {
        for bound in [
            v5(1, &ADDRESS),
            v5(3, b"\x01b"),
            v5(3, b"\0"),
            v5(4, &[9; 16]),
        ] {
            let mut answer = bound[3..].to_vec();
            answer[1] = 0;
            let says = [&AGREED[..], &answer].concat();
            check_asked(&setup(host, None), &says, &request);
        }
    }
}

#[test]
fn proxies_are_given_the_password_they_want() {
    let setup = setup("192.0.2.1:9000", Some(("user", "secret")));
    let methods = [5, 2, 0, 2];
    let login = b"\x01\x04user\x06secret";
    let request = &v5(1, &ADDRESS)[3..];
    let done = [&[5, 0, 0][..], &NOWHERE].concat();
    check_asked(
        &setup,
        &[&[5, 2, 1, 0], &done[..]].concat(),
        &[&methods[..], login, request].concat(),
    );
    check_asked(
        &setup,
        &[&AGREED, &done[..]].concat(),
        &[&methods[..], request].concat(),
    );
    let outcome = ask(&setup, &[5, 2, 1, 1], 1);
    let fault = outcome.progress.unwrap_err();
    assert_eq!(fault.text, "SOCKS5 authentication failed");
    assert_eq!(fault.said, None);
}

fn check_fault(setup: &Setup, says: &[u8], text: &str) {
    for piece in PIECES {
        let fault = ask(setup, says, piece).progress.unwrap_err();
        assert_eq!((fault.end, fault.text), (End::Backend, text));
    }
}

#[test]
fn proxies_say_no_in_stunnel_s_words() {
    let setup = setup("192.0.2.1:9000", None);
    for (code, text) in [
        (1, "SOCKS5 request failed: General SOCKS server failure"),
        (
            2,
            "SOCKS5 request failed: Connection not allowed by ruleset",
        ),
        (3, "SOCKS5 request failed: Network unreachable"),
        (4, "SOCKS5 request failed: Host unreachable"),
        (5, "SOCKS5 request failed: Connection refused"),
        (6, "SOCKS5 request failed: TTL expired"),
        (7, "SOCKS5 request failed: Command not supported"),
        (8, "SOCKS5 request failed: Address type not supported"),
        (9, "SOCKS5 request failed: Unknown error"),
        (255, "SOCKS5 request failed: Unknown error"),
    ] {
        check_fault(&setup, &refusal(code), text);
        check_fault(&setup, &[5, 0, 5, code], text);
    }
}

#[test]
fn proxies_keep_to_the_protocol() {
    let plain = setup("192.0.2.1:9000", None);
    let version = "Invalid SOCKS5 message version";
    check_fault(&plain, &[4, 0], version);
    check_fault(&plain, b"HTTP/1.0 400", version);
    check_fault(&plain, &[5, 0, 0, 0], version);
    let method = "No supported SOCKS5 authentication method received";
    check_fault(&plain, &[5, 2], method);
    check_fault(&plain, &[5, 0xff], method);
    let login = setup("192.0.2.1:9000", Some(("user", "secret")));
    check_fault(&login, &[5, 1], method);
    check_fault(&login, &[5, 2, 5, 0], version);
    check_fault(
        &plain,
        &[5, 0, 5, 0, 0, 2],
        "Unsupported SOCKS5 address type",
    );
}

#[test]
fn what_cannot_be_asked_for_is_said() {
    for host in [
        "",
        "192.0.2.1",
        "a b:1",
        "b:0",
        "b:65536",
        "b:+1",
        ":1",
        "b:",
    ] {
        check_fault(
            &setup(host, None),
            &AGREED,
            "protocolHost is no HOST:PORT to ask a SOCKS5 proxy for",
        );
    }
    let long: String = core::iter::repeat_n('x', 256).collect();
    for login in [("", "x"), ("x", ""), (&long, "x"), ("x", &long)] {
        check_fault(
            &setup("b:1", Some(login)),
            b"",
            "protocolUsername and protocolPassword have 1 to 255 bytes for SOCKS5",
        );
    }
}

#[test]
fn anything_is_taken_refused_or_awaited() {
    let mut random = Random(2);
    let requests = [
        v4(1, PORT, ADDRESS, b"user\0"),
        v4(1, PORT, [0, 0, 0, 1], b"\0backend.example\0"),
        v5(1, &ADDRESS),
        v5(3, b"\x0fbackend.example"),
        v5(4, &[9; 16]),
    ];
    let login = setup("backend.example:9000", Some(("user", "secret")));
    for round in 0..20_000 {
        let piece = PIECES[round % PIECES.len()];
        let input = random.spoil(&requests[round % requests.len()]);
        let (_, outcome) = serve(&input, piece);
        assert!(outcome.heard.len() <= 12);
        let says = [&[5, 2, 1, 0, 5, 0, 0][..], &NOWHERE].concat();
        let outcome = ask(&login, &random.spoil(&says), piece);
        assert!(outcome.heard.len() <= 64);
    }
}
