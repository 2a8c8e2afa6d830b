//! The management channel's driver against a device that keeps the rules, and one that does not.

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus};

use super::fake::{FakeConsole, FakeDevice, limit_allocations, live_pages};
use crate::virtio::{Console, Features, VirtioError};

/// Bytes of a buffer, and how many there are of each direction.
const BUFFER: usize = 4096;
const BUFFERS: usize = 4;

/// A channel whose device offers this besides VERSION_1.
fn pair(features: Features) -> (FakeDevice, FakeConsole) {
    let device = FakeDevice::console(features);
    let console = device
        .start_console()
        .expect("a well-behaved device starts");
    (device, console)
}

fn receive(console: &mut FakeConsole, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; most];
    let length = console.receive(&mut bytes);
    bytes.truncate(length);
    bytes
}

/// Bytes that are not all alike.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 251) as u8).collect()
}

/// The channel still works in both directions.
#[track_caller]
fn check_alive(device: &FakeDevice, console: &mut FakeConsole) {
    assert_eq!(console.failure(), None);
    assert!(device.deliver(&[], b"still alive"));
    assert_eq!(receive(console, 100), b"still alive");
    assert_eq!(console.send(b"so am I"), 7);
    console.flush();
    assert_eq!(device.sent().concat(), b"so am I");
}

#[test]
fn set_up_follows_the_order_of_the_specification() {
    // Everything that may be offered, several ports among it (virtio 1.2 §5.3.3).
    let device = FakeDevice::console(Features::from_bits(u64::MAX));
    let steps = device.0.clone();
    let console: FakeConsole = Console::new(device.transport(), None, &mut |queue| {
        steps.borrow_mut().steps.push(format!("wire {queue}"));
        Ok(())
    })
    .expect("starts");
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
    let agreed = Features::VERSION_1
        .union(Features::EVENT_IDX)
        .union(Features::ACCESS_PLATFORM);
    assert_eq!(device.0.borrow().agreed, agreed.bits());
    assert_eq!(
        device.doorbells(),
        [1, 0],
        "the receive buffers are announced"
    );
    assert_eq!(usize::from(device.available(0)), BUFFERS);
    assert_eq!(console.failure(), None);
}

#[track_caller]
fn check_refusal(device: &FakeDevice, expect: VirtioError) {
    let error = device.start_console().err().expect("the device is refused");
    assert_eq!(error, expect);
    assert!(!error.to_string().is_empty());
    assert!(!device.0.borrow().status.contains(DeviceStatus::DRIVER_OK));
    assert_eq!(live_pages(), 0, "nothing is kept");
}

#[test]
fn unusable_devices_are_refused() {
    let fresh = || FakeDevice::console(Features::NONE);
    let card = fresh().with(|state| state.kind = DeviceType::Network);
    check_refusal(&card, VirtioError::WrongKind(DeviceType::Network));
    let stubborn = fresh().with(|state| state.accepts_features = false);
    let features = Features::VERSION_1.bits();
    check_refusal(&stubborn, VirtioError::FeaturesRefused { features });
    for queue in [0, 1] {
        let device = fresh().with(|state| state.queue_most[usize::from(queue)] = 0);
        check_refusal(&device, VirtioError::NoQueue { queue });
    }
    for left in 0..4 {
        limit_allocations(left);
        let error = fresh().start_console().err();
        limit_allocations(usize::MAX);
        assert!(matches!(error, Some(VirtioError::Memory { .. })), "{left}");
        assert_eq!(live_pages(), 0, "nothing is kept");
    }
}

#[test]
fn small_rings_are_used_as_they_are() {
    for (most, buffers) in [(1, 1), (2, 2), (3, 2), (4, 4), (32_768, 4), (u32::MAX, 4)] {
        let device = FakeDevice::console(Features::NONE).with(|state| state.queue_most = [most; 2]);
        let mut console = device.start_console().expect("starts");
        assert_eq!(device.available(0), buffers);
        let taken = console.send(&pattern(10 * BUFFER));
        assert_eq!(taken, usize::from(buffers) * BUFFER);
        console.flush();
        assert_eq!(device.sent().concat(), pattern(taken));
        check_alive(&device, &mut console);
    }
}

