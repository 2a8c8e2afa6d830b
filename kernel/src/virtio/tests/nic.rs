//! The driver against a device that keeps the rules.

use smoltcp::phy::{Checksum, Device, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;
use virtio_drivers::Error;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus};

use super::fake::{FakeDevice, FakeNic, MAC, limit_allocations, live_pages, options};
use super::frames::{tcp, udp};
use crate::virtio::{Features, Nic, NicOptions, VirtioError};

const NOW: Instant = Instant::ZERO;
const PLAIN: [u8; 12] = [0; 12];
const EVERYTHING: Features = Features::OFFLOADS
    .union(Features::EVENT_IDX)
    .union(Features::MTU);

/// Takes one frame from the card.
fn receive(nic: &mut FakeNic) -> Option<Vec<u8>> {
    let (rx, _) = nic.receive(NOW)?;
    Some(rx.consume(|frame| frame.to_vec()))
}

/// Sends one frame if the card takes it.
fn send(nic: &mut FakeNic, frame: &[u8]) -> bool {
    let Some(token) = nic.transmit(NOW) else {
        return false;
    };
    token.consume(frame.len(), |buffer| buffer.copy_from_slice(frame));
    true
}

#[test]
fn set_up_follows_the_order_of_the_specification() {
    let device = FakeDevice::new(EVERYTHING);
    let steps = device.0.clone();
    let nic: FakeNic = Nic::new(device.transport(), None, options(), &mut |queue| {
        steps.borrow_mut().steps.push(format!("wire {queue}"));
        Ok(())
    })
    .expect("starts");
    // virtio 1.2 §3.1.1: reset, ACKNOWLEDGE and DRIVER, features, FEATURES_OK, queues, DRIVER_OK.
    let expected = [
        "status 0",
        "status 3",
        "features",
        "status 11",
        "wire 0",
        "queue 0",
        "wire 1",
        "queue 1",
        "status 15",
    ];
    assert_eq!(device.0.borrow().steps, expected);
    assert_eq!(nic.mac(), MAC);
    assert_eq!(nic.mtu(), 1500);
    assert_eq!(
        nic.features().to_string(),
        "checksum, tso4, tso6, mtu, event-idx"
    );
    assert_eq!(
        device.doorbells()[0],
        1,
        "the receive buffers are announced"
    );
    assert_eq!(nic.failure(), None);
}

#[test]
fn features_read_well() {
    let table = [
        (Features::VERSION_1, "none"),
        (Features::NONE, "legacy"),
        (
            Features::VERSION_1
                .union(Features::CSUM)
                .union(Features::HOST_TSO4),
            "send-checksum, send-tso4",
        ),
        (
            Features::VERSION_1
                .union(Features::GUEST_CSUM)
                .union(Features::EVENT_IDX),
            "receive-checksum, event-idx",
        ),
    ];
    for (features, expect) in table {
        assert_eq!(features.to_string(), expect);
    }
}

#[test]
fn segmentation_needs_the_checksum_of_its_direction() {
    let offered = Features::OFFLOADS.without(Features::CSUM);
    let agreed = Features::negotiate(offered, Features::SUPPORTED);
    assert_eq!(
        agreed.to_string(),
        "receive-checksum, receive-tso4, receive-tso6, legacy"
    );
    let offered = Features::OFFLOADS.without(Features::GUEST_CSUM);
    let agreed = Features::negotiate(offered, Features::SUPPORTED);
    assert_eq!(
        agreed.to_string(),
        "send-checksum, send-tso4, send-tso6, legacy"
    );
    let unknown = Features::from_bits(u64::MAX);
    assert_eq!(Features::negotiate(unknown, unknown), Features::SUPPORTED);
}

#[track_caller]
fn check_refusal(device: &FakeDevice, options: NicOptions, expect: VirtioError) {
    let error = device.start(options).err().expect("the device is refused");
    assert_eq!(error, expect);
    assert!(!error.to_string().is_empty());
    assert!(!device.0.borrow().status.contains(DeviceStatus::DRIVER_OK));
    assert_eq!(live_pages(), 0, "nothing is kept");
}

