//! Packets that no ordinary socket sends. They stay in the tests' own network namespace.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, recv, sendto, socket};

use crate::namespace;

/// Sends one SYN (RFC 9293 §3.5) with a source address of our choice; nobody answers its SYN-ACK.
pub struct SynSource {
    socket: OwnedFd,
}

impl SynSource {
    /// Opens the raw socket; panics with what is missing when that is not allowed.
    pub fn open() -> SynSource {
        namespace::require();
        // IPPROTO_RAW: we write the IPv4 header ourselves (raw(7)).
        let socket = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW));
        let socket = socket.unwrap_or_else(|error| panic!("a raw socket needs root: {error}"));
        SynSource { socket }
    }

    /// Sends one SYN.
    pub fn send(&self, source: SocketAddrV4, target: SocketAddrV4) -> io::Result<()> {
        let packet = syn(source, target);
        sendto(
            &self.socket,
            &packet,
            SendFlags::empty(),
            &SocketAddr::V4(target),
        )?;
        Ok(())
    }
}

/// An IPv4 packet (RFC 791) with a TCP SYN without options or data.
fn syn(source: SocketAddrV4, target: SocketAddrV4) -> Vec<u8> {
    const TTL: u8 = 64;
    const TCP: u8 = 6;
    const LENGTH: u8 = 20;
    let mut tcp = Vec::new();
    tcp.extend(source.port().to_be_bytes());
    tcp.extend(target.port().to_be_bytes());
    // Sequence and acknowledgement numbers; header of five words; SYN; window; no checksum yet.
    tcp.extend([0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    let mut summed = [source.ip().octets(), target.ip().octets()].concat();
    summed.extend([0, TCP, 0, LENGTH]);
    summed.extend(&tcp);
    tcp[16..18].copy_from_slice(&checksum(&summed).to_be_bytes());
    // The kernel fills in total length, identification and checksum (raw(7)).
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, TTL, TCP, 0, 0];
    packet.extend(source.ip().octets());
    packet.extend(target.ip().octets());
    packet.extend(tcp);
    packet
}

/// Sends ICMP echo requests (RFC 792) until one is answered with the same data, or `limit` passes.
pub fn ping(target: Ipv4Addr, limit: Duration) -> io::Result<()> {
    const REQUEST: u8 = 8;
    const REPLY: u8 = 0;
    /// Where ICMP begins behind an IPv4 header without options, as a raw socket receives it.
    const HEADER: usize = 20;
    namespace::require();
    let socket = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_millis(500)))?;
    // Type, code, checksum, identifier, sequence number, data.
    let mut request = vec![REQUEST, 0, 0, 0, 0x57, 0x43, 0, 1];
    request.extend(b"stockade");
    let sum = checksum(&request).to_be_bytes();
    request[2..4].copy_from_slice(&sum);
    let end = Instant::now() + limit;
    while Instant::now() < end {
        sendto(
            &socket,
            &request,
            SendFlags::empty(),
            &SocketAddr::from((target, 0)),
        )?;
        let mut answer = [0; 256];
        // Other packets, such as the request itself, may come first.
        while let Ok((length, _)) = recv(&socket, &mut answer, RecvFlags::empty()) {
            let reply = answer.get(HEADER..length).unwrap_or_default();
            if reply.first() == Some(&REPLY) && reply.get(4..) == request.get(4..) {
                return Ok(());
            }
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        u32::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or_default(),
        ]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071 §3.
    #[test]
    fn the_checksum_is_rfc_1071_s() {
        assert_eq!(
            checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            !0xddf2
        );
    }

    #[test]
    fn a_sum_over_a_checksummed_segment_is_zero() {
        let source = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 1234);
        let target = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 443);
        let packet = syn(source, target);
        let mut summed = packet[12..20].to_vec();
        summed.extend([0, 6, 0, 20]);
        summed.extend(&packet[20..]);
        assert_eq!(checksum(&summed), 0);
    }
}
