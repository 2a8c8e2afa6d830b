//! PROXY headers that trusted proxies send.

use std::net::{IpAddr, SocketAddr};

use stockade_tunnel::dialect::proxy::incoming::{Told, read};
use stockade_tunnel::dialect::{End, WINDOW, Wire};

/// What a header of version 2 begins with (proxy-protocol.txt §2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a header of version 2 without addresses.
const FIXED: usize = 16;
/// Most bytes of a header of version 1 (§2.1).
const LINE_MOST: usize = 107;

/// A client's first bytes.
///
/// Checked: what is found depends neither on how they arrive nor on what follows the header; a
/// header that is refused or taken is so as soon as a full window waits, and nothing is taken
/// before; the addresses are those that stand in it, found here in a simpler way.
pub fn proxy_header(bytes: &[u8]) {
    let shown = bytes.get(..WINDOW).unwrap_or(bytes);
    let (found, taken) = ask(shown);
    assert!(shown.len() < WINDOW || found != Ok(None), "it waits");
    let length = match found {
        Ok(Some(_)) => taken,
        Ok(None) | Err(_) => shown.len(),
    };
    // Only some beginnings of long ones.
    let step = 1 + length / 256;
    let mut first = None;
    for length in (0..=length).step_by(step).chain([length]) {
        match ask(&shown[..length]) {
            (Ok(None), taken) => {
                assert_eq!(taken, 0, "it takes a part");
                assert_eq!(first, None, "it waits after all");
            }
            (verdict, _) => first = first.or(Some(verdict)),
        }
    }
    match (first, found) {
        (None, Ok(None)) => {}
        (Some(one), other) => assert_eq!(one, other, "cut differently"),
        (None, other) => panic!("{other:?} for the whole alone"),
    }
    if let Ok(Some(told)) = found {
        check(&shown[..taken], told);
    }
}

/// What is found, without the peer's words, and how many bytes are taken.
fn ask(bytes: &[u8]) -> (Result<Option<Told>, &'static str>, usize) {
    let mut output = Vec::new();
    let mut wire = Wire::new(End::Client, bytes, false, &mut output);
    let found = read(&mut wire).map_err(|fault| {
        assert_eq!(fault.end, End::Client);
        fault.text
    });
    let taken = wire.taken();
    assert!(output.is_empty(), "nobody is answered");
    (found, taken)
}

/// The addresses of a header that was taken are those that it tells.
fn check(header: &[u8], told: Told) {
    let source = match header.strip_prefix(b"PROXY ") {
        Some(line) => {
            assert!(header.len() <= LINE_MOST, "a long line");
            text(line.strip_suffix(b"\r\n").expect("a line's end"))
        }
        None => {
            assert!(header.starts_with(SIGNATURE));
            let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
            assert_eq!(header.len(), FIXED + length, "another length");
            binary(header)
        }
    };
    assert_eq!(told.source, source);
}

fn text(line: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    if line.starts_with(b"UNKNOWN") {
        return None;
    }
    let line = std::str::from_utf8(line).expect("text");
    let fields: Vec<&str> = line.split(' ').collect();
    let [family, client, local, client_port, local_port] = fields[..] else {
        panic!("not five fields: {line:?}");
    };
    let read = |address: &str, port: &str| {
        let address: IpAddr = address.parse().expect("an address");
        assert_eq!(family, if address.is_ipv4() { "TCP4" } else { "TCP6" });
        let number: u16 = port.parse().expect("a port");
        assert_eq!(number.to_string(), port, "not canonical");
        SocketAddr::new(address, number)
    };
    Some((read(client, client_port), read(local, local_port)))
}

fn binary(header: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let width = match (header[12], header[13]) {
        (0x21, 0x11) => 4,
        (0x21, 0x21) => 16,
        (0x20 | 0x21, _) => return None,
        (command, _) => panic!("command {command:#x} is taken"),
    };
    let address = |at: usize| -> IpAddr {
        let bytes = &header[at..at + width];
        match <[u8; 4]>::try_from(bytes) {
            Ok(bytes) => bytes.into(),
            Err(_) => <[u8; 16]>::try_from(bytes).expect("sixteen").into(),
        }
    };
    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let ports = FIXED + 2 * width;
    Some((
        SocketAddr::new(address(FIXED), port(ports)),
        SocketAddr::new(address(FIXED + width), port(ports + 2)),
    ))
}
