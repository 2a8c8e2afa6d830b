//! One rule of the endpoint a test; the wires that spoil things are in `wire`.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::{Event, Kind, ToGuest, ToHost};

mod wire;

type Guest = Endpoint<ToHost, ToGuest>;
type Host = Endpoint<ToGuest, ToHost>;

const BOUNDS: Bounds = Bounds {
    message: 200_000,
    queue: 200_000,
};

fn guest() -> Guest {
    Endpoint::new(BOUNDS)
}

fn host() -> Host {
    Endpoint::new(BOUNDS)
}

fn event(number: u64, text: usize) -> ToHost {
    ToHost::Event(Event {
        number,
        unix_micros: 0,
        severity: 5,
        service: String::new(),
        connection: String::new(),
        kind: Kind::Line,
        text: "x".repeat(text),
        beyond_log: false,
        problems: Vec::new(),
    })
}

fn configure(revision: u32, length: usize) -> ToGuest {
    ToGuest::Configure {
        revision,
        archive: Zeroizing::new((0..length).map(|i| (i / 3) as u8).collect()),
    }
}

/// Everything that is due for the wire.
fn output<Out: Message, In: Message>(endpoint: &mut Endpoint<Out, In>, now: Micros) -> Vec<u8> {
    let mut bytes = vec![0; 100_000];
    let length = endpoint.transmit(&mut bytes, now);
    bytes.truncate(length);
    bytes
}

/// The frames of a wire, as sequence, acknowledgement and length.
fn frames(wire: &[u8]) -> Vec<(u64, u64, usize)> {
    let mut frames = Unstuffing::default();
    let mut bytes = wire;
    let mut found = Vec::new();
    while frames.read(&mut bytes) {
        let raw = frames.take().expect("a whole frame");
        if let Some(frame) = Frame::parse(&raw) {
            let length = frame.payload[0].len();
            found.push((frame.sequence, frame.acknowledgement, length));
        }
        frames.reuse(raw);
    }
    found
}

fn messages<Out: Message, In: Message>(endpoint: &mut Endpoint<Out, In>) -> Vec<In> {
    core::iter::from_fn(|| endpoint.poll_message())
        .map(|message| message.expect("a good message"))
        .collect()
}

/// A frame of the host's, as bytes on the wire.
fn forged(sequence: u64, acknowledgement: u64, payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let frame = Frame {
        direction: ToGuest::DIRECTION,
        sequence,
        acknowledgement,
        payload: [payload, &[]],
    };
    frame.write(&mut wire);
    wire
}

#[test]
fn nothing_is_sent_while_idle() {
    let mut guest = guest();
    let mut host = host();
    assert_eq!(guest.poll_at(), None);
    assert!(output(&mut guest, 0).is_empty());

    guest.send(&event(1, 10)).unwrap();
    assert!(!guest.is_settled());
    host.receive(&output(&mut guest, 0), 0);
    assert_eq!(messages(&mut host), [event(1, 10)]);
    assert_eq!(host.poll_at(), Some(DELAY));
    assert!(output(&mut host, DELAY - 1).is_empty());
    guest.receive(&output(&mut host, DELAY), DELAY);

    assert!(guest.is_settled() && host.is_settled());
    for now in [DELAY, 1 << 40] {
        assert_eq!((guest.poll_at(), host.poll_at()), (None, None));
        assert!(output(&mut guest, now).is_empty());
        assert!(output(&mut host, now).is_empty());
    }
}

#[test]
fn an_answer_carries_the_acknowledgement() {
    let (mut guest, mut host) = (guest(), host());
    host.send(&ToGuest::Status { request: 1 }).unwrap();
    guest.receive(&output(&mut host, 0), 0);
    assert_eq!(messages(&mut guest), [ToGuest::Status { request: 1 }]);
    guest.send(&ToHost::Lost { events: 1 }).unwrap();
    let answer = output(&mut guest, 0);
    assert_eq!(frames(&answer), [(0, 9, 13)]);
    assert_eq!(guest.poll_at(), Some(TIMEOUT_FIRST), "no other is owed");
    host.receive(&answer, 0);
    assert!(host.is_settled());
}

