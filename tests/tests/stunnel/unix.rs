//! UNIX sockets of the host, and any free port of its own.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::{fs, thread};

use stockade_tests::PATIENCE;
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::debian::GLOBALS;
use stockade_tests::stunnel::subject::{Kind, Scene};

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

/// Says something and ends; gives all that comes back.
fn heard(mut stream: impl Read + Write, finish: impl FnOnce()) -> Vec<u8> {
    stream.write_all(b"a question").expect("it is taken");
    finish();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("an orderly end");
    heard
}

/// From a path through TLS over another to a third, past one that is missing; and from a port that
/// the log tells.
pub fn paths_and_free_ports(kind: Kind) {
    let scene = Scene::new(kind);
    let pair = Authority::new("Paths").issue(&Leaf::named("tls"));
    let cert = scene.files.add("pair.pem", pair.both());
    let path = |name: &str| scene.files.path(&format!("{name}.sock"));
    let [plain, tls, missing, behind] = ["plain", "tls", "missing", "behind"].map(path);
    echoing(&behind);
    let subject = scene.start(&format!(
        "{GLOBALS}[in]\naccept = {tls}\ncert = {cert}\nconnect = {missing}\nconnect = {behind}\n\
         [out]\nclient = yes\naccept = {plain}\nconnect = {tls}\n\
         [free]\nclient = yes\naccept = 127.0.0.1:0\nconnect = {tls}\n"
    ));
    // A folder's mode is what the umask leaves, too.
    let folder = scene.files.path("folder");
    fs::create_dir(&folder).expect("a free name");
    let left = fs::metadata(&folder).expect("it is there").mode() & 0o777;
    for path in [&plain, &tls] {
        let file = fs::symlink_metadata(path).expect("it is there");
        assert!(file.file_type().is_socket());
        assert_eq!(file.mode() & 0o777, left, "{path}");
    }

    let client = UnixStream::connect(&plain).expect("it listens");
    client
        .set_read_timeout(Some(PATIENCE))
        .expect("an open socket");
    let finish = || client.shutdown(Shutdown::Write).expect("an open socket");
    assert_eq!(heard(&client, finish), b"a question");
    for line in [
        format!("bound to localhost:{plain}"),
        format!("bound to localhost:{tls}"),
        "Service [out] accepted connection from unnamed socket".to_owned(),
        format!("s_connect: connecting localhost:{tls}"),
        format!("s_connect: connected localhost:{tls}"),
        "Service [out] connected remote server from unnamed socket".to_owned(),
        "Service [in] accepted connection from unnamed socket".to_owned(),
        format!("s_connect: connect localhost:{missing}: No such file or directory (2)"),
        format!("s_connect: connected localhost:{behind}"),
        "Service [in] connected remote server from unnamed socket".to_owned(),
    ] {
        subject.wait_for(&line);
    }

    let line = subject.wait_for("bound to 127.0.0.1:");
    assert!(line.contains("Service [free] (FD="), "{line}");
    let address = line.rsplit(' ').next().expect("a last word");
    let address: SocketAddr = address.parse().unwrap_or_else(|_| panic!("{line}"));
    let client = TcpStream::connect(address).expect("it listens");
    client
        .set_read_timeout(Some(PATIENCE))
        .expect("an open socket");
    let finish = || client.shutdown(Shutdown::Write).expect("an open socket");
    assert_eq!(heard(&client, finish), b"a question");
}
