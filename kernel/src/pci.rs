//! PCI: configuration space, base address registers, and virtio devices with MSI-X.

#![allow(unsafe_code)]

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::ptr::NonNull;

use virtio_drivers::transport::DeviceType;
use virtio_drivers::transport::pci::bus::{
    BarInfo, Command, ConfigurationAccess, DeviceFunction, HeaderType, PCI_CAP_ID_VNDR, PciError,
    PciRoot,
};
use virtio_drivers::transport::pci::{
    PciTransport, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_NOTIFY_CFG, VirtioPciError,
    virtio_device_type,
};

use crate::dma::IdentityMapped;
use crate::interrupts::{self, DEVICE_VECTOR};
use crate::paging::{AddressSpace, MapError};
use crate::port::Port;
use crate::virtio::{Doorbells, VirtioError};

/// Buses that are looked at: the root and what firmware put behind bridges, in any nesting.
const MAX_BUSES: usize = 16;
/// Where registers go that firmware left without an address. QEMU's q35 and pc keep memory and
/// other devices out of here.
const WINDOW: Range<u64> = 0xfd00_0000..0xfe00_0000;
/// Capability identifier of MSI-X (PCI 3.0 §6.8.2).
const MSI_X: u8 = 0x11;
/// MSI-X message control: enable, and mask all vectors; in the upper half of the first word.
const MSI_X_ENABLE: u32 = 1 << 31;
const MSI_X_MASK_ALL: u32 = 1 << 30;
/// A queue without a vector (virtio 1.2 §4.1.4.3).
const NO_VECTOR: u16 = 0xffff;

/// Configuration mechanism #1: an address port and a data port (PCI 3.0 §3.2.2.3.2).
pub struct Ports;

impl Ports {
    // SAFETY: the address only selects a register; this module is its one user.
    const ADDRESS: Port<u32> = unsafe { Port::new(0xcf8) };
    // SAFETY: this module writes commands, BARs outside memory and MSI-X control: DMA starts only
    // where a driver sets it up.
    const DATA: Port<u32> = unsafe { Port::new(0xcfc) };

    fn select(function: DeviceFunction, offset: u8) {
        let address = 1 << 31
            | u32::from(function.bus) << 16
            | u32::from(function.device) << 11
            | u32::from(function.function) << 8
            | u32::from(offset & 0xfc);
        Self::ADDRESS.write(address);
    }
}

impl ConfigurationAccess for Ports {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        Self::select(function, offset);
        Self::DATA.read()
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
        Self::select(function, offset);
        Self::DATA.write(data);
    }

    unsafe fn unsafe_clone(&self) -> Ports {
        Ports
    }
}

/// Whether the machine has a PCI bus that the ports reach.
pub fn is_present() -> bool {
    const PROBE: u32 = 1 << 31;
    Ports::ADDRESS.write(PROBE);
    Ports::ADDRESS.read() == PROBE
}

/// Finds the chipset's ACPI register block, giving it the address `wanted` when firmware gave it
/// none (qboot does not).
pub fn power_management_block(wanted: u16) -> Option<u16> {
    /// The register that holds the block's address, the same for both chipsets.
    const BASE: u8 = 0x40;
    let mut access = Ports;
    let root = PciRoot::new(Ports);
    let (function, control, enable) = root.enumerate_bus(0).find_map(|(function, info)| {
        match (info.vendor_id, info.device_id) {
            // PIIX4's power management function (data sheet §7.2.5, "PMREGMISC").
            (0x8086, 0x7113) => Some((function, 0x80, 1 << 0)),
            // ICH9's LPC bridge (data sheet §13.1.14, "ACPI_CNTL").
            (0x8086, 0x2918) => Some((function, 0x44, 1 << 7)),
            _ => None,
        }
    })?;
    let base = access.read_word(function, BASE) & 0xff80;
    if base == 0 {
        access.write_word(function, BASE, u32::from(wanted) | 1);
    }
    let enabled = access.read_word(function, control) | enable;
    access.write_word(function, control, enabled);
    Some((access.read_word(function, BASE) & 0xff80) as u16).filter(|&base| base != 0)
}

/// Why a PCI device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PciDeviceError {
    /// The device does not describe itself as virtio 1.0 devices do.
    Virtio(VirtioPciError),
    /// A base address register of a kind that does not exist.
    Bar(PciError),
    /// No room for the device's registers.
    NoRoom {
        /// Bytes that the registers need.
        size: u64,
    },
    /// The device's registers lie where something else is.
    Map(MapError),
}

