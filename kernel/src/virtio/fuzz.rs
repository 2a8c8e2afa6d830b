//! The card and the channel against a device that does whatever the fuzzer says.
//!
//! `cargo xtask fuzz virtio_rings virtio_console` runs [`rings`] and [`console`]; the inputs in
//! `fuzz/corpus` are replayed by the unit tests.

use smoltcp::phy::{Device, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus};

use super::tests::fake::{FakeConsole, FakeDevice, FakeNic, live_pages, options};
use super::{Features, NicOptions};

const NOW: Instant = Instant::ZERO;
/// Instructions of one input at most: what an input can cost is bounded.
const STEPS_MOST: usize = 2000;

/// What is left of an input; numbers are little-endian.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn half(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn word(&mut self) -> Option<u32> {
        Some(u32::from(self.half()?) | u32::from(self.half()?) << 16)
    }

    /// A length of one byte and as many bytes, or those that are left.
    fn block(&mut self) -> Option<&[u8]> {
        let length = usize::from(self.byte()?).min(self.0.len());
        let (block, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(block)
    }
}

/// Sets a card up with a device that the first bytes describe, then lets the device and the stack
/// act as the rest says: each instruction is a byte, then its numbers.
///
/// Checked: no panic and no access outside the rings and buffers (the fuzzer runs with
/// AddressSanitizer); frames read and written are no larger than their buffers; a card that has
/// failed stays so and gives no tokens; all memory is given back in the end.
pub fn rings(bytes: &[u8]) {
    let mut input = Input(bytes);
    run(&mut input);
    assert_eq!(live_pages(), 0, "memory is left behind");
}

fn run(input: &mut Input<'_>) -> Option<()> {
    let device = device(input)?;
    let memory = usize::from(input.byte()?) << 11;
    let options = NicOptions {
        receive_memory: memory,
        transmit_memory: memory,
        ..options()
    };
    let mut nic = match device.start(options) {
        Ok(nic) => nic,
        Err(error) => {
            assert!(!format!("{error}").is_empty());
            return None;
        }
    };
    for _ in 0..STEPS_MOST {
        let failed = nic.failure().is_some();
        let going_on = step(&device, &mut nic, input).is_some();
        if failed {
            assert!(nic.failure().is_some(), "a dead card came back");
            assert!(nic.receive(NOW).is_none() && nic.transmit(NOW).is_none());
        }
        if !going_on {
            break;
        }
    }
    let _ = format!("{:?}", nic.counters());
    None
}

/// Features, ring sizes, MTU, and whether the device sets up as a sound one does.
fn device(input: &mut Input<'_>) -> Option<FakeDevice> {
    let (flags, features) = (input.byte()?, input.word()?);
    let (most, mtu) = ([input.half()?, input.half()?], input.half()?);
    // Bits 0 to 31 as told; `FakeDevice::new` adds VERSION_1 and MAC.
    let device = FakeDevice::new(Features::from_bits(features.into()));
    Some(device.with(|state| {
        state.queue_most = most.map(u32::from);
        state.configuration[10..].copy_from_slice(&mtu.to_le_bytes());
        if flags & 1 != 0 {
            state.offered = features.into();
        }
        if flags & 2 != 0 {
            state.accepts_features = false;
        }
        if flags & 4 != 0 {
            state.kind = DeviceType::Block;
        }
        if flags & 8 != 0 {
            state.configuration.truncate(usize::from(flags >> 4));
        }
    }))
}

/// One instruction; `None` at the end of the input.
fn step(device: &FakeDevice, nic: &mut FakeNic, input: &mut Input<'_>) -> Option<()> {
    let instruction = input.byte()?;
    match instruction % 16 {
        // The device's side.
        0..=8 => act(device, instruction, input)?,
        9 => {
            interrupt(device, input.byte()?);
            nic.acknowledge_interrupt();
        }
        // The stack's side.
        10 | 11 => {
            let answers = input.byte()?;
            if let Some((received, slot)) = nic.receive(NOW) {
                let length = received.consume(|frame| {
                    assert!(frame.len() >= 14, "less than an Ethernet header");
                    frame.iter().fold(0usize, |sum, &byte| {
                        sum.wrapping_mul(31).wrapping_add(byte.into())
                    })
                });
                if answers & 1 != 0 {
                    slot.consume(60 + length % 2000, |frame| frame.fill(answers));
                }
            }
        }
        12 | 13 => {
            let (length, segment) = (usize::from(input.half()?), input.half()?);
            let start = input.block()?.to_vec();
            send(nic, length, segment, &start);
        }
        14 => {
            nic.arm();
        }
        _ => nic.flush(),
    }
    Some(())
}