#[test]
fn bytes_come_in_however_they_are_cut() {
    for features in [Features::NONE, Features::EVENT_IDX] {
        let (device, mut console) = pair(features);
        assert_eq!(receive(&mut console, 10), b"");
        let sent = pattern(40_000);
        let mut waiting = &sent[..];
        let mut got = Vec::new();
        for turn in 0.. {
            // As many parts as there are buffers, of many lengths.
            for part in 1..=BUFFERS {
                let length = (turn * 700 + part * 37).min(BUFFER).min(waiting.len());
                if length > 0 && device.deliver(&[], &waiting[..length]) {
                    waiting = &waiting[length..];
                }
            }
            let some = receive(&mut console, 1 + turn * 911);
            got.extend(some);
            console.flush();
            if waiting.is_empty() && got.len() == sent.len() {
                break;
            }
            assert!(turn < 100, "{} of {} bytes came", got.len(), sent.len());
        }
        assert_eq!(got, sent);
        assert_eq!(console.device_errors(), 0);
    }
}

#[test]
fn what_was_read_is_wiped_before_the_device_gets_its_buffer_back() {
    let (device, mut console) = pair(Features::NONE);
    let secrets = [&b"first secret"[..], b"second"];
    for secret in secrets {
        assert!(device.deliver(&[], secret));
    }
    assert_eq!(receive(&mut console, 15), b"first secretsec");
    assert_eq!(receive(&mut console, 15), b"ond");
    while let Some(buffer) = device.take(0) {
        assert!(device.read(&buffer).iter().all(|&byte| byte == 0));
    }
}

#[test]
fn a_full_transmit_queue_takes_nothing_and_loses_nothing() {
    for features in [Features::NONE, Features::EVENT_IDX] {
        let (device, mut console) = pair(features);
        let bytes = pattern(BUFFER * BUFFERS + 1000);
        assert_eq!(console.send(&bytes), BUFFER * BUFFERS);
        assert_eq!(console.send(&bytes), 0);
        console.flush();
        assert_eq!(console.send(&bytes), 0, "the device has sent nothing yet");
        let sent = device.sent().concat();
        assert_eq!(sent, bytes[..BUFFER * BUFFERS]);
        // Without `flush` in between: buffers that came back are looked for.
        assert_eq!(console.send(&bytes[sent.len()..]), 1000);
        console.flush();
        assert_eq!(device.sent().concat(), bytes[sent.len()..]);
    }
}

#[test]
fn small_writes_share_a_buffer_until_they_are_flushed() {
    let (device, mut console) = pair(Features::NONE);
    let kicks = device.doorbells()[1];
    for byte in 0..100 {
        assert_eq!(console.send(&[byte]), 1);
    }
    assert_eq!(device.available(1), 0, "not before the flush");
    console.flush();
    console.flush();
    assert_eq!(device.doorbells()[1], kicks + 1);
    assert_eq!(device.sent(), [(0..100).collect::<Vec<u8>>()]);
    // A buffer that is full does not wait.
    assert_eq!(console.send(&pattern(BUFFER + 1)), BUFFER + 1);
    assert_eq!(device.available(1), 1);
    assert_eq!(console.send(b""), 0);
    console.flush();
    assert_eq!(device.sent().concat(), pattern(BUFFER + 1));
}

#[test]
fn an_idle_channel_is_woken_by_bytes() {
    for features in [Features::NONE, Features::EVENT_IDX] {
        let (device, mut console) = pair(features);
        assert!(!console.arm());
        let buffer = device.take(0).expect("a buffer");
        device.write(&buffer, b"x");
        assert!(device.give_back(0, buffer.id.into(), 1), "interrupts");
        assert!(console.arm(), "no halt: there is something");
        assert_eq!(receive(&mut console, 10), b"x");
        // Before the driver is about to halt it wants no interrupt.
        let buffer = device.take(0).expect("a buffer");
        assert!(!device.give_back(0, buffer.id.into(), 1));
        assert!(console.arm());
    }
}

#[test]
fn bytes_that_nobody_takes_do_not_keep_the_machine_awake() {
    for features in [Features::NONE, Features::EVENT_IDX] {
        let (device, mut console) = pair(features);
        assert!(device.deliver(&[], b"unheard"));
        assert!(console.arm());
        assert!(!console.arm());
        assert_eq!(receive(&mut console, 2), b"un");
        assert!(console.arm(), "somebody listens, and there is more");
        assert!(!console.arm());
        assert_eq!(receive(&mut console, 100), b"heard");
        assert!(!console.arm());
    }
}

