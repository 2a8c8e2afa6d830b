//! What the image is told, and what it says when that is wrong.

use std::io;
use std::net::SocketAddr;
use std::process::Command;

use stockade_config::archive::Archive;
use stockade_config::{Settings, VERSION};
use stockade_host::{CommandLine, ExitStatus, Network, Outcome};
use stockade_tests::PATIENCE;
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::memory_file::MemoryFile;
use stockade_tests::process::{self, Running as Process};
use stockade_tests::tap::Tap;
use stockade_tests::vm::{Guest, Machine, image};

use crate::name_server::NameServer;
use crate::setup::{Link, Setup, base64};
use crate::transfer::{download, upload};

/// Every error is on the console, in the words of the crate that the host checks with too.
pub fn a_malformed_command_line(machine: Machine) {
    let line = "--ipv4=10.0.0.300/24 --ipv4-gateway=10.0.0.1 --accept=0 --colour=blue \
                --log=loud --log=debug --crypto=rot13 stray --connect=:80 --key=file:../key";
    let expected = Settings::read(line.as_bytes(), None).expect_err("nothing in it is right");
    let expected = expected.to_string();
    assert!(expected.lines().count() >= 8, "too few errors: {expected}");
    let qemu = machine.qemu().network(Network::User {
        publish: Vec::new(),
    });
    let (outcome, log) = Guest::start(&qemu.kernel_line(line)).finish();
    assert_eq!(outcome, Outcome::Image(ExitStatus::Configuration), "{log}");
    for error in expected.lines() {
        assert!(log.contains(error), "not on the console: {error}\n{log}");
    }
}

/// A file that the archive does not hold is an error that names the ones it holds.
#[test]
fn a_missing_file_is_named() {
    let identity = Identity::ecdsa();
    let qemu = Machine::Microvm
        .qemu()
        .network(Network::User {
            publish: Vec::new(),
        })
        .file("cert.pem", identity.chain)
        .kernel_line("--cert=file:cert.pem --key=file:key.pem");
    let (outcome, log) = Guest::start(&qemu).finish();
    assert_eq!(outcome, Outcome::Image(ExitStatus::Configuration), "{log}");
    for words in ["--key", "key.pem", "cert.pem"] {
        assert!(log.contains(words), "no {words:?} on the console: {log}");
    }
}

/// A key that is not the certificate's is refused before anything is served.
#[test]
fn a_key_of_another_certificate_is_refused() {
    let qemu = Machine::Microvm
        .qemu()
        .network(Network::User {
            publish: Vec::new(),
        })
        .file("cert.pem", Identity::ecdsa().chain)
        .file("key.pem", Identity::ecdsa().key)
        .kernel_line("--cert=file:cert.pem --key=file:key.pem");
    let (outcome, log) = Guest::start(&qemu).finish();
    assert_eq!(outcome, Outcome::Image(ExitStatus::Configuration), "{log}");
    assert!(
        !log.contains("PRIVATE KEY"),
        "the console shows a key: {log}"
    );
}

/// An archive of another format: the image says which one it is and which one it reads.
#[test]
fn a_boot_archive_of_another_version_is_refused() {
    let identity = Identity::ecdsa();
    let qemu = Machine::Microvm
        .qemu()
        .network(Network::User {
            publish: Vec::new(),
        })
        .file("cert.pem", identity.chain)
        .file("key.pem", identity.key)
        .kernel_line("--cert=file:cert.pem --key=file:key.pem");
    let mut boot = qemu.boot().expect("a sound archive");
    let archive = boot.archive.as_mut().expect("there are files");
    // The same length, so that only the manifest's words change; ustar sums up headers alone.
    replace(
        archive,
        b"stockade-boot-archive 1",
        b"stockade-boot-archive 7",
    );
    let expected = Archive::open(archive)
        .err()
        .expect("another format")
        .to_string();
    for words in ["7", VERSION] {
        assert!(expected.contains(words), "no {words:?} in {expected:?}");
    }
    let archive = MemoryFile::new(archive);
    let archive_path = archive.path().to_string_lossy().into_owned();
    let kernel = image().to_string_lossy().into_owned();
    let line = qemu.command_line(&boot, &kernel, Some(&archive_path));
    let finished = run(&line).finish(PATIENCE);
    let log = String::from_utf8_lossy(&finished.stdout).into_owned();
    let status = finished.status.code().expect("QEMU ends by itself");
    assert_eq!(
        Outcome::from_qemu(status),
        Outcome::Image(ExitStatus::Configuration),
        "{log}"
    );
    assert!(
        log.contains(&expected),
        "not on the console: {expected}\n{log}"
    );
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let place = bytes.windows(old.len()).position(|window| window == old);
    let place = place.expect("the archive begins with its manifest");
    bytes[place..place + old.len()].copy_from_slice(new);
}

fn run(line: &CommandLine) -> Process<Vec<u8>> {
    let mut command = Command::new(line.program());
    process::start(command.args(line.arguments()), io::empty(), Vec::new())
}