#[test]
fn unusable_devices_are_refused() {
    let fresh = || FakeDevice::new(EVERYTHING);
    let block = fresh().with(|state| state.kind = DeviceType::Block);
    check_refusal(&block, options(), VirtioError::WrongKind(DeviceType::Block));

    let stubborn = fresh().with(|state| state.accepts_features = false);
    let features = EVERYTHING.union(Features::VERSION_1).union(Features::MAC);
    let refused = VirtioError::FeaturesRefused {
        features: features.bits(),
    };
    check_refusal(&stubborn, options(), refused);

    for queue in [0, 1] {
        let device = fresh().with(|state| state.queue_most[usize::from(queue)] = 0);
        check_refusal(&device, options(), VirtioError::NoQueue { queue });
    }
    for mtu in [0, 67, 575] {
        let least = 576;
        let refused = VirtioError::MtuTooSmall { mtu, least };
        check_refusal(&fresh().with_mtu(mtu), options(), refused);
    }
    let short = fresh().with(|state| state.configuration.truncate(8));
    let refused = VirtioError::Configuration(Error::ConfigSpaceTooSmall);
    check_refusal(&short, options(), refused);
}

#[test]
fn a_useless_mac_address_falls_back_to_the_given_one() {
    for mac in [[0; 6], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
        let device = FakeDevice::new(Features::NONE)
            .with(|state| state.configuration[..6].copy_from_slice(&mac));
        check_refusal(&device, options(), VirtioError::NoMacAddress);
        let given = NicOptions {
            mac: Some([2, 0, 0, 0, 0, 9]),
            ..options()
        };
        let nic = device.start(given).expect("starts with the given address");
        assert_eq!(nic.mac(), [2, 0, 0, 0, 0, 9]);
    }
}

#[test]
fn a_failed_wiring_or_allocation_leaves_nothing_behind() {
    let device = FakeDevice::new(EVERYTHING);
    for failing in [0, 1] {
        let result: Result<FakeNic, _> =
            Nic::new(device.transport(), None, options(), &mut |queue| {
                if queue == failing {
                    return Err(VirtioError::Interrupt { queue });
                }
                Ok(())
            });
        assert_eq!(
            result.err(),
            Some(VirtioError::Interrupt { queue: failing })
        );
        assert_eq!(device.0.borrow().status, DeviceStatus::FAILED);
        assert_eq!(live_pages(), 0);
    }
    for allocations in 0..4 {
        limit_allocations(allocations);
        let error = device.start(options()).err().expect("there is no memory");
        assert!(matches!(error, VirtioError::Memory { bytes } if bytes > 0));
        assert_eq!(live_pages(), 0);
    }
    limit_allocations(4);
    device
        .start(options())
        .expect("four allocations are enough");
}

#[test]
fn memory_is_freed_once_the_device_has_stopped() {
    let device = FakeDevice::new(EVERYTHING);
    let nic = device.nic();
    assert!(live_pages() > 0);
    drop(nic);
    assert_eq!(live_pages(), 0);
    assert!(device.0.borrow().status.is_empty(), "reset");
}

#[test]
fn memory_is_kept_from_a_device_that_does_not_stop() {
    let device = FakeDevice::new(EVERYTHING);
    let nic = device.nic();
    device.0.borrow_mut().resets = false;
    let held = live_pages();
    drop(nic);
    assert_eq!(live_pages(), held);
}

#[test]
fn frames_come_in_unchanged_and_buffers_go_back() {
    let device = FakeDevice::new(EVERYTHING);
    let mut nic = device.nic();
    let buffers = device.available(0);
    assert!(receive(&mut nic).is_none());
    for n in 0..100 {
        let frame = tcp(4, &vec![n; usize::from(n) * 13]);
        assert!(device.deliver(&PLAIN, &frame));
        assert_eq!(receive(&mut nic), Some(frame));
    }
    assert!(receive(&mut nic).is_none());
    assert_eq!(device.available(0), buffers);
    let counters = nic.counters();
    assert_eq!(counters.received_frames, 100);
    assert_eq!(counters.received_bytes, (0..100).map(|n| 66 + n * 13).sum());
    assert_eq!(counters.device_errors, 0);
}

