//! What is listened on: ports and files, bound, kept and removed.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A folder for one test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("stockade-sockets-{}-{number}", process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn unix(path: &Path, mode: Option<u32>) -> Forward {
    Forward {
        listen: Listen::Unix(UnixSocket {
            mode,
            ..UnixSocket::at(path)
        }),
        guest_port: 7,
    }
}

fn echoes(path: &Path) {
    let mut client = UnixStream::connect(path).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"over a file").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&client), b"over a file");
}

fn reason(network: &Network, forward: &Forward) -> String {
    network
        .bind(std::slice::from_ref(forward))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_client_of_a_file_has_the_address_of_files() {
    let setup = Setup::new();
    let folder = Folder::new();
    setup.guest.listen(443, Service::Who);
    let forward = Forward {
        guest_port: 443,
        ..unix(&folder.file("s"), None)
    };
    setup.network.bind(&[forward]).unwrap();
    let client = UnixStream::connect(folder.file("s")).unwrap();
    let seen = String::from_utf8(read_all(client)).unwrap();
    let seen: SocketAddr = seen.parse().unwrap();
    assert_eq!(seen.ip(), HOST_SOCKETS);
}

#[test]
fn a_file_has_its_mode_carries_both_ways_and_goes_with_the_network() {
    let setup = Setup::new();
    let folder = Folder::new();
    let path = folder.file("s");
    setup.guest.listen(7, Service::Echo);
    setup.network.bind(&[unix(&path, Some(0o640))]).unwrap();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o640);
    echoes(&path);
    // The same file with another mode is the same listener.
    setup.network.bind(&[unix(&path, Some(0o600))]).unwrap();
    assert_eq!(mode(), 0o600);
    echoes(&path);
    drop(setup);
    assert!(!path.exists());
}

/// Who waits beside the only client is refused with its listener, and the file is gone.
#[test]
fn a_listener_can_be_for_one_client() {
    let setup = Setup::new();
    let folder = Folder::new();
    let path = folder.file("s");
    setup.guest.listen(7, Service::Echo);
    setup.network.take_one();
    setup.network.bind(&[unix(&path, None)]).unwrap();
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"alone").unwrap();
    let mut heard = [0; 5];
    std::io::Read::read_exact(&mut client, &mut heard).unwrap();
    assert_eq!(&heard, b"alone");
    assert!(!path.exists() && UnixStream::connect(&path).is_err());
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&client), b"");
}

#[test]
fn a_file_can_be_given_to_a_group_of_one_s_own() {
    let setup = Setup::new();
    let folder = Folder::new();
    let group = rustix::process::getegid().as_raw();
    let listen = Listen::Unix(UnixSocket {
        group: Some(group),
        ..UnixSocket::at(folder.file("s"))
    });
    let forward = Forward {
        listen,
        guest_port: 7,
    };
    setup.network.bind(&[forward]).unwrap();
    let found = fs::metadata(folder.file("s")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::gid(&found), group);
}

#[test]
fn a_stale_socket_is_replaced() {
    let setup = Setup::new();
    let folder = Folder::new();
    let path = folder.file("s");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    setup.guest.listen(7, Service::Echo);
    setup.network.bind(&[unix(&path, None)]).unwrap();
    echoes(&path);
}

#[test]
fn a_socket_in_use_and_anything_else_is_left_alone() {
    let setup = Setup::new();
    let folder = Folder::new();
    let live = folder.file("live");
    let listener = UnixListener::bind(&live).unwrap();
    let error = reason(&setup.network, &unix(&live, None));
    assert!(error.contains("another process listens there"), "{error}");
    assert!(error.contains(&live.display().to_string()), "{error}");
    drop(listener);

    let file = folder.file("file");
    fs::write(&file, "precious").unwrap();
    let error = reason(&setup.network, &unix(&file, None));
    assert!(error.contains("no socket"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"precious");

    let link = folder.file("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let error = reason(&setup.network, &unix(&link, None));
    assert!(error.contains("no socket"), "{error}");
    assert!(link.is_symlink());

    let long = folder.file(&"x".repeat(120));
    let error = reason(&setup.network, &unix(&long, None));
    assert!(error.contains("107 bytes"), "{error}");

    let error = reason(&setup.network, &unix(&folder.file("no/such"), None));
    assert!(error.contains("can't be made there"), "{error}");
}

#[test]
fn another_one_s_file_of_the_same_name_is_not_removed() {
    let setup = Setup::new();
    let folder = Folder::new();
    let path = folder.file("s");
    setup.network.bind(&[unix(&path, None)]).unwrap();
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(setup);
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
}

#[test]
fn when_one_can_t_be_had_nothing_has_changed() {
    let setup = Setup::new();
    let folder = Folder::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let kept = setup.publish(7, Service::Echo);
    let forwards = [unix(&folder.file("s"), None), Forward::local(port, 7)];
    let error = setup.network.bind(&forwards).unwrap_err();
    assert!(matches!(
        error,
        Error::Listen {
            kind: io::ErrorKind::AddrInUse,
            ..
        }
    ));
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("127.0.0.1:{port} can't be listened on")),
        "{text}"
    );
    assert!(!folder.file("s").exists());
    let mut client = client(kept);
    client.write_all(b"still").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&client), b"still");
}

#[test]
fn clients_of_what_is_prepared_wait_until_the_machine_is_ready() {
    let setup = Setup::new();
    let folder = Folder::new();
    let path = folder.file("s");
    setup.guest.listen(8, Service::Who);
    let kept = setup.publish(7, Service::Who);
    let keep = Forward {
        listen: Listen::Tcp(kept),
        guest_port: 7,
    };
    let fresh = Forward {
        guest_port: 8,
        ..unix(&path, None)
    };
    let forwards = [keep, fresh];
    setup.network.prepare(&forwards).unwrap();
    let waiting = UnixStream::connect(&path).unwrap();
    // What leads where it led goes on, and by then the other would have been led somewhere.
    let served = client(kept);
    let own = served.local_addr().unwrap().to_string();
    assert_eq!(read_all(served), own.as_bytes());
    assert_eq!(setup.network.counters().accepted, 1);
    setup.network.retire(&forwards);
    assert!(!read_all(waiting).is_empty());
}

#[test]
fn what_is_named_again_is_kept_and_the_rest_is_retired() {
    let setup = Setup::new();
    setup.guest.listen(7, Service::Echo);
    setup.guest.listen(8, Service::Who);
    let bound = setup.bind(&[
        forward(Ipv4Addr::LOCALHOST.into(), 7),
        forward(Ipv4Addr::LOCALHOST.into(), 7),
    ]);
    let keep = Forward {
        listen: Listen::Tcp(bound[0]),
        guest_port: 8,
    };
    assert_eq!(setup.bind(std::slice::from_ref(&keep)), [bound[0]]);
    // Until the others are retired all is as it was.
    let mut client = client(bound[0]);
    client.write_all(b"old").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&client), b"old");
    setup.network.retire(&[keep]);
    let client = super::client(bound[0]);
    let own = client.local_addr().unwrap().to_string();
    assert_eq!(read_all(client), own.as_bytes());
    let error = TcpStream::connect(bound[1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}
