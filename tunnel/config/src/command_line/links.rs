//! What the image's own addresses mean for others.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::Problem;
use super::address::{host_of, network4, network6, unicast};
use crate::types::{Ipv4, Ipv6};

/// The image's addresses, for checking others against.
pub(super) struct Links {
    pub(super) ipv4: Ipv4,
    pub(super) ipv6: Option<Ipv6>,
}

impl Links {
    pub(super) fn has_gateway(&self) -> bool {
        let ipv4 = match self.ipv4 {
            Ipv4::Disabled => false,
            Ipv4::Dhcp => true,
            Ipv4::Static { gateway, .. } => gateway.is_some(),
        };
        ipv4 || self.ipv6.is_some_and(|ipv6| ipv6.gateway.is_some())
    }

    /// Why no packet of ours gets to this address, if none does.
    pub(super) fn unreachable(&self, address: IpAddr) -> Option<Problem> {
        match address {
            IpAddr::V4(peer) => match self.ipv4 {
                Ipv4::Disabled => Some(Problem::FamilyOff { address }),
                Ipv4::Dhcp => None,
                Ipv4::Static {
                    address: own,
                    prefix,
                    gateway,
                } => {
                    if peer == own {
                        Some(Problem::OwnAddress { address })
                    } else if network4(peer, prefix) == network4(own, prefix) {
                        host_of(peer, prefix).err()
                    } else if gateway.is_none() {
                        Some(Problem::NoRoute { address })
                    } else {
                        None
                    }
                }
            },
            IpAddr::V6(peer) => match self.ipv6 {
                None => Some(Problem::FamilyOff { address }),
                Some(ipv6) if ipv6.address == peer => Some(Problem::OwnAddress { address }),
                Some(ipv6) => (ipv6.gateway.is_none()
                    && network6(peer, ipv6.prefix) != network6(ipv6.address, ipv6.prefix))
                .then_some(Problem::NoRoute { address }),
            },
        }
    }

    /// Why the image can't listen on this address, if it can't.
    pub(super) fn not_ours(&self, address: IpAddr) -> Option<Problem> {
        let mut own = Vec::new();
        if let Ipv4::Static { address, .. } = self.ipv4 {
            own.push(IpAddr::V4(address));
        }
        own.extend(self.ipv6.map(|ipv6| IpAddr::V6(ipv6.address)));
        let by_dhcp = self.ipv4 == Ipv4::Dhcp && address.is_ipv4() && unicast(address).is_ok();
        (!by_dhcp && !own.contains(&address)).then_some(Problem::NotOurs { address, own })
    }
}
