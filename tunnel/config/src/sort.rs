//! Sorting of short lists: the standard library's sort, made for long ones, would be 5 KB of code for
//! each kind of entry.

/// Sorts by insertion: in steps by the square of the length, none of them more for a list in order. Entries
/// of the same key stay in their order.
pub(crate) fn sort_by_key<T, K: Ord>(list: &mut [T], key: impl Fn(&T) -> K) {
    for end in 2..=list.len() {
        let mut rest = list.get_mut(..end).unwrap_or_default();
        while let [others @ .., before, after] = rest {
            if key(before) <= key(after) {
                break;
            }
            core::mem::swap(before, after);
            let length = others.len() + 1;
            rest = rest.get_mut(..length).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn sorts_as_the_standard_library_does_and_keeps_equals_in_order() {
        // A generator of the simplest kind (Lehmer's, modulus 2^16 + 1).
        let mut state: u32 = 1;
        for length in 0..40 {
            let mut list: Vec<(u32, usize)> = (0..length)
                .map(|place| {
                    state = state * 75 % 65_537;
                    (state % 7, place)
                })
                .collect();
            let mut expect = list.clone();
            expect.sort_by_key(|(key, _)| *key);
            sort_by_key(&mut list, |(key, _)| *key);
            assert_eq!(list, expect);
        }
    }
}
