//! A fake machine: DMA memory from the heap, a transport without registers, and a device that
//! works the rings from its side, honestly or not.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{BufferDirection, Error, Hal, PAGE_SIZE, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::virtio::{Console, Features, Nic, NicOptions, VirtioError};

thread_local! {
    /// Pages that were allocated and not freed, in this test.
    static LIVE_PAGES: Cell<usize> = const { Cell::new(0) };
    /// Allocations that still succeed.
    static ALLOCATIONS_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Pages that this test's cards hold.
pub fn live_pages() -> usize {
    LIVE_PAGES.get()
}

/// Lets only so many more allocations of this test succeed.
pub fn limit_allocations(left: usize) {
    ALLOCATIONS_LEFT.set(left);
}

pub struct FakeHal;

// SAFETY: `dma_alloc` gives zeroed, page-aligned heap memory of its own, freed by `dma_dealloc`.
unsafe impl Hal for FakeHal {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let left = ALLOCATIONS_LEFT.get();
        if left == 0 {
            return (0, NonNull::dangling());
        }
        ALLOCATIONS_LEFT.set(left.saturating_sub(1));
        LIVE_PAGES.set(LIVE_PAGES.get() + pages);
        // SAFETY: the layout is never empty: the driver asks for one page at least.
        let memory = unsafe { alloc_zeroed(layout(pages)) };
        let memory = NonNull::new(memory).expect("the host has memory");
        (memory.as_ptr().expose_provenance() as PhysAddr, memory)
    }

    unsafe fn dma_dealloc(_physical: PhysAddr, memory: NonNull<u8>, pages: usize) -> i32 {
        LIVE_PAGES.set(LIVE_PAGES.get() - pages);
        // SAFETY: the caller passes what `dma_alloc` returned, with the same number of pages.
        unsafe { dealloc(memory.as_ptr(), layout(pages)) };
        0
    }

    unsafe fn mmio_phys_to_virt(_physical: PhysAddr, _size: usize) -> NonNull<u8> {
        unreachable!("the fake transport has no registers")
    }

    unsafe fn share(_buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        unreachable!("the driver allocates its buffers for sharing")
    }

    unsafe fn unshare(_physical: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {
        unreachable!("the driver allocates its buffers for sharing")
    }
}

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE).expect("a few pages")
}

/// Where a queue lies and how far the device has got with it.
#[derive(Clone, Copy, Debug, Default)]
struct DeviceQueue {
    size: u16,
    descriptors: u64,
    driver: u64,
    device: u64,
    /// The next available index to read.
    taken: u16,
    /// The used index written last.
    used: u16,
}

/// A descriptor as the device sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Buffer {
    pub id: u16,
    pub address: u64,
    pub length: u32,
    pub writable: bool,
}

/// The device's state, shared by the transport in the driver's hands and the test.
pub struct State {
    pub kind: DeviceType,
    pub offered: u64,
    pub agreed: u64,
    /// Keeps `FEATURES_OK` when the driver sets it.
    pub accepts_features: bool,
    pub queue_most: [u32; 2],
    pub configuration: Vec<u8>,
    pub status: DeviceStatus,
    /// Goes to status 0 when told to.
    pub resets: bool,
    pub interrupt: InterruptStatus,
    pub doorbells: [u32; 2],
    /// What the driver did, in order: for the order of set-up.
    pub steps: Vec<String>,
    queues: [DeviceQueue; 2],
}

/// The test's end of a fake device; clones lead to the same one.
#[derive(Clone)]
pub struct FakeDevice(pub Rc<RefCell<State>>);

/// The driver's end.
pub struct FakeTransport(Rc<RefCell<State>>);

pub type FakeNic = Nic<FakeHal, FakeTransport>;
pub type FakeConsole = Console<FakeHal, FakeTransport>;

/// The MAC address in the configuration of every fake device.
pub const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// Options with room for a few super-frames and many ordinary ones.
pub fn options() -> NicOptions {
    NicOptions {
        receive_memory: 640 << 10,
        transmit_memory: 640 << 10,
        features: Features::SUPPORTED,
        mac: None,
    }
}

impl FakeDevice {
    /// A well-behaved device that offers `features` besides VERSION_1 and MAC, with 256 entries.
    pub fn new(features: Features) -> FakeDevice {
        let mut configuration = vec![0; 12];
        configuration[..6].copy_from_slice(&MAC);
        configuration[10..].copy_from_slice(&1500u16.to_le_bytes());
        let offered = features.union(Features::VERSION_1).union(Features::MAC);
        FakeDevice(Rc::new(RefCell::new(State {
            kind: DeviceType::Network,
            offered: offered.bits(),
            agreed: 0,
            accepts_features: true,
            queue_most: [256; 2],
            configuration,
            status: DeviceStatus::empty(),
            resets: true,
            interrupt: InterruptStatus::empty(),
            doorbells: [0; 2],
            steps: Vec::new(),
            queues: [DeviceQueue::default(); 2],
        })))
    }

