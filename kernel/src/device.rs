//! Finding virtio devices, whatever bus they are on.

use core::fmt;

use virtio_drivers::transport::pci::bus::DeviceFunction;
use virtio_drivers::transport::{DeviceType, SomeTransport};

use crate::mmio::{self, MmioDeviceError, Slot};
use crate::paging::AddressSpace;
use crate::pci::{Bus, PciDeviceError, QueueVectors};
use crate::virtio::{Doorbells, NicError};

/// A virtio device, ready for its driver.
pub struct Device {
    /// How to talk to it.
    pub transport: SomeTransport<'static>,
    /// Its notification registers, where they can be written directly (PCI).
    pub doorbells: Option<Doorbells>,
    /// How it interrupts.
    pub wiring: Wiring,
    /// Where it was found.
    pub place: Place,
}

/// How a device's interrupts reach the processor.
pub enum Wiring {
    /// By MSI-X messages; each queue must be bound.
    Messages(QueueVectors),
    /// By a line through the IOAPIC; each interrupt must be acknowledged at the device.
    Line,
    /// Not at all: the device must be asked now and then.
    Polled,
}

impl Wiring {
    /// Binds a queue to the device's interrupt, where that is needed.
    pub fn bind(&self, queue: u16) -> Result<(), NicError> {
        match self {
            Wiring::Messages(vectors) => vectors.bind(queue),
            Wiring::Line | Wiring::Polled => Ok(()),
        }
    }
}

impl fmt::Display for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wiring::Messages(_) => "MSI-X",
            Wiring::Line => "IOAPIC",
            Wiring::Polled => "polled",
        })
    }
}

/// Where a device is.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// On PCI.
    Pci(DeviceFunction),
    /// Memory-mapped.
    Mmio(Slot),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Pci(function) => write!(f, "PCI {function}"),
            Place::Mmio(slot) => {
                write!(f, "MMIO {:#x}, interrupt {}", slot.address, slot.interrupt)
            }
        }
    }
}

/// Why there is a device but it cannot be used.
#[derive(Clone, Debug)]
pub struct DeviceError {
    /// Where it is.
    pub place: Place,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// On PCI.
    Pci(PciDeviceError),
    /// Memory-mapped.
    Mmio(MmioDeviceError),
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the device at {} cannot be used: ", self.place)?;
        match &self.reason {
            Reason::Pci(error) => write!(f, "{error}"),
            Reason::Mmio(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for DeviceError {}

/// Everything that a device may be found on.
pub struct Buses<'a> {
    /// The kernel command line, on which machines name devices.
    pub command_line: &'a str,
    /// Where registers get mapped.
    pub space: &'a mut AddressSpace,
}

impl Buses<'_> {
    /// The first device of a kind: on PCI, then named on the command line, then in microvm's
    /// slots. Devices after the first are left alone.
    pub fn open_first(&mut self, kind: DeviceType) -> Result<Option<Device>, DeviceError> {
        let mut bus = Bus::find();
        if let Some(bus) = &mut bus {
            let function = bus.devices(kind).next();
            if let Some(function) = function {
                return self.open_pci(bus, function).map(Some);
            }
        }
        let mut named = mmio::named(self.command_line).peekable();
        let names_devices = named.peek().is_some();
        // QEMU fills microvm's slots from the last to the first: the user's first device is in
        // the last one.
        let mut slots = named.rev();
        if let Some(device) = self.open_mmio(&mut slots, kind)? {
            return Ok(Some(device));
        }
        if names_devices || bus.is_some() {
            return Ok(None);
        }
        self.open_mmio(&mut mmio::fixed_slots().rev(), kind)
    }

    fn open_pci(&mut self, bus: &mut Bus, function: DeviceFunction) -> Result<Device, DeviceError> {
        let place = Place::Pci(function);
        let device = bus
            .open(function, self.space)
            .map_err(|error| DeviceError {
                place,
                reason: Reason::Pci(error),
            })?;
        Ok(Device {
            transport: device.transport.into(),
            doorbells: device.doorbells,
            wiring: match device.vectors {
                Some(vectors) => Wiring::Messages(vectors),
                None => Wiring::Polled,
            },
            place,
        })
    }

    fn open_mmio(
        &mut self,
        slots: &mut dyn Iterator<Item = Slot>,
        kind: DeviceType,
    ) -> Result<Option<Device>, DeviceError> {
        for slot in slots {
            let place = Place::Mmio(slot);
            let fail = |error| DeviceError {
                place,
                reason: Reason::Mmio(error),
            };
            if mmio::probe(slot, kind, self.space).map_err(fail)? {
                let transport = mmio::open(slot).map_err(fail)?;
                return Ok(Some(Device {
                    transport: transport.into(),
                    doorbells: None,
                    wiring: Wiring::Line,
                    place,
                }));
            }
        }
        Ok(None)
    }
}
