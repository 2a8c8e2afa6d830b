//! Each option: what it is without a line, and what a line makes of it.

use alloc::vec;

use super::*;
use crate::stunnel::table::{Action, TABLE};

/// A line, the side that it stands on, what of the service shows it, that without the line, and
/// that with it.
type Vector = (
    &'static str,
    fn(&str) -> String,
    fn(&Service) -> String,
    &'static str,
    &'static str,
);

fn show(value: impl core::fmt::Debug) -> String {
    format!("{value:?}")
}

fn contents(files: &[File]) -> String {
    let texts = files
        .iter()
        .map(|file| String::from_utf8_lossy(&file.bytes));
    texts.collect::<Vec<_>>().join("; ")
}

fn secrets(psk: &Psk) -> String {
    let texts = psk.secrets.iter().map(|(identity, key)| {
        let (length, first) = (key.len(), key[0]);
        format!("{identity}: {length} bytes from {first:#04x}")
    });
    texts.collect::<Vec<_>>().join(", ")
}

fn names(suites: &[Suite]) -> String {
    let names = suites.iter().map(|suite| suite.name().replace("TLS_", ""));
    names.collect::<Vec<_>>().join(" ")
}

#[rustfmt::skip]
const VECTORS: &[Vector] = &[
    // Where connections come from and go to.
    ("accept = 10.0.0.1:imaps", client, |s| show(&s.accept),
        r#"[Tcp { host: None, port: 1000, text: "1000" }]"#,
        r#"[Tcp { host: None, port: 1000, text: "1000" }, Tcp { host: Some(Address(10.0.0.1)), port: 993, text: "10.0.0.1:imaps" }]"#),
    ("accept = /run/x.sock", client, |s| show(&s.accept[1..]), "[]", r#"[Unix("/run/x.sock")]"#),
    ("accept = localhost:0", client, |s| show(&s.accept[1..]), "[]",
        r#"[Tcp { host: Some(Name("localhost")), port: 0, text: "localhost:0" }]"#),
    ("accept = :::443", client, |s| show(&s.accept[1..]), "[]",
        r#"[Tcp { host: Some(Address(::)), port: 443, text: ":::443" }]"#),
    ("connect = 3306", server, |s| show(&s.connect[1..]), "[]",
        r#"[Tcp { host: Name("localhost"), port: 3306, text: "3306" }]"#),
    ("connect = ::1:ldaps", server, |s| show(&s.connect[1..]), "[]",
        r#"[Tcp { host: Address(::1), port: 636, text: "::1:ldaps" }]"#),
    ("connect = [2001:db8::1]:redis", server, |s| show(&s.connect[1..]), "[]",
        r#"[Tcp { host: Address(2001:db8::1), port: 6379, text: "[2001:db8::1]:redis" }]"#),
    ("connect = Backend.Example: 80", server, |s| show(&s.connect[1..]), "[]",
        r#"[Tcp { host: Name("backend.example"), port: 80, text: "Backend.Example: 80" }]"#),
    ("connect = /run/mysqld.sock", server, |s| show(&s.connect[1..]), "[]", r#"[Unix("/run/mysqld.sock")]"#),
    ("redirect = 10.0.0.9:80\nverifyChain = yes\nCAfile = /ca.pem", server, |s| show(&s.redirect), "[]",
        r#"[Tcp { host: Address(10.0.0.9), port: 80, text: "10.0.0.9:80" }]"#),
    ("client = no\ncert = /c.pem", client, |s| show(s.client), "true", "false"),
    ("delay = yes", client, |s| show(s.delay), "false", "true"),
    ("failover = rr", client, |s| show(s.failover), "Priority", "RoundRobin"),
    ("failover = rr\nfailover = PRIO", client, |s| show(s.failover), "Priority", "Priority"),
    ("failover = rr\ndelay = yes", client, |s| show(s.failover), "Priority", "Priority"),
    ("local = 10.0.0.2", client, |s| show(s.local), "None", "Some(10.0.0.2)"),
    ("sni = other.example", client, |s| show(&s.sni), "None", r#"Some("other.example")"#),
    ("sni =", client, |s| show(&s.sni), "None", r#"Some("")"#),
    ("sni = a\nsni = b", client, |s| show(&s.sni), "None", r#"Some("b")"#),
    ("socket = r:TCP_NODELAY=0", client, |s| show(s.sockets.remote.nodelay), "Some(true)", "Some(false)"),
    ("socket = l:TCP_NODELAY=no", client, |s| show(s.sockets.local.nodelay), "Some(true)", "Some(false)"),
    ("socket = a:TCP_NODELAY=YES", client, |s| show(s.sockets.accept.nodelay), "None", "Some(true)"),
    ("socket = a:SO_KEEPALIVE=1", client, |s| show(s.sockets.accept.keepalive), "None", "Some(true)"),
    ("socket = l:TCP_KEEPIDLE=60", client, |s| show(s.sockets.local.keepidle), "None", "Some(60s)"),
    ("socket = r:TCP_KEEPINTVL=5", client, |s| show(s.sockets.remote.keepintvl), "None", "Some(5s)"),
    ("socket = r:TCP_KEEPCNT=3", client, |s| show(s.sockets.remote.keepcnt), "None", "Some(3)"),
    ("socket = l:SO_LINGER=1:60", client, |s| show(s.sockets.local.linger), "None", "Some(Some(60s))"),
    ("socket = l:SO_LINGER=0", client, |s| show(s.sockets.local.linger), "None", "Some(None)"),
    // Who they are with.
    ("cert = /c.pem", client, |s| show(&s.cert), "None", r#"Some(File("/c.pem", 13 bytes))"#),
    ("cert = /c.pem", client, |s| show(&s.key), "None", r#"Some(File("/c.pem", 13 bytes))"#),
    ("key = /k.pem", server, |s| show(&s.key), r#"Some(File("/c.pem", 13 bytes))"#, r#"Some(File("/k.pem", 5 bytes))"#),
    ("key = /missing.pem", client, |s| show(&s.key), "None", "None"),
    ("CAfile = /ca.pem\nverifyPeer = yes", client, |s| contents(&s.authorities), "", "authorities"),
    ("CApath = /ca\nverifyPeer = yes", client, |s| contents(&s.authorities), "", "first authority; second authority"),
    ("CApath = /pem\nverifyPeer = yes", client, |s| contents(&s.authorities), "", "an authority"),
    ("CAfile = /ca.pem\nCApath = /pem\nverifyPeer = yes", client, |s| contents(&s.authorities), "", "authorities; an authority"),
    ("CAfile = /missing.pem\nCApath = /missing", client, |s| contents(&s.authorities), "", ""),
    ("verify = 0\nCAfile = /missing.pem\nCApath = /missing", server, |s| contents(&s.authorities), "", ""),
    ("verify = 0\nCAfile = /ca.pem", server, |s| contents(&s.authorities), "", "authorities"),
    ("CRLpath = /missing", client, |s| contents(&s.revocation_lists), "", ""),
    ("CRLfile = /crl.pem", client, |s| contents(&s.revocation_lists), "", "a revocation list"),
    ("CRLpath = /ca", client, |s| contents(&s.revocation_lists), "", "a list of the second"),
    ("CRLpath = /none", client, |s| show(s.check_revocation), "false", "true"),
    ("verifyChain = yes\nCAfile = /ca.pem", server, |s| show(s.verify),
        "Verify { request: false, require: false, chain: false, peer: false }",
        "Verify { request: true, require: true, chain: true, peer: false }"),
    ("verifyPeer = yes\nCAfile = /ca.pem", server, |s| show((s.verify.require, s.verify.chain, s.verify.peer)),
        "(false, false, false)", "(true, false, true)"),
    ("verifyChain = yes\nrequireCert = no\nCAfile = /ca.pem", server, |s| show((s.verify.request, s.verify.require, s.verify.chain)),
        "(false, false, false)", "(true, false, true)"),
    ("requireCert = yes", server, |s| show((s.verify.request, s.verify.require, s.verify.chain)),
        "(false, false, false)", "(true, true, false)"),
    ("verify = 0", server, |s| show((s.verify.request, s.verify.require, s.verify.chain, s.verify.peer)),
        "(false, false, false, false)", "(true, false, false, false)"),
    ("verify = 1\nCAfile = /ca.pem", server, |s| show((s.verify.require, s.verify.chain, s.verify.peer)),
        "(false, false, false)", "(false, true, false)"),
    ("verify = 2\nCAfile = /ca.pem", server, |s| show((s.verify.require, s.verify.chain, s.verify.peer)),
        "(false, false, false)", "(true, true, false)"),
    ("verify = 3\nCAfile = /ca.pem", server, |s| show((s.verify.require, s.verify.chain, s.verify.peer)),
        "(false, false, false)", "(true, true, true)"),
    ("verify = 4\nCAfile = /ca.pem", server, |s| show((s.verify.require, s.verify.chain, s.verify.peer)),
        "(false, false, false)", "(true, false, true)"),
    ("checkHost = a.example\ncheckHost = *.b\nverifyPeer = yes\nCAfile = /ca.pem", client, |s| show(&s.check_host),
        "[]", r#"["a.example", "*.b"]"#),
    ("checkEmail = a@b\nverifyPeer = yes\nCAfile = /ca.pem", client, |s| show(&s.check_email), "[]", r#"["a@b"]"#),
    ("OCSP = http://a.example:81/x", client, |s| show(s.ocsp.responder.as_ref().map(|it| (&it.host, it.port, &it.path))),
        "None", r#"Some((Name("a.example"), 81, "/x"))"#),
    ("OCSPaia = yes", client, |s| show(s.ocsp.aia), "false", "true"),
    ("OCSPflag = NOINTERN", client, |s| show(s.ocsp.included), "true", "false"),
    ("OCSPnonce = yes", client, |s| show(s.ocsp.nonce), "false", "true"),
    ("OCSPrequire = no", client, |s| show(s.ocsp.require), "true", "false"),
    ("TIMEOUTocsp = 7", client, |s| show(s.ocsp.timeout), "5s", "7s"),
    ("checkIP = 10.0.0.1\ncheckIP = ::1\nverifyPeer = yes\nCAfile = /ca.pem", client, |s| show(&s.check_ip),
        "[]", "[10.0.0.1, ::1]"),
    ("PSKsecrets = /psk", client, |s| s.psk.as_ref().map_or(String::new(), secrets), "",
        "anna: 16 bytes from 0x01, bert: 34 bytes from 0x73"),
    ("PSKsecrets = /psk", client, |s| show(s.psk.as_ref().map(|psk| psk.identity.clone())), "None", r#"Some(Some("anna"))"#),
    ("PSKsecrets = /psk\nPSKidentity = bert", client, |s| show(s.psk.as_ref().map(|psk| psk.identity.clone())), "None",
        r#"Some(Some("bert"))"#),
    // TLS.
    ("ciphers = ECDHE-RSA-AES128-GCM-SHA256:CHACHA20", client, |s| names(&s.suites[3..]),
        "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 ECDHE_RSA_WITH_AES_256_GCM_SHA384 ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE_RSA_WITH_AES_128_GCM_SHA256 ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("ciphers = PSK", client, |s| show((s.psk_only, s.suites.len())), "(false, 9)", "(true, 3)"),
    ("ciphersuites = TLS_CHACHA20_POLY1305_SHA256:FOO:TLS_AES_128_GCM_SHA256", client, |s| names(&s.suites[..2]),
        "AES_256_GCM_SHA384 AES_128_GCM_SHA256", "CHACHA20_POLY1305_SHA256 AES_128_GCM_SHA256"),
    ("ciphersuites =", client, |s| show((s.versions, s.suites.len())), "((Tls12, Tls13), 9)", "((Tls12, Tls12), 6)"),
    ("curves = P-384:X448:x25519:secp384r1", client, |s| show(&s.groups), "[]", "[P384, X25519]"),
    ("curve = secp384r1", client, |s| show(&s.groups), "[]", "[P384]"),
    ("curve = prime256v1:X25519MLKEM768", client, |s| show(&s.groups), "[]", "[P256, X25519MlKem768]"),
    ("options = NO_TLSv1_2", client, |s| show((s.versions, s.suites.len())), "((Tls12, Tls13), 9)", "((Tls13, Tls13), 3)"),
    ("options = no_tlsv1_3", client, |s| show((s.versions, s.suites.len())), "((Tls12, Tls13), 9)", "((Tls12, Tls12), 6)"),
    ("options = NO_TLSv1_3\noptions = -NO_TLSv1_3", client, |s| show(s.versions), "(Tls12, Tls13)", "(Tls12, Tls13)"),
    ("options = NO_TICKET", server, |s| show(s.tickets), "true", "false"),
    ("options = NO_TICKET\noptions = -NO_TICKET", server, |s| show(s.tickets), "true", "true"),
    ("options = CIPHER_SERVER_PREFERENCE", server, |s| show(s.server_preference), "false", "true"),
    ("sslVersion = TLSv1.2", client, |s| show(s.versions), "(Tls12, Tls13)", "(Tls12, Tls12)"),
    ("sslVersion = TLSv1.3\nsslVersion = all", client, |s| show(s.versions), "(Tls12, Tls13)", "(Tls12, Tls13)"),
    ("sslVersionMin = TLSv1.3", client, |s| show(s.versions), "(Tls12, Tls13)", "(Tls13, Tls13)"),
    ("sslVersionMin = TLSv1.1", client, |s| show(s.versions), "(Tls12, Tls13)", "(Tls12, Tls13)"),
    ("sslVersionMax = tlsv1.2", client, |s| show(s.versions), "(Tls12, Tls13)", "(Tls12, Tls12)"),
    ("renegotiation = no", client, |s| show(s.renegotiation), "true", "false"),
    ("reset = no", client, |s| show(s.reset), "true", "false"),
    ("sessionCacheSize = 5", server, |s| show(s.session_cache_size), "1000", "5"),
    ("sessionCacheTimeout = 7", server, |s| show(s.session_cache_timeout), "300s", "7s"),
    ("session = 8", server, |s| show(s.session_cache_timeout), "300s", "8s"),
    ("sessionResume = no", server, |s| show(s.session_resume), "true", "false"),
    ("ticketKeySecret = 00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0F\nticketMacSecret = ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        server, |s| show(s.ticket_keys.as_ref().map(|keys| (keys.key[15], keys.mac.len()))), "None", "Some((15, 32))"),
    // The rest of a service.
    ("debug = 7", client, |s| show(s.debug), "5", "7"),
    ("debug = Warning", client, |s| show(s.debug), "5", "4"),
    ("logId = unique", client, |s| show(s.log_id), "Sequential", "Unique"),
    ("logId = thread", client, |s| show(s.log_id), "Sequential", "Thread"),
    ("logId = PROCESS", client, |s| show(s.log_id), "Sequential", "Process"),
    ("TIMEOUTbusy = 20", client, |s| show(s.timeouts.busy), "300s", "20s"),
    ("TIMEOUTclose = 0", client, |s| show(s.timeouts.close), "60s", "0ns"),
    ("TIMEOUTconnect = +3", client, |s| show(s.timeouts.connect), "10s", "3s"),
    ("TIMEOUTidle = 99999999999", client, |s| show(s.timeouts.idle), "43200s", "2147483647s"),
];

#[test]
fn each_line_gives_its_value_and_its_absence_the_default() {
    for (line, side, field, default, expected) in VECTORS {
        assert_eq!(field(&only(side(""))), *default, "without {line}");
        assert_eq!(field(&only(side(line))), *expected, "{line}");
        // And as a default for every section.
        let name = line.split('=').next().unwrap_or_default().trim();
        if !["accept", "connect", "client"].contains(&name) {
            let text = format!("{line}\n{}", side(""));
            assert_eq!(field(&only(text)), *expected, "{line} before the section");
        }
    }
}

/// A line, what of the global options shows it, that without the line, and that with it.
type GlobalVector = (
    &'static str,
    fn(&Global) -> String,
    &'static str,
    &'static str,
);

const GLOBAL: &[GlobalVector] = &[
    ("debug = 7", |g| show(g.debug), "5", "7"),
    (
        "debug = authpriv.5",
        |g| show(g.facility),
        "Daemon",
        "Authpriv",
    ),
    (
        "debug = LOCAL7.emerg",
        |g| show((g.facility, g.debug)),
        "(Daemon, 5)",
        "(Local7, 0)",
    ),
    ("foreground = yes", |g| show(g.foreground), "false", "true"),
    (
        "foreground = quiet",
        |g| show(g.foreground),
        "false",
        "true",
    ),
    (
        "output = /var/log/stunnel.log",
        |g| show(&g.output),
        "None",
        r#"Some("/var/log/stunnel.log")"#,
    ),
    (
        "output = log\nforeground = yes",
        |g| show(&g.output),
        "None",
        r#"Some("log")"#,
    ),
    ("output = /x\noutput =", |g| show(&g.output), "None", "None"),
    ("log = overwrite", |g| show(g.append), "true", "false"),
    ("syslog = no", |g| show(g.syslog), "true", "false"),
    (
        "pid = /run/stunnel.pid",
        |g| show(&g.pid),
        "None",
        r#"Some("/run/stunnel.pid")"#,
    ),
    (
        "service = off",
        |g| show(&g.service),
        r#""stunnel""#,
        r#""off""#,
    ),
];

#[test]
fn each_global_line_gives_its_value_and_its_absence_the_default() {
    for (line, field, default, expected) in GLOBAL {
        assert_eq!(field(&right(client("")).global), *default, "without {line}");
        let text = format!("{line}\n{}", client(""));
        assert_eq!(field(&right(text).global), *expected, "{line}");
    }
}

/// Lines that are honoured without a trace: what they ask for is always so.
const NATIVE: &[&str] = &[
    "fips = no",
    "libwrap = no",
    "transparent = none",
    "OCSPaia = no",
    "securityLevel = 2",
    "options = NO_SSLv2",
    "options = NO_SSLv3",
    "options = NO_TLSv1",
    "options = NO_TLSv1_1",
    "options = NO_COMPRESSION",
    "options = NO_RENEGOTIATION",
    "options = SINGLE_ECDH_USE",
    "options = SINGLE_DH_USE",
    "options = -ALL",
    "retry = no",
    "pty = no",
];

#[test]
fn what_always_holds_is_honoured_in_silence() {
    let plain = right(server(""));
    for line in NATIVE {
        let configuration = right(format!("{line}\n{}", server("")));
        let reported = &configuration.report[0];
        assert_eq!(reported.disposition, Disposition::Honoured, "{line}");
        assert_eq!(configuration.notices, plain.notices, "{line}");
    }
}

/// Lines before a section that are accepted with one notice.
const IDLE: &[&str] = &[
    "chroot = /var/lib/stunnel",
    "EGD = /run/egd",
    "iconActive = a.ico",
    "iconError = a.ico",
    "iconIdle = a.ico",
    "taskbar = yes",
    "RNDbytes = 1024",
    "RNDfile = /dev/urandom",
    "RNDoverwrite = yes",
    "setEnv = A=B",
    "setgid = nogroup",
    "setuid = nobody",
    "protocolDomain = d",
    "OCSPflag = NOCERTS",
    "renegotiation = yes",
    "securityLevel = 1",
    "stack = 65536",
    "options = ALL",
    "options = -NO_SSLv3",
    "options = PRIORITIZE_CHACHA",
    "socket = a:SO_BINDTODEVICE=lo",
    "socket = a:SO_REUSEADDR=1",
    "socket = l:SO_RCVTIMEO=5:1",
    "socket = l:SO_SNDBUF=65536",
];

#[test]
fn what_has_no_meaning_here_is_accepted_with_one_notice() {
    let plain = right(server("")).notices.len();
    for line in IDLE {
        let configuration = right(format!("{line}\n{}", server("")));
        let reported = &configuration.report[0];
        let Disposition::WithoutEffect(reason) = &reported.disposition else {
            panic!("{line}: {reported:?}");
        };
        assert_eq!(configuration.notices.len(), plain + 1, "{line}");
        let notice = &configuration.notices[0];
        assert_eq!(
            (notice.level, notice.origin.line, notice.text.as_str()),
            (5, 1, format!("\"{line}\" has no effect: {reason}").as_str()),
        );
    }
}

#[test]
fn secrets_are_never_shown() {
    let password = "protocolPassword = hush";
    let key = "ticketKeySecret = 00112233445566778899aabbccddeeff";
    let mac = "ticketMacSecret = ffeeddccbbaa99887766554433221100";
    let text = server(&["protocol = proxy", password, key, mac].join("\n"));
    let configuration = right(text);
    let reported = configuration.report.iter();
    let password = reported
        .clone()
        .find(|given| given.option == "protocolPassword");
    let password = password.expect("it is told");
    assert_eq!(password.value, "…");
    assert_eq!(reported.filter(|given| given.value == "…").count(), 3);
    let shown = format!("{configuration:?}");
    for secret in ["hush", "0011", "ffee", "17, 34", "238, 221"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    let smtp = only(client(
        "protocol = smtp\nprotocolUsername = anna\nprotocolPassword = hush",
    ));
    let shown = format!("{smtp:?}");
    assert!(shown.contains("anna") && !shown.contains("hush"), "{shown}");
    let error = wrong(server("protocolPassword = hu\u{1}sh"));
    assert!(!error.contains("sh"), "{error}");
    let error = wrong(server("ticketKeySecret = abcdef"));
    assert!(
        error.starts_with("5: \"ticketKeySecret=…\": Failed"),
        "{error}"
    );
    let psk = format!("{:?}", only(client("PSKsecrets = /psk")));
    assert!(
        psk.contains("identities: 2") && !psk.contains("115, 104"),
        "{psk}"
    );
    // A private key that is given as a configuration.
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEXAMPLE\nhush=\n";
    let errors = wrong(pem);
    assert!(
        !errors.contains("MC4C") && !errors.contains("hush"),
        "{errors}"
    );
}

#[test]
fn every_option_of_the_table_has_a_vector() {
    let lines = VECTORS.iter().map(|vector| vector.0);
    let lines = lines.chain(GLOBAL.iter().map(|vector| vector.0));
    let lines = lines.chain(NATIVE.iter().chain(IDLE).copied());
    let mut tested: Vec<&str> = lines
        .flat_map(|lines| lines.lines())
        .filter_map(|line| Some(line.split_once('=')?.0.trim()))
        .collect();
    // These have tests of their own.
    tested.extend([
        "include",
        "acceptProxy",
        "alpn",
        "protocol",
        "protocolAuthentication",
        "protocolHeader",
        "protocolHost",
        "protocolPassword",
        "protocolUsername",
        "compression",
        "exec",
        "execArgs",
    ]);
    for row in &TABLE {
        let refused = matches!(row.action, Action::Refused(_) | Action::GlobalRefused(_));
        assert!(refused || tested.contains(&row.name), "{}", row.name);
    }
}

#[test]
fn names_in_the_table_are_unique_in_any_case() {
    let mut names: Vec<String> = TABLE.iter().map(|row| row.name.to_lowercase()).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn virtual_services_name_a_service_before_them() {
    let text = "cert = /c.pem\n[main]\naccept = 443\nconnect = 80\n\
                [a]\nsni = main:a.example\nsni = main:*.a.example\nconnect = 81\n";
    let services = right(text).services;
    assert!(services[1].accept.is_empty());
    assert_eq!(
        services[1].virtual_of,
        vec![
            VirtualName {
                primary: "main".into(),
                pattern: "a.example".into()
            },
            VirtualName {
                primary: "main".into(),
                pattern: "*.a.example".into()
            },
        ]
    );
    assert_eq!(services[1].sni, None);
}

#[test]
fn a_client_is_told_what_it_trusts() {
    let texts = |lines: &str| -> Vec<(u8, String)> {
        let notices = right(client(lines)).notices;
        let own = notices.into_iter().filter(|notice| notice.origin.line == 1);
        own.map(|notice| (notice.level, notice.text)).collect()
    };
    assert_eq!(
        texts(""),
        [(
            4,
            "Service [x] needs authentication to prevent MITM attacks".into()
        )]
    );
    assert_eq!(
        texts("verifyChain = yes\nCAfile = /ca.pem"),
        [
            (
                4,
                "Service [x] uses \"verifyChain\" without subject checks".into()
            ),
            (
                4,
                "Use \"checkHost\" or \"checkIP\" to restrict trusted certificates".into()
            ),
        ]
    );
    for quiet in [
        "verifyChain = yes\nCAfile = /ca.pem\ncheckHost = a",
        "verifyPeer = yes\nCAfile = /ca.pem",
        "PSKsecrets = /psk",
    ] {
        assert_eq!(texts(quiet), [], "{quiet}");
    }
}

#[test]
fn what_is_missing_from_a_list_is_told() {
    let notices = right(client(
        "ciphers = DHE-RSA-AES256-GCM-SHA384:HIGH:!RC4\nciphersuites = TLS_AES_128_CCM_SHA256:TLS_AES_128_GCM_SHA256\ncurves = X448:X25519",
    ))
    .notices;
    let texts: Vec<_> = notices
        .iter()
        .filter(|notice| notice.level == 5)
        .map(|notice| (notice.origin.line, notice.text.as_str()))
        .collect();
    assert_eq!(
        texts,
        [
            (
                6,
                "there are no cipher suites here by the name of \"TLS_AES_128_CCM_SHA256\""
            ),
            (
                5,
                "there are no cipher suites here by the name of \"DHE-RSA-AES256-GCM-SHA384\""
            ),
            (7, "there are no curves here by the name of X448"),
        ]
    );
}