#[test]
fn an_unread_token_gives_its_buffer_back() {
    let device = FakeDevice::new(EVERYTHING);
    let mut nic = device.nic();
    let buffers = device.available(0);
    device.deliver(&PLAIN, &tcp(4, b"ignored"));
    drop(nic.receive(NOW).expect("a frame"));
    assert_eq!(device.available(0), buffers);
}

#[test]
fn super_frames_come_in_whole() {
    let device = FakeDevice::new(EVERYTHING);
    let mut nic = device.nic();
    let frame = tcp(6, &vec![5; 65_535 - 32]);
    assert_eq!(frame.len(), 14 + 40 + 65_535);
    device.deliver(&[1, 4, 86, 0, 0xa8, 5, 54, 0, 16, 0, 1, 0], &frame);
    assert_eq!(receive(&mut nic), Some(frame));
}

#[test]
fn bad_checksums_are_dropped_unless_vouched_for() {
    let device = FakeDevice::new(EVERYTHING);
    let mut nic = device.nic();
    let mut bad = tcp(4, b"corrupted on the wire");
    bad[60] ^= 1;
    device.deliver(&PLAIN, &bad);
    let good = udp(6, b"right");
    device.deliver(&PLAIN, &good);
    assert_eq!(receive(&mut nic), Some(good), "the bad one is passed over");
    assert_eq!(nic.counters().dropped_corrupt, 1);
    for flags in [1, 2] {
        let mut header = PLAIN;
        header[0] = flags;
        device.deliver(&header, &bad);
        assert_eq!(receive(&mut nic), Some(bad.clone()), "flags {flags}");
    }
    let mut fragment = tcp(4, b"part");
    fragment[14 + 6] = 0x20;
    device.deliver(&PLAIN, &fragment);
    assert_eq!(receive(&mut nic), None);
    assert_eq!(nic.counters().dropped_fragments, 1);
    assert_eq!(nic.counters().received_frames, 3);
}

#[test]
fn without_guest_checksum_the_stack_verifies() {
    let device = FakeDevice::new(Features::NONE);
    let mut nic = device.nic();
    let mut bad = tcp(4, b"corrupted on the wire");
    bad[60] ^= 1;
    // A flag that was never negotiated means nothing.
    device.deliver(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &bad);
    assert_eq!(receive(&mut nic), None);
    assert_eq!(nic.counters().dropped_corrupt, 1);
}

#[test]
fn capabilities_follow_the_features() {
    let capabilities = |features: Features| FakeDevice::new(features).nic().capabilities();
    let all = capabilities(EVERYTHING);
    assert!(matches!(all.checksum.tcp, Checksum::None));
    assert!(matches!(all.checksum.udp, Checksum::Tx));
    assert!(matches!(all.checksum.icmpv4, Checksum::Both));
    assert!(matches!(all.checksum.ipv4, Checksum::Both));
    assert_eq!(all.max_transmission_unit, 1514);
    assert_eq!(all.segmentation.tcpv4.map(|n| n.get()), Some(65_549));
    assert_eq!(all.segmentation.tcpv6, None, "smoltcp cannot");

    let none = capabilities(Features::NONE);
    assert!(matches!(none.checksum.tcp, Checksum::None));
    assert!(matches!(none.checksum.udp, Checksum::Tx));
    assert_eq!(none.segmentation.tcpv4, None);

    let jumbo = FakeDevice::new(Features::MTU).with_mtu(65_000).nic();
    assert_eq!(jumbo.capabilities().max_transmission_unit, 65_014);
}

#[test]
fn options_can_leave_features_out() {
    let device = FakeDevice::new(EVERYTHING);
    let plain = NicOptions {
        features: Features::SUPPORTED.without(Features::OFFLOADS.union(Features::EVENT_IDX)),
        ..options()
    };
    let nic = device.start(plain).expect("starts");
    assert_eq!(nic.features().to_string(), "mtu");
    let agreed = Features::from_bits(device.0.borrow().agreed);
    assert!(agreed.contains(Features::VERSION_1), "never left out");
}

