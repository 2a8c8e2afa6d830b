//! UNIX sockets and free ports of this host in a `stunnel.conf`.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use rustix::process::Signal;
use stockade_tests::PATIENCE;
use stockade_tests::stunnel::ports;

use crate::scene::{GLOBALS, LOOPBACK, Scene, echo, end, open_together};
use crate::unix::connect;

/// Permission bits of a file's mode.
const PERMISSIONS: u32 = 0o777;

/// A server at a path that sends back what comes, and ends after its client has. It lasts as long as
/// this process.
fn echoing(path: &str) {
    let listener = UnixListener::bind(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || -> io::Result<()> {
                let mut writing = client.try_clone()?;
                io::copy(&mut &client, &mut writing)?;
                client.shutdown(Shutdown::Write)
            });
        }
    });
}

fn client(path: &str) -> UnixStream {
    let client = UnixStream::connect(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    client
        .set_read_timeout(Some(PATIENCE))
        .expect("an option of an open socket");
    client
}

/// A section that accepts TLS at `accept`, with these lines.
fn server(scene: &Scene, name: &str, accept: &str, lines: &str) -> String {
    let (cert, key) = (
        scene.place.files.path("cert.pem"),
        scene.place.files.path("key.pem"),
    );
    format!("[{name}]\naccept = {accept}\n{lines}\ncert = {cert}\nkey = {key}\n")
}

/// Says something over TLS, hears it again, and ends.
fn echoes(scene: &Scene, path: &str) {
    let mut stream = connect(scene, client(path));
    echo(&mut stream, b"over a path").expect("an echo");
    end(stream).expect("an orderly end");
}

/// Both services are one image's: a client's plaintext goes from a socket through TLS over another
/// one to a third.
#[test]
fn from_a_socket_through_tls_to_a_socket() {
    let scene = Scene::new();
    let [plain, tls, behind] = ["plain", "tls", "behind"].map(|name| {
        let name = format!("{name}.sock");
        scene.place.files.path(&name)
    });
    echoing(&behind);
    let group = rustix::process::getegid().as_raw();
    let conf = format!(
        "{GLOBALS}debug = 7\n[out]\nclient = yes\naccept = {plain}\nsetgid = {group}\nconnect = {tls}\n{}",
        server(&scene, "in", &tls, &format!("connect = {behind}"))
    );
    let conf = scene.write(&conf);
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    let folder = fs::metadata(scene.place.files.path("run")).expect("it is there");
    let left = folder.mode() & PERMISSIONS;
    for path in [&plain, &tls] {
        let file = fs::symlink_metadata(path).expect("it is there");
        assert!(file.file_type().is_socket());
        // What the umask leaves of all, as with stunnel.
        assert_eq!(file.mode() & PERMISSIONS, left, "{path}");
        assert_eq!(file.gid(), group);
    }

    // The end of one direction leaves the other open.
    let mut stream = client(&plain);
    let said = vec![b'x'; 300_000];
    thread::scope(|scope| {
        let hearing = scope.spawn(|| {
            let mut heard = Vec::new();
            (&stream).read_to_end(&mut heard).map(|_| heard)
        });
        (&stream).write_all(&said).expect("it is taken");
        stream.shutdown(Shutdown::Write).expect("an open socket");
        let heard = hearing.join().expect("it reads").expect("an orderly end");
        assert_eq!(heard.len(), said.len());
    });
    stream.flush().expect("nothing is kept back");
    drop(stream);

    for line in [
        format!("bound to localhost:{plain}"),
        format!("bound to localhost:{tls}"),
        "Service [out] accepted connection from unnamed socket".to_owned(),
        "Service [in] accepted connection from unnamed socket".to_owned(),
        format!("s_connect: connecting localhost:{behind}"),
        format!("s_connect: connected localhost:{behind}"),
        "Service [in] connected remote server from unnamed socket".to_owned(),
    ] {
        launcher.log.wait_for(&line);
    }
    let status = scene.place.status().to_string();
    for words in [format!("unix:{plain}"), format!("localhost:{behind}")] {
        assert!(status.contains(&words), "{status}");
    }
    launcher.signal(Signal::TERM);
    assert!(launcher.finish().success(), "{}", launcher.log.text());
    assert!(!Path::new(&plain).exists() && !Path::new(&tls).exists());
    assert!(Path::new(&behind).exists());
}

/// All are open before the first one ends.
#[test]
fn a_thousand_connections_over_one_path() {
    const CONNECTIONS: usize = 1000;
    let scene = Scene::new();
    let (tls, behind) = (
        scene.place.files.path("tls.sock"),
        scene.place.files.path("behind.sock"),
    );
    echoing(&behind);
    let conf = server(&scene, "in", &tls, &format!("connect = {behind}"));
    let conf = scene.write(&format!("{GLOBALS}{conf}"));
    let mut launcher = scene.launch_with(&conf, &["--memory", "768"]);
    launcher.wait_until_serving();
    let (scene, tls) = (&scene, &tls);
    let words = |number: usize| format!("connection {number}").into_bytes();
    let streams = open_together(CONNECTIONS, |number| {
        let mut stream = connect(scene, client(tls));
        echo(&mut stream, &words(number)).expect("an echo");
        stream
    });
    let status = scene.place.status();
    assert_eq!(status["image"]["sessions"], CONNECTIONS, "{status}");
    for (number, mut stream) in streams {
        echo(&mut stream, &words(number + CONNECTIONS)).expect("an echo");
        end(stream).unwrap_or_else(|error| panic!("the end of connection {number}: {error}"));
    }
}

#[test]
fn a_stale_socket_is_replaced_and_anything_else_stays() {
    let scene = Scene::new();
    let behind = scene.place.files.path("behind.sock");
    echoing(&behind);
    let start = |accept: &str| {
        let conf = server(&scene, "in", accept, &format!("connect = {behind}"));
        let conf = scene.write(&format!("{GLOBALS}{conf}"));
        scene.launch_with(&conf, &[])
    };
    let stale = scene.place.files.path("stale.sock");
    drop(UnixListener::bind(&stale).expect("a free path"));
    let mut launcher = start(&stale);
    launcher.wait_until_serving();
    echoes(&scene, &stale);
    drop(launcher);

    let file = scene.place.files.add("file", "precious");
    let mut launcher = start(&file);
    assert!(!launcher.finish().success());
    let line =
        format!("stunnel.conf:5: Binding service [in] to localhost:{file}: Address already in use");
    launcher.log.wait_for(&line);
    assert_eq!(fs::read(&file).expect("it is there"), b"precious");
    drop(launcher);

    // Another process's socket, which is served.
    let mut launcher = start(&behind);
    assert!(!launcher.finish().success());
    launcher.log.wait_for("another process listens there");
    client(&behind);
}

/// Paths and ports in one list; those that don't answer are told with their paths.
#[test]
fn the_next_one_is_tried_where_nobody_listens() {
    let scene = Scene::new();
    let [tls, missing, dead] =
        ["tls", "missing", "dead"].map(|name| scene.place.files.path(&format!("{name}.sock")));
    drop(UnixListener::bind(&dead).expect("a free path"));
    let port = scene.backend.address().port();
    let lines = format!("connect = {missing}\nconnect = {dead}\nconnect = 127.0.0.1:{port}");
    let conf = format!("{GLOBALS}debug = 7\n{}", server(&scene, "in", &tls, &lines));
    let conf = scene.write(&conf);
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    let mut stream = connect(&scene, client(&tls));
    stream.write_all(b"ECHO\n").expect("the command is taken");
    echo(&mut stream, b"at last").expect("an echo");
    end(stream).expect("an orderly end");
    for line in [
        format!("s_connect: connect localhost:{missing}: No such file or directory (2)"),
        format!("s_connect: connect localhost:{dead}: Connection refused (111)"),
    ] {
        launcher.log.wait_for(&line);
    }
}

/// What a reload keeps is the same file and the same port; what it adds and removes comes and goes.
#[test]
fn a_reload_adds_keeps_and_removes() {
    let scene = Scene::new();
    let path = |name: &str| scene.place.files.path(&format!("{name}.sock"));
    let [kept, removed, added, first, second] =
        ["kept", "removed", "added", "first", "second"].map(path);
    echoing(&first);
    echoing(&second);
    let section = |name: &str, accept: &str, connect: &str| {
        server(&scene, name, accept, &format!("connect = {connect}"))
    };
    let free = section("free", "127.0.0.1:0", &first);
    let conf = scene.write(&format!(
        "{GLOBALS}{}{}{free}",
        section("kept", &kept, &first),
        section("removed", &removed, &first)
    ));
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    let line = launcher.log.wait_for("bound to 127.0.0.1:");
    assert!(line.contains("Service [free] (FD="), "{line}");
    let address = line.rsplit(' ').next().expect("a last word");
    let address: SocketAddr = address.parse().unwrap_or_else(|_| panic!("{line}"));
    let identity = |path: &str| fs::symlink_metadata(path).map(|file| file.ino()).ok();
    let before = identity(&kept);
    let mut old = connect(&scene, client(&removed));
    echo(&mut old, b"before").expect("an echo");

    scene.write(&format!(
        "{GLOBALS}{}{}{free}",
        section("added", &added, &second),
        section("kept", &kept, &second),
    ));
    scene.place.control(&["reload"]).succeeded();
    echoes(&scene, &kept);
    echoes(&scene, &added);
    assert_eq!(identity(&kept), before);
    assert_eq!(identity(&removed), None);
    // Whoever was there stays, and the port that was free is the same.
    echo(&mut old, b"after").expect("an echo");
    end(old).expect("an orderly end");
    let mut stream = scene.connect_to(address);
    echo(&mut stream, b"over a port").expect("an echo");
    end(stream).expect("an orderly end");

    // What is wrong changes nothing.
    let file = scene.place.files.add("file", "precious");
    scene.write(&format!("{GLOBALS}{}", section("kept", &file, &second)));
    let refused = scene.place.control(&["reload"]);
    assert!(!refused.status.success());
    echoes(&scene, &added);
    assert_eq!(fs::read(&file).expect("it is there"), b"precious");
}

/// Without a launcher's network in between there is nothing that could lead there.
#[test]
fn on_a_tap_it_is_refused_with_what_to_do() {
    let scene = Scene::new();
    let port = ports::next();
    let lines = format!("connect = {LOOPBACK}:{port}");
    let conf = server(&scene, "in", &scene.place.files.path("tls.sock"), &lines);
    let conf = scene.write(&format!("{GLOBALS}{conf}"));
    let mut launcher =
        scene.launch_with(&conf, &["--net", "tap=nobodys", "--", "--ipv4=10.0.0.2/24"]);
    assert!(!launcher.finish().success());
    launcher.log.wait_for("run without --net and --ipv4");
}