impl fmt::Display for PciDeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PciDeviceError::Virtio(error) => write!(f, "{error}"),
            PciDeviceError::Bar(error) => write!(f, "{error}"),
            PciDeviceError::NoRoom { size } => {
                write!(f, "no address left for registers of {size} bytes")
            }
            PciDeviceError::Map(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for PciDeviceError {}

impl From<VirtioPciError> for PciDeviceError {
    fn from(error: VirtioPciError) -> PciDeviceError {
        PciDeviceError::Virtio(error)
    }
}

impl From<PciError> for PciDeviceError {
    fn from(error: PciError) -> PciDeviceError {
        PciDeviceError::Bar(error)
    }
}

impl From<MapError> for PciDeviceError {
    fn from(error: MapError) -> PciDeviceError {
        PciDeviceError::Map(error)
    }
}

/// A virtio device on PCI, its registers mapped and its interrupts wired.
pub struct PciDevice {
    /// The transport.
    pub transport: PciTransport,
    /// The notification registers of queues 0 and 1.
    pub doorbells: Option<Doorbells>,
    /// Binds queues to interrupts; `None` when the device has no MSI-X.
    pub vectors: Option<QueueVectors>,
}

/// The buses.
pub struct Bus {
    root: PciRoot<Ports>,
}

impl Bus {
    /// The machine's PCI bus. Of use only where there [is](is_present) one.
    pub fn root() -> Bus {
        Bus {
            root: PciRoot::new(Ports),
        }
    }

    /// Every virtio device with its kind, in bus order: on the root bus and on those that firmware
    /// numbered behind its bridges.
    pub fn devices(&self) -> Vec<(DeviceType, DeviceFunction)> {
        let mut devices = Vec::new();
        let mut buses = vec![0];
        let mut next = 0;
        while let Some(&bus) = buses.get(next) {
            next += 1;
            for (function, info) in self.root.enumerate_bus(bus) {
                if let Some(kind) = virtio_device_type(&info) {
                    devices.push((kind, function));
                }
                if info.header_type != HeaderType::PciPciBridge {
                    continue;
                }
                let secondary = (Ports.read_word(function, 0x18) >> 8) as u8;
                if secondary > bus && buses.len() < MAX_BUSES {
                    buses.push(secondary);
                }
            }
        }
        devices
    }

    /// Sets a virtio device up for its driver: registers placed and mapped, MSI-X on.
    pub fn open(
        &mut self,
        function: DeviceFunction,
        space: &mut AddressSpace,
    ) -> Result<PciDevice, PciDeviceError> {
        // Registers are not decoded until they are placed and sized. Sizing decoded ones would
        // make QEMU rebuild its memory map at every step: milliseconds in all.
        self.root.set_command(function, Command::INTERRUPT_DISABLE);
        self.place_bars(function)?;
        let bars = self.root.bars(function)?;
        for (address, size) in bars
            .iter()
            .flatten()
            .filter_map(BarInfo::memory_address_size)
        {
            space.map_device(address, size)?;
        }
        let registers = self.registers(function, &bars);
        let message_table = self.message_table(function, &bars);
        // The last step that can fail: a transport that is dropped waits for its device.
        let transport = PciTransport::new::<IdentityMapped, _>(&mut self.root, function)?;
        self.root.set_command(
            function,
            Command::MEMORY_SPACE
                | Command::IO_SPACE
                | Command::BUS_MASTER
                | Command::INTERRUPT_DISABLE,
        );
        let has_messages = message_table.is_some();
        if let Some(table) = message_table {
            table.start(function);
        }
        Ok(PciDevice {
            doorbells: registers.doorbells(),
            vectors: registers.common.filter(|_| has_messages).map(QueueVectors),
            transport,
        })
    }

    /// Gives an address to every memory BAR that has none.
    fn place_bars(&mut self, function: DeviceFunction) -> Result<(), PciDeviceError> {
        let bars = self.root.bars(function)?;
        let unplaced = (0u8..).zip(&bars).filter_map(|(index, bar)| match bar {
            Some(
                bar @ BarInfo::Memory {
                    address: 0, size, ..
                },
            ) => Some((index, bar, *size)),
            _ => None,
        });
        for (index, bar, size) in unplaced {
            let address = self
                .free_range(size)?
                .ok_or(PciDeviceError::NoRoom { size })?;
            if bar.takes_two_entries() {
                self.root.set_bar_64(function, index, address);
            } else {
                self.root.set_bar_32(function, index, address as u32);
            }
        }
        Ok(())
    }

    /// A place in the window that no device on the root bus has.
    fn free_range(&mut self, size: u64) -> Result<Option<u64>, PciDeviceError> {
        let size = size.max(4096);
        let mut start = WINDOW.start.next_multiple_of(size);
        'place: while start.checked_add(size).is_some_and(|end| end <= WINDOW.end) {
            let functions = self.root.enumerate_bus(0);
            for (function, info) in functions {
                if info.header_type != HeaderType::Standard || !has_placed_bars(function) {
                    continue;
                }
                let bars = self.root.bars(function)?;
                let ranges = bars
                    .iter()
                    .flatten()
                    .filter_map(BarInfo::memory_address_size);
                for (address, length) in ranges {
                    let end = address.saturating_add(length);
                    if address < start + size && start < end {
                        start = end.next_multiple_of(size);
                        continue 'place;
                    }
                }
            }
            return Ok(Some(start));
        }
        Ok(None)
    }

    /// Where the virtio structures lie that the transport keeps to itself. What does not fit its
    /// BAR is left out: the transport refuses such devices.
    fn registers(&self, function: DeviceFunction, bars: &[Option<BarInfo>; 6]) -> Registers {
        let mut registers = Registers::default();
        for capability in self.root.capabilities(function) {
            let kind = (capability.private_header >> 8) as u8;
            if capability.id != PCI_CAP_ID_VNDR {
                continue;
            }
            let word = |offset| Ports.read_word(function, capability.offset + offset);
            let start = u64::from(word(8));
            let length = u64::from(word(12));
            let Some(range) = within(bars, word(4) as u8, start, length) else {
                continue;
            };
            match kind {
                VIRTIO_PCI_CAP_COMMON_CFG
                    if registers.common.is_none() && length >= CommonRegisters::LENGTH =>
                {
                    registers.common = Some(CommonRegisters(range.start));
                }
                VIRTIO_PCI_CAP_NOTIFY_CFG if registers.notify.is_empty() => {
                    registers.notify = range;
                    registers.multiplier = word(16);
                }
                _ => {}
            }
        }
        registers
    }

    /// The device's MSI-X table, if it has one.
    fn message_table(
        &self,
        function: DeviceFunction,
        bars: &[Option<BarInfo>; 6],
    ) -> Option<MessageTable> {
        let capability = self
            .root
            .capabilities(function)
            .find(|capability| capability.id == MSI_X)?
            .offset;
        // Bits 0 to 2 name the BAR, the others are the table's offset in it.
        let place = Ports.read_word(function, capability + 4);
        let entry = within(bars, (place & 7) as u8, u64::from(place & !7), 16)?;
        Some(MessageTable {
            capability,
            entry: entry.start,
        })
    }
}

