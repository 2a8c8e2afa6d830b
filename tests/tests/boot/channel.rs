//! The management channel as the launcher finds it at QEMU's end: nothing that the image says gets
//! lost, whatever its host does meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_send_buffer_size;
use stockade_channel::{Event, Kind, PROTOCOL, ToGuest, ToHost};
use stockade_config::Zeroizing;
use stockade_host::Channel;
use stockade_tests::PATIENCE;
use stockade_tests::client::tcp;
use stockade_tests::pattern::Pattern;

use crate::setup::{Place, Running, Setup};
use crate::transfer::download;

/// How long the host does not read.
const PAUSE: Duration = Duration::from_secs(3);
/// Connections that are refused meanwhile: each is several events, all of them far more than the
/// socket holds, and less than the image keeps.
const CONNECTIONS: usize = 150;
/// Bytes of the socket, from QEMU to the launcher, where that is to be too little for one frame.
const TIGHT: usize = 4096;

/// A guest that serves, with its channel. `prepare` sees QEMU's end before QEMU does.
fn start(place: Place, prepare: impl FnOnce(&OwnedFd)) -> (Running, Channel) {
    let (channel, theirs) = Channel::pair().expect("a pair of sockets");
    prepare(&theirs);
    let theirs = Arc::new(theirs);
    let running = Setup::new(place).qemu(|qemu| qemu.channel(theirs)).start();
    (running, channel)
}

fn next(channel: &mut Channel, running: &Running) -> ToHost {
    let message = channel.next_message(PATIENCE);
    let message = message.unwrap_or_else(|| panic!("nothing comes: {}", running.guest.log()));
    message.unwrap_or_else(|error| panic!("the image sends {error}"))
}

/// The next message that `choose` takes; those before it are passed over.
fn find<T>(
    channel: &mut Channel,
    running: &Running,
    mut choose: impl FnMut(ToHost) -> Option<T>,
) -> T {
    loop {
        if let Some(chosen) = choose(next(channel, running)) {
            return chosen;
        }
    }
}

/// A connection that the image resets.
fn speak_no_tls(running: &Running) {
    let mut stream = tcp(running.server).expect("the guest accepts");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("taken");
    let end = stream.read_to_end(&mut Vec::new());
    let error = end.expect_err("what speaks another protocol is reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// QEMU drops what its socket does not hold, in the middle of frames. It all comes all the same,
/// once and in order, and is what the console says.
pub fn a_host_that_pauses_misses_no_event(place: Place) {
    let (running, mut channel) = start(place, |theirs| {
        set_socket_send_buffer_size(theirs, TIGHT).expect("any socket can");
    });
    for _ in 0..CONNECTIONS {
        speak_no_tls(&running);
    }
    thread::sleep(PAUSE);

    let hello = next(&mut channel, &running);
    assert!(
        matches!(hello, ToHost::Hello { protocol, .. } if protocol == PROTOCOL),
        "{hello:?}"
    );
    let mut events: Vec<Event> = Vec::new();
    let mut accepted = 0;
    while accepted < CONNECTIONS {
        match next(&mut channel, &running) {
            ToHost::Event(event) => {
                accepted += usize::from(event.kind == Kind::Accepted);
                events.push(event);
            }
            ToHost::Ready { revision, .. } => assert_eq!(revision, 0),
            other => panic!("{other:?}"),
        }
    }
    assert!(channel.counters().frames_bad > 0, "nothing was cut");
    for (number, event) in (1..).zip(&events) {
        assert_eq!(event.number, number, "{event:?}");
    }
    let bytes: usize = events.iter().map(|event| event.text.len()).sum();
    assert!(bytes > 4 * TIGHT, "{bytes} bytes prove nothing");
    let log = running.guest.log();
    let mut lines = log.lines();
    // The log has a bound of its own for failures.
    for event in events.iter().filter(|event| event.severity > 3) {
        assert!(
            lines.any(|line| line.ends_with(&event.text)),
            "not on the console, or not in this order: {event:?}"
        );
    }
}

/// As much as the image takes comes in whole, and its answer goes out.
pub fn the_largest_message_comes_in(place: Place) {
    let (running, mut channel) = start(place, |_| {});
    let most = find(&mut channel, &running, |message| match message {
        ToHost::Hello { archive_most, .. } => Some(archive_most),
        _ => None,
    });
    // No archive, so it is refused: but only once all of it is there.
    let archive = Zeroizing::new(Pattern::bytes(7, most as usize));
    let configure = ToGuest::Configure {
        revision: 7,
        archive,
    };
    channel.send(&configure).expect("there is room");
    let (revision, result) = find(&mut channel, &running, |message| match message {
        ToHost::Configured { revision, result } => Some((revision, result)),
        _ => None,
    });
    assert_eq!(revision, 7);
    assert!(result.is_err_and(|lines| !lines.is_empty()));
    // What was before is still in force.
    download(&running, 1000);
}

/// A channel on which nothing is said costs nothing, and a word on it wakes the guest.
pub fn an_idle_channel_uses_no_processor(place: Place) {
    /// Out of 400 ticks; a guest that polls would use nearly all of them.
    const FEW: u64 = 20;
    let (running, mut channel) = start(place, |_| {});
    download(&running, 1000);
    // The end of the last conversation, and QEMU's own start, are still to be worked off.
    let mut messages = Vec::new();
    for _ in 0..10 {
        channel.pump(&mut messages);
        thread::sleep(Duration::from_millis(100));
    }
    let before = running.guest.processor_ticks();
    thread::sleep(Duration::from_secs(4));
    let used = running.guest.processor_ticks() - before;
    assert!(used <= FEW, "{used} ticks in 4 s");
    channel
        .send(&ToGuest::Status { request: 42 })
        .expect("there is room");
    let request = find(&mut channel, &running, |message| match message {
        ToHost::Status { request, .. } => Some(request),
        _ => None,
    });
    assert_eq!(request, 42);
}

/// The image does not need its launcher to serve, and does not wear itself out in calling it.
pub fn a_guest_whose_channel_was_closed_serves_on(place: Place) {
    const FEW: u64 = 20;
    let (running, channel) = start(place, |_| {});
    drop(channel);
    for _ in 0..10 {
        speak_no_tls(&running);
    }
    download(&running, 1000);
    thread::sleep(Duration::from_secs(2));
    let before = running.guest.processor_ticks();
    thread::sleep(Duration::from_secs(4));
    let used = running.guest.processor_ticks() - before;
    assert!(used <= FEW, "{used} ticks in 4 s");
    download(&running, 1000);
}
