//! Physical memory: what the firmware says is there, and the heap made of it.

mod carve;
mod heap;

pub use carve::{Carved, MAX_REGIONS, carve};
pub use heap::Heap;

/// The smallest page, in bytes.
pub const PAGE: u64 = 4096;

/// Where the usable memory begins: below lie the firmware's data, the start information and the
/// legacy devices. Not mapping any of it makes every null pointer a fault.
pub const LOWEST: u64 = 1 << 20;

/// Rounds an address down to a page.
pub const fn page_down(address: u64) -> u64 {
    address & !(PAGE - 1)
}

/// Rounds an address up to a page; the last page stays where it is.
pub const fn page_up(address: u64) -> u64 {
    page_down(address.saturating_add(PAGE - 1))
}
