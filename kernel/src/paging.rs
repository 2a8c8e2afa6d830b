//! Page tables: one identity-mapped address space in which nothing is both writable and
//! executable (Intel SDM volume 3 §4.5, 4-level paging).

#![allow(unsafe_code)]

use alloc::boxed::Box;
use core::fmt;
use core::ops::Range;

use crate::memory::{PAGE, page_down, page_up};

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Processor-set "accessed" and "dirty" bits, which say nothing about rights.
const USED: u64 = 1 << 5 | 1 << 6;

/// Sizes that one entry maps, by level: 4 KiB, 2 MiB, 1 GiB.
const SIZES: [u64; 3] = [PAGE, 2 << 20, 1 << 30];
/// Addresses below this can be mapped: the lower half of what 4 levels reach.
const LIMIT: u64 = 1 << 47;

/// What may be done with a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Code: read and execute.
    Code,
    /// Constants and lent data: read.
    Constant,
    /// Memory: read and write.
    Memory,
    /// Device registers: read and write, uncached.
    Device,
}

impl Access {
    fn bits(self) -> u64 {
        match self {
            Access::Code => PRESENT,
            Access::Constant => PRESENT | NO_EXECUTE,
            Access::Memory => PRESENT | WRITABLE | NO_EXECUTE,
            // PAT entry 3, which is "uncacheable" from reset on (SDM volume 3 §11.12.4).
            Access::Device => PRESENT | WRITABLE | NO_EXECUTE | WRITE_THROUGH | CACHE_DISABLE,
        }
    }
}

/// Why a range was not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// The range is empty, not made of whole pages, or beyond what page tables reach.
    Range {
        /// The range's first address.
        start: u64,
        /// The address after its last.
        end: u64,
    },
    /// Something is mapped there with other rights.
    Conflict {
        /// The first such address.
        address: u64,
    },
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapError::Range { start, end } => {
                write!(f, "addresses {start:#x} to {end:#x} cannot be mapped")
            }
            MapError::Conflict { address } => {
                write!(f, "address {address:#x} is mapped for another use already")
            }
        }
    }
}

impl core::error::Error for MapError {}

#[repr(C, align(4096))]
struct Table([u64; 512]);

impl Table {
    fn new() -> Box<Table> {
        Box::new(Table([0; 512]))
    }
}

/// The address space.
pub struct AddressSpace {
    root: Box<Table>,
    gigabyte_pages: bool,
}

impl AddressSpace {
    /// An address space in which nothing is mapped. `gigabyte_pages`: whether the processor has
    /// them.
    pub fn new(gigabyte_pages: bool) -> AddressSpace {
        AddressSpace {
            root: Table::new(),
            gigabyte_pages,
        }
    }

    /// Maps `range` to the same physical addresses, with the largest pages that fit.
    ///
    /// Mapping twice with the same rights changes nothing; with other rights it is refused, at
    /// the first page concerned.
    pub fn map(&mut self, range: Range<u64>, access: Access) -> Result<(), MapError> {
        let whole = range.start.is_multiple_of(PAGE) && range.end.is_multiple_of(PAGE);
        if !whole || range.start >= range.end || range.end > LIMIT {
            return Err(MapError::Range {
                start: range.start,
                end: range.end,
            });
        }
        let mut address = range.start;
        while address < range.end {
            address += self.map_one(address, range.end - address, access)?;
        }
        Ok(())
    }

    /// Maps the pages that hold a device's registers.
    pub fn map_device(&mut self, start: u64, length: u64) -> Result<(), MapError> {
        let end = page_up(start.saturating_add(length));
        self.map(page_down(start)..end, Access::Device)
    }

    /// Maps one page of the best size at `address`; gives the bytes that are mapped from there.
    fn map_one(&mut self, address: u64, left: u64, access: Access) -> Result<u64, MapError> {
        let largest = if self.gigabyte_pages { 2 } else { 1 };
        let best = (0..=largest)
            .rev()
            .find(|&level| address.is_multiple_of(SIZES[level]) && left >= SIZES[level])
            .unwrap_or(0);
        let mut table: &mut Table = &mut self.root;
        for level in (0..4).rev() {
            let entry = &mut table.0[index(address, level)];
            if level < 3 && *entry & PRESENT != 0 && (level == 0 || *entry & LARGE != 0) {
                // A page is here: fine when it grants the same.
                let rights = *entry & !(ADDRESS | LARGE | USED);
                if rights != access.bits() {
                    return Err(MapError::Conflict { address });
                }
                return Ok(SIZES[level] - address % SIZES[level]);
            }
            if level <= best && *entry & PRESENT == 0 {
                let large = if level > 0 { LARGE } else { 0 };
                *entry = address | access.bits() | large;
                return Ok(SIZES[level]);
            }
            if *entry & PRESENT == 0 {
                let next = Box::into_raw(Table::new());
                // Rights of the lower levels decide, so these grant all.
                *entry = next as u64 | PRESENT | WRITABLE;
            }
            let next = (*entry & ADDRESS) as *mut Table;
            // SAFETY: a present entry above level 0 that is no large page was made here, from a
            // table that is never freed; `&mut self` makes this the only reference.
            table = unsafe { &mut *next };
        }
        // Level 0 always returned above; nothing was mapped otherwise.
        Err(MapError::Conflict { address })
    }