/// What the device does: the instructions up to 8, on the queue that the highest bit names.
fn act(device: &FakeDevice, instruction: u8, input: &mut Input<'_>) -> Option<()> {
    let queue = usize::from(instruction >> 7);
    match instruction % 16 {
        0 => {
            let frame = input.block()?;
            device.deliver(&[], frame);
        }
        1 => {
            // What fills a larger buffer, and begins with what the fuzzer says.
            let length = usize::from(input.half()?);
            let start = input.block()?;
            if let Some(buffer) = device.take(0) {
                let mut bytes = start.to_vec();
                bytes.resize(length.min(buffer.length as usize), 0x45);
                device.write(&buffer, &bytes);
                device.give_back(0, buffer.id.into(), length as u32);
            }
        }
        2 => {
            let (id, length) = (input.word()?, input.word()?);
            device.give_back(queue, id, length);
        }
        3 => {
            // A small number: one that the ring is likely to have.
            let (id, length) = (input.byte()?, input.half()?);
            device.give_back(queue, id.into(), length.into());
        }
        4 => {
            let index = input.half()?;
            device.set_used_index(queue, index);
        }
        5 => {
            let index = input.half()?;
            device.set_available_event(queue, index);
        }
        6 => device.set_no_notify(queue, input.byte()? & 1 != 0),
        7 => {
            let (id, times) = (input.half()?, input.byte()?);
            for _ in 0..times {
                device.give_back(queue, id.into(), u32::from(id));
            }
        }
        _ => {
            // Honestly: takes all that was sent.
            device.sent();
        }
    }
    Some(())
}

/// The device raises an interrupt for these reasons, and perhaps needs a reset.
fn interrupt(device: &FakeDevice, flags: u8) {
    let mut state = device.0.borrow_mut();
    state.interrupt = InterruptStatus::from_bits_truncate(flags.into());
    if flags & 0x80 != 0 {
        state.status |= DeviceStatus::DEVICE_NEEDS_RESET;
    }
}

/// Sends a frame that begins with `start`, to be cut into segments when `segment` is not 0.
fn send(nic: &mut FakeNic, length: usize, segment: u16, start: &[u8]) {
    let Some(mut token) = nic.transmit(NOW) else {
        return;
    };
    let mut meta = PacketMeta::default();
    meta.segmentation_offload_size = core::num::NonZeroU16::new(segment);
    token.set_meta(meta);
    token.consume(length, |frame| {
        assert_eq!(frame.len(), length, "a buffer of another size");
        frame.fill(0);
        let known = start.len().min(length);
        frame[..known].copy_from_slice(&start[..known]);
    });
}

/// Sets a channel up with a device that the first bytes describe, then lets the device and the
/// channel's owner act as the rest says. Instructions are those of [`rings`], but for 10 to 13.
///
/// Checked: as in [`rings`]; and no call says that it took or gave more than it was asked for.
pub fn console(bytes: &[u8]) {
    let mut input = Input(bytes);
    run_console(&mut input);
    assert_eq!(live_pages(), 0, "memory is left behind");
}

fn run_console(input: &mut Input<'_>) -> Option<()> {
    let device = device(input)?.with(|state| {
        state.kind = match state.kind {
            DeviceType::Network => DeviceType::Console,
            other => other,
        };
    });
    let mut console = match device.start_console() {
        Ok(console) => console,
        Err(error) => {
            assert!(!format!("{error}").is_empty());
            return None;
        }
    };
    for _ in 0..STEPS_MOST {
        let failed = console.failure().is_some();
        let going_on = step_console(&device, &mut console, input).is_some();
        if failed {
            assert!(console.failure().is_some(), "a dead channel came back");
            assert_eq!(console.send(b"unheard"), 0);
            assert!(!console.arm(), "a dead channel keeps the machine awake");
        }
        if !going_on {
            break;
        }
    }
    None
}

fn step_console(
    device: &FakeDevice,
    console: &mut FakeConsole,
    input: &mut Input<'_>,
) -> Option<()> {
    let instruction = input.byte()?;
    match instruction % 16 {
        0..=8 => act(device, instruction, input)?,
        9 => {
            interrupt(device, input.byte()?);
            console.acknowledge_interrupt();
        }
        10 | 11 => {
            let mut bytes = vec![0; usize::from(input.half()?)];
            assert!(console.receive(&mut bytes) <= bytes.len());
        }
        12 | 13 => {
            let bytes = vec![instruction; usize::from(input.half()?)];
            assert!(console.send(&bytes) <= bytes.len());
        }
        14 => {
            console.arm();
        }
        _ => console.flush(),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    fn replay(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fuzz/corpus")
            .join(target);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 5, "only {} inputs", files.len());
        for file in files {
            // The one that fails is the last to be named.
            println!("{}", file.display());
            run(&fs::read(&file).unwrap());
        }
        run(b"");
    }

    #[test]
    fn kept_inputs_of_the_card() {
        replay("virtio_rings", super::rings);
    }

    #[test]
    fn kept_inputs_of_the_channel() {
        replay("virtio_console", super::console);
    }
}