    /// A well-behaved console that offers everything but more than one port, with 128 entries.
    pub fn console(features: Features) -> FakeDevice {
        FakeDevice::new(features).with(|state| {
            state.kind = DeviceType::Console;
            state.offered = features.union(Features::VERSION_1).bits();
            state.queue_most = [128; 2];
        })
    }

    /// Changes the device before it is driven.
    pub fn with(self, change: impl FnOnce(&mut State)) -> FakeDevice {
        change(&mut self.0.borrow_mut());
        self
    }

    /// Sets `host_mtu`.
    pub fn with_mtu(self, mtu: u16) -> FakeDevice {
        self.with(|state| state.configuration[10..].copy_from_slice(&mtu.to_le_bytes()))
    }

    pub fn transport(&self) -> FakeTransport {
        FakeTransport(self.0.clone())
    }

    pub fn start(&self, options: NicOptions) -> Result<FakeNic, VirtioError> {
        Nic::new(self.transport(), None, options, &mut |_| Ok(()))
    }

    /// Starts the driver with the usual options.
    pub fn nic(&self) -> FakeNic {
        self.start(options()).expect("a well-behaved device starts")
    }

    pub fn start_console(&self) -> Result<FakeConsole, VirtioError> {
        Console::new(self.transport(), None, &mut |_| Ok(()))
    }

    pub fn doorbells(&self) -> [u32; 2] {
        self.0.borrow().doorbells
    }

    pub fn queue_size(&self, queue: usize) -> u16 {
        self.0.borrow().queues[queue].size
    }

    /// Takes the next buffer that the driver made available.
    pub fn take(&self, queue: usize) -> Option<Buffer> {
        let mut state = self.0.borrow_mut();
        let q = &mut state.queues[queue];
        if half(q.driver + 2).load(Ordering::Acquire) == q.taken {
            return None;
        }
        let entry = u64::from(q.taken & (q.size - 1));
        let id = half(q.driver + 4 + 2 * entry).load(Ordering::Relaxed);
        q.taken = q.taken.wrapping_add(1);
        let at = q.descriptors + 16 * u64::from(id);
        Some(Buffer {
            id,
            address: double(at).load(Ordering::Relaxed),
            length: word(at + 8).load(Ordering::Relaxed),
            writable: half(at + 12).load(Ordering::Relaxed) & 2 != 0,
        })
    }

    /// Starts both of the device's indices at `index`, as the driver's.
    pub fn start_at(&self, queue: usize, index: u16) {
        let q = &mut self.0.borrow_mut().queues[queue];
        q.taken = index;
        q.used = index;
    }

    /// Buffers that the driver has made available and the device not taken.
    pub fn available(&self, queue: usize) -> u16 {
        let q = self.0.borrow().queues[queue];
        half(q.driver + 2)
            .load(Ordering::Acquire)
            .wrapping_sub(q.taken)
    }

    /// Gives a buffer back, with whatever id and length the test likes.
    /// True when the driver wants an interrupt for it.
    pub fn give_back(&self, queue: usize, id: u32, length: u32) -> bool {
        let old = self.0.borrow().queues[queue].used;
        {
            let q = &self.0.borrow().queues[queue];
            let entry = q.device + 4 + 8 * u64::from(old & (q.size - 1));
            word(entry).store(id, Ordering::Relaxed);
            word(entry + 4).store(length, Ordering::Relaxed);
        }
        let new = old.wrapping_add(1);
        self.set_used_index(queue, new);
        self.wants_interrupt(queue, old, new)
    }

    /// Writes the used index, true or not.
    pub fn set_used_index(&self, queue: usize, index: u16) {
        let q = &mut self.0.borrow_mut().queues[queue];
        q.used = index;
        half(q.device + 2).store(index, Ordering::Release);
    }

    /// virtio 1.2 §2.7.7.2, from the device's side and written down independently: walks from
    /// `old` to `new` and looks whether the event lies on the way.
    fn wants_interrupt(&self, queue: usize, old: u16, new: u16) -> bool {
        let state = self.0.borrow();
        let q = &state.queues[queue];
        if Features::from_bits(state.agreed).contains(Features::EVENT_IDX) {
            let event = half(q.driver + 4 + 2 * u64::from(q.size)).load(Ordering::SeqCst);
            let mut index = old;
            while index != new {
                if index == event {
                    return true;
                }
                index = index.wrapping_add(1);
            }
            false
        } else {
            half(q.driver).load(Ordering::SeqCst) & 1 == 0
        }
    }

    /// Says from which available index on the device wants a doorbell (virtio 1.2 §2.7.10).
    pub fn set_available_event(&self, queue: usize, index: u16) {
        let q = &self.0.borrow().queues[queue];
        half(q.device + 4 + 8 * u64::from(q.size)).store(index, Ordering::SeqCst);
    }