#[test]
fn no_more_than_the_window_is_on_its_way() {
    let mut host = host();
    host.send(&configure(1, 150_000)).unwrap();
    let wire = output(&mut host, 0);
    let found = frames(&wire);
    assert_eq!(found.len(), 8);
    assert!(found.iter().all(|frame| frame.2 == PAYLOAD_MOST));
    assert!(output(&mut host, TIMEOUT_FIRST - 1).is_empty());

    let mut guest = guest();
    guest.receive(&wire, 0);
    assert!(guest.poll_message().is_none());
    let acknowledgement = output(&mut guest, 0);
    assert_eq!(frames(&acknowledgement), [(0, WINDOW as u64, 0)]);
    host.receive(&acknowledgement, 0);
    assert_eq!(frames(&output(&mut host, 0)).len(), 8);
}

#[test]
fn small_messages_gather_while_one_is_on_its_way() {
    let mut guest = guest();
    guest.send(&event(1, 10)).unwrap();
    assert_eq!(frames(&output(&mut guest, 0)).len(), 1);
    for number in 2..100 {
        guest.send(&event(number, 10)).unwrap();
        let wire = output(&mut guest, 0);
        assert!(frames(&wire).iter().all(|frame| frame.2 == PAYLOAD_MOST));
    }
    let first = guest.acknowledged + (guest.queued() as u64 - 1).min(45);
    guest.receive(&forged(0, first, b""), 0);
    let wire = frames(&output(&mut guest, 0));
    assert_eq!(wire.len(), 1, "the rest, in one frame");
}

#[test]
fn repeats_back_off_to_two_seconds_and_are_single_frames() {
    let mut host = host();
    host.send(&configure(1, 100_000)).unwrap();
    assert_eq!(frames(&output(&mut host, 0)).len(), 8);
    let mut waits = Vec::new();
    let mut now = 0;
    for _ in 0..8 {
        let at = host.poll_at().expect("it is waiting");
        assert!(output(&mut host, at - 1).is_empty());
        waits.push((at - now) / 1000);
        now = at;
        assert_eq!(frames(&output(&mut host, now)), [(0, 0, PAYLOAD_MOST)]);
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000, 2000]);
    // With the first answer it goes on where the other side stands, and is patient no more.
    let mut guest = guest();
    guest.receive(&forged(0, 0, &[0; 10]), now);
    host.receive(
        &{
            let mut wire = Vec::new();
            Frame {
                direction: ToHost::DIRECTION,
                sequence: 0,
                acknowledgement: 5 * PAYLOAD_MOST as u64,
                payload: [&[], &[]],
            }
            .write(&mut wire);
            wire
        },
        now,
    );
    let found = frames(&output(&mut host, now));
    let expect = |at: u64| (at * PAYLOAD_MOST as u64, 0, PAYLOAD_MOST);
    assert_eq!(found, [expect(5), expect(6)]);
    assert_eq!(host.poll_at(), Some(now + TIMEOUT_FIRST));
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_ignored() {
    let mut guest = guest();
    guest.send(&event(1, 10)).unwrap();
    guest.send(&event(2, 10)).unwrap();
    // Nothing was on the wire yet.
    guest.receive(&forged(0, 1, b""), 0);
    assert_eq!(guest.counters().frames_bad, 1);
    let sent = frames(&output(&mut guest, 0))[0].2 as u64;
    for beyond in [sent + 1, u64::MAX] {
        // Neither is what else such a frame says.
        guest.receive(&forged(0, beyond, &[4, 0, 0, 0, 2, 0, 0, 0]), 0);
    }
    assert_eq!(guest.counters().frames_bad, 3);
    assert!(guest.poll_message().is_none() && !guest.is_settled());
    guest.receive(&forged(0, sent, b""), 0);
    assert!(guest.is_settled());
    // An old one takes nothing back.
    guest.receive(&forged(0, 0, b""), 0);
    assert!(guest.is_settled());
    assert_eq!(guest.poll_at(), None);
}

#[test]
fn frames_that_nobody_can_have_sent() {
    let mut guest = guest();
    guest.receive(&forged(u64::MAX, 0, b"ab"), 0);
    assert_eq!(guest.counters().frames_bad, 1);
    // One's own, by an echo.
    guest.send(&event(1, 10)).unwrap();
    let own = output(&mut guest, 0);
    guest.receive(&own, 0);
    assert_eq!(guest.counters().frames_bad, 2);
    assert!(guest.poll_message().is_none() && !guest.is_settled());
}

