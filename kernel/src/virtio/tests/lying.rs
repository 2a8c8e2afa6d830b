//! The driver against a device that lies: every lie costs a frame or the device, nothing else.

use smoltcp::phy::{Device, RxToken, TxToken};
use smoltcp::time::Instant;

use super::fake::{FakeDevice, FakeNic};
use super::frames::tcp;
use crate::virtio::{Features, VirtioError};

const NOW: Instant = Instant::ZERO;
const PLAIN: [u8; 12] = [0; 12];

fn receive(nic: &mut FakeNic) -> Option<Vec<u8>> {
    let (rx, _) = nic.receive(NOW)?;
    Some(rx.consume(|frame| frame.to_vec()))
}

fn send(nic: &mut FakeNic, frame: &[u8]) -> bool {
    let Some(token) = nic.transmit(NOW) else {
        return false;
    };
    token.consume(frame.len(), |buffer| buffer.copy_from_slice(frame));
    true
}

/// A card that may use all features, and its device.
fn pair() -> (FakeDevice, FakeNic) {
    let device = FakeDevice::new(Features::SUPPORTED);
    let nic = device.nic();
    (device, nic)
}

/// The card still works in both directions.
#[track_caller]
fn check_alive(device: &FakeDevice, nic: &mut FakeNic) {
    assert_eq!(nic.failure(), None);
    let frame = tcp(4, b"still alive");
    assert!(device.deliver(&PLAIN, &frame));
    assert_eq!(receive(nic), Some(frame.clone()));
    assert!(send(nic, &frame));
    assert_eq!(device.sent().len(), 1);
}

#[test]
fn unknown_buffers_are_passed_over() {
    let (device, mut nic) = pair();
    for id in [device.queue_size(0).into(), 65_535, 65_536, u32::MAX] {
        device.give_back(0, id, 100);
        assert_eq!(receive(&mut nic), None);
        device.give_back(1, id, 0);
        nic.flush();
    }
    assert_eq!(nic.counters().device_errors, 8);
    check_alive(&device, &mut nic);
}

#[test]
fn a_receive_buffer_returned_twice_costs_no_more_than_a_repeated_frame() {
    let (device, mut nic) = pair();
    let frame = tcp(4, b"once");
    let buffer = device.take(0).expect("a buffer");
    device.write(&buffer, &[&PLAIN[..], &frame].concat());
    let length = 12 + frame.len() as u32;
    let buffers = device.available(0);
    device.give_back(0, buffer.id.into(), length);
    device.give_back(0, buffer.id.into(), length);
    {
        // While the stack reads the frame, the buffer is ours and cannot come back again.
        let (rx, _) = nic.receive(NOW).expect("the frame");
        rx.consume(|bytes| assert_eq!(bytes, frame));
    }
    // It went back to the device at once, so the second return is of that loan.
    assert_eq!(receive(&mut nic), Some(frame));
    assert_eq!(device.available(0), buffers + 2);
    check_alive(&device, &mut nic);
}

#[test]
fn a_transmit_buffer_returned_twice_is_taken_once() {
    let (device, mut nic) = pair();
    assert!(send(&mut nic, &tcp(4, b"out")));
    let buffer = device.take(1).expect("the frame");
    device.give_back(1, buffer.id.into(), 0);
    device.give_back(1, buffer.id.into(), 0);
    nic.flush();
    assert_eq!(nic.counters().device_errors, 1, "the second one is a lie");
    check_alive(&device, &mut nic);
}

#[test]
fn a_transmit_buffer_never_offered_is_not_freed_again() {
    let (device, mut nic) = pair();
    for id in 0..u32::from(device.queue_size(1)) {
        device.give_back(1, id, 0);
        nic.flush();
    }
    assert_eq!(
        nic.counters().device_errors,
        u64::from(device.queue_size(1))
    );
    // Were a buffer on the free list twice, two frames would share it.
    let mut sent = 0u32;
    while send(&mut nic, &tcp(4, &sent.to_be_bytes())) {
        sent += 1;
    }
    let frames = device.sent();
    assert_eq!(frames.len(), sent as usize);
    for (n, frame) in (0u32..).zip(&frames) {
        assert_eq!(frame[frame.len() - 4..], n.to_be_bytes());
    }
}

#[test]
fn lengths_beyond_the_buffer_drop_the_frame() {
    let (device, mut nic) = pair();
    let buffers = device.available(0);
    for excess in [1, 1000, u32::MAX - 70_000] {
        let buffer = device.take(0).expect("a buffer");
        device.give_back(0, buffer.id.into(), buffer.length + excess);
        assert_eq!(receive(&mut nic), None);
    }
    assert_eq!(nic.counters().device_errors, 3);
    assert_eq!(device.available(0), buffers, "the buffers went back");
    check_alive(&device, &mut nic);
}

