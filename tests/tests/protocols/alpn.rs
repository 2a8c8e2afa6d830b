//! ALPN (RFC 7301): offered, chosen, refused, and services chosen by it.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::process::Command;

use stockade_tests::backend::{Backend, Mode};
use stockade_tests::certificates::NAME;
use stockade_tests::peers::proxies::Proxy;
use stockade_tests::stunnel::daemon::Daemon;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::shake::Shake;
use stockade_tests::stunnel::subject::{Kind, Subject};
use stockade_tests::{PATIENCE, client, process, tools};

use crate::setting::{Family, Setting};

const IDENTITY: &str = "somebody";
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What s_client says of the protocol that was agreed on.
fn agreed(shake: &Shake) -> Option<&str> {
    let (_, rest) = shake.words().split_once("ALPN protocol: ")?;
    rest.lines().next()
}

/// The subject as a server of these sections, of which the first one accepts here; `{0}` is a
/// backend.
fn serve(setting: &Setting, sections: &str) -> (Subject, SocketAddr, Backend) {
    let backend = Backend::start(setting.host(), Mode::Commands);
    let port = ports::next();
    let sections = sections
        .replace("{port}", &port.to_string())
        .replace("{0}", &backend.address().to_string());
    let subject = setting.start(&sections);
    (subject, setting.subject(Family::Ipv4, port), backend)
}

/// The server's order counts, for clients that offer anything; others are served as ever.
pub fn chosen(kind: Kind) {
    let setting = Setting::new(kind);
    let section = "[in]\naccept = {port}\nconnect = {0}\ncert = {dir}/server.pem\n\
                   alpn = http/1.1, h2\n";
    let (subject, server, backend) = serve(&setting, section);
    for version in ["-tls1_2", "-tls1_3"] {
        for (offered, expected) in [
            ("h2,http/1.1", "http/1.1"),
            ("http/1.1,h2", "http/1.1"),
            ("h2", "h2"),
            ("spdy/1,h2", "h2"),
        ] {
            let shake = Shake::with(server, &[version, "-alpn", offered]);
            assert!(shake.is_served(), "{offered}: {}", shake.words());
            assert_eq!(agreed(&shake), Some(expected), "{offered}");
        }
        let shake = Shake::with(server, &[version]);
        assert!(shake.is_served(), "{}", shake.words());
        assert!(shake.words().contains("No ALPN negotiated"));
    }
    // "the server SHALL send a fatal no_application_protocol alert" (RFC 7301 §3.2).
    let served = backend.records().len();
    for version in ["-tls1_2", "-tls1_3"] {
        let from = subject.lines();
        let shake = Shake::with(server, &[version, "-alpn", "spdy/1,http/1.0"]);
        assert!(!shake.is_served());
        let words = shake.words();
        assert!(words.contains("no application protocol"), "{words}");
        subject.wait_for_after(from, "LOG3");
    }
    assert_eq!(backend.records().len(), served);
}

/// Without the option, nothing is chosen and nobody is refused.
pub fn unasked(kind: Kind) {
    let setting = Setting::new(kind);
    let section = "[in]\naccept = {port}\nconnect = {0}\ncert = {dir}/server.pem\n";
    let (_subject, server, _backend) = serve(&setting, section);
    let shake = Shake::with(server, &["-alpn", "h2,spdy/1"]);
    assert!(shake.is_served(), "{}", shake.words());
    assert!(shake.words().contains("No ALPN negotiated"));
}

/// nginx that speaks HTTP/2, or HTTP/1.1, without TLS, and says which.
fn nginx(address: SocketAddr, option: &str) -> Proxy {
    let mut folders = String::new();
    for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        write!(folders, "{name}_temp_path /var/tmp/{name}; ").expect("a String grows");
    }
    let blocks = format!(
        "http {{ access_log off; {folders}\n server {{ listen {address} {option}; \
         return 200 \"$server_protocol\"; }} }}\n"
    );
    Proxy::nginx(&blocks, address.port())
}

