//! Against OpenSSL's command line, over loopback, where there is one.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::string::String;
use std::time::{Duration, Instant};
use std::vec;
use std::vec::Vec;
use std::{format, println, thread};

use super::{PROVIDERS, Setup, VERSIONS, pattern};
use crate::{
    ClientAuth, ClientVerify, Connection, Error, NameCheck, PathOptions, Server, ServerOptions,
    Version,
};

/// How long a conversation may take before the test gives it up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command, unless this machine has none.
pub(crate) fn openssl() -> Option<Command> {
    let found = Command::new("openssl").arg("version").output().is_ok();
    if !found {
        println!("no openssl command here: nothing to test against");
    }
    found.then(|| Command::new("openssl"))
}

fn path(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn version_flag(version: Version) -> &'static str {
    match version {
        Version::Tls12 => "-tls1_2",
        Version::Tls13 => "-tls1_3",
    }
}

/// A port of this host that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Sends what waits.
pub(crate) fn flush(connection: &mut Connection, stream: &mut TcpStream) {
    let mut output = vec![0; connection.pending_output()];
    connection.transmit(&mut output);
    stream.write_all(&output).unwrap();
}

/// Runs a connection over a socket until `enough` says so or the peer closes; returns what came.
pub(crate) fn run(
    connection: &mut Connection,
    stream: &mut TcpStream,
    mut enough: impl FnMut(&mut Connection, &mut TcpStream, &[u8]) -> bool,
) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut waiting, mut received) = (Vec::new(), Vec::new());
    let mut chunk = [0; 10_000];
    loop {
        flush(connection, stream);
        if enough(connection, stream, &received) || connection.peer_closed() {
            return received;
        }
        let length = match stream.read(&mut chunk) {
            Ok(0) => return received,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => panic!("{error}"),
        };
        waiting.extend_from_slice(&chunk[..length]);
        let done = connection
            .receive(&mut waiting, usize::MAX, &mut |plaintext| {
                received.extend_from_slice(plaintext);
            })
            .unwrap();
        waiting.drain(..done.consumed);
    }
}

pub(crate) fn send(connection: &mut Connection, stream: &mut TcpStream, mut data: &[u8]) {
    let mut output = vec![0; 50_000];
    while !data.is_empty() {
        let sealed = connection.send(data, &mut output).unwrap();
        stream.write_all(&output[..sealed.written]).unwrap();
        data = &data[sealed.read..];
    }
}

#[test]
fn s_client_talks_to_our_server() {
    for provider in PROVIDERS {
        for version in VERSIONS {
            for leaf in ["p256", "p384", "ed25519", "rsa2048", "p256-v1"] {
                let Some(mut command) = openssl() else { return };
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                let kind = leaf.trim_end_matches("-v1");
                let server = Setup {
                    certificate: format!("test-{leaf}.pem"),
                    key: format!("test-{kind}.key"),
                    ..Setup::providers(provider, provider)
                }
                .server();
                let mut child = command
                    .args([
                        "s_client",
                        "-quiet",
                        "-verify_return_error",
                        version_flag(version),
                    ])
                    .args([
                        "-connect",
                        &format!("{address}"),
                        "-servername",
                        "localhost",
                    ])
                    .args(["-CAfile", &path("test-ca.pem")])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                let mut stdin = child.stdin.take().unwrap();
                stdin.write_all(b"a line from openssl\n").unwrap();
                let data = pattern(100_000);
                let (mut stream, _) = listener.accept().unwrap();
                let mut connection = server.accept().unwrap();
                let received = run(&mut connection, &mut stream, |_, _, received| {
                    received.ends_with(b"\n")
                });
                assert_eq!(received, b"a line from openssl\n");
                let handshake = connection.handshake().unwrap();
                assert_eq!(handshake.version, version);
                assert_eq!(handshake.sni.as_deref(), Some("localhost"));
                send(&mut connection, &mut stream, &data);
                connection.close_notify();
                flush(&mut connection, &mut stream);
                drop(stream);
                let output = child.wait_with_output().unwrap();
                assert!(output.stdout == data, "{provider} {version} {leaf}");
            }
        }
    }
}

