//! How many buffers of which size.

use crate::virtio::plan::{self, QueuePlan, SUPER_FRAME};
use crate::virtio::queue::BufferClass;
use crate::virtio::{Features, NicOptions};

const MIB: usize = 1 << 20;
const NONE: BufferClass = BufferClass { count: 0, size: 0 };

fn buffers(count: u16, size: usize) -> BufferClass {
    BufferClass { count, size }
}

#[track_caller]
fn check(memory: usize, features: Features, mtu: u16, device_most: u32, expect: [QueuePlan; 2]) {
    let options = NicOptions::for_memory(memory);
    let features = plan::affordable(features, &options);
    let receive = plan::receive(&options, features, mtu, 12, device_most);
    let transmit = plan::transmit(&options, features, mtu, 12, device_most);
    assert_eq!([receive, transmit], expect);
    for plan in [receive, transmit] {
        assert!(plan.ring.is_power_of_two());
        assert!(u32::from(plan.ring) <= device_most);
        assert!(plan.small.count + plan.large.count <= plan.ring);
    }
}

fn plan(ring: u16, small: BufferClass, large: BufferClass) -> QueuePlan {
    QueuePlan { ring, small, large }
}

#[test]
fn without_offloads_buffers_hold_an_ordinary_frame() {
    let many = plan(256, buffers(256, 1536), NONE);
    check(128 * MIB, Features::NONE, 1500, 256, [many, many]);
    check(16 * MIB, Features::NONE, 1500, 256, [many, many]);
}

#[test]
fn segmentation_takes_large_buffers() {
    let receive = plan(128, buffers(127, 65_664), NONE);
    let transmit = plan(256, buffers(209, 1536), buffers(47, 65_664));
    check(
        256 * MIB,
        Features::OFFLOADS,
        1500,
        256,
        [receive, transmit],
    );
    let receive = plan(16, buffers(15, 65_664), NONE);
    let transmit = plan(128, buffers(113, 1536), buffers(7, 65_664));
    check(16 * MIB, Features::OFFLOADS, 1500, 256, [receive, transmit]);
}

#[test]
fn a_large_mtu_takes_large_buffers() {
    let receive = plan(128, buffers(128, 65_088), NONE);
    let transmit = plan(256, buffers(208, 1536), buffers(48, 65_088));
    check(256 * MIB, Features::MTU, 65_000, 256, [receive, transmit]);
}

#[test]
fn segmentation_is_left_out_without_memory_for_it() {
    let small = plan(64, buffers(42, 1536), NONE);
    let receive = plan(64, buffers(64, 1536), NONE);
    let options = NicOptions::for_memory(3 * MIB / 2);
    let features = plan::affordable(Features::OFFLOADS, &options);
    assert_eq!(features, Features::CSUM.union(Features::GUEST_CSUM));
    check(3 * MIB / 2, Features::OFFLOADS, 1500, 256, [receive, small]);
}

#[test]
fn nonsense_queue_sizes_are_tamed() {
    for (device_most, ring) in [(1, 1), (2, 2), (3, 2), (200, 128), (u32::MAX, 1024)] {
        let options = NicOptions::for_memory(1024 * MIB);
        for features in [Features::NONE, Features::OFFLOADS] {
            let receive = plan::receive(&options, features, 1500, 12, device_most);
            let transmit = plan::transmit(&options, features, 1500, 12, device_most);
            for plan in [receive, transmit] {
                assert!(plan.ring <= ring && plan.ring.is_power_of_two());
                assert!(plan.small.count + plan.large.count <= plan.ring);
                assert!(plan.small.count + plan.large.count >= 1);
            }
        }
    }
}

#[test]
fn no_memory_at_all_still_gives_a_few_buffers() {
    let few = plan(8, buffers(8, 1536), NONE);
    check(0, Features::OFFLOADS, 1500, 256, [few, few]);
}

#[test]
fn a_receive_buffer_holds_what_the_specification_asks() {
    let options = NicOptions::for_memory(256 * MIB);
    for features in [Features::GUEST_TSO4, Features::GUEST_TSO6] {
        let plan = plan::receive(&options, features, 1500, 12, 256);
        assert!(plan.small.size >= 12 + SUPER_FRAME);
    }
}
