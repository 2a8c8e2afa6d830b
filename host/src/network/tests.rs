//! The network between this host's real sockets and a guest that is a thread.

mod clients;
mod guest;
mod programs;
mod requests;
mod sockets;
mod transfer;
mod unix_backends;

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use guest::{Guest, Service};

use super::*;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network with a guest that is served.
struct Setup {
    network: Network,
    guest: Guest,
}

impl Setup {
    fn new() -> Setup {
        let network = Network::start().unwrap();
        let guest = Guest::start(network.plug().unwrap());
        network.accepting(true);
        Setup { network, guest }
    }

    /// A port of the guest with this service, and the address of this host that leads to it.
    fn publish(&self, port: u16, service: Service) -> SocketAddr {
        self.guest.listen(port, service);
        self.bind(&[forward(Ipv4Addr::LOCALHOST.into(), port)])[0]
    }

    fn bind(&self, forwards: &[Forward]) -> Vec<SocketAddr> {
        let bound = self.network.bind(forwards).unwrap();
        let address = |bound: &Bound| bound.listen.address().unwrap();
        bound.iter().map(address).collect()
    }
}

/// Any free port of `address`, leading to this port of the guest.
fn forward(address: IpAddr, guest_port: u16) -> Forward {
    Forward {
        listen: Listen::Tcp(SocketAddr::new(address, 0)),
        guest_port,
    }
}

fn client(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// A server of this host, and where the guest finds it.
fn server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, SocketAddr::new(GATEWAY_IPV4.into(), port))
}

fn read_all(mut from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Waits until `what` is so; the deadline is for a failure alone.
#[track_caller]
fn eventually(mut what: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !what() {
        assert!(std::time::Instant::now() < deadline, "it did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_image_s_words_are_what_its_command_line_takes() {
    let words = format!("{} --conf=file:x", options());
    let config = stockade_config::command_line::parse(&words).unwrap();
    assert!(config.published);
    let stockade_config::Ipv4::Static {
        address,
        prefix,
        gateway,
    } = config.ipv4
    else {
        panic!("{:?}", config.ipv4);
    };
    assert_eq!((address, prefix), (GUEST_IPV4, PREFIX_V4));
    assert_eq!(gateway, Some(GATEWAY_IPV4));
    let ipv6 = config.ipv6.unwrap();
    assert_eq!((ipv6.address, ipv6.prefix), (GUEST_IPV6, PREFIX_V6));
    assert_eq!(ipv6.gateway, Some(GATEWAY_IPV6));
}
