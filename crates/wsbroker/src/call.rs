//! The events of one call into JavaScript, and the values that go with them.

use wsbroker_core::EventKind;

use crate::{
    convert,
    inbox::{InHand, Inbox},
    raw::{Env, Failed, Scratch, Value},
    slots::{BATCH, Control, Slots, Told},
};

/// Payloads up to this share one ArrayBuffer per call; a handler that keeps one keeps the buffer, 32 KiB at most.
const SHARED: usize = 1 << 10;
/// Shared payloads begin at multiples of this, so that any typed array can look at them.
const ALIGN: usize = 8;

const OPEN: i32 = 1;
const TEXT: i32 = 2;
const SHARED_BYTES: i32 = 3;
const BYTES: i32 = 4;
const CLOSE: i32 = 5;
const DRAIN: i32 = 6;

/// Up to 32 events that are handed over together.
pub(crate) struct Call<'s> {
    /// How many there are, then one value each.
    values: [Value<'s>; BATCH + 1],
    slots: [u32; BATCH],
    count: usize,
    /// Bytes that the shared ArrayBuffer needs; `None` when nothing lies in one.
    shared: Option<usize>,
}

impl<'s> Call<'s> {
    /// One without events.
    pub(crate) fn new(env: Env<'s>) -> Result<Self, Failed> {
        Ok(Self { values: [env.undefined()?; BATCH + 1], slots: [0; BATCH], count: 0, shared: None })
    }

    /// Takes the next events, at most `room`, as far as there are slots. Returns those that could not be made into values.
    pub(crate) fn fill(
        &mut self,
        env: Env<'s>,
        inbox: &mut Inbox,
        slots: &mut Slots<InHand>,
        control: &Control,
        scratch: &mut Scratch,
        room: usize,
    ) -> Vec<InHand> {
        let mut lost = Vec::new();
        while self.count < room.min(BATCH) && !slots.is_full() {
            let Some(in_hand) = inbox.next() else { break };
            let mut told = Told::default();
            let Ok(value) = self.value(env, &in_hand, &mut told, scratch) else {
                lost.push(in_hand);
                continue;
            };
            let socket = &in_hand.event.socket;
            (told.id, told.token) = (socket.id().get() as f64, socket.token_version());
            match slots.insert(in_hand) {
                Ok(slot) => told.slot = slot,
                // Cannot be: it was not full.
                Err(in_hand) => {
                    lost.push(in_hand);
                    break;
                }
            }
            control.reset(told.slot);
            control.tell(self.count, &told);
            if let (Some(place), Some(slot)) = (self.values.get_mut(self.count + 1), self.slots.get_mut(self.count)) {
                (*place, *slot) = (value, told.slot);
            }
            self.count += 1;
        }
        if let Some(length) = self.shared {
            self.share(env, length, slots);
        }
        lost
    }

    /// How many there are, what to call with, and the slots they are in.
    pub(crate) fn parts(&mut self, env: Env<'s>) -> Result<(usize, &[Value<'s>], &[u32]), Failed> {
        if let Some(first) = self.values.first_mut() {
            *first = env.int(self.count as i32)?;
        }
        Ok((self.count, self.values.get(..=self.count).ok_or(Failed)?, self.slots.get(..self.count).ok_or(Failed)?))
    }

    #[inline]
    fn value(&mut self, env: Env<'s>, in_hand: &InHand, told: &mut Told, scratch: &mut Scratch) -> Result<Value<'s>, Failed> {
        match &in_hand.event.kind {
            EventKind::Text(payload) => {
                told.kind = TEXT;
                env.string(in_hand.bytes(payload), scratch)
            }
            EventKind::Binary(payload) if payload.len() <= SHARED => {
                told.kind = SHARED_BYTES;
                let offset = self.shared.unwrap_or(0);
                (told.first, told.second) = (offset as i32, payload.len() as i32);
                self.shared = Some(offset + payload.len().next_multiple_of(ALIGN));
                // The buffer itself is made when it is known how long it must be.
                env.undefined()
            }
            EventKind::Binary(payload) => {
                told.kind = BYTES;
                env.array_buffer(payload.len(), |bytes| bytes.copy_from_slice(in_hand.bytes(payload)))
            }
            EventKind::Close { code, reason } => {
                (told.kind, told.first) = (CLOSE, i32::from(*code));
                env.string(reason.as_bytes(), scratch)
            }
            EventKind::Open(open) => {
                told.kind = OPEN;
                convert::open_request(env, &open.request)
            }
            EventKind::Drain => {
                told.kind = DRAIN;
                env.undefined()
            }
        }
    }

    /// Puts the small payloads of this call into one ArrayBuffer, each into a part of its own, since handlers may change and keep theirs.
    ///
    /// If the engine has no memory for it, the dispatcher finds `undefined` in its place and reports that.
    fn share(&mut self, env: Env<'s>, length: usize, slots: &Slots<InHand>) {
        let taken = self.slots.get(..self.count).unwrap_or_default();
        let small = |slot: u32| match slots.get(slot) {
            Some(in_hand) => match &in_hand.event.kind {
                EventKind::Binary(payload) if payload.len() <= SHARED => Some(in_hand.bytes(payload)),
                _ => None,
            },
            None => None,
        };
        let buffer = env.array_buffer(length, |mut rest| {
            for bytes in taken.iter().filter_map(|slot| small(*slot)) {
                let Some((part, behind)) = rest.split_at_mut_checked(bytes.len().next_multiple_of(ALIGN)) else { break };
                if let Some(part) = part.get_mut(..bytes.len()) {
                    part.copy_from_slice(bytes);
                }
                rest = behind;
            }
        });
        let Ok(buffer) = buffer else {
            let _ = env.take_exception();
            return;
        };
        for (value, slot) in self.values.iter_mut().skip(1).zip(taken) {
            if small(*slot).is_some() {
                *value = buffer;
            }
        }
    }
}
