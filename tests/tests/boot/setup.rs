//! The usual set-up: one guest on a TAP link of its own, a backend at the other end of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base64ct::{Base64, Encoding};
use stockade_host::network::{self, Forward, Listen};
use stockade_host::{Network, Qemu};
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::memory_file::MemoryFile;
use stockade_tests::namespace;
use stockade_tests::tap::Tap;
use stockade_tests::vm::{Guest, Machine};

/// How the guest is reached, and how it reaches the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// A TAP device with static IPv4 addresses.
    Ipv4,
    /// A TAP device with static IPv6 addresses and no IPv4.
    Ipv6,
    /// The launcher's own network: a port published on 127.0.0.1.
    Rootless,
    /// The same, its addresses by DHCP.
    RootlessDhcp,
}

/// Where a scenario plays.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub machine: Machine,
    pub link: Link,
}

impl Place {
    /// Whether the guest is on the launcher's own network.
    pub fn is_rootless(self) -> bool {
        matches!(self.link, Link::Rootless | Link::RootlessDhcp)
    }

    /// This place's machine, its card plugged into this place's link.
    pub fn qemu(self) -> (Qemu, Cable) {
        let cable = Cable::new(self.link);
        (cable.plug(self.machine.qemu()), cable)
    }
}

/// What differs from the usual set-up.
pub struct Setup {
    machine: Machine,
    link: Link,
    identity: Identity,
    inline: bool,
    backend: Mode,
    absent_backend: bool,
    options: Vec<String>,
    change: Vec<Box<dyn FnOnce(Qemu) -> Qemu>>,
}

impl Setup {
    /// The usual set-up at this place.
    pub fn new(place: Place) -> Setup {
        Setup {
            machine: place.machine,
            link: place.link,
            identity: Identity::ecdsa(),
            inline: false,
            backend: Mode::Commands,
            absent_backend: false,
            options: Vec::new(),
            change: Vec::new(),
        }
    }

    /// With certificate and key on the command line instead of in the boot archive.
    pub fn inline(mut self) -> Setup {
        self.inline = true;
        self
    }

    /// With this certificate and key.
    pub fn identity(mut self, identity: Identity) -> Setup {
        self.identity = identity;
        self
    }

    /// With a backend of this kind.
    pub fn backend(mut self, mode: Mode) -> Setup {
        self.backend = mode;
        self
    }

    /// With a host on the link as backend that does not exist.
    pub fn absent_backend(mut self) -> Setup {
        self.absent_backend = true;
        self
    }

    /// With one more option on the image's command line.
    pub fn option(mut self, option: &str) -> Setup {
        self.options.push(option.to_owned());
        self
    }

    /// With a change to the machine.
    pub fn qemu(mut self, change: impl FnOnce(Qemu) -> Qemu + 'static) -> Setup {
        self.change.push(Box::new(change));
        self
    }

    /// Starts it all and waits until the image serves.
    pub fn start(self) -> Running {
        namespace::require();
        let cable = Cable::new(self.link);
        let backend = Backend::start(cable.host(), self.backend);
        let port = backend.address().port();
        let mut line = cable.options();
        match (&cable, self.absent_backend) {
            (Cable::Ipv4(tap), true) => line += &format!(" --connect={}:{port}", tap.absent()),
            (Cable::Rootless { beside, .. }, true) => {
                line += &format!(" --connect={}:{port}", beside.absent());
            }
            (Cable::Ipv6(tap), _) => line += &format!(" --connect=[{}]:{port}", tap.host_v6()),
            _ => line += &format!(" --connect={port}"),
        }
        if !self
            .options
            .iter()
            .any(|option| option.starts_with("--log="))
        {
            line += " --log=debug";
        }
        let mut qemu = cable.plug(self.machine.qemu());
        let Identity { chain, key, .. } = &self.identity;
        if self.inline {
            line += &format!(
                " --cert=base64:{} --key=base64:{}",
                base64(chain),
                base64(key)
            );
        } else {
            line += " --cert=file:cert.pem --key=file:key.pem";
            qemu = qemu
                .file("cert.pem", chain.as_bytes())
                .file("key.pem", key.as_bytes());
        }
        for option in &self.options {
            line.push(' ');
            line.push_str(option);
        }
        qemu = qemu.kernel_line(line);
        for change in self.change {
            qemu = change(qemu);
        }
        let guest = Guest::start(&qemu);
        guest.wait_until_ready();
        cable.open();
        Running {
            server: cable.server(),
            guest,
            authority: MemoryFile::new(&self.identity.authority),
            identity: self.identity,
            backend,
            cable,
        }
    }
}