#[test]
fn lengths_short_of_the_headers_drop_the_frame() {
    let (device, mut nic) = pair();
    let buffers = device.available(0);
    for length in 0..12 + 14 {
        let buffer = device.take(0).expect("a buffer");
        device.give_back(0, buffer.id.into(), length);
        assert_eq!(receive(&mut nic), None, "length {length}");
    }
    assert_eq!(nic.counters().device_errors, 26);
    assert_eq!(device.available(0), buffers);
    check_alive(&device, &mut nic);
}

#[test]
fn transmit_lengths_mean_nothing() {
    let (device, mut nic) = pair();
    assert!(send(&mut nic, &tcp(4, b"out")));
    let buffer = device.take(1).expect("the frame");
    device.give_back(1, buffer.id.into(), u32::MAX);
    nic.flush();
    assert_eq!(nic.counters().device_errors, 0);
    check_alive(&device, &mut nic);
}

#[test]
fn a_used_index_that_jumps_ends_the_card() {
    for queue in [0, 1] {
        for jump in [1u16, 1000, 32_768] {
            let (device, mut nic) = pair();
            let found = device.queue_size(queue).wrapping_add(jump);
            device.set_used_index(queue, found);
            assert_eq!(receive(&mut nic), None);
            nic.flush();
            let expected = VirtioError::UsedIndexJumped {
                queue: queue as u16,
                expected: 0,
                found,
            };
            assert_eq!(nic.failure(), Some(expected));
            assert!(nic.transmit(NOW).is_none());
            assert!(nic.receive(NOW).is_none());
            assert!(!nic.arm(), "sleep rather than spin");
            nic.flush();
            assert_eq!(nic.counters().device_errors, 1);
        }
    }
}

#[test]
fn a_used_index_that_goes_back_ends_the_card() {
    let (device, mut nic) = pair();
    device.deliver(&PLAIN, &tcp(4, b"one"));
    receive(&mut nic).expect("the frame");
    device.set_used_index(0, 0);
    assert_eq!(receive(&mut nic), None);
    assert!(matches!(
        nic.failure(),
        Some(VirtioError::UsedIndexJumped {
            queue: 0,
            expected: 1,
            found: 0
        })
    ));
}

#[test]
fn a_full_rings_worth_of_stale_entries_is_survived() {
    // The index says that all entries are used, but the device wrote none: all say "buffer 0".
    let (device, mut nic) = pair();
    device.set_used_index(0, device.queue_size(0));
    for _ in 0..200 {
        assert_eq!(receive(&mut nic), None);
    }
    assert!(nic.counters().device_errors > 0);
    assert_eq!(nic.failure(), None);
}

#[test]
fn a_storm_of_lies_ends_each_call() {
    let (device, mut nic) = pair();
    for _ in 0..1000 {
        for _ in 0..device.queue_size(0) {
            device.give_back(0, 0xdead_beef, 0xffff_ffff);
        }
        assert_eq!(receive(&mut nic), None);
    }
    check_alive(&device, &mut nic);
}

#[test]
fn headers_full_of_nonsense_are_only_flags() {
    let (device, mut nic) = pair();
    let frame = tcp(4, b"payload");
    for byte in [0x55, 0xaa, 0xff] {
        assert!(device.deliver(&[byte; 12], &frame));
        assert_eq!(receive(&mut nic), Some(frame.clone()));
    }
    check_alive(&device, &mut nic);
}

#[test]
fn arbitrary_used_entries_never_panic() {
    // A small generator, so that the run is the same each time (Knuth's MMIX constants).
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let runs = if cfg!(miri) { 2 } else { 50 };
    for _ in 0..runs {
        let (device, mut nic) = pair();
        for _ in 0..200 {
            let queue = (random() & 1) as usize;
            let id = if random() & 3 == 0 {
                random()
            } else {
                random() % 20
            };
            let length = if random() & 3 == 0 {
                random()
            } else {
                random() % 2000
            };
            if let Some(buffer) = device.take(0)
                && random() & 1 == 0
            {
                let noise: Vec<u8> = (0..random() % 200).map(|_| random() as u8).collect();
                device.write(&buffer, &noise);
            }
            device.give_back(queue, id, length);
            receive(&mut nic);
            send(&mut nic, &tcp(4, b"x"));
            nic.arm();
        }
        assert!(nic.counters().device_errors > 0);
    }
}