    /// Says whether the device wants doorbells at all (virtio 1.2 §2.7.8).
    pub fn set_no_notify(&self, queue: usize, quiet: bool) {
        let q = &self.0.borrow().queues[queue];
        half(q.device).store(u16::from(quiet), Ordering::SeqCst);
    }

    /// Writes into a buffer of the driver's.
    pub fn write(&self, buffer: &Buffer, bytes: &[u8]) {
        assert!(buffer.writable && bytes.len() <= buffer.length as usize);
        let to = core::ptr::with_exposed_provenance_mut::<u8>(buffer.address as usize);
        // SAFETY: the driver lent this buffer, and `bytes` fit.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
    }

    /// Reads a buffer of the driver's.
    pub fn read(&self, buffer: &Buffer) -> Vec<u8> {
        let from = core::ptr::with_exposed_provenance::<u8>(buffer.address as usize);
        // SAFETY: the driver lent this buffer, which is zeroed or written memory.
        let bytes = unsafe { core::slice::from_raw_parts(from, buffer.length as usize) };
        bytes.to_vec()
    }

    /// Delivers a frame behind a header. False when the driver has no buffer for it.
    pub fn deliver(&self, header: &[u8], frame: &[u8]) -> bool {
        let Some(buffer) = self.take(0) else {
            return false;
        };
        let bytes = [header, frame].concat();
        self.write(&buffer, &bytes);
        self.give_back(0, buffer.id.into(), bytes.len() as u32);
        true
    }

    /// Takes all frames that the driver has sent, with their headers in front, and gives the
    /// buffers back.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(buffer) = self.take(1) {
            assert!(!buffer.writable);
            frames.push(self.read(&buffer));
            self.give_back(1, buffer.id.into(), 0);
        }
        frames
    }
}

fn half(address: u64) -> &'static AtomicU16 {
    let pointer = core::ptr::with_exposed_provenance_mut::<u16>(address as usize);
    // SAFETY: the driver told the device of this ring, and lives while the test works it.
    unsafe { AtomicU16::from_ptr(pointer) }
}

fn word(address: u64) -> &'static AtomicU32 {
    let pointer = core::ptr::with_exposed_provenance_mut::<u32>(address as usize);
    // SAFETY: as in `half`.
    unsafe { AtomicU32::from_ptr(pointer) }
}

fn double(address: u64) -> &'static AtomicU64 {
    let pointer = core::ptr::with_exposed_provenance_mut::<u64>(address as usize);
    // SAFETY: as in `half`.
    unsafe { AtomicU64::from_ptr(pointer) }
}

impl Transport for FakeTransport {
    fn device_type(&self) -> DeviceType {
        self.0.borrow().kind
    }

    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().offered
    }

    fn write_driver_features(&mut self, features: u64) {
        let mut state = self.0.borrow_mut();
        state.agreed = features;
        state.steps.push("features".into());
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.0.borrow().queue_most[usize::from(queue)]
    }

    fn notify(&mut self, queue: u16) {
        self.0.borrow_mut().doorbells[usize::from(queue)] += 1;
    }

    fn get_status(&self) -> DeviceStatus {
        self.0.borrow().status
    }

    fn set_status(&mut self, status: DeviceStatus) {
        let mut state = self.0.borrow_mut();
        state.steps.push(format!("status {}", status.bits()));
        if status.is_empty() && !state.resets {
            return;
        }
        state.status = status;
        if !state.accepts_features {
            state.status.remove(DeviceStatus::FEATURES_OK);
        }
    }

    fn set_guest_page_size(&mut self, _size: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, queue: u16, size: u32, descriptors: u64, driver: u64, device: u64) {
        let mut state = self.0.borrow_mut();
        state.steps.push(format!("queue {queue}"));
        state.queues[usize::from(queue)] = DeviceQueue {
            size: size as u16,
            descriptors,
            driver,
            device,
            taken: 0,
            used: 0,
        };
    }

    fn queue_unset(&mut self, _queue: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.0.borrow().queues[usize::from(queue)].size != 0
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        core::mem::take(&mut self.0.borrow_mut().interrupt)
    }

    fn read_config_generation(&self) -> u32 {
        0
    }

    fn read_config_space<V: FromBytes + IntoBytes>(&self, offset: usize) -> Result<V, Error> {
        let state = self.0.borrow();
        let bytes = state.configuration.get(offset..offset + size_of::<V>());
        V::read_from_bytes(bytes.ok_or(Error::ConfigSpaceTooSmall)?)
            .map_err(|_| Error::ConfigSpaceTooSmall)
    }

    fn write_config_space<V: IntoBytes + Immutable>(
        &mut self,
        _offset: usize,
        _value: V,
    ) -> Result<(), Error> {
        Err(Error::Unsupported)
    }
}
