//! Events that JavaScript has in hand, and the block of memory through which it says how far it got with each.
//!
//! Layout of the control block, little-endian, offsets in bytes; `N` is the number of slots:
//!
//! | offset | what |
//! | --- | --- |
//! | 0 | 16 × i32: token epoch, number of entries in *settled*, N, reserved, concurrent, handler timeout + 1, thread id (written by JavaScript), reserved |
//! | 64 | 32 × f64: socket ids |
//! | 320 | 32 × i32: kinds of event |
//! | 448 | 32 × i32: slots |
//! | 576 | 32 × u32: token versions, 0 = no token |
//! | 704 | 32 × i32: byte offset in a shared ArrayBuffer; close code |
//! | 832 | 32 × i32: byte length in a shared ArrayBuffer |
//! | 1024 | N × i32: *settled*, slots whose promise has settled since the last look |
//! | 1024 + 4 N | N × u8: how far each slot got |
//!
//! The parts from 64 on describe the up to 32 events of the call that is being made. All of it is only touched on the worker's own thread,
//! but for the token epoch and the thread id.

use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::js::raw::{Block, Env, Failed, Value};

/// Events in one call into JavaScript.
pub(crate) const BATCH: usize = 32;

const IDS: usize = 64;
const KINDS: usize = 320;
const SLOTS: usize = 448;
const TOKENS: usize = 576;
const FIRST: usize = 704;
const SECOND: usize = 832;
const SETTLED: usize = 1024;

/// How far JavaScript got with an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Progress {
    /// Its handler was not called.
    Waiting,
    /// Its handler was called and has not settled.
    InHand,
    /// Its handler has settled.
    Settled,
}

/// The control block of one worker.
#[derive(Clone)]
pub(crate) struct Control {
    block: Block,
    slots: usize,
}

/// What JavaScript is told of one event besides its value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) id: f64,
    pub(crate) kind: i32,
    pub(crate) slot: u32,
    pub(crate) token: u32,
    pub(crate) first: i32,
    pub(crate) second: i32,
}

fn put(words: &[AtomicI32], index: usize, value: i32) {
    if let Some(word) = words.get(index) {
        word.store(value, Relaxed);
    }
}

impl Control {
    /// A block for that many slots.
    pub(crate) fn new(slots: usize) -> Self {
        let control = Self { block: Block::new(SETTLED + 5 * slots), slots };
        put(control.head(), 2, slots as i32);
        control
    }

    /// The block for JavaScript.
    pub(crate) fn array_buffer<'s>(&self, env: Env<'s>) -> Result<Value<'s>, Failed> {
        self.block.array_buffer(env)
    }

    fn head(&self) -> &[AtomicI32] {
        self.block.ints(0, 16)
    }

    /// Cached tokens may be old. From any thread.
    pub(crate) fn bump_token_epoch(&self) {
        if let Some(epoch) = self.head().first() {
            epoch.fetch_add(1, Relaxed);
        }
    }

    /// What `start` was told about handlers; `timeout` in milliseconds.
    pub(crate) fn set_handling(&self, concurrent: bool, timeout: u32) {
        put(self.head(), 4, i32::from(concurrent));
        put(self.head(), 5, i32::try_from(timeout).unwrap_or(i32::MAX - 1).saturating_add(1));
    }

    /// The number of its thread, as Node counts them. From any thread.
    pub(crate) fn thread(&self) -> i32 {
        self.head().get(6).map_or(0, |word| word.load(Relaxed))
    }

    /// Describes one of the events of the next call.
    pub(crate) fn tell(&self, index: usize, told: &Told) {
        if let Some(word) = self.ids().get(index) {
            word.store(told.id.to_bits(), Relaxed);
        }
        put(self.block.ints(KINDS, BATCH), index, told.kind);
        put(self.block.ints(SLOTS, BATCH), index, told.slot as i32);
        put(self.block.ints(TOKENS, BATCH), index, told.token as i32);
        put(self.block.ints(FIRST, BATCH), index, told.first);
        put(self.block.ints(SECOND, BATCH), index, told.second);
    }

    fn ids(&self) -> &[AtomicU64] {
        self.block.longs(IDS, BATCH)
    }

    /// The slots whose promises have settled since the last call.
    pub(crate) fn take_settled(&self, into: &mut Vec<u32>) {
        let Some(count) = self.head().get(1) else { return };
        let count = usize::try_from(count.swap(0, Relaxed)).unwrap_or(0).min(self.slots);
        if count > 0 {
            into.extend(self.block.ints(SETTLED, count).iter().map(|slot| slot.load(Relaxed) as u32));
        }
    }

    fn progress_cell(&self, slot: u32) -> Option<&AtomicU8> {
        self.block.octets(SETTLED + 4 * self.slots, self.slots).get(slot as usize)
    }

    /// How far the event in that slot got.
    pub(crate) fn progress(&self, slot: u32) -> Progress {
        match self.progress_cell(slot).map(|cell| cell.load(Relaxed)) {
            Some(0) => Progress::Waiting,
            Some(1) => Progress::InHand,
            _ => Progress::Settled,
        }
    }

    /// The slot has a new event.
    pub(crate) fn reset(&self, slot: u32) {
        if let Some(cell) = self.progress_cell(slot) {
            cell.store(0, Relaxed);
        }
    }
}