/// The addresses of a structure in a BAR, when it lies within a placed memory BAR.
fn within(bars: &[Option<BarInfo>; 6], bar: u8, start: u64, length: u64) -> Option<Range<u64>> {
    let (address, size) = bars
        .get(usize::from(bar))?
        .as_ref()?
        .memory_address_size()?;
    let fits = address != 0 && start.checked_add(length)? <= size;
    fits.then_some(address + start..address + start + length)
}

/// Whether firmware gave a memory address to any of a device's BARs.
fn has_placed_bars(function: DeviceFunction) -> bool {
    (0x10..0x28).step_by(4).any(|offset| {
        let bar = Ports.read_word(function, offset);
        bar & 1 == 0 && bar & !0xf != 0
    })
}

/// A device's MSI-X table, of which only entry 0 is used.
struct MessageTable {
    /// The capability's offset in configuration space.
    capability: u8,
    /// The address of entry 0.
    entry: u64,
}

impl MessageTable {
    /// Points entry 0 at [`DEVICE_VECTOR`] and turns MSI-X on.
    fn start(&self, function: DeviceFunction) {
        let message = interrupts::message_address();
        let entry = [
            message as u32,
            (message >> 32) as u32,
            u32::from(DEVICE_VECTOR),
            // Vector control: not masked.
            0,
        ];
        for (index, value) in (0..).zip(entry) {
            let pointer = (self.entry + index * 4) as *mut u32;
            // SAFETY: the BAR was mapped, and `within` found the entry to lie in it.
            unsafe { pointer.write_volatile(value) };
        }
        let control = Ports.read_word(function, self.capability);
        Ports.write_word(
            function,
            self.capability,
            control & !MSI_X_MASK_ALL | MSI_X_ENABLE,
        );
    }
}

