//! A DHCP server for one client (RFC 2131), whose address is decided beforehand.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_MAX_DNS_SERVER_COUNT, DHCP_SERVER_PORT, DhcpMessageType, DhcpPacket,
    DhcpRepr, EthernetAddress, Ipv4Cidr,
};

use super::Gateway;

/// How long a lease lasts, in seconds: a day. It is renewed for as long as the guest asks.
const LEASE: u32 = 86_400;

impl Gateway {
    /// Answers a message of the guest to `to`.
    pub(super) fn dhcp(&mut self, to: IpAddr, message: &[u8]) -> Option<()> {
        let (own, _) = self.ipv4?;
        if to != own && to != Ipv4Addr::BROADCAST {
            return None;
        }
        let packet = DhcpPacket::new_checked(message).ok()?;
        let request = DhcpRepr::parse(&packet).ok()?;
        let answer = self.answer(&request)?;
        let destination = destination(&request, &answer);
        let from = SocketAddr::from((own, DHCP_SERVER_PORT));
        let to = SocketAddr::from((destination, DHCP_CLIENT_PORT));
        let mut written = true;
        let frame = self.datagram(from, to, answer.buffer_len(), |buffer| {
            written = answer.emit(&mut DhcpPacket::new_unchecked(buffer)).is_ok();
        });
        if written {
            self.outbox.push(frame);
        }
        Some(())
    }

    /// RFC 2131 §4.3, and table 3 for what is in which answer.
    fn answer(&self, request: &DhcpRepr<'_>) -> Option<DhcpRepr<'static>> {
        let (own, prefix) = self.ipv4?;
        let guest = self.guest.ipv4;
        let is_for_us = request.server_identifier.is_none_or(|server| server == own);
        if request.client_hardware_address != EthernetAddress(self.guest.mac) || !is_for_us {
            return None;
        }
        let wanted = request.requested_ip.unwrap_or(request.client_ip);
        let (message_type, your_ip) = match request.message_type {
            DhcpMessageType::Discover => (DhcpMessageType::Offer, guest),
            DhcpMessageType::Request if wanted == guest => (DhcpMessageType::Ack, guest),
            DhcpMessageType::Request => (DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED),
            // "without a lease time and without filling in 'yiaddr'" (§4.3.5).
            DhcpMessageType::Inform => (DhcpMessageType::Ack, Ipv4Addr::UNSPECIFIED),
            _ => return None,
        };
        let informs = message_type != DhcpMessageType::Nak;
        let leases = informs && request.message_type != DhcpMessageType::Inform;
        let dns_servers = (informs && !self.dns.is_empty()).then(|| {
            let servers = self.dns.iter().take(DHCP_MAX_DNS_SERVER_COUNT);
            servers.copied().collect()
        });
        Some(DhcpRepr {
            message_type,
            transaction_id: request.transaction_id,
            secs: 0,
            client_hardware_address: request.client_hardware_address,
            client_ip: match message_type {
                DhcpMessageType::Ack => request.client_ip,
                _ => Ipv4Addr::UNSPECIFIED,
            },
            your_ip,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: informs.then_some(own),
            subnet_mask: informs.then(|| Ipv4Cidr::new(own, prefix).netmask()),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: request.broadcast,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(own),
            parameter_request_list: None,
            dns_servers,
            max_size: None,
            lease_duration: leases.then_some(LEASE),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        })
    }
}

/// RFC 2131 §4.1: to the client's address if it has one; otherwise broadcast, if it asks for that
/// or is refused, or else to the address that it is given.
fn destination(request: &DhcpRepr<'_>, answer: &DhcpRepr<'_>) -> Ipv4Addr {
    let refused = answer.message_type == DhcpMessageType::Nak;
    if !request.client_ip.is_unspecified() && !refused {
        request.client_ip
    } else if request.broadcast || answer.your_ip.is_unspecified() {
        Ipv4Addr::BROADCAST
    } else {
        answer.your_ip
    }
}
