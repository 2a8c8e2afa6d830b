//! The usual set-up: one guest on a TAP link of its own, a backend at the other end of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use base64ct::{Base64, Encoding};
use stockade_host::{Network, Publish, Qemu};
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
    /// QEMU's user-mode network: DHCP, and a port published on 127.0.0.1.
    User,
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
    /// The usual set-up on this machine.
    pub fn new(machine: Machine) -> Setup {
        Setup {
            machine,
            link: Link::Ipv4,
            identity: Identity::ecdsa(),
            inline: false,
            backend: Mode::Commands,
            absent_backend: false,
            options: Vec::new(),
            change: Vec::new(),
        }
    }

    /// Over this link.
    pub fn link(mut self, link: Link) -> Setup {
        self.link = link;
        self
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
        let mut qemu = self.machine.qemu().network(cable.network());
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
    User { port: u16 },
}

impl Cable {
    fn new(link: Link) -> Cable {
        match link {
            Link::Ipv4 => Cable::Ipv4(Tap::create()),
            Link::Ipv6 => Cable::Ipv6(Tap::create()),
            Link::User => Cable::User { port: free_port() },
        }
    }

    /// Where backends listen.
    pub fn host(&self) -> IpAddr {
        match self {
            Cable::Ipv4(tap) => tap.host().into(),
            Cable::Ipv6(tap) => tap.host_v6().into(),
            Cable::User { .. } => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Where clients connect to.
    fn server(&self) -> SocketAddr {
        match self {
            Cable::Ipv4(tap) => (tap.guest(), 443).into(),
            Cable::Ipv6(tap) => (tap.guest_v6(), 443).into(),
            Cable::User { port } => (Ipv4Addr::LOCALHOST, *port).into(),
        }
    }

    /// The image's addresses on this link.
    fn options(&self) -> String {
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
            Cable::User { .. } => String::new(),
        }
    }

    /// The TAP device; panics when there is none.
    pub fn tap(&self) -> &Tap {
        match self {
            Cable::Ipv4(tap) | Cable::Ipv6(tap) => tap,
            Cable::User { .. } => panic!("the user network has no TAP device"),
        }
    }

    fn network(&self) -> Network {
        match self {
            Cable::Ipv4(tap) | Cable::Ipv6(tap) => Network::Tap {
                name: tap.name().to_owned(),
            },
            Cable::User { port } => Network::User {
                publish: vec![Publish::local(*port, 443)],
            },
        }
    }
}

/// A port of 127.0.0.1 that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("bound above").port()
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
