//! Backends that clients ask for themselves, by name or address.

use alloc::{string::ToString, vec::Vec};
use core::net::{IpAddr, SocketAddr};

use config::{Host, stunnel::HOST_SOCKETS};
use net::{Addresses, Instant, QueryId, ResolveError};

use super::{
    Server,
    active::{Active, Stage},
};
use crate::{
    dialect::{Destination, Unreachable},
    session::{DialError, SessionError},
};

/// A destination on its way to be dialled.
pub(super) struct Asked {
    destination: Destination,
    /// The question for its name's addresses, and until when to wait for the answer.
    query: Option<(QueryId, Instant)>,
    /// Addresses that are not tried yet, the last one first.
    left: Vec<SocketAddr>,
    /// Why the client cannot be led there, as far as it is known.
    why: Unreachable,
}

impl Asked {
    /// What is known once the name's addresses are.
    fn found(&mut self, addresses: &[IpAddr]) {
        let sockets = addresses.iter().rev();
        self.left = sockets
            .map(|address| SocketAddr::new(*address, self.destination.port))
            .collect();
    }
}

impl Server {
    /// Dials what the client has asked for. False: its name has to be looked up first.
    pub(super) fn dial_destination(
        &mut self,
        index: usize,
        active: &mut Active,
        destination: Destination,
        now: Instant,
    ) -> Result<bool, SessionError> {
        let patience = match self.services.get(active.service) {
            Some(service) => service.timeouts.connect,
            None => return Err(SessionError::Destination(Unreachable::NotResolved)),
        };
        if let Some(service) = self.services.get(active.service) {
            let mut lines = self.journal.connection(&service.channel, active.id);
            lines.destination(&destination);
        }
        let mut asked = Asked {
            destination,
            query: None,
            left: Vec::new(),
            why: Unreachable::NotResolved,
        };
        match &asked.destination.host {
            Host::Address(address) => asked.found(&[*address]),
            Host::Name(name) => match self.stack.resolve(name, now) {
                Ok(query) => asked.query = Some((query, now + patience)),
                Err(error) => self.tell_unresolved(active, name, &error),
            },
        }
        if let Stage::Session(session) = &mut active.stage {
            session.dialling(now, patience);
        }
        active.destination = Some(asked);
        self.dial_asked(index, active, None, now)
    }

    /// Dials the next address of what the client has asked for.
    pub(super) fn dial_asked(
        &mut self,
        index: usize,
        active: &mut Active,
        failed: Option<net::StreamError>,
        now: Instant,
    ) -> Result<bool, SessionError> {
        if let Some(dialled) = active.dialled.take() {
            let error = failed.map_or(DialError::NoAddress, DialError::Failed);
            self.report_failed_dial(active, error, now);
            self.drop_stream_with_reset(dialled);
            if let Some(asked) = &mut active.destination {
                asked.why = Unreachable::Failed(error);
            }
        }
        loop {
            let Some(asked) = &mut active.destination else {
                return Ok(false);
            };
            if let Some((_, until)) = asked.query {
                if now < until {
                    return Ok(false);
                }
                asked.query = None;
            }
            let Some(address) = asked.left.pop() else {
                break;
            };
            if is_forbidden(
                address.ip(),
                self.stack.addresses(),
                self.stack.is_published(),
            ) {
                asked.why = Unreachable::Forbidden;
                continue;
            }
            active.dialling = Some((address, now));
            match self.dial_address(index, active, address, false, now) {
                Ok(()) => return Ok(true),
                Err(error) => {
                    self.report_failed_dial(active, error, now);
                    if let Some(asked) = &mut active.destination {
                        asked.why = Unreachable::Failed(error);
                    }
                }
            }
        }
        let why = active.destination.as_ref().map(|asked| asked.why);
        let why = why.unwrap_or(Unreachable::NotResolved);
        let Stage::Session(session) = &mut active.stage else {
            return Err(SessionError::Destination(why));
        };
        Err(match self.stack.stream(active.accepted) {
            Some(mut client) => session.refuse_destination(&mut client, &mut self.scratch, why),
            None => SessionError::Destination(why),
        })
    }

    /// Hands an answer to the connection whose client has asked for the name. True when there is
    /// one.
    pub(super) fn destination_resolved(
        &mut self,
        query: QueryId,
        result: &Result<Vec<IpAddr>, ResolveError>,
        now: Instant,
    ) -> bool {
        let waits = |active: &Active| {
            let asked = active.destination.as_ref();
            asked.is_some_and(|asked| asked.query.is_some_and(|(waiting, _)| waiting == query))
        };
        let index = self
            .sessions
            .iter()
            .position(|slot| slot.active.as_deref().is_some_and(waits));
        let Some(index) = index else {
            return false;
        };
        let slot = self.sessions.get_mut(index);
        let Some(mut active) = slot.and_then(|slot| slot.active.take()) else {
            return false;
        };
        if let Some(asked) = &mut active.destination {
            asked.query = None;
            let name = asked.destination.host.to_string();
            match result {
                Ok(addresses) => asked.found(addresses),
                Err(error) => self.tell_unresolved(&active, &name, error),
            }
        }
        if let Some(slot) = self.sessions.get_mut(index) {
            slot.active = Some(active);
        }
        self.run(index, now);
        true
    }

    fn tell_unresolved(&mut self, active: &Active, name: &str, error: &ResolveError) {
        if let Some(service) = self.services.get(active.service) {
            let mut lines = self.journal.connection(&service.channel, active.id);
            lines.name_not_resolved(name, error);
        }
    }
}

/// Whether a client may not be led to an address: this image itself, no single host at all, or,
/// where the gateway stands for the machine that the launcher runs on, that machine's own services.
fn is_forbidden(address: IpAddr, own: &Addresses, published: bool) -> bool {
    let address = address.to_canonical();
    let is_own = own.ipv4.is_some_and(|(own, _)| address == own)
        || own.ipv6.is_some_and(|(own, _)| address == own);
    let is_host = published
        && (own.ipv4_gateway.is_some_and(|gateway| address == gateway)
            || own.ipv6_gateway.is_some_and(|gateway| address == gateway)
            || own.dns.contains(&address)
            || address == HOST_SOCKETS);
    let is_none = address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || matches!(address, IpAddr::V4(address) if address.is_broadcast());
    is_own || is_host || is_none
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_not_led_to_the_image_its_host_or_nobody() {
        let own = Addresses {
            ipv4: Some(([10, 0, 2, 15].into(), 24)),
            ipv4_gateway: Some([10, 0, 2, 2].into()),
            ipv6: Some(("fd00::15".parse().unwrap(), 64)),
            ipv6_gateway: Some("fd00::2".parse().unwrap()),
            dns: Vec::from(["10.0.2.3".parse().unwrap()]),
        };
        let check = |address: &str, published, expected| {
            let address = address.parse().unwrap();
            assert_eq!(
                is_forbidden(address, &own, published),
                expected,
                "{address}"
            );
        };
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "10.0.2.15",
            "::ffff:10.0.2.15",
            "fd00::15",
        ] {
            check(address, false, true);
            check(address, true, true);
        }
        for address in [
            "10.0.2.2",
            "::ffff:10.0.2.2",
            "fd00::2",
            "10.0.2.3",
            "10.0.2.4",
            "::ffff:10.0.2.4",
        ] {
            check(address, false, false);
            check(address, true, true);
        }
        for address in ["10.0.2.5", "192.0.2.1", "2001:db8::1"] {
            check(address, true, false);
        }
    }
}