#[test]
fn frames_go_out_unchanged_without_features() {
    let device = FakeDevice::new(Features::NONE);
    let mut nic = device.nic();
    for frame in [tcp(4, b"hello"), udp(6, b"hello"), tcp(6, &[1; 1428])] {
        assert!(send(&mut nic, &frame));
        assert_eq!(device.sent(), [[&PLAIN[..], &frame].concat()]);
    }
    assert_eq!(nic.counters().sent_frames, 3);
}

#[test]
fn a_legacy_device_has_a_shorter_header() {
    let device = FakeDevice::new(Features::NONE).with(|state| state.offered = Features::MAC.bits());
    let mut nic = device.nic();
    assert!(!device.0.borrow().status.contains(DeviceStatus::FEATURES_OK));
    let frame = tcp(4, b"old");
    send(&mut nic, &frame);
    assert_eq!(device.sent(), [[&[0; 10], &frame[..]].concat()]);
    device.deliver(&[0; 10], &frame);
    assert_eq!(receive(&mut nic), Some(frame));
}

#[test]
fn super_segments_go_out_with_their_size() {
    let device = FakeDevice::new(EVERYTHING);
    let mut nic = device.nic();
    let frame = tcp(4, &vec![3; 65_535 - 20 - 32]);
    let mut token = nic.transmit(NOW).expect("there is room");
    let mut meta = PacketMeta::default();
    meta.segmentation_offload_size = core::num::NonZeroU16::new(1448);
    token.set_meta(meta);
    token.consume(frame.len(), |buffer| buffer.copy_from_slice(&frame));
    let sent = device.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].len(), 12 + 65_549);
    assert_eq!(sent[0][..12], [1, 1, 66, 0, 0xa8, 5, 34, 0, 16, 0, 0, 0]);
}

#[test]
fn a_frame_beyond_the_mtu_is_not_sent_unsplit() {
    for features in [EVERYTHING, Features::NONE] {
        let device = FakeDevice::new(features);
        let mut nic = device.nic();
        // More often than there are buffers: none may be lost.
        for _ in 0..300 {
            assert!(send(&mut nic, &tcp(4, &[0; 1500])));
        }
        assert!(device.sent().is_empty());
        let counters = nic.counters();
        assert_eq!(counters.dropped_oversized + counters.dropped_full, 300);
        assert_eq!(counters.sent_frames, 0);
        assert!(send(&mut nic, &tcp(4, &[0; 1000])));
        assert_eq!(device.sent().len(), 1);
    }
}

#[test]
fn odd_queue_sizes_work() {
    for features in [EVERYTHING, Features::NONE] {
        for (most, largest) in [(1, 1), (2, 2), (3, 2), (100, 64), (u32::MAX, 1024)] {
            let device = FakeDevice::new(features).with(|state| state.queue_most = [most; 2]);
            let mut nic = device.nic();
            for queue in [0, 1] {
                let size = device.queue_size(queue);
                assert!(size.is_power_of_two() && size <= largest, "{most}: {size}");
            }
            for n in 0..50 {
                let frame = tcp(4, &[n; 99]);
                assert!(device.deliver(&PLAIN, &frame));
                assert_eq!(receive(&mut nic), Some(frame.clone()));
                assert!(send(&mut nic, &frame));
                nic.flush();
                assert_eq!(device.sent().len(), 1);
            }
        }
    }
}

#[test]
fn doorbells_are_batched() {
    let device = FakeDevice::new(EVERYTHING);
    let mut nic = device.nic();
    for _ in 0..20 {
        send(&mut nic, &tcp(4, b"batch"));
    }
    assert_eq!(device.doorbells(), [1, 0]);
    nic.flush();
    assert_eq!(device.doorbells(), [1, 1]);
    nic.flush();
    assert_eq!(device.doorbells(), [1, 1]);
    assert_eq!(device.sent().len(), 20);
    send(
        &mut nic,
        &tcp(4, b"the device is awake and wants no doorbell"),
    );
    nic.flush();
    assert_eq!(device.doorbells(), [1, 1]);
    assert_eq!(nic.counters().transmit_kicks, 1);
}

