//! Memory shared with the device.
//!
//! A region is either a ring, touched through atomics alone, or buffers, touched through slices
//! alone. Both types check every offset against the region, so that no arithmetic mistake
//! elsewhere, and nothing the device writes, leads outside it.

#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use super::VirtioError;

/// Whole pages that the device can reach, zeroed, freed on drop.
struct Region<H: Hal> {
    physical: PhysAddr,
    base: NonNull<u8>,
    pages: usize,
    _hal: PhantomData<H>,
}

impl<H: Hal> Region<H> {
    /// Allocates at least `bytes` bytes, at least one page.
    fn allocate(bytes: usize, direction: BufferDirection) -> Result<Region<H>, VirtioError> {
        let pages = bytes.div_ceil(PAGE_SIZE).max(1);
        let (physical, base) = H::dma_alloc(pages, direction);
        if physical == 0 {
            return Err(VirtioError::Memory { bytes });
        }
        Ok(Region {
            physical,
            base,
            pages,
            _hal: PhantomData,
        })
    }

    fn len(&self) -> usize {
        self.pages * PAGE_SIZE
    }

    /// A pointer to `length` bytes at `offset`, which must lie inside and be a multiple of `align`.
    fn at(&self, offset: usize, length: usize, align: usize) -> NonNull<u8> {
        let inside = offset
            .checked_add(length)
            .is_some_and(|end| end <= self.len());
        assert!(inside && offset.is_multiple_of(align), "outside DMA memory");
        // SAFETY: the assertion above keeps `offset` within the allocation that `dma_alloc` made.
        unsafe { self.base.add(offset) }
    }

    /// Gives the memory up for good: for a device that may still write to it.
    fn leak(&mut self) {
        self.pages = 0;
    }
}

impl<H: Hal> Drop for Region<H> {
    fn drop(&mut self) {
        if self.pages == 0 {
            return;
        }
        // SAFETY: the three values are those of the `dma_alloc` in `allocate`, and drop runs once.
        // Its answer is an error number; memory that cannot be freed is lost, and nothing more.
        let _ = unsafe { H::dma_dealloc(self.physical, self.base, self.pages) };
    }
}

/// The memory of one ring: descriptor, driver and device area (virtio 1.2 §2.7).
///
/// The device reads and writes it at any time, so it is only ever seen as atomics.
pub(super) struct RingMemory<H: Hal>(Region<H>);

impl<H: Hal> RingMemory<H> {
    pub(super) fn allocate(bytes: usize) -> Result<RingMemory<H>, VirtioError> {
        Region::allocate(bytes, BufferDirection::Both).map(RingMemory)
    }

    /// The address of the first byte, as the device sees it.
    pub(super) fn physical(&self) -> PhysAddr {
        self.0.physical
    }

    pub(super) fn leak(&mut self) {
        self.0.leak();
    }

    pub(super) fn u16(&self, offset: usize) -> &AtomicU16 {
        let word = self.0.at(offset, 2, 2).cast::<u16>().as_ptr();
        // SAFETY: `at` checked bounds and alignment (the base is page-aligned); the memory lives
        // as long as `self`, and this type hands out nothing but atomics.
        unsafe { AtomicU16::from_ptr(word) }
    }

    pub(super) fn u32(&self, offset: usize) -> &AtomicU32 {
        let word = self.0.at(offset, 4, 4).cast::<u32>().as_ptr();
        // SAFETY: as in `u16`.
        unsafe { AtomicU32::from_ptr(word) }
    }

    pub(super) fn u64(&self, offset: usize) -> &AtomicU64 {
        let word = self.0.at(offset, 8, 8).cast::<u64>().as_ptr();
        // SAFETY: as in `u16`.
        unsafe { AtomicU64::from_ptr(word) }
    }
}

/// The memory of a queue's buffers.
///
/// The owner must look only at buffers that are not with the device: `Queue` keeps that record,
/// and asks for nothing else.
pub(super) struct BufferMemory<H: Hal>(Region<H>);

impl<H: Hal> BufferMemory<H> {
    pub(super) fn allocate(
        bytes: usize,
        direction: BufferDirection,
    ) -> Result<BufferMemory<H>, VirtioError> {
        Region::allocate(bytes, direction).map(BufferMemory)
    }

    pub(super) fn leak(&mut self) {
        self.0.leak();
    }

    /// The address of `length` bytes at `offset`, as the device sees it.
    pub(super) fn physical(&self, offset: usize, length: usize) -> PhysAddr {
        // Only for its check: an address outside must never reach a descriptor.
        self.0.at(offset, length, 1);
        self.0.physical + offset as PhysAddr
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        let length = range.len();
        let start = self.0.at(range.start, length, 1);
        // SAFETY: `at` checked the bounds; the pages were zeroed, so the bytes are initialised;
        // the shared borrow of `self` excludes `bytes_mut`, and the buffer is not the device's.
        unsafe { core::slice::from_raw_parts(start.as_ptr(), length) }
    }

    pub(super) fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        let length = range.len();
        let start = self.0.at(range.start, length, 1);
        // SAFETY: as in `bytes`, and the exclusive borrow of `self` excludes every other slice.
        unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), length) }
    }
}
