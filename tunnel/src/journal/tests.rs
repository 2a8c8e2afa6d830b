//! Every text, whole logs, and what keeps them short and safe.

use std::{
    cell::RefCell,
    format,
    string::{String, ToString},
    sync::Once,
    vec::Vec,
};

use log::{Level, Log, Metadata, Record};
use net::StreamError;
use tls::{Refusal, RefusalReason, Version};

use super::*;
use crate::session::DialError;

std::thread_local! {
    static WRITTEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps each thread's marked lines as the console shows them, but for the date.
struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let Some(subject) = record.target().strip_prefix(MARK) else {
            return;
        };
        let level = match record.level() {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 5,
            Level::Debug => 6,
            Level::Trace => 7,
        };
        let line = format!("LOG{level}[{subject}]: {}", record.args());
        WRITTEN.with_borrow_mut(|written| written.push(line));
    }

    fn flush(&self) {}
}

fn journal() -> Journal {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::set_logger(&Capture).expect("no other test has a logger"));
    WRITTEN.take();
    Journal::new(WallClock::new(1_795_330_800), Severity::Debug)
}

fn channel(level: Severity) -> Channel {
    Channel::new("svc", level, LogId::Sequential)
}

/// What the events of a connection write, as lines.
fn written(level: Severity, events: impl FnOnce(&mut Lines<'_>)) -> Vec<String> {
    let mut journal = journal();
    let channel = channel(level);
    let id = journal.begin(&channel, [0; 8]);
    events(&mut journal.connection(&channel, id));
    WRITTEN.take()
}

/// Events write these lines, at the level of debugging.
#[track_caller]
fn check(events: impl FnOnce(&mut Lines<'_>), expected: &[&str]) {
    assert_eq!(written(Severity::Debug, events), expected);
}

fn address(text: &str) -> core::net::SocketAddr {
    text.parse().expect("an address")
}

/// What a TLS 1.3 connection through stunnel 5.68 left in its log at level 6, in the order and
/// with the addresses of that time; without the lines about its threads and sessions' numbers.
const RECORDED: &[&str] = &[
    "LOG5[0]: Service [svc] accepted connection from 127.0.0.1:48754",
    "LOG6[0]: Peer certificate not required",
    "LOG6[0]: No peer certificate received",
    "LOG6[0]: TLS accepted: new session negotiated",
    "LOG6[0]: TLSv1.3 ciphersuite: TLS_AES_256_GCM_SHA384 (256-bit encryption)",
    "LOG6[0]: Peer temporary key: X25519, 253 bits",
    "LOG6[0]: s_connect: connecting 127.0.0.1:9000",
    "LOG5[0]: s_connect: connected 127.0.0.1:9000",
    "LOG6[0]: persistence: 127.0.0.1:9000 cached",
    "LOG5[0]: Service [svc] connected remote server from 127.0.0.1:48358",
    "LOG6[0]: Read socket closed (readsocket)",
    "LOG6[0]: SSL_shutdown successfully sent close_notify alert",
    "LOG6[0]: TLS closed (SSL_read)",
    "LOG5[0]: Connection closed: 11 byte(s) sent to TLS, 5 byte(s) sent to socket",
];

fn a_connection(lines: &mut Lines<'_>) {
    let suite = "TLS_AES_256_GCM_SHA384";
    let backend = address("127.0.0.1:9000");
    lines.accepted(address("127.0.0.1:48754"));
    lines.certificate_wanted(false);
    lines.certificate_missing();
    lines.negotiated(Role::Server, Version::Tls13, suite, Some("X25519"), false);
    lines.connecting(backend);
    lines.connected(backend, address("127.0.0.1:48358"), true);
    lines.socket_closed();
    lines.close_notify_sent();
    lines.tls_closed(false);
    lines.closed(Closed::Closed, 11, 5);
    lines.finished(0);
}

#[test]
fn a_whole_connection_reads_as_in_stunnel() {
    assert_eq!(written(Severity::Info, a_connection), RECORDED);
}

#[test]
fn each_level_writes_what_stunnel_s_does() {
    let notices: Vec<_> = RECORDED
        .iter()
        .filter(|line| line.starts_with("LOG5"))
        .collect();
    assert_eq!(written(Severity::Notice, a_connection).len(), notices.len());
    // The command line's service with --log=info: nothing about connections that go well.
    let quiet = Severity::of_service(log::LevelFilter::Info);
    assert_eq!(written(quiet, a_connection), [""; 0]);
    let everything = written(Severity::Debug, a_connection);
    assert_eq!(everything[0], "LOG7[0]: Service [svc] started");
    assert_eq!(
        everything.last().map(String::as_str),
        Some("LOG7[0]: Service [svc] finished (0 left)")
    );
}

#[test]
fn starting() {
    let mut journal = journal();
    let channel = channel(Severity::Debug);
    journal
        .tunnel()
        .reading_configuration("/etc/stunnel/x.conf");
    let mut lines = journal.service(&channel);
    lines.initializing_service();
    journal.tunnel().configuration_successful();
    let mut lines = journal.service(&channel);
    lines.bound(8, address("0.0.0.0:443"));
    lines.bound(9, address("[::]:443"));
    lines.binding_failed(address("0.0.0.0:443"), &net::ListenError::InUse);
    lines.name_not_resolved("db.example", &net::ResolveError::NotFound);
    lines.name_resolved("db.example", &[address("10.0.0.1:0").ip()]);
    journal.tunnel().accepting_new_connections();
    journal.tunnel().configuration_failed();
    assert_eq!(
        WRITTEN.take(),
        [
            "LOG5[ui]: Reading configuration from file /etc/stunnel/x.conf",
            "LOG6[ui]: Initializing service [svc]",
            "LOG5[ui]: Configuration successful",
            "LOG6[ui]: Service [svc] (FD=8) bound to 0.0.0.0:443",
            "LOG6[ui]: Service [svc] (FD=9) bound to [::]:443",
            "LOG3[ui]: Binding service [svc] to 0.0.0.0:443: Address already in use (98)",
            "LOG3[ui]: Error resolving \"db.example\": the name has no address",
            "LOG7[ui]: Resolved \"db.example\": [10.0.0.1]",
            "LOG6[ui]: Accepting new connections",
            "LOG3[ui]: Configuration failed",
        ]
    );
}

#[test]
fn handshakes() {
    let suite = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    check(
        |lines| {
            lines.negotiated(
                Role::Client,
                Version::Tls12,
                suite,
                Some("secp256r1"),
                false,
            )
        },
        &[
            "LOG6[0]: TLS connected: new session negotiated",
            "LOG6[0]: TLSv1.2 ciphersuite: ECDHE-RSA-AES128-GCM-SHA256 (128-bit encryption)",
            "LOG6[0]: Peer temporary key: ECDH, P-256, 256 bits",
        ],
    );
    let suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    check(
        |lines| lines.negotiated(Role::Server, Version::Tls12, suite, None, true),
        &[
            "LOG6[0]: TLS accepted: previous session reused",
            "LOG6[0]: TLSv1.2 ciphersuite: ECDHE-ECDSA-CHACHA20-POLY1305 (256-bit encryption)",
            "LOG6[0]: No peer temporary key received",
        ],
    );
}

#[test]
fn server_names() {
    check(
        |lines| lines.sni_no_services(),
        &["LOG7[0]: SNI: no virtual services defined"],
    );
    check(
        |lines| lines.sni_switched(Some("x.wild.org"), "virt"),
        &[
            "LOG6[0]: SNI: requested servername: x.wild.org",
            "LOG5[0]: SNI: switched to service [virt]",
        ],
    );
    check(
        |lines| lines.sni_not_matched(Some("nope.org")),
        &[
            "LOG6[0]: SNI: requested servername: nope.org",
            "LOG3[0]: SNI: no pattern matched servername: nope.org",
        ],
    );
    check(
        |lines| lines.sni_not_matched(None),
        &["LOG5[0]: SNI: no servername received"],
    );
    check(
        |lines| lines.sni_sent("example.org"),
        &["LOG6[0]: SNI: sending servername: example.org"],
    );
}

#[test]
fn certificates_accepted() {
    check(
        |lines| {
            lines.certificate_wanted(true);
            lines.certificate_accepted(1, "O=Test, CN=Test CA");
            lines.certificate_accepted(0, "O=Test, CN=client.example.org");
            lines.verification_disabled();
        },
        &[
            "LOG6[0]: Peer certificate required",
            "LOG6[0]: Certificate accepted at depth=1: O=Test, CN=Test CA",
            "LOG5[0]: Certificate accepted at depth=0: O=Test, CN=client.example.org",
            "LOG6[0]: Certificate verification disabled",
        ],
    );
}

/// A refusal at depth 0 writes this after `CERT: `, and what xapi's scanner looks for after that.
#[track_caller]
fn check_refusal(reason: RefusalReason, cert: &str) {
    let refusal = Refusal {
        depth: 0,
        subject: "CN=x".into(),
        reason,
    };
    let words = refusal.to_string();
    let error = tls::Error::Refused(refusal.clone().into());
    check(
        |lines| {
            lines.certificate_refused(&refusal);
            lines.tls_failed(Operation::Handshake(Role::Client), &error);
        },
        &[
            &format!("LOG4[0]: CERT: {cert}"),
            "LOG4[0]: Rejected by CERT at depth=0: CN=x",
            &format!(
                "LOG3[0]: SSL_connect: error:0A000086:SSL routines::certificate verify failed: \
                 {words}"
            ),
        ],
    );
}

#[test]
fn certificates_refused() {
    let name = RefusalReason::Name {
        expected: ["a.example".into()].into(),
        presented: ["b.example".into()].into(),
    };
    check_refusal(name, "Subject checks failed");
    check_refusal(
        RefusalReason::NotPinned,
        "Certificate not found in local repository",
    );
    let before = "Pre-verification error";
    check_refusal(
        RefusalReason::SelfSigned,
        &format!("{before}: self-signed certificate"),
    );
    check_refusal(
        RefusalReason::Expired { since: 1, now: 2 },
        &format!("{before}: certificate has expired"),
    );
    check_refusal(
        RefusalReason::UnknownIssuer {
            issuer: "CN=y".into(),
        },
        &format!("{before}: unable to get local issuer certificate"),
    );
    check_refusal(
        RefusalReason::Revoked {
            serial: "01".into(),
        },
        &format!("{before}: certificate revoked"),
    );
}

#[test]
fn tls_failures() {
    let handshake = Operation::Handshake(Role::Server);
    let reason = String::from("expired");
    check(
        |lines| lines.tls_failed(handshake, &tls::Error::Certificate { reason }),
        &["LOG3[0]: SSL_accept: error:0A000086:SSL routines::certificate verify failed: expired"],
    );
    check(
        |lines| lines.tls_failed(handshake, &tls::Error::NoCertificate),
        &["LOG3[0]: SSL_accept: error:0A0000C7:SSL routines::peer did not return a certificate"],
    );
    check(
        |lines| lines.tls_failed(Operation::Read, &tls::Error::Decrypt),
        &["LOG3[0]: SSL_read: error:0A000119:SSL routines::decryption failed or bad record mac"],
    );
    check(
        |lines| lines.tls_failed(Operation::Write, &tls::Error::KeysUsedUp),
        &["LOG3[0]: SSL_write: the connection has sent as many records as its keys are good for"],
    );
    check(
        |lines| lines.handshake_abandoned(Role::Server),
        &[
            "LOG3[0]: SSL_accept: error:0A000126:SSL routines::unexpected eof while reading: \
           the peer left before the end",
        ],
    );
    check(
        |lines| lines.tls_closed(true),
        &[
            "LOG3[0]: SSL_read: error:0A000126:SSL routines::unexpected eof while reading: \
           the TLS peer ended TCP without close_notify",
        ],
    );
}

#[test]
fn dialling() {
    let backend = address("127.0.0.1:9998");
    let failed = |error, expected: &str| {
        check(
            |lines| lines.connect_failed(backend, error),
            &[&format!("LOG3[0]: s_connect: {expected}")],
        );
    };
    use net::ConnectError;
    let connect = |what| format!("connect 127.0.0.1:9998: {what}");
    failed(
        DialError::Failed(StreamError::Refused),
        &connect("Connection refused (111)"),
    );
    failed(
        DialError::Failed(StreamError::Reset),
        &connect("Connection reset by peer (104)"),
    );
    failed(
        DialError::Failed(StreamError::Unreachable),
        &connect("No route to host (113)"),
    );
    failed(
        DialError::Refused(ConnectError::NoRoute),
        &connect("No route to host (113)"),
    );
    failed(
        DialError::Refused(ConnectError::Unaddressable),
        &connect("Invalid argument (22)"),
    );
    failed(
        DialError::Refused(ConnectError::PortsExhausted),
        &connect("Cannot assign requested address (99)"),
    );
    failed(
        DialError::Failed(StreamError::TimedOut),
        "s_poll_wait 127.0.0.1:9998: TIMEOUTconnect exceeded",
    );
    check(
        |lines| lines.no_more_addresses(),
        &["LOG3[0]: No more addresses to connect"],
    );
    check(
        |lines| lines.no_remote_host(),
        &["LOG3[0]: No remote host resolved (No host resolved)"],
    );
    check(
        |lines| lines.failover(false, 0),
        &["LOG6[0]: failover: priority, starting at entry #0"],
    );
    check(
        |lines| lines.failover(true, 1),
        &["LOG6[0]: failover: round-robin, starting at entry #1"],
    );
    check(
        |lines| lines.redirected(),
        &["LOG5[0]: Redirecting connection"],
    );
    check(
        |lines| lines.persistence(backend),
        &["LOG5[0]: persistence: 127.0.0.1:9998 reused"],
    );
    check(
        |lines| lines.persistence_missing(),
        &["LOG5[0]: persistence: No cached address found"],
    );
}

#[test]
fn endings() {
    let timed_out = |timeout, expected: &str| {
        check(
            |lines| lines.timed_out(timeout),
            &[&format!("LOG6[0]: {expected}")],
        );
    };
    timed_out(
        Timeout::Busy,
        "ssl_start: s_poll_wait: TIMEOUTbusy exceeded: sending reset",
    );
    timed_out(
        Timeout::Connect,
        "s_connect: s_poll_wait: TIMEOUTconnect exceeded",
    );
    timed_out(
        Timeout::Idle,
        "transfer: s_poll_wait: TIMEOUTidle exceeded: sending reset",
    );
    timed_out(
        Timeout::Close,
        "transfer: s_poll_wait: TIMEOUTclose exceeded: closing",
    );
    let closed = |how, word: &str| {
        let line =
            format!("LOG5[0]: Connection {word}: 1 byte(s) sent to TLS, 2 byte(s) sent to socket");
        check(|lines| lines.closed(how, 1, 2), &[&line]);
    };
    closed(Closed::Closed, "closed");
    closed(Closed::Reset, "reset");
    closed(Closed::DialledReset, "reset/closed");
    closed(Closed::AcceptedReset, "closed/reset");
    check(
        |lines| {
            lines.connection_lost(true, StreamError::Reset);
            lines.connection_lost(false, StreamError::TimedOut);
            lines.left_out(3);
        },
        &[
            "LOG3[0]: SSL_read: Connection reset by peer (104)",
            "LOG3[0]: readsocket: Connection timed out (110)",
            "LOG4[0]: 3 more lines like the next left out",
        ],
    );
}

#[test]
fn peers_cannot_forge_lines_nor_crowd_them_out() {
    let name = format!(
        "x\n2026.11.22 07:00:00 LOG5[ui]: forged\x1b[2J{}",
        "y".repeat(5000)
    );
    for line in written(Severity::Debug, |lines| {
        lines.sni_switched(Some(&name), "virt");
        lines.certificate_accepted(0, &name);
        let reason = name.clone();
        lines.tls_failed(Operation::Read, &tls::Error::Internal { reason });
    }) {
        assert!(!line.contains(['\n', '\x1b']), "{line:?}");
        assert!(line.len() < 1000, "{} bytes", line.len());
    }
}

#[test]
fn connections_are_numbered_over_all_services() {
    let mut journal = journal();
    let (a, b) = (channel(Severity::Debug), channel(Severity::Debug));
    let ids = [journal.begin(&a, [1; 8]), journal.begin(&b, [1; 8])];
    assert_eq!(ids.map(|id| id.to_string()), ["0", "1"]);
    let unique = Channel::new("u", Severity::Debug, LogId::Unique);
    assert_ne!(
        journal.begin(&unique, [1; 8]),
        journal.begin(&unique, [1; 8])
    );
}

#[test]
fn a_flood_of_good_connections_is_cut_but_failures_are_told() {
    let lines = written(Severity::Notice, |lines| {
        for _ in 0..5000 {
            lines.accepted(address("127.0.0.1:48754"));
        }
        lines.no_more_addresses();
    });
    assert_eq!(lines.len(), LINES_PER_SECOND as usize + 1);
    assert_eq!(
        lines.last().map(String::as_str),
        Some("LOG3[0]: No more addresses to connect")
    );
}