    /// What the address may be used for, and the size of the page that maps it.
    pub fn look_up(&self, address: u64) -> Option<(Access, u64)> {
        let mut table: &Table = &self.root;
        for level in (0..4).rev() {
            let entry = table.0[index(address, level)];
            if entry & PRESENT == 0 {
                return None;
            }
            if level < 3 && (level == 0 || entry & LARGE != 0) {
                let rights = entry & !(ADDRESS | LARGE | USED);
                let access = [
                    Access::Code,
                    Access::Constant,
                    Access::Memory,
                    Access::Device,
                ]
                .into_iter()
                .find(|access| access.bits() == rights)?;
                return Some((access, SIZES[level]));
            }
            let next = (entry & ADDRESS) as *const Table;
            // SAFETY: as in `map_one`; `&self` keeps anyone from changing the tables.
            table = unsafe { &*next };
        }
        None
    }

    /// Makes this the processor's address space. The tables stay for good.
    ///
    /// # Safety
    ///
    /// Everything in use must be mapped as it is used: the running code, its data, its stack,
    /// the heap, these tables, and device registers.
    pub unsafe fn activate(&self) {
        let root = &raw const *self.root as u64;
        // SAFETY: the caller promised that the new tables map all that is in use.
        unsafe { core::arch::asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
    }
}

/// The entry of a table at `level` (0 is the page table) that an address belongs to.
fn index(address: u64, level: usize) -> usize {
    (address >> (12 + 9 * level)) as usize & 511
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    #[test]
    fn uses_the_largest_pages_that_fit() {
        let mut space = AddressSpace::new(true);
        space
            .map(2 * MIB - PAGE..2 * GIB + 2 * MIB, Access::Memory)
            .expect("free");
        for (address, size) in [
            (2 * MIB - PAGE, PAGE),
            (2 * MIB, 2 * MIB),
            (GIB - 1, 2 * MIB),
            (GIB, GIB),
            (2 * GIB - 1, GIB),
            (2 * GIB, 2 * MIB),
        ] {
            assert_eq!(space.look_up(address), Some((Access::Memory, size)));
        }
        assert_eq!(space.look_up(2 * MIB - PAGE - 1), None);
        assert_eq!(space.look_up(2 * GIB + 2 * MIB), None);
    }

    #[test]
    fn without_gigabyte_pages_two_mebibytes_are_the_largest() {
        let mut space = AddressSpace::new(false);
        space.map(GIB..2 * GIB, Access::Memory).expect("free");
        assert_eq!(space.look_up(GIB), Some((Access::Memory, 2 * MIB)));
        assert_eq!(space.look_up(2 * GIB - 1), Some((Access::Memory, 2 * MIB)));
    }

    #[test]
    fn sections_side_by_side_keep_their_rights() {
        let mut space = AddressSpace::new(true);
        let parts = [
            (2 * MIB..2 * MIB + 5 * PAGE, Access::Code),
            (2 * MIB + 5 * PAGE..2 * MIB + 6 * PAGE, Access::Constant),
            (2 * MIB + 7 * PAGE..8 * MIB, Access::Memory),
            (0xfec0_0000..0xff00_0000, Access::Device),
        ];
        for (range, access) in parts.clone() {
            space.map(range, access).expect("free");
        }
        for (range, access) in parts {
            let (first, _) = space.look_up(range.start).expect("mapped");
            let (last, _) = space.look_up(range.end - 1).expect("mapped");
            assert_eq!((first, last), (access, access));
        }
        // The guard page between constants and memory.
        assert_eq!(space.look_up(2 * MIB + 6 * PAGE), None);
    }

    #[test]
    fn mapping_again_is_fine_and_other_rights_are_refused() {
        let mut space = AddressSpace::new(true);
        space.map(4 * MIB..8 * MIB, Access::Device).expect("free");
        assert_eq!(space.map_device(4 * MIB + 100, 5000), Ok(()));
        assert_eq!(space.map(2 * MIB..6 * MIB, Access::Device), Ok(()));
        assert_eq!(space.look_up(2 * MIB), Some((Access::Device, 2 * MIB)));
        let conflict = MapError::Conflict { address: 4 * MIB };
        assert_eq!(
            space.map(4 * MIB - PAGE * 512..5 * MIB, Access::Memory),
            Err(MapError::Conflict { address: 2 * MIB })
        );
        assert_eq!(space.map(4 * MIB..5 * MIB, Access::Memory), Err(conflict));
    }

    #[test]
    fn small_pages_inside_a_large_range_do_not_stop_the_rest() {
        let mut space = AddressSpace::new(true);
        space.map_device(4 * MIB + 8 * PAGE, 1).expect("free");
        space.map(2 * MIB..8 * MIB, Access::Device).expect("same");
        assert_eq!(space.look_up(4 * MIB), Some((Access::Device, PAGE)));
        assert_eq!(space.look_up(6 * MIB), Some((Access::Device, 2 * MIB)));
        assert_eq!(space.look_up(6 * MIB - 1), Some((Access::Device, PAGE)));
    }

    #[test]
    // A reversed range is among the input.
    #[allow(clippy::reversed_empty_ranges)]
    fn ranges_that_are_not_whole_pages_are_refused() {
        let mut space = AddressSpace::new(true);
        for range in [
            1..PAGE,
            0..PAGE + 1,
            PAGE..PAGE,
            2 * PAGE..PAGE,
            0..LIMIT + PAGE,
        ] {
            let (start, end) = (range.start, range.end);
            let error = space.map(range, Access::Memory);
            assert_eq!(error, Err(MapError::Range { start, end }));
        }
        assert!(space.map_device(u64::MAX - 10, 100).is_err());
    }
}
