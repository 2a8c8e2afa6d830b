//! UNIX sockets of this host that the guest connects to.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;

use guest::Call;
use stockade_net::StreamError;

use super::sockets::Folder;
use super::*;

const PORT: u16 = 4_000;

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(HOST_SOCKETS.into(), port)
}

fn call(port: u16, send: &[u8]) -> Call {
    Call {
        to: at(port),
        send: send.to_vec(),
        ends: true,
        resets: false,
    }
}

fn offered(port: u16, path: PathBuf) -> HostSocket {
    HostSocket { port, path }
}

/// A network whose guest is offered a socket at [`PORT`], and that socket.
fn setup() -> (Setup, Folder, UnixListener) {
    let setup = Setup::new();
    let folder = Folder::new();
    let path = folder.file("s");
    let listener = UnixListener::bind(&path).unwrap();
    setup.network.offer(&[offered(PORT, path)], &[]).unwrap();
    (setup, folder, listener)
}

#[test]
fn the_guest_reaches_it_and_each_direction_ends_by_itself() {
    let (setup, _folder, listener) = setup();
    let serving = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let asked = read_all(&client);
        client.write_all(&[b'x'; 300_000]).unwrap();
        asked
    });
    let outcome = setup.guest.call(call(PORT, b"question"));
    assert_eq!(serving.join().unwrap(), b"question");
    assert_eq!(outcome.received.len(), 300_000);
    assert_eq!(outcome.error, None);
    eventually(|| setup.network.counters().open == 0);
}

#[test]
fn the_server_may_end_first_and_still_read() {
    let (setup, _folder, listener) = setup();
    let serving = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        read_all(client)
    });
    let outcome = setup.guest.call(Call {
        ends: false,
        ..call(PORT, b"late")
    });
    assert_eq!((outcome.received, outcome.error), (b"hello".to_vec(), None));
    assert_eq!(serving.join().unwrap(), b"late");
}

#[test]
fn only_ports_that_stand_for_a_socket_lead_anywhere() {
    let (setup, _folder, _listener) = setup();
    let outcome = setup.guest.call(call(PORT + 1, b""));
    assert_eq!(outcome.error, Some(StreamError::Refused));
    // A path of this host is nothing that a guest could name.
    setup.network.take_back(&[], &[]);
    let error = setup
        .network
        .offer(&[offered(PORT, "/elsewhere".into())], &[]);
    assert!(matches!(error, Err(Error::SocketPort { .. })));
}

#[test]
fn a_missing_file_and_one_where_nobody_listens_are_told_apart() {
    let (setup, folder, listener) = setup();
    drop(listener);
    let outcome = setup.guest.call(call(PORT, b""));
    assert_eq!(outcome.error, Some(StreamError::Refused));
    fs::remove_file(folder.file("s")).unwrap();
    let outcome = setup.guest.call(call(PORT, b""));
    assert_eq!(outcome.error, Some(StreamError::Unreachable));
    eventually(|| setup.network.counters().refused == 2);
    // Whoever listens there later is found.
    let listener = UnixListener::bind(folder.file("s")).unwrap();
    let serving = thread::spawn(move || read_all(listener.accept().unwrap().0));
    setup.guest.call(call(PORT, b"now"));
    assert_eq!(serving.join().unwrap(), b"now");
}

#[test]
fn a_full_backlog_makes_the_guest_wait() {
    let setup = Setup::new();
    let folder = Folder::new();
    let path = folder.file("s");
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&listener, 0).unwrap();
    let listener = UnixListener::from(listener);
    setup
        .network
        .offer(&[offered(PORT, path.clone())], &[])
        .unwrap();
    let _first = UnixStream::connect(&path).unwrap();
    let waiting = setup.guest.begin(call(PORT, b"second"));
    eventually(|| setup.network.counters().refused > 0);
    drop(listener.accept().unwrap());
    let (client, _) = listener.accept().unwrap();
    assert_eq!(read_all(&client), b"second");
    drop(client);
    let outcome = waiting.recv_timeout(PATIENCE).unwrap();
    assert_eq!((outcome.received, outcome.error), (Vec::new(), None));
}

#[test]
fn a_thousand_connections_over_one_path() {
    let (setup, _folder, listener) = setup();
    let serving = thread::spawn(move || {
        // All are there before the first is answered.
        let clients: Vec<UnixStream> = (0..1_000).map(|_| listener.accept().unwrap().0).collect();
        for mut client in clients {
            let mut asked = [0; 4];
            client.read_exact(&mut asked).unwrap();
            client.write_all(&asked).unwrap();
        }
    });
    let calls: Vec<_> = (0..1_000_u32)
        .map(|number| setup.guest.begin(call(PORT, &number.to_be_bytes())))
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        let outcome = call.recv_timeout(PATIENCE).unwrap();
        assert_eq!(outcome.received, (number as u32).to_be_bytes());
        assert_eq!(outcome.error, None);
    }
    serving.join().unwrap();
    eventually(|| setup.network.counters().open == 0);
}