/// The virtio structures that are used beside the transport.
#[derive(Default)]
struct Registers {
    common: Option<CommonRegisters>,
    notify: Range<u64>,
    multiplier: u32,
}

impl Registers {
    /// The notification registers of queues 0 and 1, when both lie where they should.
    fn doorbells(&self) -> Option<Doorbells> {
        let common = self.common?;
        let register = |queue: u16| {
            let offset = u64::from(common.notify_offset(queue)) * u64::from(self.multiplier);
            let address = self.notify.start.checked_add(offset)?;
            let fits = address.checked_add(2)? <= self.notify.end && address % 2 == 0;
            NonNull::new(address as *mut u16).filter(|_| fits)
        };
        let (receive, transmit) = (register(0)?, register(1)?);
        // SAFETY: both registers lie within the notification structure, whose BAR stays mapped
        // and was checked to hold it; `VIRTIO_F_NOTIFICATION_DATA` is the driver's to decline.
        Some(unsafe { Doorbells::new(receive, transmit) })
    }
}

/// `virtio_pci_common_cfg` (virtio 1.2 §4.1.4.3), at its address.
#[derive(Clone, Copy)]
struct CommonRegisters(u64);

impl CommonRegisters {
    const LENGTH: u64 = 0x38;
    const QUEUE_SELECT: u64 = 0x16;
    const QUEUE_MSIX_VECTOR: u64 = 0x1a;
    const QUEUE_NOTIFY_OFFSET: u64 = 0x1e;

    fn read(self, offset: u64) -> u16 {
        let pointer = (self.0 + offset) as *const u16;
        // SAFETY: the structure was checked to lie in a mapped BAR and to be long enough.
        unsafe { pointer.read_volatile() }
    }

    fn write(self, offset: u64, value: u16) {
        let pointer = (self.0 + offset) as *mut u16;
        // SAFETY: as for `read`; these registers select a queue or its vector.
        unsafe { pointer.write_volatile(value) }
    }

    fn notify_offset(self, queue: u16) -> u16 {
        self.write(Self::QUEUE_SELECT, queue);
        self.read(Self::QUEUE_NOTIFY_OFFSET)
    }
}

/// Binds a device's queues to its MSI-X vector.
#[derive(Clone, Copy)]
pub struct QueueVectors(CommonRegisters);

impl QueueVectors {
    /// Binds a queue. To be done after features are negotiated, before the queue is enabled: a
    /// reset takes it back.
    pub fn bind(&self, queue: u16) -> Result<(), VirtioError> {
        self.0.write(CommonRegisters::QUEUE_SELECT, queue);
        self.0.write(CommonRegisters::QUEUE_MSIX_VECTOR, 0);
        // A device without resources for the vector answers with "none".
        match self.0.read(CommonRegisters::QUEUE_MSIX_VECTOR) {
            NO_VECTOR => Err(VirtioError::Interrupt { queue }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtio_drivers::transport::pci::bus::MemoryBarType;

    fn bars(address: u64, size: u64) -> [Option<BarInfo>; 6] {
        let memory = BarInfo::Memory {
            address_type: MemoryBarType::Width64,
            prefetchable: true,
            address,
            size,
        };
        let ports = BarInfo::IO {
            address: 0xc000,
            size: 128,
        };
        [Some(ports), None, None, None, Some(memory), None]
    }

    fn check(bars: &[Option<BarInfo>; 6], bar: u8, place: (u64, u64), expected: Option<u64>) {
        let range = within(bars, bar, place.0, place.1);
        assert_eq!(range.clone().map(|range| range.start), expected);
        if let Some(range) = range {
            assert_eq!(range.end - range.start, place.1);
        }
    }

    #[test]
    fn a_structure_must_lie_within_its_bar() {
        let bars = bars(0xfe00_0000, 0x4000);
        check(&bars, 4, (0, 0x38), Some(0xfe00_0000));
        check(&bars, 4, (0x3000, 0x1000), Some(0xfe00_3000));
        check(&bars, 4, (0x3001, 0x1000), None);
        check(&bars, 4, (u64::MAX, 2), None);
        // A port BAR, an empty one, and one that does not exist.
        check(&bars, 0, (0, 16), None);
        check(&bars, 1, (0, 16), None);
        check(&bars, 7, (0, 16), None);
    }

    #[test]
    fn a_structure_in_an_unplaced_bar_is_nowhere() {
        check(&bars(0, 0x4000), 4, (0, 0x38), None);
    }
}