/// Numbered places, up to a fixed number of them. The lowest and the latest freed are used first, so that few cache lines and pages are touched.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
    capacity: usize,
    used: usize,
}

impl<T> Slots<T> {
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
        let mut slots = Slots::new(2);
        assert_eq!((slots.insert("a"), slots.insert("b"), slots.insert("c")), (Some(0), Some(1), None));
        assert!(slots.is_full());
        assert_eq!(slots.take(0), Some("a"));
        assert_eq!(slots.take(0), None, "taken once");
        assert!(!slots.is_full());
        assert_eq!(slots.insert("c"), Some(0), "used again");
        assert_eq!((slots.get(0), slots.get(1), slots.get(2)), (Some(&"c"), Some(&"b"), None));
    }

    #[test]
    fn taking_all_leaves_an_empty_slab() {
        let mut slots = Slots::new(4);
        for item in ["a", "b", "c"] {
            slots.insert(item).unwrap();
        }
        slots.take(1);
        assert_eq!(slots.take_all().collect::<Vec<_>>(), [(0, "a"), (2, "c")]);
        assert_eq!((slots.insert("d"), slots.get(2)), (Some(0), None));
    }

    #[test]
    fn the_control_block_holds_what_was_told() {
        let control = Control::new(8);
        control
            .tell(31, &Told { id: 9_007_199_254_740_991.0, kind: 3, slot: 7, token: u32::MAX, first: 40, second: -1 });
        assert_eq!(f64::from_bits(control.block.longs(64, 32)[31].load(Relaxed)), 9_007_199_254_740_991.0);
        let word = |offset: usize| control.block.ints(offset, 32)[31].load(Relaxed);
        assert_eq!([word(320), word(448), word(576), word(704), word(832)], [3, 7, -1, 40, -1]);
        assert_eq!(control.head()[2].load(Relaxed), 8);
        control.set_handling(true, 30_000);
        assert_eq!((control.head()[4].load(Relaxed), control.head()[5].load(Relaxed)), (1, 30_001));
        control.bump_token_epoch();
        assert_eq!(control.head()[0].load(Relaxed), 1);
    }

    #[test]
    fn what_javascript_writes_is_read_and_bounded() {
        let control = Control::new(4);
        control.block.octets(1024 + 16, 4)[3].store(2, Relaxed);
        assert_eq!(
            [control.progress(2), control.progress(3), control.progress(4)],
            [Progress::Waiting, Progress::Settled, Progress::Settled]
        );
        control.reset(3);
        assert_eq!(control.progress(3), Progress::Waiting);
        control.block.ints(1024, 4)[1].store(3, Relaxed);
        control.head()[1].store(2, Relaxed);
        let mut settled = Vec::new();
        control.take_settled(&mut settled);
        control.take_settled(&mut settled);
        assert_eq!(settled, [0, 3]);
        control.head()[1].store(1000, Relaxed);
        control.take_settled(&mut settled);
        assert_eq!(settled.len(), 2 + 4, "never more than there are slots");
    }
}
