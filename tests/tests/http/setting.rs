//! What the scenarios have in common: a link of their own, certificates, and the tunnel in front of
//! backends.

use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use stockade_config::archive::Builder;
use stockade_host::Network;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::hosted::{self, MEMORY_MIB};
use stockade_tests::memory_file::MemoryFile;
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::tap::Tap;
use stockade_tests::vm::{self, Machine};
use stockade_tls::{Client, ClientOptions, WallClock};

use crate::raw::Raw;

/// The host that most scenarios have.
pub const WWW: &str = "www.example.org";
/// Where clients connect to.
const HTTPS: u16 = 443;

/// How the tunnel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As a process.
    Hosted,
    /// As the image, in QEMU.
    Booted,
}

/// A link, an authority, and what the tunnel is to serve.
pub struct Setting {
    kind: Kind,
    options: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    pub authority: Authority,
    pub tap: Tap,
}

/// The tunnel, once it is started. Ended when dropped.
pub enum Tunnel {
    Hosted(hosted::guest::Guest),
    Booted(vm::Guest),
}

impl Tunnel {
    /// Waits until its log has this.
    pub fn wait_for(&self, needle: &str) {
        match self {
            Tunnel::Hosted(guest) => guest.wait_for(needle),
            Tunnel::Booted(guest) => guest.wait_for(needle),
        };
    }
}

impl Setting {
    /// A link and an authority; nothing is served yet.
    pub fn new(kind: Kind) -> Setting {
        Setting {
            kind,
            options: Vec::new(),
            files: Vec::new(),
            authority: Authority::new("Authority of the scene"),
            tap: Tap::create(),
        }
    }

    /// With one more option.
    pub fn option(mut self, option: &str) -> Setting {
        self.options.push(option.to_owned());
        self
    }

    /// In HTTP mode in front of this backend, whatever host is asked for; the certificate is for
    /// [`WWW`].
    pub fn in_front_of(mut self, backend: SocketAddr) -> Setting {
        let pair = self.authority.issue(&Leaf::named(WWW).dns(WWW));
        self.file("chain.pem", pair.certificate);
        self.file("key.pem", pair.key);
        self.option("--mode=http --cert=file:chain.pem --key=file:key.pem")
            .option(&format!("--connect={backend}"))
    }

    /// With this host, which has a certificate of its own and this backend; `more` is what its file
    /// says besides, an object.
    pub fn host_with(mut self, name: &str, backend: SocketAddr, more: &Value) -> Setting {
        let pair = self.authority.issue(&Leaf::named(name).dns(name));
        let mut file = json!({
            "own_cert": [[pair.certificate], pair.key],
            "ip": backend.ip().to_string(),
            "port": backend.port(),
            "alpn": ["http/1.1"],
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            file[name] = value.clone();
        }
        self.file(&format!("hosts/{name}"), file.to_string());
        match self.options.iter().any(|option| option == HOSTS) {
            true => self,
            false => self.option(HOSTS),
        }
    }

    /// With this host, which says nothing besides.
    pub fn host(self, name: &str, backend: SocketAddr) -> Setting {
        self.host_with(name, backend, &json!({}))
    }

    /// Starts the tunnel and waits until it serves.
    pub fn start(&self) -> Tunnel {
        let line = format!(
            "--ipv4={}/{} --ipv4-gateway={} --log=debug {}",
            self.tap.guest(),
            Tap::PREFIX,
            self.tap.host(),
            self.options.join(" ")
        );
        match self.kind {
            Kind::Hosted => {
                let mut builder = Builder::default();
                for (name, bytes) in &self.files {
                    builder.file(name, bytes).expect("names that differ");
                }
                let archive = MemoryFile::new(builder.finish());
                let options = hosted::Options {
                    tap: self.tap.name().to_owned(),
                    memory_mib: MEMORY_MIB,
                    offload: true,
                    clock_ahead: 0,
                };
                let program = env!("CARGO_BIN_EXE_stockade-hosted");
                let path = archive.path();
                let guest = hosted::guest::Guest::start_with(program, &options, Some(&path), &line);
                guest.wait_until_ready();
                Tunnel::Hosted(guest)
            }
            Kind::Booted => {
                let network = Network::Tap {
                    name: self.tap.name().to_owned(),
                };
                let mut qemu = Machine::Microvm.qemu().network(network);
                for (name, bytes) in &self.files {
                    qemu = qemu.file(name, bytes.clone());
                }
                let guest = vm::Guest::start(&qemu.kernel_line(line));
                guest.wait_until_ready();
                Tunnel::Booted(guest)
            }
        }
    }

    /// Where backends listen.
    pub fn backends(&self) -> IpAddr {
        self.tap.host().into()
    }

    /// Where clients connect to.
    pub fn server(&self) -> SocketAddr {
        (self.tap.guest(), HTTPS).into()
    }

    /// A client that trusts this scene's authority alone and offers `http/1.1`.
    pub fn client(&self) -> Client {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let clock = WallClock::new(now.map_or(0, |time| time.as_secs()));
        client::build(ClientOptions {
            alpn: vec![b"http/1.1".to_vec()],
            ..ClientOptions::new(vec![self.authority.certificate().into_bytes()], clock)
        })
    }

    /// A connection for requests as the test writes them, to [`WWW`].
    pub fn raw(&self) -> Raw {
        self.raw_to(WWW)
    }

    /// The same to another host.
    pub fn raw_to(&self, name: &str) -> Raw {
        let stream = TlsStream::connect_to(self.server(), &self.client(), Some(name));
        Raw::new(stream.unwrap_or_else(|error| panic!("{name}: {error}")))
    }

    fn file(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.files.push((name.to_owned(), bytes.into()));
    }
}

/// The hosts' files.
const HOSTS: &str = "--hosts=file:hosts";
