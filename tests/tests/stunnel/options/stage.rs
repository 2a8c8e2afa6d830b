//! What stands around a service when its option is observed.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::panic;
use std::sync::OnceLock;

use stockade_tests::backend::{Backend, Mode};
use stockade_tests::stunnel::authority::{Authority, Leaf, Pair};
use stockade_tests::stunnel::debian::GLOBALS;
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::{Kind, Scene, Subject};

use super::{Probe, REFUSED};

/// Name and address of the good certificates.
pub const HOST: &str = "www.wire.example";

/// A subject with two backends, two ports for whatever the row needs, and certificates.
///
/// Its fields are dropped in this order: the backends before the link that they listen on.
pub struct Stage {
    subject: RefCell<Option<Subject>>,
    pub backend: Backend,
    pub second: Backend,
    /// Where the service is reached: `{port}`.
    pub port: SocketAddr,
    /// Another port of the subject: `{other}`.
    pub other: SocketAddr,
    /// A port of the host, nobody's until the probe listens: `{peer}`.
    pub peer: SocketAddr,
    conf: String,
    pub scene: Scene,
}

/// What a probe saw, and the log beside it.
pub struct Seen {
    pub observation: String,
    pub log: String,
}

impl Stage {
    /// Starts the subject with `conf`, or sees it refused, and probes it.
    pub fn observe(kind: Kind, conf: &str, probe: Probe) -> Seen {
        let scene = Scene::new(kind);
        certificates().write(&scene.files);
        let backend = Backend::start(scene.host(), Mode::Commands);
        let second = Backend::start(scene.host(), Mode::Commands);
        let (port, other) = (scene.subject(ports::next()), scene.subject(ports::next()));
        let peer = SocketAddr::new(scene.host().into(), ports::next());
        let globals = if conf.contains("foreground") {
            ""
        } else {
            GLOBALS
        };
        let conf = format!("{globals}{conf}")
            .replace("{dir}", &scene.files.folder())
            .replace("{port}", &port.port().to_string())
            .replace("{other}", &other.port().to_string())
            .replace("{backend}", &backend.address().to_string())
            .replace("{second}", &second.address().to_string())
            .replace("{peer}", &peer.to_string())
            .replace("{host}", &scene.host().to_string());
        let included = format!(
            "[included]\nclient = yes\naccept = {}\nconnect = {}\n",
            port.port(),
            peer
        );
        scene.files.add("conf.d/included.conf", included);
        let subject = match scene.try_start(&conf) {
            Ok(subject) => subject,
            Err(log) => {
                let observation = REFUSED.to_owned();
                return Seen { observation, log };
            }
        };
        let stage = Stage {
            scene,
            subject: RefCell::new(Some(subject)),
            backend,
            second,
            port,
            other,
            peer,
            conf,
        };
        // A probe that panics must not hide which row it was.
        let observation = panic::catch_unwind(panic::AssertUnwindSafe(|| probe(&stage)))
            .unwrap_or_else(|_| "the probe panicked".into());
        let log = stage.with_subject(Subject::log);
        Seen { observation, log }
    }

    /// Ends the subject and starts it anew with the same configuration.
    pub fn restart(&self) {
        // The old one must be gone before the new one takes its addresses.
        drop(self.subject.take());
        self.subject.replace(Some(self.scene.start(&self.conf)));
    }

    /// Waits for a line of the log that holds `needle`.
    pub fn wait_for(&self, needle: &str) -> String {
        self.with_subject(|subject| subject.wait_for(needle))
    }

    /// How many lines of the log hold `needle`.
    pub fn count(&self, needle: &str) -> usize {
        self.with_subject(|subject| subject.count(needle))
    }

    fn with_subject<T>(&self, ask: impl FnOnce(&Subject) -> T) -> T {
        ask(self.subject.borrow().as_ref().expect("it runs"))
    }

    /// The path of a file of the configuration.
    pub fn file(&self, name: &str) -> String {
        self.scene.files.path(name)
    }
}

/// The configuration without the lines of one option, where they stand for the tested service or
/// before all services.
pub fn without(conf: &str, option: &str) -> String {
    let mut is_tested = true;
    let mut mutated = String::new();
    for line in conf.lines() {
        if line.starts_with('[') {
            is_tested = line == "[tested]";
        }
        let name = line.split('=').next().unwrap_or_default().trim();
        if !(is_tested && name.eq_ignore_ascii_case(option)) {
            mutated = mutated + line + "\n";
        }
    }
    mutated
}

/// The certificates of all rows.
pub struct Certificates {
    authority: Authority,
    server: Pair,
    good: Pair,
    revoked: Pair,
}

pub fn certificates() -> &'static Certificates {
    static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
    CERTIFICATES.get_or_init(|| {
        let authority = Authority::new("Wire authority");
        let leaf = |name: &str| {
            let address = [192, 0, 2, 7].into();
            Leaf::named(name)
                .dns(HOST)
                .address(address)
                .email("post@wire.example")
        };
        Certificates {
            server: authority.issue(&leaf("server")),
            good: authority.issue(&leaf("good")),
            revoked: authority.issue(&leaf("revoked")),
            authority,
        }
    })
}

impl Certificates {
    fn write(&self, files: &Files) {
        files.add("ca.pem", self.authority.certificate());
        files.add("server.pem", self.server.both());
        files.add("server.crt", &self.server.certificate);
        files.add("server.key", &self.server.key);
        files.add("good.pem", self.good.both());
        files.add("revoked.pem", self.revoked.both());
        files.add("crl.pem", self.authority.revoke(&[&self.revoked]));
        files.add("authorities/ca.pem", self.authority.certificate());
        files.add("lists/crl.pem", self.authority.revoke(&[&self.revoked]));
        for folder in ["authorities", "lists"] {
            files.rehash(folder);
        }
    }
}
