//! The split virtqueue: indices that wrap, events, interrupts.

use super::fake::{FakeDevice, FakeHal, live_pages};
use crate::virtio::Features;
use crate::virtio::control::Control;
use crate::virtio::queue::{BufferClass, Queue, Returned};
use crate::virtio::ring::event_passed;

#[test]
fn events_compare_modulo_65536() {
    // (event, new, old, passed), after virtio 1.2 §2.7.10: was `event` among old..new?
    let table = [
        (0, 1, 0, true),
        (0, 0, 0, false),
        (1, 1, 0, false),
        (0, 5, 0, true),
        (4, 5, 0, true),
        (5, 5, 0, false),
        (65_535, 5, 0, false),
        // A batch over the wrap.
        (65_535, 3, 65_530, true),
        (65_530, 3, 65_530, true),
        (65_529, 3, 65_530, false),
        (0, 3, 65_530, true),
        (2, 3, 65_530, true),
        (3, 3, 65_530, false),
        // Both behind the wrap, event before it.
        (65_535, 10, 4, false),
        (65_535, 0, 65_535, true),
        (0, 0, 65_535, false),
    ];
    for (event, new, old, passed) in table {
        assert_eq!(event_passed(event, new, old), passed, "{event} {new} {old}");
    }
}

#[test]
fn events_agree_with_walking_the_indices() {
    for old in [0u16, 1, 100, 32_767, 32_768, 65_530, 65_535] {
        for count in 0..20u16 {
            let new = old.wrapping_add(count);
            for event in old.wrapping_sub(5)..=old.wrapping_sub(5).saturating_add(30) {
                let walked = (0..count).any(|n| old.wrapping_add(n) == event);
                assert_eq!(event_passed(event, new, old), walked, "{event} {new} {old}");
            }
        }
    }
}

/// A receive-like queue of `buffers` buffers of 64 bytes, indices starting at `index`.
fn queue(device: &FakeDevice, buffers: u16, event_idx: bool, index: u16) -> Queue<FakeHal> {
    let class = BufferClass {
        count: buffers,
        size: 64,
    };
    let size = buffers.next_power_of_two();
    device.0.borrow_mut().agreed = if event_idx {
        Features::EVENT_IDX.bits()
    } else {
        0
    };
    let mut control = Control::new("device", device.transport(), None);
    let mut queue =
        Queue::new(&mut control, 0, size, event_idx, &[class]).expect("there is memory");
    queue.ring_mut().start_at(index);
    device.start_at(0, index);
    queue
}

#[test]
fn buffers_go_round_over_the_wrap() {
    for event_idx in [false, true] {
        let device = FakeDevice::new(Features::NONE);
        let mut queue = queue(&device, 4, event_idx, 65_530);
        for slot in 0..4 {
            queue.offer(slot, 64);
        }
        for turn in 0..40u8 {
            let buffer = device.take(0).expect("a buffer is available");
            assert_eq!(buffer.length, 64);
            assert!(buffer.writable);
            device.write(&buffer, &[turn; 3]);
            device.give_back(0, buffer.id.into(), 3);
            let returned = queue.take().expect("it came back");
            assert_eq!(returned.length, 3);
            assert_eq!(returned.slot, buffer.id);
            assert_eq!(queue.bytes(returned.slot, returned.length), [turn; 3]);
            assert_eq!(queue.take(), None);
            queue.offer(returned.slot, 64);
            assert_eq!(queue.outstanding(), 4);
        }
        assert_eq!(queue.misbehaviours(), 0);
    }
}

#[test]
fn a_whole_ring_may_come_back_at_once_and_out_of_order() {
    let device = FakeDevice::new(Features::NONE);
    let mut queue = queue(&device, 8, true, 65_533);
    for slot in 0..8 {
        queue.offer(slot, 64);
    }
    let mut taken: Vec<_> = core::iter::from_fn(|| device.take(0)).collect();
    assert_eq!(taken.len(), 8);
    taken.reverse();
    for buffer in &taken {
        device.give_back(0, buffer.id.into(), u32::from(buffer.id));
    }
    let returned: Vec<_> = core::iter::from_fn(|| queue.take()).collect();
    let expected: Vec<_> = (0..8u16)
        .rev()
        .map(|slot| Returned {
            slot,
            length: slot.into(),
        })
        .collect();
    assert_eq!(returned, expected);
    assert_eq!(queue.outstanding(), 0);
}

