//! The guest's UDP datagrams (RFC 768), to anywhere, and those to it, from anywhere.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use smoltcp::wire::{DHCP_CLIENT_PORT, DHCP_SERVER_PORT, IpProtocol, IpRepr, UdpPacket, UdpRepr};

use super::{Gateway, frames};
use crate::{Datagram, DatagramError};

/// Datagrams of the guest that wait to be taken at most, and their bytes in all.
const MAX_WAITING: usize = 256;
const MAX_BYTES: usize = 1 << 20;

/// What lies between a frame's beginning and a datagram's payload: Ethernet, IP and UDP headers.
fn headers(to: SocketAddr) -> usize {
    14 + 8 + if to.is_ipv4() { 20 } else { 40 }
}

/// Time to live of what we send (RFC 1700's recommendation).
const HOP_LIMIT: u8 = 64;

/// The bounded queue of datagrams that the guest has sent.
#[derive(Default)]
pub(crate) struct Datagrams {
    waiting: VecDeque<Datagram>,
    bytes: usize,
}

impl Datagrams {
    pub(crate) fn take(&mut self) -> Option<Datagram> {
        let datagram = self.waiting.pop_front()?;
        self.bytes -= datagram.payload.len();
        Some(datagram)
    }

    fn push(&mut self, datagram: Datagram) {
        let bytes = self.bytes + datagram.payload.len();
        if self.waiting.len() < MAX_WAITING && bytes <= MAX_BYTES {
            self.bytes = bytes;
            self.waiting.push_back(datagram);
        }
    }
}

impl Gateway {
    /// Takes a datagram of the guest in.
    pub(super) fn udp(&mut self, (from, to): (IpAddr, IpAddr), bytes: &[u8]) -> Option<()> {
        let udp = UdpPacket::new_checked(bytes).ok()?;
        if self.checksum.udp.rx() && !udp.verify_checksum(&from.into(), &to.into()) {
            return None;
        }
        let (from, to) = (
            SocketAddr::new(from, udp.src_port()),
            SocketAddr::new(to, udp.dst_port()),
        );
        if from.is_ipv4() && (from.port(), to.port()) == (DHCP_CLIENT_PORT, DHCP_SERVER_PORT) {
            self.dhcp(to.ip(), udp.payload());
        } else if from.port() != 0
            && to.port() != 0
            && self.is_guest(from.ip())
            && self.is_destination(to.ip())
        {
            let payload = udp.payload().to_vec();
            self.datagrams.push(Datagram { from, to, payload });
        }
        Some(())
    }

    /// Sends a datagram to the guest in frames of at most `mtu` bytes.
    pub(crate) fn send_datagram(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
        mtu: usize,
    ) -> Result<(), DatagramError> {
        if to.port() == 0 || !self.is_source(from, to) {
            return Err(DatagramError::Unaddressable);
        }
        if !self.is_guest(to.ip()) {
            return Err(DatagramError::NoRoute);
        }
        let most = mtu.saturating_sub(headers(to));
        if payload.len() > most {
            return Err(DatagramError::TooLong { most });
        }
        let frame = self.datagram(from, to, payload.len(), |buffer| {
            buffer.copy_from_slice(payload);
        });
        match self.outbox.push(frame) {
            true => Ok(()),
            false => Err(DatagramError::Full),
        }
    }

    /// A frame to the guest with a datagram whose payload `emit` writes.
    pub(super) fn datagram(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        length: usize,
        emit: impl FnOnce(&mut [u8]),
    ) -> Vec<u8> {
        let udp = UdpRepr {
            src_port: from.port(),
            dst_port: to.port(),
        };
        let (source, destination) = (from.ip().into(), to.ip().into());
        let datagram = udp.header_len() + length;
        let ip = IpRepr::new(source, destination, IpProtocol::Udp, datagram, HOP_LIMIT);
        let macs = (self.mac, self.guest.mac);
        frames::packet(macs, &ip, &self.checksum, |buffer| {
            udp.emit(
                &mut UdpPacket::new_unchecked(buffer),
                &source,
                &destination,
                length,
                emit,
                &self.checksum,
            );
        })
    }
}
