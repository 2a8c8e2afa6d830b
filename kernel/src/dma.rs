//! Memory that devices read and write.

#![allow(unsafe_code)]

use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Memory as the image has it: every address is the physical one, and devices see all of it.
#[derive(Clone, Copy, Debug)]
pub struct IdentityMapped;

fn layout(pages: usize) -> Option<Layout> {
    let size = pages.checked_mul(PAGE_SIZE).filter(|&size| size > 0)?;
    Layout::from_size_align(size, PAGE_SIZE).ok()
}

// SAFETY: memory comes zeroed and page-aligned from the global allocator, which lends it to
// nobody else; virtual and physical addresses are equal in the image, whose page tables map
// memory one to one.
unsafe impl Hal for IdentityMapped {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let memory = layout(pages).and_then(|layout| {
            // SAFETY: `layout` refuses sizes of zero.
            NonNull::new(unsafe { alloc_zeroed(layout) })
        });
        match memory {
            Some(memory) => (memory.as_ptr() as PhysAddr, memory),
            // A physical address of 0 says that there is no memory.
            None => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(_address: PhysAddr, memory: NonNull<u8>, pages: usize) -> i32 {
        let Some(layout) = layout(pages) else {
            return -1;
        };
        // SAFETY: the caller promises that `dma_alloc` gave this memory for this many pages.
        unsafe { dealloc(memory.as_ptr(), layout) };
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, _size: usize) -> NonNull<u8> {
        // Windows are mapped by `AddressSpace::map_device` before a transport is made; a BAR at
        // address 0 is refused before that, so the fallback is never used.
        NonNull::new(address as *mut u8).unwrap_or(NonNull::dangling())
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.as_ptr().cast::<u8>() as PhysAddr
    }

    unsafe fn unshare(_address: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_aligned_zeroed_and_identity_mapped() {
        let (address, memory) = IdentityMapped::dma_alloc(3, BufferDirection::Both);
        assert_eq!(address, memory.as_ptr() as u64);
        assert_eq!(address % PAGE_SIZE as u64, 0);
        // SAFETY: three pages were just given.
        let bytes = unsafe { core::slice::from_raw_parts(memory.as_ptr(), 3 * PAGE_SIZE) };
        assert!(bytes.iter().all(|&byte| byte == 0));
        // SAFETY: the memory came from `dma_alloc` with three pages.
        let status = unsafe { IdentityMapped::dma_dealloc(address, memory, 3) };
        assert_eq!(status, 0);
    }

    #[test]
    fn impossible_sizes_give_no_memory() {
        assert_eq!(IdentityMapped::dma_alloc(0, BufferDirection::Both).0, 0);
        assert_eq!(
            IdentityMapped::dma_alloc(usize::MAX, BufferDirection::Both).0,
            0
        );
    }
}
