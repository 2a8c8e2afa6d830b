//! The management channel: frames and messages of a hostile peer, and of a true one on a bad wire.

use std::fmt::Debug;
use std::iter;

use stockade_channel::{
    Bounds, CertificateProblem, CertificateReason, Endpoint, Event, HostStatus, Kind, Message,
    SendError, Status, ToGuest, ToHost,
};

use super::input::Input;

/// Small ones, so that they are reached.
const BOUNDS: Bounds = Bounds {
    message: 20_000,
    queue: 20_000,
};
/// Most bytes of a frame's payload, and of a frame on the wire.
const PAYLOAD_MOST: usize = 4096;
const WIRE_MOST: usize = 4140;
/// Bytes of a frame before its payload, and behind.
const HEADER: usize = 20;
const CHECK: usize = 4;
/// Bytes of a message's length.
const PREFIX: usize = 4;
/// Bytes that may be on their way without an acknowledgement.
const WINDOW: u64 = 32 * 1024;
/// Steps of one input at most.
const STEPS_MOST: usize = 100;
/// Bytes that a wire repeats at once at most.
const REPEATED_MOST: usize = 8 * 1024;

/// The image's end, whose launcher is taken over; see [`run`].
pub fn channel_guest(bytes: &[u8]) {
    run(bytes, to_host, to_guest);
}

/// The launcher's end, whose image is taken over; see [`run`].
pub fn channel_host(bytes: &[u8]) {
    run(bytes, to_guest, to_host);
}

/// Half of all inputs are what a hostile peer does, the others what a wire does between two ends
/// that mean well.
fn run<Out, In>(bytes: &[u8], outgoing: fn(usize) -> Out, incoming: fn(usize) -> In)
where
    Out: Message + PartialEq + Debug,
    In: Message + PartialEq + Debug,
{
    let mut input = Input::new(bytes);
    match input.byte() {
        Some(kind) if kind & 1 == 0 => hostile::<Out, In>(&mut input, outgoing),
        Some(_) => lossy(&mut input, outgoing, incoming),
        None => {}
    }
}

