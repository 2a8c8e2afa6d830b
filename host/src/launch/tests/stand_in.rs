//! This test program in QEMU's place: an image that speaks the management channel.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use stockade_channel::{
    Bounds, Endpoint, Event, Kind, Listening, PROTOCOL, Status, ToGuest, ToHost,
};

use super::*;

/// What a script ends with to become the image; it has set `role`. The channel's socket becomes
/// its standard input.
pub(super) fn become_image() -> String {
    format!(
        "for word in \"$@\"; do
           case $word in socket,id=channel,fd=*) fd=${{word##*=}};; esac
           [ \"$last\" = -initrd ] && initrd=$word
           last=$word
         done
         export STAND_IN_ROLE=$role STAND_IN_DIRECTORY=$dir STAND_IN_ARCHIVE=$initrd
         exec {} launch::tests::stand_in::an_image_answers_what_it_is_asked --exact --nocapture <&$fd",
        env::current_exe().unwrap().display()
    )
}

/// Plays the image where a script asks for it; otherwise tries the image by itself.
#[test]
fn an_image_answers_what_it_is_asked() {
    if let Ok(role) = env::var("STAND_IN_ROLE") {
        let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
        let directory = env::var("STAND_IN_DIRECTORY").unwrap();
        let archive = fs::read(env::var("STAND_IN_ARCHIVE").unwrap()).unwrap();
        let code = play(
            &role,
            UnixStream::from(socket),
            Path::new(&directory),
            &archive,
        );
        std::process::exit(code);
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    let image = std::thread::spawn(move || play("plain", theirs, Path::new("/"), b"good"));
    let mut peer: Peer<ToGuest, ToHost> = Peer::new(ours);
    peer.send(&ToGuest::Stop { drain_ms: 0 });
    let mut kinds = Vec::new();
    while let Some(message) = peer.receive() {
        kinds.push(std::mem::discriminant(&message));
        if matches!(message, ToHost::Stopping { .. }) {
            break;
        }
    }
    drop(peer);
    assert_eq!(image.join().unwrap(), 33);
    assert_eq!(kinds[0], std::mem::discriminant(&hello()));
    assert_eq!(
        kinds.len(),
        6,
        "hello, two events, ready, one more event, stopping"
    );
}

fn hello() -> ToHost {
    ToHost::Hello {
        protocol: PROTOCOL,
        version: "0.0.0".to_owned(),
        archive_most: 4096,
    }
}

/// One side of the channel on a socket, with blocking calls.
struct Peer<Out, In> {
    socket: UnixStream,
    endpoint: Endpoint<Out, In>,
    start: Instant,
}

impl<Out: stockade_channel::Message, In: stockade_channel::Message> Peer<Out, In> {
    fn new(socket: UnixStream) -> Self {
        socket.set_nonblocking(false).unwrap();
        let bounds = Bounds {
            message: 1 << 20,
            queue: 1 << 20,
        };
        Peer {
            socket,
            endpoint: Endpoint::new(bounds),
            start: Instant::now(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap()
    }

    fn send(&mut self, message: &Out) {
        self.endpoint.send(message).unwrap();
        self.flush();
    }

    fn flush(&mut self) {
        loop {
            let now = self.now();
            let due = self.endpoint.output(now);
            if due.is_empty() {
                return;
            }
            let written = self.socket.write(due).unwrap();
            self.endpoint.consume(written);
        }
    }

    /// The next message; `None` when the other end is closed.
    fn receive(&mut self) -> Option<In> {
        loop {
            if let Some(message) = self.endpoint.poll_message() {
                self.flush();
                return Some(message.unwrap());
            }
            self.turn()?;
        }
    }

    /// Waits for bytes or for a deadline; `None` when the other end is closed.
    fn turn(&mut self) -> Option<()> {
        self.flush();
        let wait = self.endpoint.poll_at().map(|at| {
            Duration::from_micros(at.saturating_sub(self.now())).max(Duration::from_millis(1))
        });
        self.socket.set_read_timeout(wait).unwrap();
        let mut bytes = [0; 4096];
        match self.socket.read(&mut bytes) {
            Ok(0) => None,
            Ok(read) => {
                let now = self.now();
                self.endpoint.receive(&bytes[..read], now);
                Some(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(()),
            Err(_) => None,
        }
    }

    /// Waits until the other side has everything.
    fn settle(&mut self) {
        while !self.endpoint.is_settled() && self.turn().is_some() {}
    }
}

fn event(number: u64) -> ToHost {
    ToHost::Event(Event {
        number,
        unix_micros: 1_700_000_000_000_000 + number,
        severity: 6,
        service: "web".to_owned(),
        connection: "7".to_owned(),
        kind: Kind::BackendRefused,
        text: format!("image event {number}"),
        beyond_log: false,
        problems: Vec::new(),
    })
}

fn ready(revision: u32, archive: &[u8]) -> ToHost {
    let old_or_new = if holds(archive, "new") { "new" } else { "old" };
    let listening = vec![Listening {
        service: "web".to_owned(),
        address: "10.0.2.15:443".parse().unwrap(),
        backend: format!("{old_or_new} configuration {revision}"),
    }];
    ToHost::Ready {
        revision,
        listening,
        boot_ms: 1,
    }
}

pub(super) fn wait_for(file: &Path) {
    for _ in 0..6000 {
        if file.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn holds(archive: &[u8], word: &str) -> bool {
    archive
        .windows(word.len())
        .any(|part| part == word.as_bytes())
}

/// Plays an image; returns QEMU's exit status.
fn play(role: &str, socket: UnixStream, directory: &Path, archive: &[u8]) -> i32 {
    let mut peer: Peer<ToHost, ToGuest> = Peer::new(socket);
    if holds(archive, "bad") {
        println!("2026.01.02 03:04:05 LOG3[ui]: cert.pem: this is bad");
        return 35;
    }
    if holds(archive, "die") {
        return 37;
    }
    if role == "late" {
        wait_for(&directory.join("go"));
    }
    peer.send(&hello());
    println!("a line of the console that the channel tells");
    let numbers: &[u64] = if role == "gap" { &[1, 5, 5] } else { &[1, 2] };
    for number in numbers {
        peer.send(&event(*number));
    }
    if role == "gap" {
        peer.send(&ToHost::Lost { events: 2 });
        peer.send(&event(8));
    }
    peer.send(&ready(0, archive));
    println!("[0.1] ready: accepting on 10.0.2.15:443");
    while let Some(message) = peer.receive() {
        match message {
            ToGuest::Configure { archive, .. } if holds(&archive, "die") => return 37,
            ToGuest::Configure { archive, .. } if holds(&archive, "wait") => {
                fs::write(directory.join("asked"), "").unwrap();
            }
            ToGuest::Configure { revision, archive } if holds(&archive, "bad") => {
                let lines = vec!["cert.pem: this is bad".to_owned(), "and so on".to_owned()];
                let result = Err(lines);
                peer.send(&ToHost::Configured { revision, result });
            }
            ToGuest::Configure { revision, archive } => {
                let result = Ok(());
                peer.send(&ToHost::Configured { revision, result });
                peer.send(&ready(revision, &archive));
            }
            ToGuest::Status { request } => {
                let status = Status {
                    sessions: 3,
                    ..Status::default()
                };
                peer.send(&ToHost::Status { request, status });
            }
            ToGuest::Stop { .. } if role == "deaf" => {}
            ToGuest::Stop { .. } => {
                peer.send(&event(3));
                peer.send(&ToHost::Stopping { status: 0x10 });
                peer.settle();
                return 33;
            }
        }
    }
    1
}