#[test]
fn gaps_and_repeats_are_answered_at_once() {
    let (mut guest, mut host) = (guest(), host());
    host.send(&configure(1, 2 * PAYLOAD_MOST)).unwrap();
    let wire = output(&mut host, 0);
    let frames_wire: Vec<&[u8]> = wire.split_inclusive(|byte| *byte == 0).collect();
    // The second without the first: its edge, itself, its edge.
    let second: Vec<u8> = frames_wire[2..4].concat();
    guest.receive(&second, 0);
    assert_eq!(guest.poll_at(), Some(0));
    assert_eq!(frames(&output(&mut guest, 0)), [(0, 0, 0)]);
    guest.receive(&wire, 1);
    let all = 2 * PAYLOAD_MOST as u64 + 9;
    assert_eq!(frames(&output(&mut guest, 1)), [(0, all, 0)]);
    assert_eq!(messages(&mut guest), [configure(1, 2 * PAYLOAD_MOST)]);
    guest.receive(&second, 2);
    assert_eq!(frames(&output(&mut guest, 2)), [(0, all, 0)]);
    assert!(guest.poll_message().is_none(), "nothing comes twice");
}

#[test]
fn a_frame_that_is_partly_known_gives_the_rest() {
    let mut guest = guest();
    let stream = b"\x05\0\0\0\x02\x01\0\0\0\x05\0\0\0\x02\x02\0\0\0";
    guest.receive(&forged(0, 0, &stream[..7]), 0);
    guest.receive(&forged(3, 0, &stream[3..]), 0);
    let expect = [1, 2].map(|request| ToGuest::Status { request });
    assert_eq!(messages(&mut guest), expect);
}

#[test]
fn who_takes_no_messages_gets_no_more() {
    let (mut guest, mut host) = (guest(), host());
    let count = 150_000 / 9;
    for request in 0..count {
        host.send(&ToGuest::Status { request }).unwrap();
    }
    let mut now = 0;
    for _ in 0..100 {
        guest.receive(&output(&mut host, now), now);
        host.receive(&output(&mut guest, now), now);
        now += TIMEOUT_MOST;
    }
    assert_eq!(guest.expected as usize, crate::inbound::WAITING_MOST);
    // As soon as it does, all come.
    let mut taken = 0;
    for _ in 0..100 {
        taken += messages(&mut guest).len();
        guest.receive(&output(&mut host, now), now);
        host.receive(&output(&mut guest, now), now);
        now += TIMEOUT_MOST;
    }
    assert_eq!(taken + messages(&mut guest).len(), count as usize);
    assert!(host.is_settled());
}

#[test]
fn the_queue_has_a_bound() {
    let mut guest = Guest::new(Bounds {
        message: 10,
        queue: 1000,
    });
    let too_long = SendError::TooLong {
        length: 1031,
        most: 996,
    };
    assert_eq!(guest.send(&event(1, 1000)), Err(too_long));
    let mut sent = 0;
    while guest.send(&event(1, 100)).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 7);
    assert_eq!(guest.send(&event(1, 100)), Err(SendError::Full));
    assert_eq!(guest.queued(), 7 * 135);
    let wire = output(&mut guest, 0);
    let mut host = host();
    host.receive(&wire, 0);
    assert_eq!(messages(&mut host).len(), 7);
}

#[test]
fn the_wire_takes_as_much_as_it_likes() {
    let (mut guest, mut host) = (guest(), host());
    host.send(&configure(1, 20_000)).unwrap();
    let mut steps = 0;
    while host.output(0).first().copied().is_some() {
        let byte = [host.output(0)[0]];
        assert_eq!(
            host.output(TIMEOUT_FIRST * 100)[0],
            byte[0],
            "the same again"
        );
        if host.output(0).len() > 1 {
            assert_eq!(
                host.poll_at(),
                None,
                "there is nothing to do before the wire has room"
            );
        }
        host.consume(1);
        guest.receive(&byte, 0);
        steps += 1;
    }
    assert!(steps > 20_000);
    assert_eq!(messages(&mut guest), [configure(1, 20_000)]);
}

#[test]
fn messages_that_are_none_are_reported_and_the_next_one_comes() {
    let mut guest = guest();
    let stream = b"\x01\0\0\0\x63\0\0\0\0\xff\xff\xff\x7f";
    guest.receive(&forged(0, 0, stream), 0);
    let mut next = || guest.poll_message();
    assert_eq!(next(), Some(Err(BadMessage::Unknown(0x63))));
    assert_eq!(next(), Some(Err(BadMessage::Malformed)));
    let too_long = BadMessage::TooLong {
        length: 0x7fff_ffff,
        most: BOUNDS.message,
    };
    assert_eq!(next(), Some(Err(too_long)));
    assert_eq!(next(), None);
}