/// Each client reaches the web server that speaks its protocol: the choice is made once, by name
/// and ALPN.
pub fn routes(kind: Kind) {
    let setting = Setting::new(kind);
    let [old, new] = [(); 2].map(|()| SocketAddr::new(setting.host(), ports::next()));
    let _old = nginx(old, "");
    let _new = nginx(new, "http2");
    let (_subject, server, backend) = serve(
        &setting,
        &format!(
            "[web]\naccept = {{port}}\nconnect = {old}\ncert = {{dir}}/server.pem\n\
             alpn = http/1.1\n\
             [web2]\nsni = web:*\nconnect = {new}\ncert = {{dir}}/server.pem\nalpn = h2\n\
             [database]\nsni = web:{NAME}\nconnect = {{0}}\ncert = {{dir}}/client.pem\n\
             alpn = postgresql\n"
        ),
    );
    let authority = setting.scene.files.path("ca.pem");
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1"), ("--no-alpn", "1.1")] {
        let mut command = tools::curl(server, authority.as_ref());
        command.args([option, "--write-out", " %{http_version}"]);
        command.arg(tools::url(server, "/"));
        let finished = process::start(&mut command, io::empty(), Vec::new());
        let finished = finished.finish(PATIENCE).succeeded();
        let said = String::from_utf8_lossy(&finished.stdout).into_owned();
        let name = if version == "2" { "2.0" } else { version };
        assert_eq!(said, format!("HTTP/{name} {version}"), "{option}");
    }
    let named = ["-servername", NAME];
    let database = Shake::with(server, &[&named[..], &["-alpn", "postgresql"]].concat());
    assert!(database.is_served(), "{}", database.words());
    assert_eq!(agreed(&database), Some("postgresql"));
    assert_eq!(database.common_name(), "client");
    assert_eq!(backend.records().len(), 1);
    let refused = Shake::with(server, &[&named[..], &["-alpn", "spdy/1"]].concat());
    let words = refused.words();
    assert!(words.contains("no application protocol"), "{words}");
    assert_eq!(backend.records().len(), 1);
}

/// `openssl s_server` with these options, which says what clients offer and what it chooses.
fn s_server(address: SocketAddr, options: &[&str]) -> Daemon {
    let mut command = Command::new("openssl");
    command.args([
        "s_server",
        "-accept",
        &address.to_string(),
        "-naccept",
        "1",
        "-rev",
    ]);
    command.args(options);
    Daemon::start(&mut command, "ACCEPT")
}

/// A client of this section, and what OpenSSL's server hears from it.
fn heard(setting: &Setting, lines: &str, options: &[&str]) -> Daemon {
    let (port, server) = (
        ports::next(),
        SocketAddr::new(setting.host(), ports::next()),
    );
    let mut daemon = s_server(server, options);
    let subject = setting.start(&format!(
        "[out]\nclient = yes\naccept = {port}\nconnect = {server}\n{lines}"
    ));
    let front = setting.subject(Family::Ipv4, port);
    let stream = client::tcp(front).expect("the tunnel accepts");
    subject.wait_for("TLS connected");
    drop(stream);
    daemon.finish();
    daemon
}

/// The list is offered in its order; a server may choose, or not know of it.
pub fn offered(kind: Kind) {
    let setting = Setting::new(kind);
    let pem = setting.scene.files.path("server.pem");
    let certificate = ["-cert", &pem, "-key", &pem];
    let lines = "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = localhost\n\
                 alpn = h2, http/1.1\n";
    let daemon = heard(
        &setting,
        lines,
        &[&certificate[..], &["-alpn", "http/1.1"]].concat(),
    );
    let offer = "ALPN protocols advertised by the client: h2, http/1.1";
    daemon.log.wait_for(offer);
    daemon.log.wait_for("ALPN protocols selected: http/1.1");
    let daemon = heard(&setting, lines, &[&certificate[..], &["-tls1_2"]].concat());
    assert_eq!(daemon.log.count("ALPN protocols selected"), 0);
    let without = lines.replace("alpn = h2, http/1.1\n", "");
    let daemon = heard(
        &setting,
        &without,
        &[&certificate[..], &["-alpn", "h2"]].concat(),
    );
    assert_eq!(daemon.log.count("ALPN protocols"), 0);
}

/// The same with pre-shared keys, in both directions.
pub fn with_keys(kind: Kind) {
    let setting = Setting::new(kind);
    setting
        .scene
        .files
        .add("keys", format!("{IDENTITY}:{KEY}\n"));
    let section = "[in]\naccept = {port}\nconnect = {0}\nPSKsecrets = {dir}/keys\n\
                   alpn = postgresql, h2\n";
    let (_subject, server, _backend) = serve(&setting, section);
    let key = ["-psk_identity", IDENTITY, "-psk", KEY];
    let suite = ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"];
    let shake = |offered: &[&str]| {
        let words = [&key[..], &suite, offered].concat();
        Shake::with(server, &words)
    };
    let chosen = shake(&["-alpn", "h2,postgresql"]);
    assert!(chosen.is_served(), "{}", chosen.words());
    assert_eq!(agreed(&chosen), Some("postgresql"));
    assert!(shake(&[]).is_served());
    let refused = shake(&["-alpn", "spdy/1"]);
    let words = refused.words();
    assert!(words.contains("no application protocol"), "{words}");

    let setting = Setting::new(kind);
    setting
        .scene
        .files
        .add("keys", format!("{IDENTITY}:{KEY}\n"));
    let lines = "PSKsecrets = {dir}/keys\nalpn = h2, http/1.1\n";
    let options = ["-nocert", "-alpn", "http/1.1"];
    let daemon = heard(&setting, lines, &[&key[..], &suite, &options].concat());
    let offer = "ALPN protocols advertised by the client: h2, http/1.1";
    daemon.log.wait_for(offer);
    daemon.log.wait_for("ALPN protocols selected: http/1.1");
}
