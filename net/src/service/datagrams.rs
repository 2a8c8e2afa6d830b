//! UDP datagrams to others (RFC 768). What they answer is not taken in.

use alloc::vec;
use core::net::SocketAddr;

use smoltcp::socket::udp;
use smoltcp::wire::IpEndpoint;

use super::Service;
use crate::{DatagramError, Instant};

/// Datagrams that wait to be sent at most, and their bytes in all: a burst of log lines while the
/// next hop's Ethernet address is asked for.
const MAX_WAITING: usize = 32;
const MAX_BYTES: usize = 32 * 1024;

/// The port that datagrams come from: syslog's own (RFC 5426 §3.3), one that no DNS query uses.
const SOURCE_PORT: u16 = 514;

/// What goes before the payload in a frame: Ethernet, IPv6 (IPv4's header is shorter) and UDP.
pub(crate) const HEADERS: usize = 14 + 40 + 8;

/// Longest payload, in bytes: one that the queue can hold.
pub(crate) const MAX_DATAGRAM: usize = MAX_BYTES;

impl Service {
    /// Queues a datagram. The caller has checked that there is a way and that it fits.
    pub(crate) fn send_datagram(
        &mut self,
        remote: SocketAddr,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), DatagramError> {
        let sockets = &mut self.sockets;
        let handle = *self
            .datagrams
            .get_or_insert_with(|| sockets.add(new_socket()));
        let socket = sockets.get_mut::<udp::Socket<'_>>(handle);
        let remote = IpEndpoint::from(remote);
        match socket.send_slice(payload, remote) {
            Ok(()) => {}
            Err(udp::SendError::BufferFull) => return Err(DatagramError::Full),
            Err(udp::SendError::Unaddressable) => return Err(DatagramError::Unaddressable),
        }
        self.due = Some(now);
        Ok(())
    }
}

fn new_socket() -> udp::Socket<'static> {
    // No room to receive: what comes is dropped.
    let receive = udp::PacketBuffer::new(vec![], vec![]);
    let send = udp::PacketBuffer::new(
        vec![udp::PacketMetadata::EMPTY; MAX_WAITING],
        vec![0; MAX_BYTES],
    );
    let mut socket = udp::Socket::new(receive, send);
    // Fails for port 0 and for sockets that are bound already.
    let _ = socket.bind(SOURCE_PORT);
    socket
}