/// A link that exists.
pub enum Cable {
    Ipv4(Tap),
    Ipv6(Tap),
    Rootless {
        network: network::Network,
        /// Where the guest's port 443 is published.
        server: SocketAddr,
        /// The guest asks for its addresses.
        dhcp: bool,
        /// A link of the host's that the guest has no part in.
        beside: Tap,
    },
}

impl Cable {
    fn new(link: Link) -> Cable {
        match link {
            Link::Ipv4 => Cable::Ipv4(Tap::create()),
            Link::Ipv6 => Cable::Ipv6(Tap::create()),
            Link::Rootless | Link::RootlessDhcp => {
                let network = network::Network::start().expect("a network of our own");
                let listen = Listen::Tcp((Ipv4Addr::LOCALHOST, 0).into());
                let forward = Forward {
                    listen,
                    guest_port: 443,
                };
                let bound = network.bind(&[forward]).expect("a free port");
                let Some(Listen::Tcp(server)) = bound.into_iter().next().map(|one| one.listen)
                else {
                    panic!("a TCP port was asked for");
                };
                Cable::Rootless {
                    network,
                    server,
                    dhcp: link == Link::RootlessDhcp,
                    beside: Tap::create(),
                }
            }
        }
    }

    /// Where backends listen.
    pub fn host(&self) -> IpAddr {
        match self {
            Cable::Ipv4(tap) => tap.host().into(),
            Cable::Ipv6(tap) => tap.host_v6().into(),
            Cable::Rootless { .. } => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Where clients connect to.
    pub fn server(&self) -> SocketAddr {
        match self {
            Cable::Ipv4(tap) => (tap.guest(), 443).into(),
            Cable::Ipv6(tap) => (tap.guest_v6(), 443).into(),
            Cable::Rootless { server, .. } => *server,
        }
    }

    /// The image's addresses on this link.
    pub fn options(&self) -> String {
        match self {
            Cable::Ipv4(tap) => format!(
                "--ipv4={}/{} --ipv4-gateway={}",
                tap.guest(),
                Tap::PREFIX,
                tap.host(),
            ),
            Cable::Ipv6(tap) => format!(
                "--ipv6={}/{} --ipv6-gateway={}",
                tap.guest_v6(),
                Tap::PREFIX_V6,
                tap.host_v6(),
            ),
            Cable::Rootless { dhcp: true, .. } => "--published".to_owned(),
            Cable::Rootless { .. } => network::options(),
        }
    }

    /// The TAP device; on the rootless network that of the host's other network.
    pub fn tap(&self) -> &Tap {
        match self {
            Cable::Ipv4(tap) | Cable::Ipv6(tap) => tap,
            // Not the guest's: the host's other network.
            Cable::Rootless { beside, .. } => beside,
        }
    }

    /// Lets clients in, once the guest serves.
    pub fn open(&self) {
        if let Cable::Rootless { network, .. } = self {
            network.accepting(true);
        }
    }

    /// The machine with its card on this link.
    fn plug(&self, qemu: Qemu) -> Qemu {
        qemu.network(match self {
            Cable::Ipv4(tap) | Cable::Ipv6(tap) => Network::Tap {
                name: tap.name().to_owned(),
            },
            Cable::Rootless { network, .. } => {
                Network::Rootless(network.plug().expect("a socket pair").into())
            }
        })
    }
}

/// `base64:`'s encoding of a PEM text.
pub fn base64(text: &str) -> String {
    Base64::encode_string(text.as_bytes())
}

/// A guest that serves. Its fields are dropped in this order: the guest before its link.
pub struct Running {
    pub guest: Guest,
    pub backend: Backend,
    pub cable: Cable,
    pub identity: Identity,
    /// What the clients trust, as a file.
    pub authority: MemoryFile,
    /// Where the guest accepts TLS.
    pub server: SocketAddr,
}

impl Drop for Running {
    /// No scenario may cost the guest its life, whatever else it asks.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(
                self.guest.is_running(),
                "the guest has ended: {}",
                self.guest.log()
            );
        }
    }
}

impl Running {
    /// A completed TLS connection of our own client, verified.
    pub fn connect(&self) -> TlsStream {
        let client = client::verifying(&self.identity);
        TlsStream::connect(self.server, &client)
            .unwrap_or_else(|error| panic!("connecting to the guest: {error}"))
    }
}
