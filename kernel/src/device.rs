//! Finding virtio devices, whatever bus they are on.

use alloc::vec::Vec;
use core::fmt;

use virtio_drivers::transport::pci::bus::DeviceFunction;
use virtio_drivers::transport::{DeviceType, SomeTransport};

use crate::mmio::{self, MmioDeviceError, Slot};
use crate::paging::AddressSpace;
use crate::pci::{self, Bus, PciDeviceError, QueueVectors};
use crate::virtio::{Doorbells, VirtioError};

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
    pub fn bind(&self, queue: u16) -> Result<(), VirtioError> {
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

/// A device's transport, doorbells and wiring.
type Opened = (SomeTransport<'static>, Option<Doorbells>, Wiring);

/// The machine's virtio devices, found by one look at everything that they may be on.
pub struct Buses<'a> {
    /// In the order in which the first of a kind is chosen.
    found: Vec<(DeviceType, Place)>,
    /// The first place that could not be looked at.
    failure: Option<DeviceError>,
    space: &'a mut AddressSpace,
}

impl<'a> Buses<'a> {
    /// Looks for devices: on PCI, then those that the kernel command line names, then, where there
    /// is neither a PCI bus nor a name, in microvm's slots. Registers get mapped in `space`.
    ///
    /// Once for all kinds: every register read is a trip to the hypervisor.
    pub fn scan(command_line: &str, space: &'a mut AddressSpace) -> Buses<'a> {
        let has_pci = pci::is_present();
        let mut buses = Buses {
            found: Vec::new(),
            failure: None,
            space,
        };
        if has_pci {
            let devices = Bus::root().devices().into_iter();
            let places = devices.map(|(kind, function)| (kind, Place::Pci(function)));
            buses.found.extend(places);
        }
        let mut named = mmio::named(command_line).peekable();
        let names_devices = named.peek().is_some();
        // QEMU fills microvm's slots from the last to the first: the user's first device is in
        // the last one.
        buses.probe(&mut named.rev());
        if !names_devices && !has_pci {
            buses.probe(&mut mmio::fixed_slots().rev());
        }
        buses
    }

    /// Notes what is in memory-mapped slots.
    fn probe(&mut self, slots: &mut dyn Iterator<Item = Slot>) {
        for slot in slots {
            match mmio::probe(slot, self.space) {
                Ok(Some(kind)) => self.found.push((kind, Place::Mmio(slot))),
                Ok(None) => {}
                Err(error) => {
                    self.failure.get_or_insert(DeviceError {
                        place: Place::Mmio(slot),
                        reason: Reason::Mmio(error),
                    });
                }
            }
        }
    }

    /// Takes the first device of a kind. Devices after the first are left alone.
    ///
    /// # Errors
    ///
    /// There is one but it cannot be used; or none was found, and there is a place that could not
    /// be looked at.
    pub fn open_first(&mut self, kind: DeviceType) -> Result<Option<Device>, DeviceError> {
        let place = self.found.iter().find(|(found, _)| *found == kind);
        match (place, &self.failure) {
            (Some(&(_, place)), _) => self.open(place).map(Some),
            (None, Some(failure)) => Err(failure.clone()),
            (None, None) => Ok(None),
        }
    }

    fn open(&mut self, place: Place) -> Result<Device, DeviceError> {
        let opened = match place {
            Place::Pci(function) => self.open_pci(function).map_err(Reason::Pci),
            Place::Mmio(slot) => open_mmio(slot).map_err(Reason::Mmio),
        };
        let (transport, doorbells, wiring) =
            opened.map_err(|reason| DeviceError { place, reason })?;
        Ok(Device {
            transport,
            doorbells,
            wiring,
            place,
        })
    }

    #[cold]
    fn open_pci(&mut self, function: DeviceFunction) -> Result<Opened, PciDeviceError> {
        let device = Bus::root().open(function, self.space)?;
        let wiring = match device.vectors {
            Some(vectors) => Wiring::Messages(vectors),
            None => Wiring::Polled,
        };
        Ok((device.transport.into(), device.doorbells, wiring))
    }
}

fn open_mmio(slot: Slot) -> Result<Opened, MmioDeviceError> {
    Ok((mmio::open(slot)?.into(), None, Wiring::Line))
}