#[test]
fn a_full_ring_refuses_and_recovers() {
    for features in [EVERYTHING, Features::NONE] {
        let device = FakeDevice::new(features);
        let mut nic = device.nic();
        let mut sent = 0;
        while send(&mut nic, &tcp(4, b"fill")) {
            sent += 1;
            assert!(sent <= 256, "the ring is bounded");
        }
        assert!(device.doorbells()[1] > 0, "the device knows");
        assert!(!nic.arm(), "nothing to do until buffers come back");
        assert_eq!(device.sent().len(), sent);
        assert!(nic.arm(), "they are back");
        assert!(!nic.arm(), "but nobody asked again");
        assert!(send(&mut nic, &tcp(4, b"again")));
        assert_eq!(nic.counters().dropped_full, 0);
    }
}

#[test]
fn receiving_goes_on_when_nothing_can_be_sent() {
    let device = FakeDevice::new(EVERYTHING);
    let mut nic = device.nic();
    while send(&mut nic, &tcp(4, b"fill")) {}
    let reply = tcp(4, b"reply");
    let mut replies = 0;
    for n in 0..100 {
        let frame = tcp(4, &[n; 9]);
        assert!(device.deliver(&PLAIN, &frame), "a buffer for frame {n}");
        let (rx, tx) = nic.receive(NOW).expect("the frame comes in");
        rx.consume(|bytes| assert_eq!(bytes, frame));
        tx.consume(reply.len(), |buffer| buffer.copy_from_slice(&reply));
        replies += 1;
    }
    let counters = nic.counters();
    assert!(counters.dropped_full > 0);
    assert!(
        counters.dropped_full < replies,
        "a reserve was kept for answers"
    );
    assert_eq!(counters.received_frames, 100);
    device.sent();
    assert!(send(&mut nic, &tcp(4, b"and sending recovers")));
}

#[test]
fn arming_flushes_and_reports_frames_that_wait() {
    for features in [EVERYTHING, Features::NONE] {
        let device = FakeDevice::new(features);
        let mut nic = device.nic();
        send(&mut nic, &tcp(4, b"not yet announced"));
        assert!(!nic.arm());
        assert_eq!(device.doorbells()[1], 1);
        device.deliver(&PLAIN, &tcp(4, b"frame"));
        assert!(nic.arm());
        receive(&mut nic).expect("the frame");
        assert!(!nic.arm());
    }
}

#[test]
fn indices_survive_many_turns() {
    // Enough for both rings' indices to wrap; a few turns under an interpreter.
    let turns = if cfg!(miri) { 300 } else { 70_000 };
    let device = FakeDevice::new(EVERYTHING);
    let mut nic = device.nic();
    let frame = tcp(4, b"again and again");
    for turn in 0..turns {
        assert!(device.deliver(&PLAIN, &frame), "turn {turn}");
        assert_eq!(receive(&mut nic).as_ref(), Some(&frame), "turn {turn}");
        assert!(send(&mut nic, &frame), "turn {turn}");
        nic.flush();
        assert_eq!(device.sent().len(), 1, "turn {turn}");
    }
    assert_eq!(nic.counters().device_errors, 0);
    assert_eq!(nic.counters().sent_frames, turns);
}

#[test]
fn a_device_that_needs_a_reset_is_not_used_any_longer() {
    let device = FakeDevice::new(EVERYTHING);
    let mut nic = device.nic();
    device.0.borrow_mut().interrupt = InterruptStatus::QUEUE_INTERRUPT;
    nic.acknowledge_interrupt();
    assert_eq!(nic.failure(), None);
    device.with(|state| {
        state.interrupt = InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT;
        state.status.insert(DeviceStatus::DEVICE_NEEDS_RESET);
    });
    nic.acknowledge_interrupt();
    assert_eq!(nic.failure(), Some(VirtioError::NeedsReset));
    assert!(nic.transmit(NOW).is_none());
    assert!(nic.receive(NOW).is_none());
    assert!(!nic.arm());
}
