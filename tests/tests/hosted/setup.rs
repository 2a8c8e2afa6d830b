//! The boot tests' set-up with a hosted tunnel in the place of a machine: the same methods, so
//! that the same scenarios compile against it.

use std::net::{IpAddr, SocketAddr};

use base64ct::{Base64, Encoding};
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::hosted::guest::Guest;
use stockade_tests::hosted::{MEMORY_MIB, Options};
use stockade_tests::memory_file::MemoryFile;
use stockade_tests::namespace;
use stockade_tests::tap::Tap;

/// How the tunnel is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Over static IPv4 addresses.
    Ipv4,
    /// Over static IPv6 addresses, without IPv4.
    Ipv6,
}

/// Where a scenario plays.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub link: Link,
}

impl Place {
    /// Never: a process has a TAP device.
    pub fn is_rootless(self) -> bool {
        false
    }
}

/// The changes to a machine that mean something without one.
pub struct Card {
    options: Options,
}

impl Card {
    /// Memory to divide among sessions: what an image of this size has left for its heap.
    pub fn memory_mib(mut self, memory: u32) -> Card {
        /// The image itself, its stacks and its card's buffers.
        const IMAGE_MIB: usize = 8;
        self.options.memory_mib = (memory as usize).saturating_sub(IMAGE_MIB);
        self
    }

    /// Without checksum and segmentation offload.
    pub fn plain_card(mut self, plain: bool) -> Card {
        self.options.offload = !plain;
        self
    }
}

/// What differs from the usual set-up.
pub struct Setup {
    link: Link,
    identity: Identity,
    backend: Mode,
    absent_backend: bool,
    options: Vec<String>,
    change: Vec<Box<dyn FnOnce(Card) -> Card>>,
}

impl Setup {
    /// The usual set-up at this place.
    pub fn new(place: Place) -> Setup {
        Setup {
            link: place.link,
            identity: Identity::ecdsa(),
            backend: Mode::Commands,
            absent_backend: false,
            options: Vec::new(),
            change: Vec::new(),
        }
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

    /// With one more option on the tunnel's command line.
    pub fn option(mut self, option: &str) -> Setup {
        self.options.push(option.to_owned());
        self
    }

    /// With a change to what stands for the machine.
    pub fn qemu(mut self, change: impl FnOnce(Card) -> Card + 'static) -> Setup {
        self.change.push(Box::new(change));
        self
    }

    /// Starts it all and waits until the tunnel serves.
    pub fn start(self) -> Running {
        namespace::require();
        let tap = Tap::create();
        let host: IpAddr = match self.link {
            Link::Ipv4 => tap.host().into(),
            Link::Ipv6 => tap.host_v6().into(),
        };
        let backend = Backend::start(host, self.backend);
        let port = backend.address().port();
        let (addresses, server) = match self.link {
            Link::Ipv4 => (
                format!(
                    "--ipv4={}/{} --ipv4-gateway={host}",
                    tap.guest(),
                    Tap::PREFIX
                ),
                SocketAddr::new(tap.guest().into(), 443),
            ),
            Link::Ipv6 => (
                format!(
                    "--ipv6={}/{} --ipv6-gateway={host}",
                    tap.guest_v6(),
                    Tap::PREFIX_V6
                ),
                SocketAddr::new(tap.guest_v6().into(), 443),
            ),
        };
        let target = match (self.link, self.absent_backend) {
            (Link::Ipv4, true) => SocketAddr::new(tap.absent().into(), port),
            _ => SocketAddr::new(host, port),
        };
        let base64 = |text: &str| Base64::encode_string(text.as_bytes());
        let mut line = format!(
            "{addresses} --connect={target} --cert=base64:{} --key=base64:{}",
            base64(&self.identity.chain),
            base64(&self.identity.key)
        );
        if !self
            .options
            .iter()
            .any(|option| option.starts_with("--log="))
        {
            line += " --log=debug";
        }
        for option in &self.options {
            line.push(' ');
            line.push_str(option);
        }
        let mut card = Card {
            options: Options {
                tap: tap.name().to_owned(),
                memory_mib: MEMORY_MIB,
                offload: true,
                clock_ahead: 0,
            },
        };
        for change in self.change {
            card = change(card);
        }
        let program = env!("CARGO_BIN_EXE_stockade-hosted");
        let guest = Guest::start(program, &card.options, &line);
        guest.wait_until_ready();
        Running {
            server,
            guest,
            authority: MemoryFile::new(&self.identity.authority),
            identity: self.identity,
            backend,
            cable: Cable(tap),
        }
    }
}

/// The link, which every scenario has to itself.
pub struct Cable(Tap);

impl Cable {
    /// The TAP device.
    pub fn tap(&self) -> &Tap {
        &self.0
    }
}

/// A tunnel that serves. Its fields are dropped in this order: the tunnel before its link.
pub struct Running {
    pub guest: Guest,
    pub backend: Backend,
    pub cable: Cable,
    pub identity: Identity,
    /// What the clients trust, as a file.
    pub authority: MemoryFile,
    /// Where the tunnel accepts TLS.
    pub server: SocketAddr,
}

impl Drop for Running {
    /// No scenario may cost the tunnel its life, whatever else it asks.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(
                self.guest.is_running(),
                "the tunnel has ended: {}",
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
            .unwrap_or_else(|error| panic!("connecting to the tunnel: {error}"))
    }
}
