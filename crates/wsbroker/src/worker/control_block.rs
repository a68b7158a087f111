//! The block of memory through which Rust and one JavaScript thread tell each other numbers: Rust
//! describes the events of a call, and JavaScript says how far it got with each.
//!
//! `shared_numbers` says where everything lies. The worker's own thread reads and writes all of it;
//! other threads only write the epoch of the tokens and how handlers run, and read the thread's id.

use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::{
    js::raw::{Env, Failed, SharedBlock, Value},
    worker::shared_numbers::{
        control_layout::{self, MAX_EVENTS},
        control_word, event_state,
    },
};

// Each list begins where the one before it ends, and is aligned to its entries.
const _: () = {
    assert!(control_layout::IDS == 4 * control_layout::WORDS && control_layout::IDS.is_multiple_of(8));
    assert!(control_layout::KINDS == control_layout::IDS + 8 * MAX_EVENTS);
    assert!(control_layout::SLOTS == control_layout::KINDS + 4 * MAX_EVENTS);
    assert!(control_layout::TOKEN_VERSIONS == control_layout::SLOTS + 4 * MAX_EVENTS);
    assert!(control_layout::NUMBERS == control_layout::TOKEN_VERSIONS + 4 * MAX_EVENTS);
    assert!(control_layout::LENGTHS == control_layout::NUMBERS + 4 * MAX_EVENTS);
    assert!(
        control_layout::SETTLED >= control_layout::LENGTHS + 4 * MAX_EVENTS
            && control_layout::SETTLED.is_multiple_of(4)
    );
};

/// How far JavaScript got with an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EventState {
    /// Its handler was not called.
    Waiting,
    /// Its handler was called and has not settled.
    Started,
    /// Its handler has settled.
    Settled,
}

/// The control block of one worker.
#[derive(Clone)]
pub(crate) struct ControlBlock {
    block: SharedBlock,
    slots: usize,
}

/// The numbers of one event, as `shared_numbers::offset` explains them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EventNumbers {
    pub(crate) socket_id: f64,
    pub(crate) kind: i32,
    pub(crate) slot: u32,
    pub(crate) token_version: u32,
    pub(crate) number: i32,
    pub(crate) length: i32,
}

#[inline]
fn put(words: &[AtomicI32], index: usize, value: i32) {
    if let Some(word) = words.get(index) {
        word.store(value, Relaxed);
    }
}

impl ControlBlock {
    /// A block for that many slots.
    pub(crate) fn new(slots: usize) -> Self {
        let control = Self { block: SharedBlock::new(control_layout::SETTLED + 5 * slots), slots };
        put(control.words(), control_word::SLOT_COUNT, slots as i32);
        control
    }

