//! Numbered places for events, used again and again.

/// Numbered places, up to a fixed number of them. The lowest and the latest freed are used first, so that few cache lines and pages are touched.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
    capacity: usize,
    used: usize,
}

impl<T> Slab<T> {
    /// That many places; memory is taken as they are used.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { places: Vec::new(), free: Vec::new(), capacity, used: 0 }
    }

    /// Puts something into a free place. `None` when there is none.
    #[inline]
    pub(crate) fn insert(&mut self, item: T) -> Option<u32> {
        let free = self.free.pop().and_then(|slot| self.places.get_mut(slot as usize).map(|place| (slot, place)));
        let slot = if let Some((slot, place)) = free {
            *place = Some(item);
            slot
        } else if self.places.len() < self.capacity {
            self.places.push(Some(item));
            (self.places.len() - 1) as u32
        } else {
            return None;
        };
        self.used += 1;
        Some(slot)
    }

    /// Takes out what is there.
    pub(crate) fn take(&mut self, slot: u32) -> Option<T> {
        let item = self.places.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        self.used -= 1;
        Some(item)
    }

    /// What is there.
    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.places.get(slot as usize)?.as_ref()
    }

    /// What is there, to be changed.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.places.get_mut(slot as usize)?.as_mut()
    }

    /// Whether every place is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.used == self.capacity
    }

    /// Takes everything out, with the slot it was in, in no order.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = (u32, T)> {
        self.used = 0;
        self.free = Vec::new();
        let places = std::mem::take(&mut self.places);
        places.into_iter().enumerate().filter_map(|(slot, place)| place.map(|item| (slot as u32, item)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_slab_takes_nothing_more() {
        let mut slab = Slab::new(2);
        assert_eq!((slab.insert("a"), slab.insert("b"), slab.insert("c")), (Some(0), Some(1), None));
        assert!(slab.is_full());
        assert_eq!(slab.take(0), Some("a"));
        assert_eq!(slab.take(0), None, "taken once");
        assert!(!slab.is_full());
        assert_eq!(slab.insert("c"), Some(0), "used again");
        assert_eq!((slab.get(0), slab.get(1), slab.get(2)), (Some(&"c"), Some(&"b"), None));
    }

    #[test]
    fn taking_all_leaves_an_empty_slab() {
        let mut slab = Slab::new(4);
        for item in ["a", "b", "c"] {
            slab.insert(item).unwrap();
        }
        slab.take(1);
        assert_eq!(slab.take_all().collect::<Vec<_>>(), [(0, "a"), (2, "c")]);
        assert_eq!((slab.insert("d"), slab.get(2)), (Some(0), None));
    }
}
