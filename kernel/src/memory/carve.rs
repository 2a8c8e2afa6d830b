//! From the firmware's memory map to regions that the heap may have.

use core::ops::Range;

use super::{LOWEST, page_down, page_up};

/// The most regions that are kept; the smallest machines have 2, the largest a dozen. Memory in
/// regions beyond the bound is not used.
pub const MAX_REGIONS: usize = 64;

/// Page-aligned regions of memory that nothing else uses, in ascending order.
#[derive(Clone, Copy, Debug)]
pub struct Carved {
    regions: [(u64, u64); MAX_REGIONS],
    count: usize,
}

impl Carved {
    const EMPTY: Carved = Carved {
        regions: [(0, 0); MAX_REGIONS],
        count: 0,
    };

    /// The regions.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.regions
            .iter()
            .take(self.count)
            .map(|&(start, end)| start..end)
    }

    /// Bytes in all regions together.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|region| region.end - region.start).sum()
    }

    fn push(&mut self, region: Range<u64>) {
        if region.start >= region.end {
            return;
        }
        if let Some(place) = self.regions.get_mut(self.count) {
            *place = (region.start, region.end);
            self.count += 1;
        }
    }

    /// The same memory without `hole`.
    fn without(&self, hole: &Range<u64>) -> Carved {
        let mut rest = Carved::EMPTY;
        for region in self.iter() {
            if hole.end <= region.start || region.end <= hole.start {
                rest.push(region);
            } else {
                rest.push(region.start..hole.start);
                rest.push(hole.end..region.end);
            }
        }
        rest
    }
}

/// Takes the usable `ram` regions above [`LOWEST`] and below `limit`, and cuts out what is
/// `occupied`: image, archive and all else that must stay as it is.
///
/// Regions shrink to whole pages, holes grow to them. Regions may come in any order and overlap
/// (firmware has done both); the result is sorted and disjoint.
pub fn carve(
    ram: impl IntoIterator<Item = Range<u64>>,
    occupied: &[Range<u64>],
    limit: u64,
) -> Carved {
    let mut free = Carved::EMPTY;
    for region in ram {
        let region = page_up(region.start.max(LOWEST))..page_down(region.end.min(limit));
        // What an earlier region covers already is taken out of this one.
        let mut fresh = Carved::EMPTY;
        fresh.push(region);
        for known in free.iter() {
            fresh = fresh.without(&known);
        }
        fresh.iter().for_each(|part| free.push(part));
    }
    for hole in occupied.iter().filter(|hole| hole.start < hole.end) {
        free = free.without(&(page_down(hole.start)..page_up(hole.end)));
    }
    let count = free.count;
    // A few dozen at most: the standard library's sort, for long lists, would be 5 KB of code.
    let mut unsorted = free.regions.get_mut(..count).unwrap_or_default();
    while let Some((least, others)) = unsorted.split_first_mut() {
        for other in others.iter_mut() {
            if *other < *least {
                core::mem::swap(least, other);
            }
        }
        unsorted = others;
    }
    free
}

#[cfg(test)]
// One region is a list of one range here, not a list of its numbers; reversed ones are input.
#[allow(clippy::single_range_in_vec_init, clippy::reversed_empty_ranges)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn check(ram: &[Range<u64>], occupied: &[Range<u64>], limit: u64, expected: &[Range<u64>]) {
        let carved = carve(ram.iter().cloned(), occupied, limit);
        assert_eq!(carved.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn cuts_image_archive_and_low_memory_out() {
        check(
            &[0..0x9fc00, MIB..16 * MIB],
            &[2 * MIB..5 * MIB, 15 * MIB + 100..15 * MIB + 5000],
            u64::MAX,
            &[MIB..2 * MIB, 5 * MIB..15 * MIB, 15 * MIB + 8192..16 * MIB],
        );
    }

    #[test]
    fn partial_pages_are_left_out() {
        check(
            &[MIB + 1..2 * MIB - 1],
            &[],
            u64::MAX,
            &[MIB + 4096..2 * MIB - 4096],
        );
        check(&[MIB + 1..MIB + 4095], &[], u64::MAX, &[]);
        check(&[2 * MIB..MIB], &[], u64::MAX, &[]);
    }

    #[test]
    fn the_limit_cuts_a_region() {
        check(
            &[MIB..8 * MIB, 16 * MIB..32 * MIB],
            &[],
            4 * MIB,
            &[MIB..4 * MIB],
        );
    }

    #[test]
    fn overlapping_unsorted_regions_become_disjoint_and_sorted() {
        check(
            &[8 * MIB..12 * MIB, 4 * MIB..9 * MIB, 10 * MIB..11 * MIB],
            &[],
            u64::MAX,
            &[4 * MIB..8 * MIB, 8 * MIB..12 * MIB],
        );
    }

    #[test]
    fn a_hole_over_everything_leaves_nothing() {
        check(&[MIB..2 * MIB], &[0..u64::MAX], u64::MAX, &[]);
        assert_eq!(carve([MIB..2 * MIB], &[0..u64::MAX], u64::MAX).bytes(), 0);
    }

    #[test]
    fn empty_holes_change_nothing() {
        check(
            &[MIB..2 * MIB],
            &[MIB + 5..MIB + 5],
            u64::MAX,
            &[MIB..2 * MIB],
        );
    }

    #[test]
    fn more_regions_than_the_bound_lose_memory_and_nothing_else() {
        let many = (1..200u64).map(|i| i * 2 * MIB..i * 2 * MIB + MIB);
        let carved = carve(many, &[], u64::MAX);
        assert_eq!(carved.iter().count(), MAX_REGIONS);
        assert_eq!(carved.bytes(), MAX_REGIONS as u64 * MIB);
    }
}
