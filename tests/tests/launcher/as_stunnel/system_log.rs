//! The system's log: what comes to `/dev/log`.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use rustix::process::Signal;
use stockade_tests::launcher::processes;
use stockade_tests::launcher::program::Program;
use stockade_tests::{PATIENCE, wait_until};

use super::{Kind, lines};
use crate::scene::Scene;

/// A `/dev` of its own (mount_namespaces(7)), in which `log` leads to a socket of the test's.
const OWN_DEVICES: &str = "\
set -e
mkdir \"$DEVICES\"
mount --rbind /dev \"$DEVICES\"
mount -t tmpfs none /dev
for device in null zero full random urandom tty; do
    : > /dev/$device
    mount --bind \"$DEVICES/$device\" /dev/$device
done
ln -s /proc/self/fd /dev/fd
ln -s \"$SOCKET\" /dev/log
exec \"$@\"";

/// Bytes of a date in a datagram: `Nov 22 14:27:14`.
const DATE: usize = 15;

/// The same command where `/dev/log` is this socket, and `/dev` this folder, which is made.
pub fn in_own_devices(inner: &Command, devices: &str, socket: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", OWN_DEVICES, "sh"]);
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.env("DEVICES", devices).env("SOCKET", socket);
    command
}

/// What either sends from its start to its end.
fn datagrams(kind: Kind, scene: &Scene) -> Vec<String> {
    let path = |name: &str| scene.place.files.path(&format!("{kind:?}-{name}"));
    let socket = path("log");
    let log = UnixDatagram::bind(&socket).expect("a free path");
    log.set_read_timeout(Some(PATIENCE))
        .expect("an open socket");
    let service = scene.service("tls", scene.server, scene.backend.address());
    let conf = scene.write(&format!(
        "foreground = quiet\nservice = a-tunnel\ndebug = local1.notice\npid =\n{service}"
    ));
    let inner = kind.command(scene, &[&conf]);
    let command = in_own_devices(&inner, &path("devices"), &socket);
    let mut program = Program::spawn(&command);
    let mut lines = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        let length = log
            .recv(&mut bytes)
            .unwrap_or_else(|error| panic!("{error} after {lines:#?}: {}", program.log.text()));
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if text.contains("Configuration successful") {
            // Debian's logs before it heeds signals.
            let heeds = || processes::heeds(program.pid(), Signal::TERM).then_some(());
            assert!(wait_until(PATIENCE, heeds).is_some(), "it heeds no signal");
            program.signal(Signal::TERM);
        }
        let is_last = text.ends_with("Terminated");
        lines.push(text);
        if is_last {
            break;
        }
    }
    assert_eq!(program.finish().code(), Some(0), "{}", program.log.text());
    assert_eq!(program.log.text(), "", "a quiet terminal");
    lines
}

/// Priority, tag and text, without the date.
fn plain(datagram: &str) -> String {
    let (priority, rest) = datagram.split_once('>').expect("a priority");
    format!("{priority}>{}", &rest[DATE..])
}

#[test]
fn it_has_the_same_datagrams() {
    let scene = Scene::new();
    let [debian, ours] = [Kind::Debian, Kind::Ours].map(|kind| {
        let sent = datagrams(kind, &scene);
        let text: String = sent.iter().map(|line| plain(line) + "\n").collect();
        lines::comparable(&text)
    });
    assert_eq!(debian, ours);
    let facility_and_level = 17 * 8 + 5;
    let last = format!("<{facility_and_level}> a-tunnel: LOG5[ui]: Terminated");
    assert_eq!(ours.last(), Some(&last));
}
