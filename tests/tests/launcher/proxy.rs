//! `stockade proxy`: a socket of this host, and a server that speaks TLS.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use rustix::process::Signal;
use stockade_tests::launcher::processes;
use stockade_tests::launcher::program::Program;
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::ports;
use stockade_tests::{PATIENCE, wait_until};

use crate::scene::LOOPBACK;
use crate::side_car::{SideCar, connect, echo, end};
use crate::unix::{PERMISSIONS, first_client, other_group};

/// With certificates of X.509 version 1 that have a common name alone, and mutual authentication.
#[test]
fn it_carries_connections_with_mutual_tls() {
    let car = SideCar::new();
    let server = car.serve();
    let mut proxy = car.start(&[
        "--ip4",
        "--idle",
        "50",
        "--half-close",
        "50",
        "--verify",
        "1",
    ]);
    car.expect_echo();
    let mut one = car.begin_echo();
    let mut two = car.begin_echo();
    echo(&mut one, b"of one");
    echo(&mut two, b"of two");
    assert!(
        server
            .log()
            .count("Certificate accepted at depth=0: CN=civicrm")
            >= 1
    );
    drop((one, two));
    assert_eq!(
        end(&mut proxy, Signal::TERM),
        Some(0),
        "{}",
        proxy.log.text()
    );
    assert!(!Path::new(&car.socket()).exists());
    proxy.expect_no_family();
}

/// Mode and owner are right when the first client can connect: it tries all the time.
#[test]
fn its_socket_has_its_owner_before_its_first_client() {
    let car = SideCar::new();
    let _server = car.serve();
    let group = other_group();
    let listen = format!("unix:{},mode=0620,group={group}", car.socket());
    let words = car.options(&["--listen", &listen]);
    let _proxy = Program::spawn(&car.command(&words));
    let (mut first, file) = first_client(&car.socket());
    assert_eq!((file.mode() & PERMISSIONS, file.gid()), (0o620, group));
    // It has waited for the image in the backlog.
    first
        .set_read_timeout(Some(PATIENCE))
        .expect("an open socket");
    first.write_all(b"ECHO\n").expect("an open socket");
    echo(&mut first, b"early");
}

#[test]
fn everything_can_come_from_the_environment() {
    let car = SideCar::new();
    let _server = car.serve();
    let listen = format!("unix:{}", car.socket());
    let mut command = car.command(&["--listen".to_owned(), listen]);
    for (name, value) in [
        ("CAFILE", car.path("ca.pem")),
        ("CLIENT_CERT", car.path("client.pem")),
        ("CLIENT_KEY", car.path("client.key")),
        ("DEST_HOST", car.remote.ip().to_string()),
        ("DEST_PORT", car.remote.port().to_string()),
        ("DEST_CN", "civicrmdbproxy".to_owned()),
    ] {
        command.env(name, value);
    }
    let proxy = Program::spawn(&command);
    proxy.log.wait_for("listening on ");
    car.expect_echo();
    drop(proxy);
    // An option counts more.
    command.args(["--commonname", "another"]);
    let proxy = Program::spawn(&command);
    proxy.log.wait_for("listening on ");
    car.expect_nothing();
}

/// What is wrong with the server's certificate is told, and costs a connection, not the socket.
#[test]
fn whoever_is_not_the_server_is_refused() {
    let car = SideCar::new();
    let _server = car.serve();
    car.authority("other", "Another CA");
    let other = car.path("other.pem");
    let [another_name, another_authority] =
        [["--commonname", "other"], ["--cafile", &other]].map(|words| car.options(&words));
    // Without a name it is the host, which the certificate does not name.
    let mut nameless = car.options(&[]);
    nameless.truncate(nameless.len() - 2);
    for (options, told) in [
        (another_name, "Subject checks failed"),
        (nameless, "Subject checks failed"),
        (another_authority, "certificate verify failed"),
    ] {
        let mut proxy = car.start_with(&options);
        car.expect_nothing();
        proxy.log.wait_for(told);
        car.expect_nothing();
        assert!(proxy.is_running());
    }
    // Whoever answers is trusted when that is asked for, and only then.
    let proxy = car.start(&["--commonname", "other", "--verify", "0"]);
    car.expect_echo();
    proxy
        .log
        .wait_for("W --verify 0: whoever answers is trusted");
}

/// The server comes, goes and comes again; so may its name.
#[test]
fn the_socket_survives_its_server() {
    let car = SideCar::new();
    let mut proxy = car.start(&[]);
    car.expect_nothing();
    proxy.log.wait_for("Connection refused");
    let server = car.serve();
    car.expect_echo();
    drop(server);
    car.expect_nothing();
    let _server = car.serve();
    car.expect_echo();
    assert!(proxy.is_running());
    drop(proxy);
    let mut proxy = car.start(&["--connect", "nowhere.invalid:3306"]);
    for _ in 0..2 {
        car.expect_nothing();
    }
    proxy.log.wait_for("nowhere.invalid");
    assert!(proxy.is_running());
}

