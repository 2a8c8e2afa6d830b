//! Versions, suites and groups, on both sides.

use super::super::probes::{hello, served_with, shake, yes};
use super::super::stage::Stage;
use super::super::{On, Row};
use super::{client, row, server};

fn version(stage: &Stage) -> String {
    shake(stage, &[]).version().to_owned()
}

fn cipher(stage: &Stage, arguments: &[&str]) -> String {
    shake(stage, arguments).cipher().to_owned()
}

fn group(stage: &Stage) -> String {
    let shake = shake(stage, &[]);
    let group = shake.group().split(',').next();
    group.unwrap_or_default().to_owned()
}

/// The highest version that a client offers.
fn offers(stage: &Stage) -> String {
    let highest = hello(stage).versions.into_iter().max();
    format!("{:04x}", highest.unwrap_or_default())
}

pub fn negotiation() -> Vec<Row> {
    let mut rows = of_servers();
    rows.extend(of_clients());
    rows.extend(inside());
    rows
}

/// What is spoken inside TLS (RFC 7301).
fn inside() -> Vec<Row> {
    let rows = vec![
        row(
            "alpn",
            "others alone are refused",
            server!("alpn = h2,http/1.1"),
            |stage| served_with(stage, &["-alpn", "imap"]),
            "not served",
            "served",
        ),
        row(
            "alpn",
            "the server's order",
            server!("alpn = h2,http/1.1"),
            |stage| {
                let shake = shake(stage, &["-alpn", "http/1.1,h2"]);
                assert!(shake.is_served());
                let first = shake.words().contains("ALPN protocol: h2");
                yes(first, "the server's", "none")
            },
            "the server's",
            "none",
        ),
        row(
            "alpn",
            "which chooses a service",
            "[main]\naccept = {port}\nconnect = {backend}\ncert = {dir}/server.pem\n\
             [tested]\nsni = main:*\nconnect = {second}\ncert = {dir}/server.pem\nalpn = h2\n",
            |stage| {
                assert!(shake(stage, &["-alpn", "h2"]).is_served());
                let routed = stage.count("SNI: switched to service [tested]");
                yes(routed > 0, "routed", "not routed")
            },
            "routed",
            "not routed",
        ),
    ];
    let ours = |row| Row {
        on: On::Ours,
        ..row
    };
    rows.into_iter().map(ours).collect()
}

fn of_servers() -> Vec<Row> {
    vec![
        row(
            "sslVersion",
            "TLSv1.2",
            server!("sslVersion = TLSv1.2"),
            version,
            "TLSv1.2",
            "TLSv1.3",
        ),
        row(
            "sslVersionMax",
            "TLSv1.2",
            server!("sslVersionMax = TLSv1.2"),
            version,
            "TLSv1.2",
            "TLSv1.3",
        ),
        row(
            "sslVersionMin",
            "TLSv1.3",
            server!("sslVersionMin = TLSv1.3"),
            |stage| served_with(stage, &["-tls1_2"]),
            "not served",
            "served",
        ),
        row(
            "options",
            "NO_TLSv1_3",
            server!("options = NO_TLSv1_3"),
            version,
            "TLSv1.2",
            "TLSv1.3",
        ),
        row(
            "options",
            "NO_TLSv1_2",
            server!("options = NO_SSLv3\noptions = NO_TLSv1_2"),
            |stage| served_with(stage, &["-tls1_2"]),
            "not served",
            "served",
        ),
        row(
            "options",
            "CIPHER_SERVER_PREFERENCE",
            server!(
                "ciphers = ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256\n\
                 options = CIPHER_SERVER_PREFERENCE"
            ),
            |stage| {
                let order = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305";
                cipher(stage, &["-tls1_2", "-cipher", order])
            },
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        row(
            "ciphers",
            "one",
            server!("ciphers = ECDHE-ECDSA-AES128-GCM-SHA256"),
            |stage| cipher(stage, &["-tls1_2"]),
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        row(
            "ciphers",
            "of the list language",
            server!("ciphers = HIGH:!AESGCM:!aNULL"),
            |stage| {
                let both = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305";
                cipher(stage, &["-tls1_2", "-cipher", both])
            },
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        row(
            "ciphersuites",
            "one",
            server!("ciphersuites = TLS_CHACHA20_POLY1305_SHA256"),
            |stage| cipher(stage, &[]),
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_AES_256_GCM_SHA384",
        ),
        row(
            "curves",
            "one",
            server!("curves = P-384"),
            group,
            "secp384r1",
            "X25519",
        ),
        row(
            "curve",
            "another name of curves",
            server!("curve = secp384r1"),
            group,
            "secp384r1",
            "X25519",
        ),
    ]
}

fn of_clients() -> Vec<Row> {
    vec![
        row(
            "sslVersion",
            "a client's",
            client!("sslVersion = TLSv1.2"),
            offers,
            "0303",
            "0304",
        ),
        row(
            "sslVersionMax",
            "a client's",
            client!("sslVersionMax = TLSv1.2"),
            offers,
            "0303",
            "0304",
        ),
        row(
            "sslVersionMin",
            "a client's",
            client!("sslVersionMin = TLSv1.3"),
            |stage| {
                let old = hello(stage).versions.contains(&0x0303);
                yes(old, "offers TLS 1.2", "offers no TLS 1.2")
            },
            "offers no TLS 1.2",
            "offers TLS 1.2",
        ),
        row(
            "ciphers",
            "a client's",
            client!("ciphers = ECDHE-RSA-AES256-GCM-SHA384"),
            |stage| {
                let suites = hello(stage).suites;
                // TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256.
                let [wanted, other] = [0xc030, 0xc02f].map(|suite| suites.contains(&suite));
                assert!(wanted);
                yes(other, "several", "one")
            },
            "one",
            "several",
        ),
        row(
            "ciphersuites",
            "a client's",
            client!("ciphersuites = TLS_AES_128_GCM_SHA256"),
            |stage| {
                let suites = hello(stage).suites;
                let count = suites.iter().filter(|suite| **suite >> 8 == 0x13).count();
                yes(count == 1, "one", "several")
            },
            "one",
            "several",
        ),
        row(
            "curves",
            "a client's",
            client!("curves = P-384:X25519"),
            |stage| yes(hello(stage).groups == [24, 29], "those", "others"),
            "those",
            "others",
        ),
    ]
}