#[test]
fn who_was_refused_room_is_woken_when_there_is_some() {
    for features in [Features::NONE, Features::EVENT_IDX] {
        let (device, mut console) = pair(features);
        let all = BUFFER * BUFFERS;
        // Nobody waits for room: the buffers come back in silence.
        assert_eq!(console.send(&pattern(all)), all);
        assert!(!console.arm());
        let buffer = device.take(1).expect("bytes");
        assert!(!device.give_back(1, buffer.id.into(), 0));
        device.sent();
        console.flush();
        // Somebody does.
        assert_eq!(console.send(&pattern(all + 1)), all);
        assert!(!console.arm());
        let interrupts = (0..BUFFERS).filter(|_| {
            let buffer = device.take(1).expect("bytes");
            device.give_back(1, buffer.id.into(), 0)
        });
        assert!(interrupts.count() > 0);
        assert!(console.arm(), "there is room");
        assert!(!console.arm(), "told once");
        check_alive(&device, &mut console);
    }
}

#[test]
fn lies_about_buffers_are_passed_over() {
    let (device, mut console) = pair(Features::EVENT_IDX);
    for id in [BUFFERS as u32, 65_535, 65_536, u32::MAX] {
        device.give_back(0, id, 100);
        assert_eq!(receive(&mut console, 10), b"");
        device.give_back(1, id, 0);
        console.flush();
    }
    assert_eq!(console.device_errors(), 8);
    // Transmit buffers that the device does not have.
    for id in 0..BUFFERS as u32 {
        device.give_back(1, id, 0);
        console.flush();
    }
    assert_eq!(console.device_errors(), 12);
    // Were a buffer free twice, its bytes would be overwritten.
    let bytes = pattern(BUFFER * BUFFERS);
    assert_eq!(console.send(&bytes), bytes.len());
    console.flush();
    assert_eq!(device.sent().concat(), bytes);
    check_alive(&device, &mut console);
}

#[test]
fn lengths_beyond_the_buffer_bring_nothing() {
    let (device, mut console) = pair(Features::NONE);
    for excess in [1, 1000, u32::MAX - BUFFER as u32] {
        let buffer = device.take(0).expect("a buffer");
        device.give_back(0, buffer.id.into(), buffer.length + excess);
        assert_eq!(receive(&mut console, 10_000), b"");
    }
    assert_eq!(console.device_errors(), 3);
    assert_eq!(usize::from(device.available(0)), BUFFERS, "they went back");
    // A length for a buffer that the device only reads means nothing.
    assert_eq!(console.send(b"out"), 3);
    console.flush();
    let buffer = device.take(1).expect("bytes");
    device.give_back(1, buffer.id.into(), u32::MAX);
    console.flush();
    assert_eq!(console.device_errors(), 3);
    check_alive(&device, &mut console);
}

#[test]
fn empty_buffers_are_given_back_and_end_every_call() {
    let (device, mut console) = pair(Features::NONE);
    for _ in 0..100 {
        while let Some(buffer) = device.take(0) {
            device.give_back(0, buffer.id.into(), 0);
        }
        assert_eq!(receive(&mut console, 10), b"");
    }
    assert_eq!(console.device_errors(), 0);
    check_alive(&device, &mut console);
}

#[test]
fn a_used_index_that_jumps_ends_the_channel() {
    for queue in [0, 1] {
        let (device, mut console) = pair(Features::EVENT_IDX);
        device.set_used_index(queue, 1000);
        assert_eq!(receive(&mut console, 10), b"");
        console.flush();
        let expected = VirtioError::UsedIndexJumped {
            queue: queue as u16,
            expected: 0,
            found: 1000,
        };
        assert_eq!(console.failure(), Some(expected));
        assert_eq!(console.send(b"x"), 0);
        assert!(!console.arm(), "sleep rather than spin");
    }
}

#[test]
fn a_device_that_needs_a_reset_is_not_used() {
    let (device, mut console) = pair(Features::NONE);
    assert!(device.deliver(&[], b"late"));
    {
        let mut state = device.0.borrow_mut();
        state.status |= DeviceStatus::DEVICE_NEEDS_RESET;
        state.interrupt = InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT;
    }
    console.acknowledge_interrupt();
    assert_eq!(console.failure(), Some(VirtioError::NeedsReset));
    assert_eq!(receive(&mut console, 10), b"");
    assert_eq!(console.send(b"x"), 0);
    assert!(!console.arm());
}

#[test]
fn memory_outlives_a_device_that_does_not_stop() {
    let device = FakeDevice::console(Features::NONE);
    let console = device.start_console().expect("starts");
    let pages = live_pages();
    assert!(pages > 0);
    device.0.borrow_mut().resets = false;
    drop(console);
    assert_eq!(live_pages(), pages);

    let before = live_pages();
    let (_device, console) = pair(Features::NONE);
    drop(console);
    assert_eq!(live_pages(), before);
}
