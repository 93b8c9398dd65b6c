//! A map from a key to several values, so that what belongs to a key is found without a look at
//! all else.

use alloc::vec::Vec;
use core::hash::Hash;

use hashbrown::hash_map::Entry;

use crate::{Map, Set};

#[derive(Debug)]
pub(crate) struct Index<K, V> {
    sets: Map<K, Set<V>>,
    /// An empty set for the next key: a key that comes and goes costs no allocation.
    spare: Set<V>,
}

impl<K, V> Default for Index<K, V> {
    fn default() -> Self {
        Self {
            sets: Map::default(),
            spare: Set::default(),
        }
    }
}

impl<K: Eq + Hash, V: Copy + Eq + Hash + Ord> Index<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let spare = &mut self.spare;
        let set = self.sets.entry(key);
        set.or_insert_with(|| core::mem::take(spare)).insert(value);
    }

    pub(crate) fn remove(&mut self, key: K, value: V) {
        if let Entry::Occupied(mut set) = self.sets.entry(key) {
            set.get_mut().remove(&value);
            if set.get().is_empty() {
                self.spare = set.remove();
            }
        }
    }

    /// The values of a key, in no particular order.
    pub(crate) fn get(&self, key: K) -> impl Iterator<Item = V> {
        self.sets.get(&key).into_iter().flatten().copied()
    }

    /// The values of a key, in order.
    pub(crate) fn sorted(&self, key: K) -> Vec<V> {
        let mut values: Vec<_> = self.get(key).collect();
        values.sort_unstable();
        values
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_with_its_last_value() {
        let mut index = Index::default();
        for value in [3, 1, 2, 1] {
            index.insert("a", value);
        }
        index.insert("b", 9);
        assert_eq!(index.sorted("a"), [1, 2, 3]);
        for value in [1, 2, 3, 3] {
            index.remove("a", value);
        }
        assert_eq!(
            (index.sorted("a"), index.sorted("b")),
            (Vec::new(), [9].into())
        );
        index.remove("b", 9);
        assert!(index.is_empty());
    }
}
