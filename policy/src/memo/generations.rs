//! A map with an end: what is looked for again and again outlives what is not.

use core::hash::Hash;

use hashbrown::HashMap;

/// Two generations. When the young one is full it becomes the old one, whose entries are gone unless they were looked for.
#[derive(Debug)]
pub(super) struct Generations<K, V> {
    room: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Copy + Eq + Hash, V> Generations<K, V> {
    /// So many entries in each.
    pub(super) fn of(room: usize) -> Self {
        Self { room, young: HashMap::new(), old: HashMap::new() }
    }

    pub(super) fn find(&mut self, key: K) -> Option<&V> {
        if let Some(value) = self.old.remove(&key) {
            self.put(key, value);
        }
        self.young.get(&key)
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.room {
            // Their room stays, for the next: what is made and given back again and again leaves holes.
            core::mem::swap(&mut self.old, &mut self.young);
            self.young.clear();
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