/// A machine that ends is followed by another one; clients wait for it at the socket.
#[test]
fn the_socket_survives_its_machine() {
    let car = SideCar::new();
    let _server = car.serve();
    let proxy = car.start(&[]);
    car.expect_echo();
    let before = fs::metadata(car.socket()).expect("it is there").ino();
    let qemu = proxy.qemu();
    assert!(processes::signal(qemu, Signal::KILL));
    // Who connects before the launcher knows of the end is cut off with that machine.
    let another = wait_until(PATIENCE, || (proxy.qemu() != qemu).then_some(()));
    assert!(another.is_some(), "{}", proxy.log.text());
    car.expect_echo();
    let after = fs::metadata(car.socket()).expect("it is there").ino();
    assert_eq!(before, after);
}

/// Only the socket of a process that has ended is replaced.
#[test]
fn what_is_in_its_place_stays_unless_it_is_stale() {
    let car = SideCar::new();
    let _server = car.serve();
    let socket = car.socket();
    drop(UnixListener::bind(&socket).expect("a free path"));
    assert!(UnixStream::connect(&socket).is_err() && Path::new(&socket).exists());
    let mut proxy = car.start(&[]);
    car.expect_echo();
    assert_eq!(end(&mut proxy, Signal::TERM), Some(0));

    let refused = |path: &str, told: &str| {
        let listen = format!("unix:{path}");
        let words = car.options(&["--listen", &listen]);
        let mut proxy = Program::spawn(&car.command(&words));
        assert_eq!(proxy.finish().code(), Some(1), "{}", proxy.log.text());
        let line = proxy.log.wait_for(" E ");
        assert!(line.contains(told), "{line}");
    };
    let file = car.place.files.add("a-file", "precious");
    refused(&file, "no socket");
    assert_eq!(fs::read(&file).expect("it is there"), b"precious");
    let link = car.path("a-link");
    symlink(&file, &link).expect("a free path");
    refused(&link, "no socket");
    assert!(
        fs::symlink_metadata(&link)
            .expect("it is there")
            .is_symlink()
    );
    fs::create_dir(car.path("a-folder")).expect("a free path");
    refused(&car.path("a-folder"), "no socket");
    assert!(Path::new(&car.path("a-folder")).is_dir());
    refused(&car.path("missing/s"), "No such file");
    let live = car.path("live");
    let listener = UnixListener::bind(&live).expect("a free path");
    refused(&live, "another process listens");
    assert!(
        fs::symlink_metadata(&live)
            .expect("it is there")
            .file_type()
            .is_socket()
    );
    UnixStream::connect(&live).expect("its owner serves on");
    drop(listener);
}

#[test]
fn what_can_not_be_is_refused_at_once() {
    let car = SideCar::new();
    for (words, status, told) in [
        (&["--listen", "unix:/s,user=nosuch"][..], 2, "nosuch"),
        (&["--listen", "/s"], 2, "unix:PATH"),
        (&["--connect", "db"], 2, "HOST:PORT"),
        (&["--verify", "yes"], 2, "0 or 1"),
        (&["--ip4", "--connect", "[::1]:1"], 2, "family"),
        (
            &["--cafile", "/nonexistent/ca.pem"],
            1,
            "/nonexistent/ca.pem",
        ),
        (&["--key", "/nonexistent/key"], 1, "/nonexistent/key"),
        (&["--log-file", "/nonexistent/log"], 1, "/nonexistent/log"),
    ] {
        let mut proxy = Program::spawn(&car.command(&car.options(words)));
        let status_seen = proxy.finish().code();
        assert_eq!(status_seen, Some(status), "{words:?}: {}", proxy.log.text());
        proxy.log.wait_for(told);
        assert!(!Path::new(&car.socket()).exists());
    }
}

#[test]
fn its_status_is_what_was_asked_for() {
    let car = SideCar::new();
    for (words, signal, status) in [
        (&[][..], Signal::INT, 0),
        (&["--exit-code", "143"], Signal::TERM, 143),
    ] {
        let mut proxy = car.start(words);
        assert_eq!(
            end(&mut proxy, signal),
            Some(status),
            "{}",
            proxy.log.text()
        );
        assert!(!Path::new(&car.socket()).exists());
    }
}

