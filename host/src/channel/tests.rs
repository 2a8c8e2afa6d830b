//! The launcher's end against the image's, with a socket between them that drops as QEMU's does.

use stockade_channel::{Event, Kind};

use super::*;

/// Most turns that a test takes, and how long one waits at most.
const TURNS: usize = 20_000;
const TURN: Duration = Duration::from_millis(5);

/// The image behind QEMU's console.
struct Image {
    socket: UnixStream,
    endpoint: Endpoint<ToHost, ToGuest>,
    received: Vec<ToGuest>,
    dropped: usize,
    start: Instant,
}

impl Image {
    fn new(socket: OwnedFd) -> Image {
        let socket = UnixStream::from(socket);
        socket.set_nonblocking(true).unwrap();
        Image {
            socket,
            endpoint: Endpoint::new(Bounds {
                message: 8 << 20,
                queue: 1 << 20,
            }),
            received: Vec::new(),
            dropped: 0,
            start: Instant::now(),
        }
    }

    fn turn(&mut self) {
        let now = self.start.elapsed().as_micros() as Micros;
        let mut bytes = [0; 1000];
        while let Ok(read) = self.socket.read(&mut bytes) {
            if read == 0 {
                break;
            }
            self.endpoint.receive(&bytes[..read], now);
            while let Some(message) = self.endpoint.poll_message() {
                self.received.push(message.unwrap());
            }
        }
        loop {
            let due = self.endpoint.output(now);
            if due.is_empty() {
                return;
            }
            // What the socket does not take is gone, as QEMU lets it go.
            let written = self.socket.write(due).unwrap_or(0);
            self.dropped += due.len() - written;
            let length = due.len();
            self.endpoint.consume(length);
        }
    }
}

fn event(number: u64) -> ToHost {
    ToHost::Event(Event {
        number,
        unix_micros: 0,
        severity: 5,
        service: "https".into(),
        connection: number.to_string(),
        kind: Kind::Accepted,
        text: "x".repeat(1000),
        beyond_log: false,
        problems: Vec::new(),
    })
}

#[test]
fn a_question_and_its_answer() {
    let (mut channel, socket) = Channel::pair().unwrap();
    let mut image = Image::new(socket);
    channel.send(&ToGuest::Status { request: 7 }).unwrap();
    assert!(channel.pending() > 0);
    assert_eq!(channel.next_message(Duration::ZERO), None);
    image.turn();
    assert_eq!(image.received, [ToGuest::Status { request: 7 }]);
    image.endpoint.send(&event(1)).unwrap();
    image.endpoint.send(&event(2)).unwrap();
    image.turn();
    let mut messages = Vec::new();
    for _ in 0..TURNS {
        messages.extend(channel.next_message(TURN));
        image.turn();
        if messages.len() == 2 && channel.pending() == 0 && image.endpoint.is_settled() {
            break;
        }
    }
    assert_eq!(messages, [Ok(event(1)), Ok(event(2))]);
    assert_eq!(channel.pending(), 0);
    assert_eq!(channel.poll_at(), None, "idle");
}

#[test]
fn a_long_configuration_goes_through_a_small_socket() {
    let (mut channel, socket) = Channel::pair().unwrap();
    let mut image = Image::new(socket);
    let configure = ToGuest::Configure {
        revision: 1,
        archive: (0..5_000_000)
            .map(|i| (i / 7) as u8)
            .collect::<Vec<_>>()
            .into(),
    };
    channel.send(&configure).unwrap();
    let mut messages = Vec::new();
    for _ in 0..TURNS {
        channel.pump(&mut messages);
        image.turn();
        if channel.pending() == 0 {
            break;
        }
        channel.wait(TURN);
    }
    assert!(image.received == [configure]);
}

#[test]
fn an_image_that_talks_while_nobody_reads_is_heard_in_the_end() {
    const EVENTS: u64 = 1000;
    let (mut channel, socket) = Channel::pair().unwrap();
    let mut image = Image::new(socket);
    // The socket is nearly full of what no reader will ever make sense of.
    let mut junk = 0;
    while let Ok(written) = image.socket.write(&[0x55; 512]) {
        junk += written;
    }
    assert!(junk > 0);
    let mut sent = 0;
    let mut talk = |image: &mut Image| {
        while sent < EVENTS && image.endpoint.send(&event(sent + 1)).is_ok() {
            sent += 1;
        }
        image.turn();
    };
    for _ in 0..50 {
        talk(&mut image);
        std::thread::sleep(TURN);
    }
    assert!(image.dropped > 0, "nothing was dropped");
    let mut received = 0;
    for _ in 0..TURNS {
        talk(&mut image);
        while let Some(message) = channel.next_message(TURN) {
            received += 1;
            assert_eq!(message, Ok(event(received)));
            if received % 64 == 0 {
                break;
            }
        }
        if received == EVENTS {
            break;
        }
    }
    assert_eq!(received, EVENTS);
}

#[test]
fn the_last_words_are_read_before_the_end() {
    let (mut channel, socket) = Channel::pair().unwrap();
    let mut image = Image::new(socket);
    image
        .endpoint
        .send(&ToHost::Stopping { status: 0x10 })
        .unwrap();
    image.turn();
    drop(image);
    let last = Ok(ToHost::Stopping { status: 0x10 });
    assert_eq!(channel.next_message(TURN), Some(last));
    assert_eq!(channel.next_message(Duration::from_secs(60)), None);
    assert!(channel.is_closed());
    // It stays so, whatever is tried.
    channel.send(&ToGuest::Stop { drain_ms: 0 }).unwrap();
    assert!(!channel.pump(&mut Vec::new()));
    assert_eq!(channel.poll_at(), None);
}
