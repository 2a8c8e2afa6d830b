//! Against OpenSSL's command line, over loopback, where there is one.

use std::format;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::string::String;
use std::vec::Vec;

use super::*;
use crate::tests::interop::{Ended, connect, flush, free_port, openssl, run, send};
use crate::tests::pattern;

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn s_client_talks_to_our_server() {
    for provider in PROVIDERS {
        // The first group is the one of which s_client sends a share; the last of these makes our
        // server ask for another.
        for (groups, ours) in [
            ("X25519", Group::X25519),
            ("P-256", Group::P256),
            ("P-384", Group::P384),
            ("P-521:X25519", Group::X25519),
        ] {
            let Some(mut command) = openssl() else { return };
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut child = command
                .args(["s_client", "-quiet", "-tls1_3", "-groups", groups])
                .args([
                    "-connect",
                    &format!("{address}"),
                    "-servername",
                    "localhost",
                ])
                .args(["-psk", &hexadecimal(KEY), "-psk_identity", "client-host"])
                .args(["-ciphersuites", "TLS_AES_128_GCM_SHA256"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(b"a line from openssl\n").unwrap();
            let data = pattern(100_000);
            let (mut stream, _) = listener.accept().unwrap();
            let mut connection = Setup::providers(provider, provider).server().accept();
            let received = run(&mut connection, &mut stream, |_, _, received| {
                received.ends_with(b"\n")
            });
            assert_eq!(received, b"a line from openssl\n");
            let handshake = connection.handshake().unwrap();
            assert_eq!(handshake.group, Some(ours.name()));
            assert_eq!(handshake.psk_identity.as_deref(), Some(IDENTITY));
            connection.refresh_keys().unwrap();
            send(&mut connection, &mut stream, &data);
            connection.close_notify();
            flush(&mut connection, &mut stream);
            drop(stream);
            let output = child.wait_with_output().unwrap();
            assert!(output.stdout == data, "{provider} {groups}");
        }
    }
}

#[test]
fn our_client_talks_to_s_server() {
    for provider in PROVIDERS {
        // With P-521 and another, OpenSSL's server asks for a share of that other.
        for groups in ["X25519", "P-256", "P-384", "P-521:P-384"] {
            let Some(mut command) = openssl() else { return };
            let port = free_port();
            let child = command
                // Answers every line with the same line backwards.
                .args(["s_server", "-quiet", "-rev", "-tls1_3", "-nocert"])
                .args(["-accept", &format!("127.0.0.1:{port}"), "-groups", groups])
                .args(["-psk", &hexadecimal(KEY), "-psk_identity", "client-host"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let _child = Ended(child);
            let client = Setup::providers(provider, provider).client();
            let mut stream: TcpStream = connect(port);
            let mut connection = client.connect(Some("localhost")).unwrap();
            let mut asked = false;
            let received = run(
                &mut connection,
                &mut stream,
                |connection, stream, received| {
                    if connection.may_send() && !core::mem::replace(&mut asked, true) {
                        connection.refresh_keys().unwrap();
                        send(connection, stream, b"stockade\n");
                    }
                    received.ends_with(b"\n")
                },
            );
            assert_eq!(received, b"edakcots\n", "{provider} {groups}");
            connection.close_notify();
            flush(&mut connection, &mut stream);
        }
    }
}

/// The alerts that OpenSSL's server sends, by which people tell what is wrong.
#[test]
fn s_server_refuses_a_wrong_key_and_an_unknown_identity_as_we_do() {
    for (identity, secret, code) in [(IDENTITY, &[1; 32][..], 47), (b"stranger", KEY, 40)] {
        let Some(mut command) = openssl() else { return };
        let port = free_port();
        let child = command
            .args(["s_server", "-quiet", "-tls1_3", "-nocert"])
            .args(["-accept", &format!("127.0.0.1:{port}")])
            .args(["-psk", &hexadecimal(KEY), "-psk_identity", "client-host"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _child = Ended(child);
        let client = Setup {
            key: key(identity, secret),
            ..Setup::default()
        };
        let mut stream = connect(port);
        let mut connection = client.client().connect(None).unwrap();
        flush(&mut connection, &mut stream);
        let mut answer = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
        let error = connection.receive(&mut answer, 0, &mut |_| {}).unwrap_err();
        // OpenSSL's server takes any identity for its one; stunnel's does not.
        let Error::PeerAlert { code: received, .. } = error else {
            panic!("{error}");
        };
        assert!([code, 47, 109].contains(&received), "{error}");
    }
}