/// Nothing comes for a while, and both ends are told.
#[test]
fn an_idle_connection_is_closed() {
    let car = SideCar::new();
    let _server = car.serve();
    let proxy = car.start(&["--idle", "1"]);
    let mut client = car.begin_echo();
    match client.read(&mut [0]) {
        Ok(length) => assert_eq!(length, 0),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    proxy.log.wait_for("TIMEOUTidle exceeded");
    car.expect_echo();
}

/// A client may end its side and wait for the answer, however large.
#[test]
fn one_direction_ends_without_the_other() {
    let car = SideCar::new();
    let _server = car.serve();
    let _proxy = car.start(&["--half-close", "50"]);
    let length = 300_000;
    let heard = car
        .ask(format!("LATE {length}\n").as_bytes())
        .expect("an orderly end");
    assert_eq!(heard.len(), length);
}

/// An answer that never comes is waited for as long as was said.
#[test]
fn the_other_direction_has_its_time() {
    let car = SideCar::new();
    // It takes a connection, and never ends it.
    let listener = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let mute = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let mut taken = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            taken.push(stream);
        }
    });
    let [certificate, key] = ["server.pem", "server.key"].map(|name| car.path(name));
    let conf = format!(
        "{GLOBALS}[db]\naccept = {}\nconnect = {mute}\n\
         cert = {certificate}\nkey = {key}\n",
        car.remote
    );
    let _server = Debian::start(&car.place.files.add("mute.conf", conf));
    let proxy = car.start(&["--half-close", "1", "--debug"]);
    let mut client = connect(&car.socket());
    client.write_all(b"a question").expect("an open socket");
    client.shutdown(Shutdown::Write).expect("an open socket");
    match client.read(&mut [0]) {
        Ok(length) => assert_eq!(length, 0),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    proxy.log.wait_for("TIMEOUTclose exceeded");
}

/// A port instead of a path; OpenSSL's server instead of stunnel.
#[test]
fn it_listens_on_ports_too() {
    let car = SideCar::new();
    let _server =
        car.serve_reversed(&["-CAfile", "ca.pem", "-Verify", "2", "-verify_return_error"]);
    let at = SocketAddr::new(LOOPBACK, ports::next());
    let words = car.options(&["--listen", &at.to_string()]);
    let proxy = Program::spawn(&car.command(&words));
    proxy.log.wait_for(&format!("listening on AF=2 {at}"));
    let mut client = TcpStream::connect(at).expect("it listens");
    client
        .set_read_timeout(Some(PATIENCE))
        .expect("an open socket");
    client.write_all(b"drawer\n").expect("an open socket");
    let mut heard = [0; 7];
    client.read_exact(&mut heard).expect("an answer");
    assert_eq!(&heard, b"reward\n");
}

/// A name with addresses of both families leads to a server of one of them.
#[test]
fn families_can_be_chosen() {
    let car = SideCar::new();
    let _server = car.serve();
    let hosts = "127.0.0.1 localhost\n127.0.0.1 db.test\n::1 db.test\n";
    let connect = format!("db.test:{}", car.remote.port());
    for (family, is_served) in [("--ip4", true), ("--ip6", false)] {
        let command = car.command(&car.options(&[family, "--connect", &connect]));
        let words: Vec<String> = command
            .get_args()
            .map(|word| word.to_str().expect("our own words").to_owned())
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let proxy = Program::spawn(&car.place.command_with_hosts(hosts, &words));
        proxy.log.wait_for("listening on ");
        match is_served {
            true => car.expect_echo(),
            false => car.expect_nothing(),
        }
    }
}

/// New certificates count for new connections, without a word and without a pause.
#[test]
fn renewed_certificates_are_found() {
    let car = SideCar::new();
    let server = car.serve();
    car.authority("new", "New CA");
    let proxy = car.start(&[]);
    let mut open = car.begin_echo();
    drop(server);
    car.leaf("server", "civicrmdbproxy", "new");
    car.leaf("client", "civicrm", "new");
    fs::rename(car.path("new.pem"), car.path("ca.pem")).expect("our own files");
    let _server = car.serve();
    proxy.log.wait_for("new connections use what was read");
    let served = wait_until(PATIENCE, || {
        let heard = car.ask(b"ECHO\nnew").unwrap_or_default();
        (heard == b"new").then_some(())
    });
    assert!(served.is_some(), "{}", proxy.log.text());
    // The old server is gone, and its connection with it.
    let _ = open.read(&mut [0]);

    let before = proxy.log.len();
    proxy.signal(Signal::HUP);
    proxy
        .log
        .wait_for_after(before, "SIGHUP: reading certificates anew");
    proxy
        .log
        .wait_for_after(before, "new connections use what was read");
    fs::write(car.path("client.key"), "no key").expect("our own file");
    let before = proxy.log.len();
    proxy.signal(Signal::HUP);
    proxy
        .log
        .wait_for_after(before, "the old certificates stay in force");
    car.expect_echo();
}

/// The log goes to a file, which is opened again by its name.
#[test]
fn its_log_can_be_a_file() {
    let car = SideCar::new();
    let log = car.path("proxy.log");
    let mut proxy = Program::spawn(&car.command(&car.options(&["--log-file", &log, "--debug"])));
    let has = |path: &str, text: &str| {
        let found = wait_until(PATIENCE, || {
            let log = fs::read_to_string(path).unwrap_or_default();
            log.contains(text).then_some(())
        });
        assert!(found.is_some(), "no {text:?} in {path}");
    };
    has(&log, "listening on AF=1");
    fs::rename(&log, car.path("old.log")).expect("our own file");
    proxy.signal(Signal::USR1);
    assert!(wait_until(PATIENCE, || Path::new(&log).exists().then_some(())).is_some());
    assert_eq!(end(&mut proxy, Signal::TERM), Some(0));
    has(&log, "exit(0)");
    assert_eq!(proxy.log.text(), "");
}
