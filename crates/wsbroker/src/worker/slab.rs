//! Numbered slots for events, which are used again and again.

/// Numbered slots, up to a fixed number of them. The last that was freed is used first, then the
/// lowest that was never used, so that few cache lines and pages are touched.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    capacity: usize,
    used: usize,
}

impl<T> Slab<T> {
    /// That many slots. Memory is taken as they are used.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), capacity, used: 0 }
    }

    /// Puts something into a free slot. `None` if all are taken.
    #[inline]
    pub(crate) fn insert(&mut self, item: T) -> Option<u32> {
        let free = self.free.pop().and_then(|slot| self.slots.get_mut(slot as usize).map(|content| (slot, content)));
        let slot = if let Some((slot, content)) = free {
            *content = Some(item);
            slot
        } else if self.slots.len() < self.capacity {
            self.slots.push(Some(item));
            (self.slots.len() - 1) as u32
        } else {
            return None;
        };
        self.used += 1;
        Some(slot)
    }

    /// Takes out what is in that slot.
    pub(crate) fn take(&mut self, slot: u32) -> Option<T> {
        let item = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        self.used -= 1;
        Some(item)
    }

    /// Drops what is in that slot, where it lies.
    #[inline]
    pub(crate) fn free(&mut self, slot: u32) {
        if let Some(content @ Some(_)) = self.slots.get_mut(slot as usize) {
            *content = None;
            self.free.push(slot);
            self.used -= 1;
        }
    }

    /// What is in that slot.
    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// What is in that slot, to be changed.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Whether every slot is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.used == self.capacity
    }

    /// Takes everything out with its slot, by slot: not in the order in which it came.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = (u32, T)> {
        self.used = 0;
        self.free = Vec::new();
        let slots = std::mem::take(&mut self.slots);
        slots.into_iter().enumerate().filter_map(|(slot, content)| content.map(|item| (slot as u32, item)))
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
    fn a_slot_is_freed_once() {
        let mut slab = Slab::new(1);
        let content = std::rc::Rc::new(());
        slab.insert(std::rc::Rc::clone(&content)).unwrap();
        slab.free(0);
        assert_eq!(std::rc::Rc::strong_count(&content), 1);
        slab.free(0);
        assert_eq!((slab.insert(content).is_some(), slab.is_full()), (true, true));
        assert_eq!(slab.free.len(), 0);
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
