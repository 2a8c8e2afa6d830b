//! Providers, key exchange groups, and certificates of every kind.

use std::io::{self, Read, Write};

use stockade_tests::PATIENCE;
use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::pattern::Pattern;
use stockade_tests::process;
use stockade_tests::tools::s_client;
use stockade_tls::{Client, ClientOptions, Handshake, Provider, Version};

use crate::clients::openssl_downloads;
use crate::setup::{Place, Running, Setup};
use crate::transfer::{download, upload};

/// A connection of this client that has carried data both ways.
fn converse(running: &Running, client: &Client) -> Handshake {
    let mut stream = TlsStream::connect(running.server, client)
        .unwrap_or_else(|error| panic!("connecting to the guest: {error}"));
    stream
        .write_all(b"DOWN 1000\n")
        .expect("the guest takes the command");
    let mut body = Vec::new();
    stream
        .read_to_end(&mut body)
        .expect("the body and a close_notify");
    assert!(body == Pattern::bytes(1000, 1000), "the body differs");
    stream.finish().expect("an orderly end");
    stream.handshake().clone()
}

/// One provider in the image against both in the client, in both versions; the image's own log
/// says which one ran each connection.
fn a_provider_serves(place: Place, crypto: &str, identity: Identity) {
    let running = Setup::new(place)
        .identity(identity)
        .option(&format!("--crypto={crypto}"))
        .start();
    running.guest.wait_for(&format!("cryptography: {crypto}"));
    for provider in [Provider::Ring, Provider::RustCrypto] {
        for version in [Version::Tls12, Version::Tls13] {
            let seen = running.guest.lines();
            let mut options = client::options(&running.identity);
            options.provider = provider;
            options.versions.min = version;
            options.versions.max = version;
            let handshake = converse(&running, &client::build(options));
            assert_eq!(handshake.version, version);
            let negotiated = format!("{version} ciphersuite: {}", openssl_name(handshake.suite));
            running.guest.wait_for_after(seen, &negotiated);
        }
    }
    upload(&running, 1 << 20);
    download(&running, 1 << 20);
}

/// A suite as the log spells it: TLS 1.2's as OpenSSL does.
fn openssl_name(suite: &str) -> String {
    match suite.strip_prefix("TLS_ECDHE_") {
        Some(rest) => format!("ECDHE-{}", rest.split('_').next().unwrap_or_default()),
        None => suite.into(),
    }
}

pub fn ring_serves(place: Place) {
    a_provider_serves(place, "ring", Identity::ecdsa());
}

pub fn rustcrypto_serves(place: Place) {
    a_provider_serves(place, "rustcrypto", Identity::ecdsa());
}

pub fn rustcrypto_serves_rsa(place: Place) {
    a_provider_serves(place, "rustcrypto", Identity::rsa());
}

pub fn without_the_option_ring_serves(place: Place) {
    let running = Setup::new(place).start();
    running.guest.wait_for("cryptography: ring");
}

pub fn x25519mlkem768_is_preferred_with_both_providers(place: Place) {
    for crypto in ["ring", "rustcrypto"] {
        let running = Setup::new(place)
            .option(&format!("--crypto={crypto}"))
            .start();
        let handshake = converse(&running, &client::verifying(&running.identity));
        assert_eq!(handshake.group, Some("X25519MLKEM768"));
        running.guest.wait_for("X25519MLKEM768");
    }
}

/// Our client's second connection resumes, in both versions and on both sides' word.
pub fn our_client_resumes(place: Place) {
    let running = Setup::new(place).start();
    for version in [Version::Tls12, Version::Tls13] {
        let client = client::only(&running.identity, version);
        assert!(!converse(&running, &client).resumed);
        let seen = running.guest.lines();
        assert!(
            converse(&running, &client).resumed,
            "{version} is not resumed"
        );
        running
            .guest
            .wait_for_after(seen, "previous session reused");
    }
}

pub fn rsa_certificates_are_served(place: Place) {
    let running = Setup::new(place).identity(Identity::rsa()).start();
    for version in [Version::Tls12, Version::Tls13] {
        converse(&running, &client::only(&running.identity, version));
    }
}

pub fn ed25519_certificates_are_served(place: Place) {
    let running = Setup::new(place).identity(Identity::ed25519()).start();
    for version in [Version::Tls12, Version::Tls13] {
        converse(&running, &client::only(&running.identity, version));
    }
}

