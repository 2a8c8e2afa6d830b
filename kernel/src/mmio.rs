//! virtio-mmio devices: on the command line, or in microvm's fixed slots.

#![allow(unsafe_code)]

use core::fmt;
use core::ptr::NonNull;

use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport};

use crate::interrupts;
use crate::paging::{AddressSpace, MapError};

/// What a word on the command line begins with that names a device (Linux, module parameters of
/// `virtio_mmio`).
const WORD: &str = "virtio_mmio.device=";
/// microvm's slots: where the first one is, and bytes from one to the next.
const SLOTS: u64 = 0xfeb0_0000;
const SLOT_SIZE: u64 = 512;
/// Slots, and the interrupt of the first, with the second IOAPIC (microvm with ACPI) and without.
const WITH_SECOND_IO_APIC: (u64, u32) = (24, 24);
const WITH_ONE_IO_APIC: (u64, u32) = (8, 16);
/// The most devices that the command line may name; further ones are not looked at.
const MAX_DEVICES: usize = 32;

/// Registers that say what a slot holds, as byte offsets (virtio 1.2 §4.2.2).
const MAGIC_VALUE: u64 = 0;
const VERSION: u64 = 4;
const DEVICE_ID: u64 = 8;
/// What `MagicValue` holds: "virt".
const MAGIC: u32 = 0x7472_6976;
/// What `Version` holds since virtio 1.0.
const VERSION_MODERN: u32 = 2;

/// Where a device's registers are and how it interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Physical address of the registers.
    pub address: u64,
    /// Bytes of registers.
    pub size: u64,
    /// Global system interrupt.
    pub interrupt: u32,
}

impl Slot {
    /// Reads a register. The slot must be mapped, else this is a page fault.
    fn read(self, register: u64) -> u32 {
        let pointer = (self.address + register) as *const u32;
        // SAFETY: `probe` maps the registers before anything reads them; `parse` refuses slots
        // shorter than the header, and these registers may be read at any time.
        unsafe { pointer.read_volatile() }
    }
}

/// Why a virtio-mmio device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MmioDeviceError {
    /// The device speaks the interface from before virtio 1.0.
    Legacy {
        /// What its version register says.
        version: u32,
    },
    /// The registers are not what the transport expects.
    Transport,
    /// The device's registers lie where something else is.
    Map(MapError),
    /// No interrupt controller has the device's interrupt.
    Interrupt(u32),
}

impl fmt::Display for MmioDeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MmioDeviceError::Legacy { version } => write!(
                f,
                "it speaks the legacy interface (version {version}): start QEMU with '-global virtio-mmio.force-legacy=false'"
            ),
            MmioDeviceError::Transport => write!(f, "its registers make no sense"),
            MmioDeviceError::Map(error) => write!(f, "{error}"),
            MmioDeviceError::Interrupt(number) => {
                write!(f, "no interrupt controller has its interrupt {number}")
            }
        }
    }
}

impl core::error::Error for MmioDeviceError {}

/// The devices that the command line names, in its order. Words that make no sense are passed
/// over: they are the machine's, not the user's.
pub fn named(command_line: &str) -> impl DoubleEndedIterator<Item = Slot> {
    let mut slots = [None; MAX_DEVICES];
    let words = command_line.split_ascii_whitespace().filter_map(parse);
    for (place, slot) in slots.iter_mut().zip(words) {
        *place = Some(slot);
    }
    slots.into_iter().flatten()
}

/// microvm's slots, for machines that name no device (microvm with ACPI).
pub fn fixed_slots() -> impl DoubleEndedIterator<Item = Slot> {
    let (count, first) = match interrupts::has_second_io_apic() {
        true => WITH_SECOND_IO_APIC,
        false => WITH_ONE_IO_APIC,
    };
    (0..count).map(move |number| Slot {
        address: SLOTS + number * SLOT_SIZE,
        size: SLOT_SIZE,
        interrupt: first + number as u32,
    })
}

/// Reads `virtio_mmio.device=SIZE@ADDRESS:INTERRUPT[:ID]`.
fn parse(word: &str) -> Option<Slot> {
    let (size, rest) = word.strip_prefix(WORD)?.split_once('@')?;
    let mut parts = rest.split(':');
    let slot = Slot {
        size: size_with_suffix(size)?,
        address: number(parts.next()?)?,
        interrupt: u32::try_from(number(parts.next()?)?).ok()?,
    };
    // An identifier may follow, and nothing after it.
    if let Some(identifier) = parts.next() {
        number(identifier)?;
    }
    let is_whole = parts.next().is_none();
    (is_whole && slot.address != 0 && slot.address.is_multiple_of(4) && slot.size >= 0x100)
        .then_some(slot)
}