#[test]
fn doorbells_follow_the_flag() {
    let device = FakeDevice::new(Features::NONE);
    let mut queue = queue(&device, 4, false, 65_535);
    assert!(!queue.ring_mut().should_notify(), "nothing was offered");
    queue.offer(0, 64);
    assert!(queue.ring_mut().should_notify());
    assert!(!queue.ring_mut().should_notify(), "once is enough");
    device.set_no_notify(0, true);
    queue.offer(1, 64);
    assert!(!queue.ring_mut().should_notify());
    device.set_no_notify(0, false);
    queue.offer(2, 64);
    assert!(queue.ring_mut().should_notify());
}

#[test]
fn doorbells_follow_the_event_over_the_wrap() {
    let device = FakeDevice::new(Features::NONE);
    let mut queue = queue(&device, 8, true, 65_534);
    // The device wants to hear of the buffer at index 0: the third.
    device.set_available_event(0, 0);
    queue.offer(0, 64);
    assert!(!queue.ring_mut().should_notify());
    queue.offer(1, 64);
    assert!(!queue.ring_mut().should_notify());
    queue.offer(2, 64);
    assert!(queue.ring_mut().should_notify());
    queue.offer(3, 64);
    assert!(!queue.ring_mut().should_notify());
    // A batch that steps over the event.
    device.set_available_event(0, 3);
    for slot in 4..8 {
        queue.offer(slot, 64);
    }
    assert!(queue.ring_mut().should_notify());
}

/// Gives one buffer back; says whether the device would interrupt.
fn interrupts(device: &FakeDevice) -> bool {
    let buffer = device.take(0).expect("a buffer is available");
    device.give_back(0, buffer.id.into(), 1)
}

#[test]
fn interrupts_come_only_when_armed() {
    for event_idx in [false, true] {
        let device = FakeDevice::new(Features::NONE);
        let mut queue = queue(&device, 16, event_idx, 65_532);
        for slot in 0..16 {
            queue.offer(slot, 64);
        }
        assert!(!interrupts(&device), "off from the start");
        assert!(queue.ring_mut().arm(0), "there is work already");
        queue.ring_mut().disarm();
        queue.take().expect("the work");
        assert!(!queue.ring_mut().arm(0), "none any more");
        assert!(interrupts(&device), "armed");
        queue.ring_mut().disarm();
        for _ in 0..10 {
            assert!(!interrupts(&device), "off again");
        }
    }
}

#[test]
fn arming_for_several_wakes_after_as_many() {
    let device = FakeDevice::new(Features::NONE);
    let mut queue = queue(&device, 16, true, 65_532);
    for slot in 0..16 {
        queue.offer(slot, 64);
    }
    assert!(!queue.ring_mut().arm(4));
    for _ in 0..4 {
        assert!(!interrupts(&device));
    }
    assert!(
        !queue.ring_mut().arm(4),
        "four came, more than four are wanted"
    );
    assert!(interrupts(&device));
    assert!(queue.ring_mut().arm(4));
}

#[test]
fn a_buffer_of_the_devices_cannot_be_seen() {
    let device = FakeDevice::new(Features::NONE);
    let mut queue = queue(&device, 2, true, 0);
    assert_eq!(queue.bytes(0, 10).len(), 10);
    assert_eq!(queue.bytes(0, 1000).len(), 64, "no further than the buffer");
    queue.offer(0, 64);
    assert!(queue.bytes(0, 10).is_empty());
    assert!(queue.bytes_mut(0, 10).is_empty());
    assert!(queue.bytes(2, 10).is_empty(), "there is no such buffer");
    assert_eq!(queue.bytes_mut(1, 10).len(), 10);
}

#[test]
fn memory_is_freed() {
    let device = FakeDevice::new(Features::NONE);
    let queue = queue(&device, 128, true, 0);
    assert!(live_pages() > 0);
    drop(queue);
    assert_eq!(live_pages(), 0);
}