    /// The block for JavaScript.
    pub(crate) fn array_buffer<'s>(&self, env: Env<'s>) -> Result<Value<'s>, Failed> {
        self.block.array_buffer(env)
    }

    fn words(&self) -> &[AtomicI32] {
        self.block.ints(0, control_layout::WORDS)
    }

    /// Says that cached tokens may be out of date. From any thread.
    pub(crate) fn bump_token_epoch(&self) {
        if let Some(epoch) = self.words().get(control_word::TOKEN_EPOCH) {
            epoch.fetch_add(1, Relaxed);
        }
    }

    /// What `start` was told about handlers; `timeout` in milliseconds. From any thread.
    pub(crate) fn set_handling(&self, concurrent: bool, timeout: u32) {
        put(self.words(), control_word::CONCURRENT, i32::from(concurrent));
        let timeout = i32::try_from(timeout).unwrap_or(i32::MAX - 1).saturating_add(1);
        put(self.words(), control_word::HANDLER_TIMEOUT, timeout);
    }

    /// The `threadId` of its thread in Node or Bun. From any thread.
    pub(crate) fn thread_id(&self) -> i32 {
        self.words().get(control_word::THREAD_ID).map_or(0, |word| word.load(Relaxed))
    }

    /// A call with that many events begins.
    pub(crate) fn begin_call(&self, events: usize) {
        put(self.words(), control_word::CALL_EVENTS, events as i32);
    }

    /// It is over.
    pub(crate) fn end_call(&self) {
        let words = self.words();
        put(words, control_word::CALL_EVENTS, 0);
        if let Some(calls) = words.get(control_word::CALLS) {
            // Only this thread writes it.
            calls.store(calls.load(Relaxed).wrapping_add(1), Relaxed);
        }
    }

    /// How many calls have been made. From any thread.
    pub(crate) fn calls(&self) -> u32 {
        self.words().get(control_word::CALLS).map_or(0, |word| word.load(Relaxed) as u32)
    }

    /// The kind and the socket id of the event whose handler has the thread, as far as can be told:
    /// `None` between calls, or when all handlers of the call have returned. From any thread; what
    /// it says may be over by then.
    pub(crate) fn at_work(&self) -> Option<(i32, f64)> {
        let count = self.words().get(control_word::CALL_EVENTS)?.load(Relaxed);
        let count = usize::try_from(count).unwrap_or(0).min(MAX_EVENTS);
        let slots = self.block.ints(control_layout::SLOTS, MAX_EVENTS);
        // Handlers are called in order. One that waits for an earlier event of its socket is
        // passed over.
        let last = (0..count).rev().find(|index| {
            slots.get(*index).is_some_and(|slot| self.state(slot.load(Relaxed) as u32) != EventState::Waiting)
        })?;
        if self.state(slots.get(last)?.load(Relaxed) as u32) != EventState::Started {
            return None;
        }
        let kind = self.block.ints(control_layout::KINDS, MAX_EVENTS).get(last)?.load(Relaxed);
        let id = f64::from_bits(self.block.longs(control_layout::IDS, MAX_EVENTS).get(last)?.load(Relaxed));
        Some((kind, id))
    }

    /// Where the events of the next call are described.
    pub(crate) fn descriptions(&self) -> Descriptions<'_> {
        let numbers = |offset| self.block.ints(offset, MAX_EVENTS);
        Descriptions {
            ids: self.block.longs(control_layout::IDS, MAX_EVENTS),
            kinds: numbers(control_layout::KINDS),
            slots: numbers(control_layout::SLOTS),
            token_versions: numbers(control_layout::TOKEN_VERSIONS),
            numbers: numbers(control_layout::NUMBERS),
            lengths: numbers(control_layout::LENGTHS),
            states: self.states(),
        }
    }

    /// Appends the slots whose promises have settled since the last call.
    pub(crate) fn take_settled(&self, into: &mut Vec<u32>) {
        let Some(count) = self.words().get(control_word::SETTLED_COUNT) else { return };
        let count = usize::try_from(count.swap(0, Relaxed)).unwrap_or(0).min(self.slots);
        if count > 0 {
            let settled = self.block.ints(control_layout::SETTLED, count);
            into.extend(settled.iter().map(|slot| slot.load(Relaxed) as u32));
        }
    }

    fn states(&self) -> &[AtomicU8] {
        self.block.octets(control_layout::SETTLED + 4 * self.slots, self.slots)
    }

    /// How far the event in that slot got.
    #[inline]
    pub(crate) fn state(&self, slot: u32) -> EventState {
        match self.states().get(slot as usize).map(|cell| cell.load(Relaxed)) {
            Some(event_state::WAITING) => EventState::Waiting,
            Some(event_state::STARTED) => EventState::Started,
            // Nothing else is ever written, and a slot that there is not holds no event.
            Some(event_state::SETTLED..) | None => EventState::Settled,
        }
    }
}

/// Where the events of a call are described: the lists of the control block.
pub(crate) struct Descriptions<'a> {
    ids: &'a [AtomicU64],
    kinds: &'a [AtomicI32],
    slots: &'a [AtomicI32],
    token_versions: &'a [AtomicI32],
    numbers: &'a [AtomicI32],
    lengths: &'a [AtomicI32],
    states: &'a [AtomicU8],
}

