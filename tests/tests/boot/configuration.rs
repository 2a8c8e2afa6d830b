//! What the image is told, and what it says when that is wrong.

use std::io;
use std::process::Command;

use stockade_config::archive::Archive;
use stockade_config::{Settings, VERSION};
use stockade_host::{CommandLine, ExitStatus, Outcome, Qemu};
use stockade_tests::PATIENCE;
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::memory_file::MemoryFile;
use stockade_tests::process::{self, Running as Process};
use stockade_tests::vm::{Guest, Machine, image};

use crate::name_server::NameServer;
use crate::setup::{Cable, Link, Place, Running, Setup, base64};
use crate::transfer::{download, upload};

/// Every error is on the console, in the words of the crate that the host checks with too.
pub fn a_malformed_command_line(place: Place) {
    let line = "--ipv4=10.0.0.300/24 --ipv4-gateway=10.0.0.1 --accept=0 --colour=blue \
                --log=loud --log=debug --crypto=rot13 stray --connect=:80 --key=file:../key";
    let expected = Settings::read(line.as_bytes(), None).expect_err("nothing in it is right");
    let expected = expected.to_string();
    assert!(expected.lines().count() >= 8, "too few errors: {expected}");
    let (qemu, _cable) = place.qemu();
    let (outcome, log) = Guest::start(&qemu.kernel_line(line)).finish();
    assert_eq!(outcome, Outcome::Image(ExitStatus::Configuration), "{log}");
    for error in expected.lines() {
        assert!(log.contains(error), "not on the console: {error}\n{log}");
    }
}

/// A file that the archive does not hold is an error that names the ones it holds.
pub fn a_missing_file_is_named(place: Place) {
    let identity = Identity::ecdsa();
    let (qemu, _cable) = place.qemu();
    let qemu = qemu
        .file("cert.pem", identity.chain)
        .kernel_line("--cert=file:cert.pem --key=file:key.pem");
    let (outcome, log) = Guest::start(&qemu).finish();
    assert_eq!(outcome, Outcome::Image(ExitStatus::Configuration), "{log}");
    for words in ["--key", "key.pem", "cert.pem"] {
        assert!(log.contains(words), "no {words:?} on the console: {log}");
    }
}

/// A key that is not the certificate's is refused before anything is served.
pub fn a_key_of_another_certificate_is_refused(place: Place) {
    let (qemu, _cable) = place.qemu();
    let qemu = qemu
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
pub fn a_boot_archive_of_another_version_is_refused(place: Place) {
    let identity = Identity::ecdsa();
    let (qemu, _cable) = place.qemu();
    let qemu = qemu
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
pub fn a_key_on_the_command_line_is_served_and_not_shown(place: Place) {
    let running = Setup::new(place).inline().start();
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
pub fn the_log_never_shows_the_key(place: Place) {
    let running = Setup::new(place).inline().option("--log=trace").start();
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
pub fn the_log_is_as_talkative_as_asked(place: Place) {
    let running = Setup::new(place).start();
    download(&running, 1000);
    running.guest.wait_for("TLSv1.3");
    // The line that says the image is ready is an `info` line, so this one needs patience instead.
    let running = Setup::new(place).option("--log=info").start();
    download(&running, 1000);
    assert_eq!(running.guest.count("TLSv1.3"), 0, "{}", running.guest.log());
}

/// Nothing but addresses, certificate and key: port 443, to port 80 of the gateway.
pub fn defaults(place: Place) {
    let (qemu, cable) = place.qemu();
    let backend = Backend::start_at((cable.host(), 80).into(), Mode::Greeting);
    let greeting = greeting(qemu, &cable, "");
    assert_eq!(greeting, stockade_tests::backend::GREETING);
    assert_eq!(backend.records().len(), 1);
}

/// A TAP device, no IPv4 at all.
#[test]
fn ipv6_alone() {
    both_ways(Link::Ipv6);
}

/// The launcher's network gives its guest the addresses that it also would have named.
#[test]
fn dhcp_on_the_rootless_network() {
    let running = both_ways(Link::RootlessDhcp);
    running.guest.wait_for("10.0.2.15/24");
}

fn both_ways(link: Link) -> Running {
    let machine = Machine::Microvm;
    let running = Setup::new(Place { machine, link }).start();
    download(&running, 1 << 20);
    upload(&running, 1 << 20);
    running
}

/// The backend by name: looked up at the gateway because no `--dns=` is given, or on the rootless
/// network at another name server of the host's.
pub fn a_backend_by_name(place: Place) {
    let link = match place.link {
        // Without words of the launcher's, which name its own server.
        Link::Rootless => Link::RootlessDhcp,
        other => other,
    };
    let (qemu, cable) = Place { link, ..place }.qemu();
    let host = cable.tap().host();
    let backend = Backend::start(host, Mode::Greeting);
    let _names = NameServer::start(host, "backend.test", host);
    let port = backend.address().port();
    let mut words = format!("--connect=backend.test:{port}");
    if place.is_rootless() {
        words += &format!(" --dns={host}");
    }
    let greeting = greeting(qemu, &cable, &words);
    assert_eq!(greeting, stockade_tests::backend::GREETING);
}

/// What a client hears from the backend, when the image is told no more than it must be.
fn greeting(qemu: Qemu, cable: &Cable, connect: &str) -> Vec<u8> {
    let identity = Identity::ecdsa();
    let addresses = cable.options();
    let qemu = qemu
        .file("cert.pem", identity.chain.as_bytes())
        .file("key.pem", identity.key.as_bytes())
        .kernel_line(format!(
            "{addresses} --cert=file:cert.pem --key=file:key.pem {connect}"
        ));
    let guest = Guest::start(&qemu);
    guest.wait_until_ready();
    cable.open();
    let stream = TlsStream::connect(cable.server(), &client::verifying(&identity));
    let mut stream = stream.expect("the guest serves port 443");
    stream.read_into(Vec::new()).expect("the greeting")
}
