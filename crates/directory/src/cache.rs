//! A bounded map that forgets what was not asked for lately. Two generations: when the young one is
//! full it becomes the old one and the former old one is dropped, so it never holds more than its
//! bound, costs no bookkeeping per hit, and an attacker's flood does not evict what is in use.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

pub(crate) struct Cache<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation_max: usize,
}

impl<K: Hash + Eq, V> Cache<K, V> {
    /// Holds at most `entries_max` entries (at least two).
    pub(crate) fn new(entries_max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            generation_max: (entries_max / 2).max(1),
        }
    }

    /// The entry for `key`, which counts as used.
    pub(crate) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.generation_max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(crate) fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(crate) fn clear(&mut self) {
        self.young = HashMap::new();
        self.old = HashMap::new();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_grows_past_its_bound_and_keeps_what_is_used() {
        let mut cache = Cache::new(100);
        cache.insert(0, "kept");
        for flood in 1..10_000 {
            cache.insert(flood, "flood");
            assert!(cache.len() <= 100);
            assert_eq!(cache.get_mut(&0).copied(), Some("kept"), "after {flood}");
        }
        assert_eq!(cache.get_mut(&5), None);
    }

    #[test]
    fn what_is_removed_does_not_come_back_from_the_old_generation() {
        let mut cache = Cache::new(4);
        for key in 0..3 {
            cache.insert(key, 'a');
        }
        cache.insert(0, 'b');
        cache.remove(&0);
        assert_eq!(cache.get_mut(&0), None);
    }
}
