//! A UNIX socket that leads to the image.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;
use stockade_tests::PATIENCE;
use stockade_tests::client::{self, TlsStream};

use crate::scene::{Scene, echo, end};

/// Permission bits of a file's mode.
pub const PERMISSIONS: u32 = 0o777;

/// Words of a run that leads a UNIX socket to TLS before the scene's backend.
pub fn words(scene: &Scene, socket: &str) -> Vec<String> {
    let publish = format!("unix:{socket}:443");
    let port = scene.backend.address().port();
    let words = [
        "--pidfile",
        &scene.place.files.path("run/trial.pid"),
        "--cert",
        &scene.place.files.path("cert.pem"),
        "--key",
        &scene.place.files.path("key.pem"),
        "--publish",
        &publish,
        "--",
        "--accept=443",
        &format!("--connect=10.0.2.2:{port}"),
    ];
    words.map(str::to_owned).to_vec()
}

/// A verified TLS connection over a UNIX socket.
pub fn connect(scene: &Scene, socket: UnixStream) -> TlsStream {
    let limited = socket
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| socket.set_write_timeout(Some(PATIENCE)));
    limited.expect("a socket option of an open socket");
    // Of a stream, our client needs read(2), write(2) and shutdown(2), which are the same for both.
    let stream = TcpStream::from(OwnedFd::from(socket));
    let client = client::verifying(&scene.identity);
    let mut stream = TlsStream::open(stream, &client).expect("a client that begins");
    stream.complete_handshake().expect("a handshake");
    stream
}

/// A group that is not the one that files of ours have anyway, if this user may choose.
pub fn other_group() -> u32 {
    let map = fs::read_to_string("/proc/self/gid_map").expect("proc is mounted");
    let count = map
        .split_whitespace()
        .nth(2)
        .and_then(|count| count.parse::<u32>().ok());
    let is_root = rustix::process::geteuid().is_root();
    match count {
        Some(count) if count > 1 && is_root => 1,
        _ => rustix::process::getegid().as_raw(),
    }
}

/// A client from the first moment on that there can be one, and what the file is like then. It never
/// sleeps: that moment is short.
pub fn first_client(socket: &str) -> (UnixStream, fs::Metadata) {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Ok(client) = UnixStream::connect(socket) {
            let file = fs::symlink_metadata(socket).expect("it is there");
            return (client, file);
        }
    }
    panic!("nobody listens at {socket}");
}

/// Mode and owner are right when the first client can connect, and nothing is left at the end.
#[test]
fn it_has_its_mode_before_its_first_client_and_goes_at_the_end() {
    let scene = Scene::new();
    let socket = scene.place.files.path("tls.sock");
    let group = other_group();
    let words = words(&scene, &format!("{socket},mode=0620,group={group}"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut launcher = scene.place.run(&words);
    let (first, file) = first_client(&socket);
    assert_eq!(file.mode() & PERMISSIONS, 0o620);
    assert_eq!(file.gid(), group);

    let mut stream = connect(&scene, first);
    stream.write_all(b"ECHO\n").expect("the command is taken");
    echo(&mut stream, b"over a UNIX socket").expect("an echo");
    end(stream).expect("an orderly end");
    launcher.signal(Signal::TERM);
    assert!(launcher.finish().success(), "{}", launcher.log.text());
    assert!(!Path::new(&socket).exists());
}

/// What is no socket is nobody's to remove, and what another process serves is not taken away.
#[test]
fn what_is_in_its_place_stays() {
    let scene = Scene::new();
    let socket = scene.place.files.add("a-file", "precious");
    let words = words(&scene, &socket);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut launcher = scene.place.run(&words);
    assert!(!launcher.finish().success());
    launcher.log.wait_for("a-file");
    assert_eq!(fs::read(&socket).expect("it is there"), b"precious");
    drop(launcher);

    let served = scene.place.files.path("served.sock");
    let listener = std::os::unix::net::UnixListener::bind(&served).expect("a free path");
    let words = self::words(&scene, &served);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut launcher = scene.place.run(&words);
    assert!(!launcher.finish().success());
    launcher.log.wait_for("served.sock");
    UnixStream::connect(&served).expect("its owner serves on");
    drop(listener);
}
