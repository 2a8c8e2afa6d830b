//! Where a guest's connections and datagrams lead.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use stockade_net::Refusal;

use super::{
    GATEWAY_IPV4, GATEWAY_IPV6, HOST_SOCKETS, PREFIX_V4, PREFIX_V6, RESOLVER_IPV4, RESOLVER_IPV6,
};

/// The port of name servers (RFC 1035 §4.2.1).
const NAMES: u16 = 53;

/// Where something leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To this address, seen from this host; should it refuse, to the other one.
    To(SocketAddr, Option<SocketAddr>),
    /// To the UNIX socket of this host that this port stands for.
    Socket(u16),
    /// To the name server that answers for this host.
    Resolver,
    /// Nowhere.
    Nowhere,
}

/// Where the guest gets to by `to`. This host's loopback is reached by the gateway's addresses alone.
pub(super) fn route(to: SocketAddr) -> Route {
    let port = to.port();
    let at = |address: IpAddr| SocketAddr::new(address, port);
    match to.ip() {
        IpAddr::V4(GATEWAY_IPV4) => Route::To(at(Ipv4Addr::LOCALHOST.into()), None),
        IpAddr::V6(GATEWAY_IPV6) => Route::To(
            at(Ipv6Addr::LOCALHOST.into()),
            Some(at(Ipv4Addr::LOCALHOST.into())),
        ),
        IpAddr::V4(HOST_SOCKETS) => Route::Socket(port),
        IpAddr::V4(RESOLVER_IPV4) | IpAddr::V6(RESOLVER_IPV6) if port == NAMES => Route::Resolver,
        address if is_elsewhere(address) => Route::To(at(address), None),
        _ => Route::Nowhere,
    }
}

/// Whether an address is that of a single host which is neither on the guest's link nor, by another
/// way, this host's loopback.
fn is_elsewhere(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            // 0/8 is "this host" (RFC 6890 §2.2.2), which Linux takes for its loopback; 240/4 is
            // reserved and holds the broadcast address.
            let reserved = first == 0 || first >= 240;
            !(reserved || address.is_loopback() || address.is_multicast() || is_on_link_v4(address))
        }
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            // ::/96 holds the unspecified address, the loopback, and IPv4 addresses in a form that is
            // long gone (RFC 4291 §2.5.5.1); ::ffff:0:0/96 holds those that sockets still take.
            let ipv4 = bits >> 32 == 0 || address.to_ipv4_mapped().is_some();
            // Without a zone these name no host (RFC 4007 §6).
            let link_local = address.is_unicast_link_local();
            !(ipv4 || link_local || address.is_multicast() || is_on_link_v6(address))
        }
    }
}

fn is_on_link_v4(address: Ipv4Addr) -> bool {
    let prefix = |address: Ipv4Addr| u32::from(address) >> (32 - PREFIX_V4);
    prefix(address) == prefix(GATEWAY_IPV4)
}

fn is_on_link_v6(address: Ipv6Addr) -> bool {
    let prefix = |address: Ipv6Addr| u128::from(address) >> (128 - PREFIX_V6);
    prefix(address) == prefix(GATEWAY_IPV6)
}

/// How the guest is told why a connection can't be made.
pub(super) fn refusal(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Refusal::Reset,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Refusal::NetworkUnreachable
        }
        io::ErrorKind::TimedOut => Refusal::Silent,
        // Descriptors or ports are exhausted, or memory is: the guest asks again.
        _ if is_shortage(error) => Refusal::Silent,
        _ => Refusal::HostUnreachable,
    }
}

/// How the guest is told why a UNIX socket can't be connected to. It takes [`HostUnreachable`] for
/// `No such file or directory` and [`Prohibited`] for `Permission denied`, which are the errors that
/// people make.
///
/// [`HostUnreachable`]: Refusal::HostUnreachable
/// [`Prohibited`]: Refusal::Prohibited
pub(super) fn socket_refusal(error: Errno) -> Refusal {
    match error {
        Errno::NOENT | Errno::NOTDIR => Refusal::HostUnreachable,
        Errno::ACCESS | Errno::PERM => Refusal::Prohibited,
        error if is_shortage(&error.into()) => Refusal::Silent,
        _ => Refusal::Reset,
    }
}

/// Whether something has run out that comes back: descriptors, ports, memory.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    let shortages = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
        Errno::AGAIN,
    ];
    Errno::from_io_error(error).is_some_and(|error| shortages.contains(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(to: &str, expected: &str) {
        let shown = match route(to.parse().unwrap()) {
            Route::To(first, None) => first.to_string(),
            Route::To(first, Some(next)) => format!("{first}, else {next}"),
            Route::Socket(port) => format!("socket {port}"),
            Route::Resolver => "names".to_owned(),
            Route::Nowhere => "nowhere".to_owned(),
        };
        assert_eq!(shown, expected, "{to}");
    }

    #[test]
    fn the_gateway_is_this_host_s_loopback() {
        check("10.0.2.2:80", "127.0.0.1:80");
        check("[fd00:5374:6f63:6b61::2]:80", "[::1]:80, else 127.0.0.1:80");
    }

    #[test]
    fn the_resolver_answers_on_its_port_alone() {
        check("10.0.2.3:53", "names");
        check("[fd00:5374:6f63:6b61::3]:53", "names");
        check("10.0.2.3:80", "nowhere");
    }

    #[test]
    fn unix_sockets_have_an_address_of_their_own() {
        check("10.0.2.4:80", "socket 80");
        check("10.0.2.5:80", "nowhere");
        check("[fd00:5374:6f63:6b61::4]:80", "nowhere");
    }

    #[test]
    fn other_hosts_are_reached_as_they_are() {
        check("192.0.2.1:443", "192.0.2.1:443");
        check("10.0.3.2:443", "10.0.3.2:443");
        check("[2001:db8::1]:443", "[2001:db8::1]:443");
        check("[fd00::1]:443", "[fd00::1]:443");
    }

    #[test]
    fn there_is_no_other_way_to_the_loopback_and_none_to_many_hosts() {
        for to in [
            "127.0.0.1:80",
            "127.255.255.254:80",
            "0.0.0.0:80",
            "0.1.2.3:80",
            "224.0.0.1:80",
            "240.0.0.1:80",
            "255.255.255.255:80",
            "10.0.2.255:80",
            "10.0.2.15:80",
            "[::]:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
            "[::ffff:192.0.2.1]:80",
            "[::127.0.0.1]:80",
            "[fe80::1]:80",
            "[ff02::1]:80",
            "[fd00:5374:6f63:6b61::15]:80",
        ] {
            check(to, "nowhere");
        }
    }

    #[test]
    fn errors_are_told_as_what_they_are() {
        for (error, expected) in [
            (Errno::CONNREFUSED, Refusal::Reset),
            (Errno::NETUNREACH, Refusal::NetworkUnreachable),
            (Errno::HOSTUNREACH, Refusal::HostUnreachable),
            (Errno::TIMEDOUT, Refusal::Silent),
            (Errno::MFILE, Refusal::Silent),
            (Errno::ACCESS, Refusal::HostUnreachable),
        ] {
            assert_eq!(refusal(&error.into()), expected, "{error}");
        }
        for (error, expected) in [
            (Errno::CONNREFUSED, Refusal::Reset),
            (Errno::ACCESS, Refusal::Prohibited),
            (Errno::NOENT, Refusal::HostUnreachable),
            (Errno::AGAIN, Refusal::Silent),
        ] {
            assert_eq!(socket_refusal(error), expected, "{error}");
        }
    }
}
