//! Numbered things, and numbers that go stale with the thing they name.

/// Names an entry of a [`Table`]: its place, and how often that was given away before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) place: u32,
    pub(super) round: u32,
}

struct Slot<T> {
    round: u32,
    entry: Option<T>,
}

/// Entries that are found by number.
pub(super) struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Table<T> {
    pub(super) const fn new() -> Table<T> {
        Table {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds an entry that is to know its own name.
    pub(super) fn insert_with<E>(
        &mut self,
        make: impl FnOnce(Key) -> Result<T, E>,
    ) -> Result<Key, E> {
        let place = self.free.last().copied();
        let place = place.unwrap_or_else(|| u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        let index = place as usize;
        let round = self.slots.get(index).map_or(0, |slot| slot.round);
        let key = Key { place, round };
        let entry = Some(make(key)?);
        match self.slots.get_mut(index) {
            Some(slot) => {
                slot.entry = entry;
                self.free.pop();
            }
            None => self.slots.push(Slot { round, entry }),
        }
        Ok(key)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.place as usize)?;
        slot.entry.as_mut().filter(|_| slot.round == key.round)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.place as usize)?;
        let entry = slot.entry.take_if(|_| slot.round == key.round)?;
        // As many rounds as a token has room for.
        slot.round = slot.round.wrapping_add(1) & ROUNDS;
        self.free.push(key.place);
        Some(entry)
    }

    /// Removes every entry that `leaves` says so of.
    pub(super) fn extract(&mut self, mut leaves: impl FnMut(&mut T) -> bool) -> Vec<T> {
        let keys: Vec<Key> = self
            .iter_mut()
            .filter_map(|(key, entry)| leaves(entry).then_some(key))
            .collect();
        keys.into_iter()
            .filter_map(|key| self.remove(key))
            .collect()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        let slots = self.slots.iter_mut().enumerate();
        slots.filter_map(|(place, slot)| {
            let key = Key {
                place: u32::try_from(place).unwrap_or(u32::MAX),
                round: slot.round,
            };
            Some((key, slot.entry.as_mut()?))
        })
    }
}

/// The highest round: what is left of 64 bits besides a place and four bits.
const ROUNDS: u32 = (1 << 28) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(table: &mut Table<char>, entry: char) -> Key {
        table.insert_with(|_| Ok::<char, ()>(entry)).unwrap()
    }

    #[test]
    fn a_stale_key_names_nothing() {
        let mut table = Table::new();
        let a = insert(&mut table, 'a');
        let b = insert(&mut table, 'b');
        assert_eq!(table.remove(a), Some('a'));
        let c = insert(&mut table, 'c');
        assert_eq!(c.place, a.place);
        assert_eq!(table.get_mut(a), None);
        assert_eq!(table.remove(a), None);
        assert_eq!(table.get_mut(b), Some(&mut 'b'));
        assert_eq!(table.get_mut(c), Some(&mut 'c'));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn an_entry_that_can_t_be_made_takes_no_place() {
        let mut table = Table::new();
        assert_eq!(table.insert_with(|_| Err::<char, _>("no")), Err("no"));
        assert_eq!(table.len(), 0);
        insert(&mut table, 'a');
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn entries_are_extracted_by_what_they_are() {
        let mut table = Table::new();
        for entry in ['a', 'B', 'c', 'D'] {
            insert(&mut table, entry);
        }
        assert_eq!(table.extract(|entry| entry.is_uppercase()), ['B', 'D']);
        let left: Vec<char> = table.iter_mut().map(|(_, entry)| *entry).collect();
        assert_eq!(left, ['a', 'c']);
    }
}