/// OpenSSL, whose users have them, takes X.509 version 1 leaves and compares their CN.
pub fn version_1_certificates_are_served(place: Place) {
    let running = Setup::new(place).identity(Identity::version_1()).start();
    openssl_downloads(&running, &[]);
    let unverified = ClientOptions {
        verify: stockade_tls::VerifyMode::None,
        ..client::options(&running.identity)
    };
    converse(&running, &client::build(unverified));
}

/// New keys in the middle of a conversation, both ways, and data before and after.
pub fn keys_are_updated_in_mid_conversation(place: Place) {
    for crypto in ["ring", "rustcrypto"] {
        let running = Setup::new(place)
            .option(&format!("--crypto={crypto}"))
            .start();
        let mut stream = running.connect();
        stream
            .write_all(b"ECHO\n")
            .expect("the guest takes the command");
        for round in 0..5 {
            let sent = Pattern::bytes(round, 20_000);
            stream.write_all(&sent).expect("the guest takes data");
            let mut echo = vec![0; sent.len()];
            stream.read_exact(&mut echo).expect("the echo");
            assert!(echo == sent, "the echo of round {round} differs");
            stream.refresh_keys().expect("TLS 1.3 has key updates");
        }
        stream.finish().expect("an orderly end");
        assert_eq!(stream.read(&mut [0]).expect("a close_notify"), 0);
    }
}

/// Every suite and group that OpenSSL and the image have in common, with each provider. The groups
/// include one that needs a HelloRetryRequest (RFC 8446 §4.1.4): the image does not know P-521.
pub fn every_suite_and_group_with_openssl(place: Place) {
    for crypto in ["ring", "rustcrypto"] {
        for (identity, authentication) in [(Identity::ecdsa(), "ECDSA"), (Identity::rsa(), "RSA")] {
            let running = Setup::new(place)
                .identity(identity)
                .option(&format!("--crypto={crypto}"))
                .start();
            for suite in [
                "TLS_AES_128_GCM_SHA256",
                "TLS_AES_256_GCM_SHA384",
                "TLS_CHACHA20_POLY1305_SHA256",
            ] {
                let finished = openssl_downloads(&running, &["-tls1_3", "-ciphersuites", suite]);
                let words = format!("Ciphersuite: {suite}");
                assert!(finished.stderr.contains(&words), "{}", finished.stderr);
            }
            for suite in [
                "AES128-GCM-SHA256",
                "AES256-GCM-SHA384",
                "CHACHA20-POLY1305",
            ] {
                let suite = format!("ECDHE-{authentication}-{suite}");
                let finished = openssl_downloads(&running, &["-tls1_2", "-cipher", &suite]);
                let words = format!("Ciphersuite: {suite}");
                assert!(finished.stderr.contains(&words), "{}", finished.stderr);
            }
            for (groups, agreed) in [
                ("X25519", "X25519"),
                ("P-256", "prime256v1"),
                ("P-384", "secp384r1"),
                ("P-521:P-256", "prime256v1"),
            ] {
                let finished = openssl_downloads(&running, &["-tls1_3", "-groups", groups]);
                // How OpenSSL names them differs with its version: by curve, or by group.
                let names = [agreed, groups.rsplit(':').next().unwrap_or_default()];
                let key = finished.stderr.lines().find(|line| {
                    line.starts_with("Server Temp Key:") || line.contains("TLS1.3 group:")
                });
                let key = key.unwrap_or_else(|| panic!("no group in {}", finished.stderr));
                assert!(
                    names.iter().any(|name| key.contains(name)),
                    "{groups}: {key}"
                );
            }
        }
    }
}

/// TLS 1.1 and everything before it is refused with an alert (RFC 8996).
pub fn tls_1_1_is_refused(place: Place) {
    let running = Setup::new(place).start();
    let mut command = s_client(running.server, &running.authority.path(), None);
    command.args(["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    let finished = process::start(&mut command, io::empty(), Vec::new()).finish(PATIENCE);
    assert!(!finished.status.success(), "the handshake succeeded");
    assert!(
        finished.stderr.contains("SSL alert number"),
        "{}",
        finished.stderr
    );
    running.guest.wait_for("SSL_accept: error:");
    download(&running, 1000);
}