/// Steps of a byte each: bytes as they are, frames that are right but for what they say, messages
/// in order, time, and messages of our own.
///
/// Checked: nothing is sent that was not given; no acknowledgement of what has not come; window,
/// queue and frame keep their bounds; the endpoint neither spins nor talks while idle; and each
/// message that is read can be written, and reads the same again.
fn hostile<Out, In>(input: &mut Input<'_>, outgoing: fn(usize) -> Out)
where
    Out: Message,
    In: Message + PartialEq + Debug,
{
    let mut endpoint: Endpoint<Out, In> = Endpoint::new(BOUNDS);
    let mut now = 0;
    // Bytes of our stream that were given, and that were on the wire; of the peer's, those that have
    // come without a gap.
    let (mut given, mut written) = (0, 0);
    let mut came = 0;
    for step in 0..STEPS_MOST {
        let Some(operation) = input.byte() else { break };
        match operation & 7 {
            0 => endpoint.receive(input.block().unwrap_or_default(), now),
            // A frame near the place where we stand, and with an acknowledgement near it.
            1 | 2 => {
                let near = |at: u64, by: u16| at.wrapping_add_signed(i64::from(by.cast_signed()));
                let acknowledged = given - endpoint.queued() as u64;
                let sequence = near(came, input.half().unwrap_or_default());
                let claimed = near(acknowledged, input.half().unwrap_or_default());
                let block = input.block().unwrap_or_default();
                let payload = &block[..block.len().min(PAYLOAD_MOST)];
                if claimed <= written && sequence <= came {
                    came = came.max(sequence + payload.len() as u64);
                }
                endpoint.receive(&frame(In::DIRECTION, sequence, claimed, payload), now);
            }
            // A message in order, cut into frames.
            3 | 4 => {
                let block = input.block().unwrap_or_default();
                let prefix = u32::try_from(block.len()).unwrap_or(u32::MAX).to_le_bytes();
                for payload in [&prefix, block].concat().chunks(PAYLOAD_MOST) {
                    endpoint.receive(&frame(In::DIRECTION, came, 0, payload), now);
                    came += payload.len() as u64;
                    take(&mut endpoint);
                }
            }
            5 => now += 1000 * u64::from(input.half().unwrap_or_default()),
            _ => {
                let message = outgoing(step * usize::from(operation));
                let length = PREFIX + encoded(&message).len();
                match endpoint.send(&message) {
                    Ok(()) => given += length as u64,
                    Err(SendError::Full) => assert!(endpoint.queued() + length > BOUNDS.queue),
                    Err(SendError::TooLong { .. }) => assert!(length > BOUNDS.queue),
                }
            }
        }
        take(&mut endpoint);
        assert!(endpoint.queued() <= BOUNDS.queue);
        let taken = given - endpoint.queued() as u64;
        if operation & 8 != 0 {
            flush(&mut endpoint, now, |frame| {
                assert!(frame.len() <= WIRE_MOST, "{} bytes", frame.len());
                let (sequence, claimed, length) = parse(frame, Out::DIRECTION);
                assert!(sequence + length <= given, "what was not given");
                assert!(sequence >= taken, "what was acknowledged");
                assert!(sequence + length - taken <= WINDOW, "beyond the window");
                assert_eq!(claimed, came, "of what has not come, or not of what has");
                written = written.max(sequence + length);
            });
            assert!(endpoint.poll_at().is_none_or(|at| at > now), "it spins");
            let is_waiting = endpoint.poll_at().is_some();
            assert!(is_waiting || endpoint.is_settled(), "it waits for nothing");
        }
    }
}

/// Steps of a byte each: messages of both sides, time, and what the wires lose and repeat.
///
/// Checked: what comes is what was sent, in order and once; and all of it when the wires are good
/// in the end.
fn lossy<Out, In>(input: &mut Input<'_>, outgoing: fn(usize) -> Out, incoming: fn(usize) -> In)
where
    Out: Message + PartialEq + Debug,
    In: Message + PartialEq + Debug,
{
    let mut ours: Endpoint<Out, In> = Endpoint::new(BOUNDS);
    let mut theirs: Endpoint<In, Out> = Endpoint::new(BOUNDS);
    let (mut to_them, mut to_us) = (Vec::new(), Vec::new());
    let mut now = 0;
    for step in 0..STEPS_MOST {
        let Some(operation) = input.byte() else { break };
        match operation & 7 {
            0 | 1 => {
                let message = outgoing(step * usize::from(operation));
                if ours.send(&message).is_ok() {
                    to_them.push(message);
                }
            }
            2 | 3 => {
                let message = incoming(step * usize::from(operation));
                if theirs.send(&message).is_ok() {
                    to_us.push(message);
                }
            }
            4 => now += 1000 * u64::from(input.half().unwrap_or_default()),
            5 => {
                let wire = spoiled(flush(&mut ours, now, |_| {}), input);
                exchange(&mut theirs, &wire, now, &mut to_them);
            }
            _ => {
                let wire = spoiled(flush(&mut theirs, now, |_| {}), input);
                exchange(&mut ours, &wire, now, &mut to_us);
            }
        }
    }
    // Twenty kilobytes each are a few windows at most, and each takes a time-out at most.
    for _ in 0..100 {
        now += 2_000_000;
        let wire = flush(&mut ours, now, |_| {});
        exchange(&mut theirs, &wire, now, &mut to_them);
        let wire = flush(&mut theirs, now, |_| {});
        exchange(&mut ours, &wire, now, &mut to_us);
    }
    assert!(to_them.is_empty() && to_us.is_empty(), "lost");
    assert!(ours.is_settled() && theirs.is_settled());
}

/// Gives a wire's bytes to an end; what it reads must be what is expected next.
fn exchange<Out, In>(end: &mut Endpoint<Out, In>, wire: &[u8], now: u64, expected: &mut Vec<In>)
where
    Out: Message,
    In: Message + PartialEq + Debug,
{
    end.receive(wire, now);
    let found: Vec<In> = iter::from_fn(|| end.poll_message())
        .map(|message| message.expect("the peer means well"))
        .collect();
    assert!(found.len() <= expected.len(), "more than was sent");
    let rest = expected.split_off(found.len());
    assert_eq!(*expected, found);
    *expected = rest;
}

/// The wire after parts of it were lost or repeated, as the input says. No byte gets another value:
/// the fuzzer would find the CRC that fits.
fn spoiled(mut wire: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    for _ in 0..input.byte().unwrap_or_default() & 3 {
        let mut place = || usize::from(input.half().unwrap_or_default()) % (wire.len() + 1);
        let (from, to) = (place(), place());
        let (from, to) = (from.min(to), from.max(to));
        if input.byte().unwrap_or_default() & 1 == 0 {
            wire.drain(from..to);
        } else {
            wire.extend_from_within(from..to.min(from + REPEATED_MOST));
        }
    }
    wire
}

/// All frames that are due, each of which `look` sees.
fn flush<Out: Message, In: Message>(
    endpoint: &mut Endpoint<Out, In>,
    now: u64,
    mut look: impl FnMut(&[u8]),
) -> Vec<u8> {
    let mut wire = Vec::new();
    for _ in 0..100 {
        let frame = endpoint.output(now);
        if frame.is_empty() {
            return wire;
        }
        look(frame);
        wire.extend_from_slice(frame);
        let length = frame.len();
        endpoint.consume(length);
    }
    panic!("it talks without end");
}

/// Takes every message out. What can be read can be written, and reads the same again.
fn take<Out: Message, In: Message + PartialEq + Debug>(endpoint: &mut Endpoint<Out, In>) {
    while let Some(message) = endpoint.poll_message() {
        match message {
            Ok(message) => {
                let again = In::decode(encoded(&message).into());
                assert_eq!(again.as_ref(), Ok(&message));
                if let Some(text) = displayed(&message) {
                    assert!(!text.contains(char::is_control), "{text:?}");
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fn encoded(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut |piece| bytes.extend_from_slice(piece));
    bytes
}

/// The line of an event.
fn displayed(message: &impl Message) -> Option<String> {
    match ToHost::decode(encoded(message).into()) {
        Ok(ToHost::Event(event)) => Some(event.to_string()),
        _ => None,
    }
}

fn to_host(choice: usize) -> ToHost {
    let problem = CertificateProblem {
        depth: 1,
        reason: CertificateReason::from_number(choice as u8),
        subject: "CN=a".into(),
    };
    match choice % 5 {
        0 => ToHost::Status {
            request: 1,
            status: Status {
                hosts: vec![
                    HostStatus {
                        name: "a.example".into(),
                        not_after: Some(1),
                        next: choice.is_multiple_of(2).then_some(2),
                        trouble: choice.is_multiple_of(3).then(|| "no key".into()),
                    };
                    choice % 7
                ],
                ..Status::default()
            },
        },
        1 => ToHost::Configured {
            revision: 1,
            result: Err(vec!["line".into(); choice % 50]),
        },
        _ => ToHost::Event(Event {
            number: 1,
            unix_micros: 1,
            severity: 5,
            service: "https".into(),
            connection: "1".into(),
            kind: Kind::Accepted,
            text: "x".repeat(choice * 7 % 9000),
            beyond_log: choice.is_multiple_of(3),
            problems: vec![problem; choice % 4],
        }),
    }
}

fn to_guest(choice: usize) -> ToGuest {
    match choice % 4 {
        0 => ToGuest::Stop { drain_ms: 1 },
        1 => ToGuest::Configure {
            revision: 1,
            archive: vec![choice as u8; choice * 7 % 19_000].into(),
        },
        _ => ToGuest::Status { request: 1 },
    }
}

/// A frame on the wire, with a CRC that is right: written anew, so that both ways to write it must
/// agree.
fn frame(direction: u8, sequence: u64, acknowledgement: u64, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let mut bytes = vec![1, direction];
    bytes.extend(length.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(acknowledgement.to_le_bytes());
    bytes.extend(payload);
    bytes.extend(crc(&bytes).to_le_bytes());
    let mut wire = vec![0];
    for run in bytes.split(|byte| *byte == 0) {
        let mut pieces = run.chunks(254).peekable();
        if pieces.peek().is_none() {
            wire.push(1);
        }
        while let Some(piece) = pieces.next() {
            wire.push(1 + piece.len() as u8);
            wire.extend(piece);
            // A code for 254 bytes stands for no zero.
            if piece.len() == 254 && pieces.peek().is_none() {
                wire.push(1);
            }
        }
    }
    wire.push(0);
    wire
}

/// Sequence number, acknowledgement and length of a frame on the wire, which must be sound.
fn parse(wire: &[u8], direction: u8) -> (u64, u64, u64) {
    let inside = wire
        .strip_prefix(&[0])
        .and_then(|wire| wire.strip_suffix(&[0]));
    let mut rest = inside.expect("an edge on each side");
    let mut bytes = Vec::new();
    while let Some((code, behind)) = rest.split_first() {
        let (run, behind) = behind.split_at(usize::from(*code) - 1);
        bytes.extend_from_slice(run);
        if *code < 255 && !behind.is_empty() {
            bytes.push(0);
        }
        rest = behind;
    }
    let (checked, check) = bytes.split_at(bytes.len() - CHECK);
    assert_eq!(crc(checked).to_le_bytes(), check);
    assert_eq!(checked[..2], [1, direction]);
    let number = |from: usize, to: usize| {
        let bytes = checked[from..to].iter().rev();
        bytes.fold(0u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let length = number(2, 4);
    assert_eq!(checked.len() as u64, HEADER as u64 + length);
    (number(4, 12), number(12, 20), length)
}

/// CRC-32 of IEEE 802.3.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |register, byte| {
        let index = (register ^ u32::from(*byte)) & 0xff;
        (register >> 8) ^ CRC_OF_BYTE[index as usize]
    })
}

/// What eight steps, bit by bit, make of each byte.
static CRC_OF_BYTE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut register = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            register = (register >> 1) ^ ((register & 1) * 0xedb8_8320);
            bit += 1;
        }
        table[byte] = register;
        byte += 1;
    }
    table
};
