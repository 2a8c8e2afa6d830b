//! Certificate authorities for tests: Pebble with its name server, and Caddy's `acme_server`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::memory_file::MemoryFile;
use crate::namespace;
use crate::peers::Place;
use crate::process;
use crate::stunnel::authority::{Authority, Leaf, Pair};
use crate::stunnel::daemon::Daemon;
use crate::{PATIENCE, wait_until};

/// Where an authority's directory is; each test has an address of its own.
const PORT: u16 = 14_000;
/// Where Pebble shows its root, and its name server the names.
const MANAGEMENT: u16 = 15_000;
const NAMES: u16 = 8053;

/// How Pebble is to be.
#[derive(Clone, Debug)]
pub struct Pebble {
    /// The address that every name has: where it looks for proofs, at ports 80 and 443.
    pub subject: Ipv4Addr,
    /// How long its certificates are valid.
    pub validity: Duration,
    /// How many of 100 good nonces it rejects (RFC 8555 §6.5).
    pub bad_nonces: u8,
    /// The name and the key (base64url) of the only account that ours may be bound to (RFC 8555
    /// §7.3.4); `None`: none is asked for.
    pub binding: Option<(String, String)>,
}

/// How Caddy is to be.
#[derive(Clone, Debug)]
pub struct Caddy {
    /// Names and the address that they have: where it looks for proofs.
    pub names: Vec<(String, Ipv4Addr)>,
}

/// An authority that runs. Ended when dropped.
pub struct Authorities {
    /// The address of its directory.
    pub directory: String,
    /// What its directory's own certificate is trusted by, PEM.
    pub trusted: String,
    /// Its root, PEM: what clients of the hosts trust.
    pub root: String,
    /// Before the place: it ends before its files go.
    daemons: Vec<Daemon>,
    _place: Place,
}

impl Pebble {
    /// One that issues for a quarter of an hour and rejects every fifth nonce.
    pub fn new(subject: Ipv4Addr) -> Pebble {
        Pebble {
            subject,
            validity: Duration::from_secs(900),
            bad_nonces: 20,
            binding: None,
        }
    }

    /// Starts it at this address of ours, with its name server.
    pub fn start(&self, host: Ipv4Addr) -> Authorities {
        namespace::require();
        let place = Place::new();
        let (trusted, pair) = own_certificate(host);
        let certificate = place.add("own.pem", &pair.certificate);
        let key = place.add("own.key", &pair.key);
        let keys = self.binding.iter().cloned();
        let keys: serde_json::Map<_, _> = keys.map(|(id, key)| (id, key.into())).collect();
        let configuration = json!({"pebble": {
            "listenAddress": format!("{host}:{PORT}"),
            "managementListenAddress": format!("{host}:{MANAGEMENT}"),
            "certificate": certificate,
            "privateKey": key,
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": self.binding.is_some(),
            "externalAccountMACKeys": keys,
            "certificateValidityPeriod": self.validity.as_secs(),
        }});
        let configuration = place.add("pebble.json", configuration.to_string());

        let names = self.names(host, &place);
        let mut pebble = place.command("pebble");
        pebble
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", self.bad_nonces.to_string());
        pebble.args(["-strict", "-config", &configuration]);
        pebble.args(["-dnsserver", &format!("{host}:{NAMES}")]);
        let pebble = Daemon::start(&mut pebble, "ACME directory available at");
        let root = fetch(&format!("https://{host}:{MANAGEMENT}/roots/0"), &trusted);
        Authorities {
            directory: format!("https://{host}:{PORT}/dir"),
            trusted,
            root,
            daemons: vec![pebble, names],
            _place: place,
        }
    }

    /// The name server that it asks.
    fn names(&self, host: Ipv4Addr, place: &Place) -> Daemon {
        const PROGRAM: &str = "pebble-challtestsrv";
        let help = place.run(place.command(PROGRAM).arg("-help"), &[][..]);
        let mut command = place.command(PROGRAM);
        command.args(["-defaultIPv4", &self.subject.to_string()]);
        command.args(["-defaultIPv6", "", "-http01", "", "-https01", ""]);
        command.args(["-tlsalpn01", "", "-dns01", &format!("{host}:{NAMES}")]);
        command.args(["-management", &format!("{host}:8055")]);
        // Newer ones listen there at every address, where other tests' would, too.
        if help.stderr.contains("-doh") {
            command.args(["-doh", ""]);
        }
        Daemon::start(&mut command, "Starting management server on")
    }
}

impl Caddy {
    /// Starts it at this address of ours.
    pub fn start(&self, host: Ipv4Addr) -> Authorities {
        namespace::require();
        namespace::open_low_ports();
        let place = Place::new();
        let (trusted, pair) = own_certificate(host);
        let certificate = place.add("own.pem", &pair.certificate);
        let key = place.add("own.key", &pair.key);
        let names = self.names.iter();
        let hosts: String = names
            .map(|(name, address)| format!("{address} {name}\n"))
            .collect();
        place.etc("hosts", format!("127.0.0.1 localhost\n{hosts}"));
        let text = format!(
            "{{\n admin off\n auto_https off\n skip_install_trust\n \
             storage file_system /var/caddy\n}}\n\
             https://{host}:{PORT} {{\n bind {host}\n tls {certificate} {key}\n acme_server\n}}\n"
        );
        let configuration = place.add("Caddyfile", text);
        let mut caddy = place.command("caddy");
        caddy.args(["run", "--adapter", "caddyfile", "--config", &configuration]);
        let caddy = Daemon::start(&mut caddy, "serving initial configuration");
        let root = place.path("var/caddy/pki/authorities/local/root.crt");
        let root = wait_until(PATIENCE, || std::fs::read_to_string(&root).ok());
        Authorities {
            directory: format!("https://{host}:{PORT}/acme/local/directory"),
            trusted,
            root: root.expect("Caddy writes its root's certificate"),
            daemons: vec![caddy],
            _place: place,
        }
    }
}

impl Authorities {
    /// Where the directory is asked for.
    pub fn address(&self) -> SocketAddr {
        let rest = self.directory.trim_start_matches("https://");
        let (address, _) = rest.split_once('/').expect("made above");
        address.parse().expect("made above")
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.daemons
            .first()
            .map_or_else(String::new, |daemon| daemon.log.text())
    }

    /// Stops it for good: connections are refused.
    pub fn down(&mut self) {
        self.daemons.clear();
    }
}

/// A certificate for a server at this address, and what it is trusted by.
pub fn own_certificate(host: Ipv4Addr) -> (String, Pair) {
    let authority = Authority::new("Authority of an authority");
    let leaf = Leaf::named("server")
        .dns("localhost")
        .address(IpAddr::from(host));
    (authority.certificate(), authority.issue(&leaf))
}

/// What is at this address once it is there, for whoever trusts this.
fn fetch(url: &str, trusted: &str) -> String {
    let text = wait_until(PATIENCE, || get(url, trusted));
    text.unwrap_or_else(|| panic!("there is nothing at {url}"))
}

/// What curl gets at this address, trusting this; `None` where it fails.
pub fn get(url: &str, trusted: &str) -> Option<String> {
    let trusted = MemoryFile::new(trusted);
    let mut command = Command::new("curl");
    command.args(["-q", "--silent", "--fail", "--noproxy", "*"]);
    command.args(["--max-time", "30", "--cacert"]);
    command.arg(trusted.path()).arg(url);
    let finished = process::start(&mut command, &[][..], Vec::new()).finish(PATIENCE);
    let text = String::from_utf8(finished.stdout).ok();
    text.filter(|_| finished.status.success())
}