/// A number in C's notation: decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Option<u64> {
    // `from_str_radix` would take a sign.
    if text.starts_with(['+', '-']) {
        return None;
    }
    match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with(['+', '-']) => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

/// A number that may end in `K`, `M` or `G`.
fn size_with_suffix(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        b'g' | b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    number(digits)?.checked_mul(unit)
}

/// What kind of device a slot holds, which can then be [`open`]ed; `None` for an empty one. Maps
/// the registers.
pub fn probe(slot: Slot, space: &mut AddressSpace) -> Result<Option<DeviceType>, MmioDeviceError> {
    space
        .map_device(slot.address, slot.size)
        .map_err(MmioDeviceError::Map)?;
    if slot.read(MAGIC_VALUE) != MAGIC {
        return Ok(None);
    }
    // An empty slot says 0, which is no kind.
    Ok(DeviceType::try_from(slot.read(DEVICE_ID)).ok())
}

/// Takes the device in a slot that [`probe`] has seen, and routes its interrupt.
pub fn open(slot: Slot) -> Result<MmioTransport<'static>, MmioDeviceError> {
    match slot.read(VERSION) {
        VERSION_MODERN => {}
        version => return Err(MmioDeviceError::Legacy { version }),
    }
    let header =
        NonNull::new(slot.address as *mut VirtIOHeader).ok_or(MmioDeviceError::Transport)?;
    // SAFETY: `probe` mapped the registers and found a device; they stay mapped for good, and
    // each slot is opened by one driver at a time.
    let transport = unsafe { MmioTransport::new(header, slot.size as usize) }
        .map_err(|_| MmioDeviceError::Transport)?;
    if !interrupts::route(slot.interrupt) {
        return Err(MmioDeviceError::Interrupt(slot.interrupt));
    }
    debug_assert!(!transport.requires_legacy_layout());
    Ok(transport)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expected: Option<(u64, u64, u32)>) {
        let expected = expected.map(|(size, address, interrupt)| Slot {
            address,
            size,
            interrupt,
        });
        assert_eq!(parse(word), expected, "{word}");
    }

    #[test]
    fn reads_what_machines_add() {
        // QEMU's microvm, Firecracker, and the kernel's own example.
        check(
            "virtio_mmio.device=512@0xfeb00e00:12",
            Some((512, 0xfeb0_0e00, 12)),
        );
        check(
            "virtio_mmio.device=4K@0xd0000000:5",
            Some((4096, 0xd000_0000, 5)),
        );
        check(
            "virtio_mmio.device=1K@0x1001e000:74:7",
            Some((1024, 0x1001_e000, 74)),
        );
        check(
            "virtio_mmio.device=0x200@4273995776:0x5",
            Some((512, 4_273_995_776, 5)),
        );
    }

    #[test]
    fn passes_over_everything_else() {
        for word in [
            "",
            "virtio_mmio.device=",
            "virtio_mmio.device=512",
            "virtio_mmio.device=512@",
            "virtio_mmio.device=512@0xfeb00000",
            "virtio_mmio.device=512@0xfeb00000:",
            "virtio_mmio.device=512@0xfeb00000:5:",
            "virtio_mmio.device=512@0xfeb00000:5:1:2",
            "virtio_mmio.device=512@0:5",
            "virtio_mmio.device=16@0xfeb00000:5",
            "virtio_mmio.device=512@0xfeb00001:5",
            "virtio_mmio.device=512@-1:5",
            "virtio_mmio.device=512@0x+1:5",
            "virtio_mmio.device=512@0x:5",
            "virtio_mmio.device=K@0xfeb00000:5",
            "virtio_mmio.device=99999999999999999G@0xfeb00000:5",
            "virtio_mmio.device=512@0xfeb00000:4294967296",
            "virtio_mmio.device=512é@0xfeb00000:5",
            "--virtio_mmio.device=512@0xfeb00000:5",
            "console=ttyS0",
        ] {
            check(word, None);
        }
    }

    #[test]
    fn finds_every_device_on_the_line() {
        let line = "--log=debug virtio_mmio.device=512@0xfeb00000:5 x \
                    virtio_mmio.device=512@0xfeb00200:6";
        let addresses: Vec<u64> = named(line).map(|slot| slot.address).collect();
        assert_eq!(addresses, [0xfeb0_0000, 0xfeb0_0200]);
        let many = "virtio_mmio.device=512@0xfeb00000:5 ".repeat(100);
        assert_eq!(named(&many).count(), MAX_DEVICES);
    }
}