/// The launcher takes a key on the image's command line and keeps it out of QEMU's.
#[test]
fn a_key_on_the_command_line_is_served_and_not_shown() {
    let running = Setup::new(Machine::Microvm).inline().start();
    running.guest.wait_until_executed();
    let words = running.guest.visible_words();
    assert!(
        words.contains("isa-debug-exit"),
        "not QEMU's words: {words}"
    );
    assert!(
        !words.contains("base64:"),
        "everybody may read the key: {words}"
    );
    assert!(
        !words.contains(&base64(&running.identity.key)),
        "everybody may read the key"
    );
    download(&running, 1000);
}

/// No level of the log shows the key, not even the most talkative one.
#[test]
fn the_log_never_shows_the_key() {
    let running = Setup::new(Machine::Microvm)
        .inline()
        .option("--log=trace")
        .start();
    download(&running, 1000);
    let log = running.guest.log();
    let key = base64(&running.identity.key);
    let lines = running
        .identity
        .key
        .lines()
        .filter(|line| !line.starts_with("-----"));
    for secret in lines.chain([&key[..40]]) {
        assert!(!log.contains(secret), "the console shows the key");
    }
}

/// `--log=` is obeyed: one line per connection with `debug`, none with `warn`.
#[test]
fn the_log_is_as_talkative_as_asked() {
    let running = Setup::new(Machine::Microvm).start();
    download(&running, 1000);
    running.guest.wait_for("TLSv1.3");
    // The line that says the image is ready is an `info` line, so this one needs patience instead.
    let running = Setup::new(Machine::Microvm).option("--log=info").start();
    download(&running, 1000);
    assert_eq!(running.guest.count("TLSv1.3"), 0, "{}", running.guest.log());
}

/// Nothing but addresses, certificate and key: port 443, to port 80 of the gateway.
#[test]
fn defaults() {
    let tap = Tap::create();
    let backend = Backend::start_at((tap.host(), 80).into(), Mode::Greeting);
    let identity = Identity::ecdsa();
    let qemu = Machine::Microvm
        .qemu()
        .network(Network::Tap {
            name: tap.name().to_owned(),
        })
        .file("cert.pem", identity.chain.as_bytes())
        .file("key.pem", identity.key.as_bytes())
        .kernel_line(format!(
            "--ipv4={}/{} --ipv4-gateway={} --cert=file:cert.pem --key=file:key.pem",
            tap.guest(),
            Tap::PREFIX,
            tap.host(),
        ));
    let guest = Guest::start(&qemu);
    guest.wait_until_ready();
    let server = SocketAddr::from((tap.guest(), 443));
    let stream = TlsStream::connect(server, &client::verifying(&identity));
    let mut stream = stream.expect("the guest serves port 443");
    let heard = stream.read_into(Vec::new()).expect("the greeting");
    assert_eq!(heard, stockade_tests::backend::GREETING);
    assert_eq!(backend.records().len(), 1);
}

/// A TAP device, no IPv4 at all.
#[test]
fn ipv6_alone() {
    let running = Setup::new(Machine::Microvm).link(Link::Ipv6).start();
    download(&running, 1 << 20);
    upload(&running, 1 << 20);
}

/// Rootless: DHCP, the gateway as backend, a port published on 127.0.0.1.
pub fn dhcp_on_the_user_network(machine: Machine) {
    let running = Setup::new(machine).link(Link::User).start();
    // The addresses of QEMU's user network, which its DHCP server gives away.
    running.guest.wait_for("10.0.2.15/24");
    download(&running, 1 << 20);
    upload(&running, 1 << 20);
}

/// The backend by name, looked up at the gateway because no `--dns=` is given.
#[test]
fn a_backend_by_name() {
    let tap = Tap::create();
    let backend = Backend::start(tap.host(), Mode::Greeting);
    let _names = NameServer::start(tap.host(), "backend.test", tap.host());
    let identity = Identity::ecdsa();
    let qemu = Machine::Microvm
        .qemu()
        .network(Network::Tap {
            name: tap.name().to_owned(),
        })
        .file("cert.pem", identity.chain.as_bytes())
        .file("key.pem", identity.key.as_bytes())
        .kernel_line(format!(
            "--ipv4={}/{} --ipv4-gateway={} --cert=file:cert.pem --key=file:key.pem \
             --connect=backend.test:{}",
            tap.guest(),
            Tap::PREFIX,
            tap.host(),
            backend.address().port(),
        ));
    let guest = Guest::start(&qemu);
    guest.wait_until_ready();
    let server = SocketAddr::from((tap.guest(), 443));
    let stream = TlsStream::connect(server, &client::verifying(&identity));
    let heard = stream.and_then(|mut stream| stream.read_into(Vec::new()));
    assert_eq!(
        heard.expect("the greeting"),
        stockade_tests::backend::GREETING
    );
}
