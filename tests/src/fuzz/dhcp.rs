//! Answers of a DHCP server.

use std::net::Ipv4Addr;
use std::time::Duration;

use stockade_net::{Addresses, Config, Ipv4Config};

use super::host::{self, Host, MAC, PEER_V4};
use super::input::Input;

/// Ports of server and client (RFC 2131 §4.1).
const SERVER: u16 = 67;
const CLIENT: u16 = 68;
/// Where a message has its transaction, the client's hardware address and the options' mark
/// (RFC 2131 §2), in bytes.
const TRANSACTION: usize = 4;
const HARDWARE: usize = 28;
const COOKIE: usize = 236;
/// What marks the options (RFC 2131 §3).
const COOKIE_BYTES: [u8; 4] = [99, 130, 83, 99];

/// The message is whole as it is; without, the block is `yiaddr` and options.
const WHOLE: u8 = 1;
/// Transaction and hardware address are not put right.
const STRANGER: u8 = 2;
/// It comes from no address.
const NO_SOURCE: u8 = 4;

/// Messages of a server: a byte of flags, the milliseconds that pass before (two bytes), a block.
///
/// Checked: the addresses in force are ones that a host can have; when time goes on without a
/// server, the lease ends or goes on, and the stack does not spin.
pub fn dhcp(bytes: &[u8]) {
    let mut host = asking();
    let mut request = last_request(&host).expect("it asks at once");
    let mut input = Input::new(bytes);
    while let (Some(flags), Some(time), Some(block)) = (input.byte(), input.half(), input.block()) {
        host.card.sent.clear();
        host.pass(Duration::from_millis(time.into()));
        // Without a request this time, the last transaction may still be open.
        request = last_request(&host).unwrap_or(request);
        let message = message(flags, block, &request);
        let source = match flags & NO_SOURCE {
            0 => PEER_V4,
            _ => Ipv4Addr::UNSPECIFIED,
        };
        let mut frame = host::udp(
            (source, SERVER).into(),
            (Ipv4Addr::BROADCAST, CLIENT).into(),
            &message,
        );
        frame[..6].fill(0xff);
        host.receive(frame);
        check(host.stack.addresses());
    }
    for hours in [1, 24, 24 * 365] {
        host.pass(Duration::from_secs(hours * 3600));
        check(host.stack.addresses());
    }
}

/// A stack that has just asked for a lease.
fn asking() -> Host {
    let config = Config {
        ipv4: Ipv4Config::Dhcp,
        ipv6: None,
        dns: Vec::new(),
        ..host::config()
    };
    let mut host = Host::new(config, false);
    host.step();
    host
}

/// What the client asked last, if it did since the clock was moved.
fn last_request(host: &Host) -> Option<Vec<u8>> {
    host.card.sent.iter().rev().find_map(|frame| {
        let (_, to, message) = host::sent_udp(frame)?;
        (to == SERVER).then(|| message.to_vec())
    })
}

fn message(flags: u8, block: &[u8], request: &[u8]) -> Vec<u8> {
    let mut message = if flags & WHOLE != 0 {
        block.to_vec()
    } else {
        // A reply over Ethernet: op, htype, hlen.
        let mut message = vec![0; COOKIE];
        message[..3].copy_from_slice(&[2, 1, 6]);
        let (address, options) = block.split_at(block.len().min(4));
        message[16..16 + address.len()].copy_from_slice(address);
        message.extend(COOKIE_BYTES);
        message.extend(options);
        message
    };
    if flags & STRANGER == 0 && message.len() >= HARDWARE + MAC.len() {
        if let Some(transaction) = request.get(TRANSACTION..TRANSACTION + 4) {
            message[TRANSACTION..TRANSACTION + 4].copy_from_slice(transaction);
        }
        message[HARDWARE..HARDWARE + MAC.len()].copy_from_slice(&MAC);
    }
    message
}

fn check(addresses: &Addresses) {
    let is_host = |address: Ipv4Addr| {
        !address.is_unspecified()
            && !address.is_broadcast()
            && !address.is_multicast()
            && !address.is_loopback()
    };
    let Some((address, prefix)) = addresses.ipv4 else {
        assert_eq!(addresses.ipv4_gateway, None, "a gateway without an address");
        return;
    };
    assert!(is_host(address), "{address} in force");
    assert!(prefix <= 32, "prefix {prefix}");
    if let Some(gateway) = addresses.ipv4_gateway {
        assert!(is_host(gateway), "gateway {gateway}");
        assert_ne!(gateway, address, "we are our own gateway");
    }
    for server in &addresses.dns {
        let fine = !server.is_unspecified() && !server.is_multicast() && !server.is_loopback();
        assert!(fine, "name server {server}");
    }
}