impl Descriptions<'_> {
    /// Describes one of them. Its slot has a new event from now on.
    #[inline]
    pub(crate) fn put(&self, index: usize, event: &EventNumbers) {
        if let Some(word) = self.ids.get(index) {
            word.store(event.socket_id.to_bits(), Relaxed);
        }
        put(self.kinds, index, event.kind);
        put(self.slots, index, event.slot as i32);
        put(self.token_versions, index, event.token_version as i32);
        put(self.numbers, index, event.number);
        put(self.lengths, index, event.length);
        if let Some(cell) = self.states.get(event.slot as usize) {
            cell.store(event_state::WAITING, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_block_holds_what_was_told() {
        let control = ControlBlock::new(8);
        let event = EventNumbers {
            socket_id: 9_007_199_254_740_991.0,
            kind: 3,
            slot: 7,
            token_version: u32::MAX,
            number: 40,
            length: -1,
        };
        control.descriptions().put(31, &event);
        assert_eq!(f64::from_bits(control.block.longs(64, 32)[31].load(Relaxed)), 9_007_199_254_740_991.0);
        let word = |offset: usize| control.block.ints(offset, 32)[31].load(Relaxed);
        assert_eq!([word(320), word(448), word(576), word(704), word(832)], [3, 7, -1, 40, -1]);
        assert_eq!(control.words()[2].load(Relaxed), 8);
        control.set_handling(true, 30_000);
        assert_eq!((control.words()[4].load(Relaxed), control.words()[5].load(Relaxed)), (1, 30_001));
        control.bump_token_epoch();
        assert_eq!(control.words()[0].load(Relaxed), 1);
    }

    #[test]
    fn the_handler_that_has_the_thread_is_the_last_that_was_called() {
        let control = ControlBlock::new(8);
        for (index, slot) in [5, 2, 7].into_iter().enumerate() {
            let event = EventNumbers { socket_id: index as f64, kind: 2, slot, ..EventNumbers::default() };
            control.descriptions().put(index, &event);
        }
        assert_eq!(control.at_work(), None, "there is no call");
        control.begin_call(3);
        assert_eq!(control.at_work(), None, "none was called");
        let set = |slot, state| control.states()[slot as usize].store(state, Relaxed);
        set(5, event_state::STARTED);
        assert_eq!(control.at_work(), Some((2, 0.0)));
        // The second waits for the first, whose promise is pending.
        set(7, event_state::STARTED);
        assert_eq!(control.at_work(), Some((2, 2.0)));
        set(7, event_state::SETTLED);
        assert_eq!(control.at_work(), None, "all have returned");
        control.end_call();
        set(7, event_state::STARTED);
        assert_eq!((control.at_work(), control.calls()), (None, 1));
    }

    #[test]
    fn what_javascript_writes_is_read_and_bounded() {
        let control = ControlBlock::new(4);
        control.block.octets(1024 + 16, 4)[3].store(2, Relaxed);
        assert_eq!(
            [control.state(2), control.state(3), control.state(4)],
            [EventState::Waiting, EventState::Settled, EventState::Settled]
        );
        control.descriptions().put(0, &EventNumbers { slot: 3, ..EventNumbers::default() });
        assert_eq!(control.state(3), EventState::Waiting);
        control.block.ints(1024, 4)[1].store(3, Relaxed);
        control.words()[1].store(2, Relaxed);
        let mut settled = Vec::new();
        control.take_settled(&mut settled);
        control.take_settled(&mut settled);
        assert_eq!(settled, [0, 3]);
        control.words()[1].store(1000, Relaxed);
        control.take_settled(&mut settled);
        assert_eq!(settled.len(), 2 + 4, "never more than there are slots");
    }
}