/// Ends the process that it holds, whatever becomes of the test.
pub(crate) struct Ended(pub(crate) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn our_client_talks_to_s_server() {
    for provider in PROVIDERS {
        for version in VERSIONS {
            let Some(mut command) = openssl() else { return };
            let port = free_port();
            let child = command
                // Answers every line with the same line backwards.
                .args(["s_server", "-quiet", "-rev", version_flag(version)])
                .args(["-accept", &format!("127.0.0.1:{port}")])
                .args([
                    "-cert",
                    &path("test-p256.pem"),
                    "-key",
                    &path("test-p256.key"),
                ])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let _child = Ended(child);
            let client = Setup::providers(provider, provider).client();
            // Twice: the second time the session is resumed.
            for resumed in [false, true] {
                let mut stream = connect(port);
                let mut connection = client.connect(Some("localhost")).unwrap();
                let mut asked = false;
                let received = run(
                    &mut connection,
                    &mut stream,
                    |connection, stream, received| {
                        if connection.may_send() && !core::mem::replace(&mut asked, true) {
                            send(connection, stream, b"stockade\n");
                        }
                        received.ends_with(b"\n")
                    },
                );
                assert_eq!(received, b"edakcots\n");
                let handshake = connection.handshake().unwrap();
                assert_eq!((handshake.version, handshake.resumed), (version, resumed));
                connection.close_notify();
                flush(&mut connection, &mut stream);
            }
        }
    }
}

/// What became of a handshake with `s_client`, which asks with these arguments: our error, if any,
/// and what it wrote to its standard error.
fn handshake_with(
    server: &Server,
    arguments: &[&str],
) -> Option<(Connection, Result<(), Error>, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let child = openssl()?
        .args(["s_client", "-connect", &format!("{address}")])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut connection = server.accept().unwrap();
    let (mut waiting, mut chunk) = (Vec::new(), [0; 10_000]);
    let mut result = Ok(());
    while connection.is_handshaking() {
        let length = stream.read(&mut chunk).unwrap();
        assert!(length > 0, "the client gave up");
        waiting.extend_from_slice(&chunk[..length]);
        match connection.receive(&mut waiting, usize::MAX, &mut |_| {}) {
            Ok(done) => drop(waiting.drain(..done.consumed)),
            Err(error) => result = Err(error),
        }
        flush(&mut connection, &mut stream);
    }
    drop(stream);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((connection, result, text))
}

#[test]
fn clients_that_are_too_old_are_told() {
    for provider in PROVIDERS {
        for flag in ["-tls1", "-tls1_1"] {
            let server = Setup::providers(provider, provider).server();
            let arguments = [flag, "-cipher", "ALL:@SECLEVEL=0"];
            let Some((_, result, text)) = handshake_with(&server, &arguments) else {
                return;
            };
            assert_eq!(
                format!("{}", result.unwrap_err()),
                "nothing in common with the peer: the peer speaks at most TLS 1.1"
            );
            // RFC 5246 §7.2: protocol_version(70).
            assert!(text.contains("alert number 70"), "{text}");
        }
    }
}

#[test]
fn clients_with_only_tls_1_2_are_told_where_it_is_off() {
    let server = Setup::default().version(Version::Tls13).server();
    let Some((_, result, text)) = handshake_with(&server, &["-tls1_2"]) else {
        return;
    };
    assert_eq!(
        format!("{}", result.unwrap_err()),
        "nothing in common with the peer: the peer speaks at most TLS 1.2"
    );
    assert!(text.contains("alert number 70"), "{text}");
}

/// Keys of a kind that cannot even be checked do not stand in the way of a verdict.
#[test]
fn whatever_s_client_shows_is_noted() {
    let verify = ClientVerify::Path {
        roots: Vec::from([super::fixture("test-ca.pem")]),
        options: PathOptions {
            names: NameCheck::Nobody,
            ..PathOptions::default()
        },
    };
    for version in VERSIONS {
        for (leaf, good) in [("p256", true), ("rsa2048", true), ("rsa1024", false)] {
            let setup = Setup::default();
            let server = Server::new(ServerOptions {
                client_auth: ClientAuth::Note(verify.clone()),
                ..setup.server_options()
            })
            .unwrap();
            let (certificate, key) = (
                path(&format!("test-{leaf}.pem")),
                path(&format!("test-{leaf}.key")),
            );
            let arguments = [
                version_flag(version),
                "-cipher",
                "ALL:@SECLEVEL=0",
                "-cert",
                &certificate,
                "-key",
                &key,
            ];
            let Some((connection, result, text)) = handshake_with(&server, &arguments) else {
                return;
            };
            assert_eq!(result, Ok(()), "{version} {leaf}: {text}");
            let verdict = connection.client_verdict().unwrap();
            assert_eq!(verdict.is_good(), good, "{version} {leaf}: {verdict}");
        }
    }
}

/// Connects to a server that is about to listen.
pub(crate) fn connect(port: u16) -> TcpStream {
    let begun = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) if begun.elapsed() > PATIENCE => panic!("{error}"),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}
