//! The heap: Talc behind a lock that one core needs.

#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lock_api::{GuardNoSend, RawMutex};
use talc::TalcLock;
use talc::source::Manual;

/// A lock for one core: there is nobody to wait for, so a taken lock is a re-entrant call.
#[doc(hidden)]
pub struct OneCore(AtomicBool);

// SAFETY: `try_lock` swaps the flag, so one caller at a time gets it, until `unlock`.
unsafe impl RawMutex for OneCore {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: OneCore = OneCore(AtomicBool::new(false));
    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        // No handler allocates and the allocator calls nobody, so this cannot be; if it ever is,
        // a panic with a reason beats waiting for ever.
        assert!(self.try_lock(), "the heap was entered a second time");
    }

    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The heap, fit to be the global allocator.
///
/// Empty until it is given memory. Allocation fails with a null pointer; the size that failed is
/// kept, so that the panic handler can tell exhausted memory from a defect.
pub struct Heap {
    talc: TalcLock<OneCore, Manual>,
    failed: AtomicUsize,
}

impl Heap {
    /// A heap without memory.
    pub const fn new() -> Heap {
        Heap {
            talc: TalcLock::new(Manual),
            failed: AtomicUsize::new(0),
        }
    }

    /// Gives the heap a region of memory, for good. Gives back the bytes that it took.
    ///
    /// # Safety
    ///
    /// The region must be mapped writable, stay so, and be used by nobody else from now on.
    pub unsafe fn add(&self, region: Range<u64>) -> usize {
        let size = region.end.saturating_sub(region.start) as usize;
        let mut talc = self.talc.lock();
        let before = talc.counters().claimed_bytes;
        // SAFETY: the caller hands the region over; `Manual` allows claims at any time.
        let _end = unsafe { talc.claim(region.start as *mut u8, size) };
        talc.counters().claimed_bytes - before
    }

    /// Bytes given to the heap.
    pub fn size(&self) -> usize {
        self.talc.lock().counters().claimed_bytes
    }

    /// Bytes not in use. One allocation may get fewer: free memory may lie in pieces.
    pub fn free(&self) -> usize {
        self.talc.lock().counters().available_bytes
    }

    /// Bytes in use, the allocator's own records included.
    pub fn used(&self) -> usize {
        let talc = self.talc.lock();
        talc.counters().claimed_bytes - talc.counters().available_bytes
    }

    /// The size of the last allocation that failed, if one did.
    pub fn failed_request(&self) -> Option<usize> {
        match self.failed.load(Ordering::Relaxed) {
            0 => None,
            bytes => Some(bytes),
        }
    }

    fn note(&self, pointer: *mut u8, size: usize) -> *mut u8 {
        if pointer.is_null() {
            self.failed.store(size.max(1), Ordering::Relaxed);
        }
        pointer
    }
}

impl Default for Heap {
    fn default() -> Heap {
        Heap::new()
    }
}

// SAFETY: everything is passed on to Talc, whose implementation keeps `GlobalAlloc`'s contract.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations are those of the inner allocator.
        let pointer = unsafe { self.talc.alloc(layout) };
        self.note(pointer, layout.size())
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's obligations are those of the inner allocator.
        unsafe { self.talc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's obligations are those of the inner allocator.
        let moved = unsafe { self.talc.realloc(pointer, layout, size) };
        self.note(moved, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 20;

    /// A heap over one mebibyte of the test's own memory.
    fn heap() -> Heap {
        let region = Box::leak(vec![0u64; SIZE / 8].into_boxed_slice());
        let start = region.as_mut_ptr() as u64;
        let heap = Heap::new();
        // SAFETY: the leaked region is nobody else's.
        let taken = unsafe { heap.add(start..start + SIZE as u64) };
        assert!(taken > SIZE - 4096, "{taken}");
        heap
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a valid layout")
    }

    #[test]
    fn used_and_free_add_up_and_return() {
        let heap = heap();
        let free = heap.free();
        assert_eq!(heap.used() + free, heap.size());
        // SAFETY: the layout is not empty.
        let pointer = unsafe { heap.alloc(layout(100_000, 16)) };
        assert!(!pointer.is_null());
        assert!(heap.free() <= free - 100_000);
        assert_eq!(heap.used() + heap.free(), heap.size());
        // SAFETY: `pointer` came from this heap with this layout.
        unsafe { heap.dealloc(pointer, layout(100_000, 16)) };
        assert_eq!(heap.free(), free);
    }

    #[test]
    fn exhaustion_gives_null_and_is_remembered() {
        let heap = heap();
        assert_eq!(heap.failed_request(), None);
        // SAFETY: the layout is not empty.
        let pointer = unsafe { heap.alloc(layout(2 * SIZE, 8)) };
        assert!(pointer.is_null());
        assert_eq!(heap.failed_request(), Some(2 * SIZE));
    }

    #[test]
    fn a_second_region_adds_memory() {
        let heap = heap();
        let size = heap.size();
        let region = Box::leak(vec![0u64; SIZE / 8].into_boxed_slice());
        let start = region.as_mut_ptr() as u64;
        // SAFETY: the leaked region is nobody else's.
        let taken = unsafe { heap.add(start..start + SIZE as u64) };
        assert_eq!(heap.size(), size + taken);
    }

    #[test]
    fn page_aligned_allocations_are_aligned() {
        let heap = heap();
        for _ in 0..10 {
            // SAFETY: the layout is not empty.
            let pointer = unsafe { heap.alloc(layout(4096, 4096)) };
            assert!(!pointer.is_null());
            assert_eq!(pointer as usize % 4096, 0);
        }
    }

    #[test]
    fn an_empty_heap_allocates_nothing() {
        let heap = Heap::new();
        // SAFETY: the layout is not empty.
        assert!(unsafe { heap.alloc(layout(8, 8)) }.is_null());
        assert_eq!((heap.size(), heap.free(), heap.used()), (0, 0, 0));
    }
}
