//! The events of one call into JavaScript, and the values that go with them.

use bytes::Bytes;
use wsbroker_core::{Event, EventKind, Group, OperationKind};

use crate::{
    js::{
        convert,
        raw::{Env, Failed, Scratch, Value},
    },
    worker::{
        control_block::{ControlBlock, EventNumbers},
        inbox::{Inbox, Position, bytes_of},
        runner::Place,
        shared_numbers::{audience_kind, control_layout::MAX_EVENTS, event_kind, operation},
        slab::Slab,
    },
};

/// Payloads up to this share one ArrayBuffer per call; a handler that keeps one keeps the buffer, 64 KiB at most.
const SHARED: usize = 2 << 10;
/// Bytes of payload after which a call goes as it is: the first handler must not wait for megabytes of others to be converted.
const ENOUGH: usize = 128 << 10;
/// Shared payloads begin at multiples of this, so that any typed array can look at them.
const ALIGN: usize = 8;

/// What a helper's `receive` is called with: an operation and what belongs to it.
pub(crate) fn operation_arguments<'s>(
    env: Env<'s>,
    asked: &OperationKind,
    scratch: &mut Scratch,
) -> Result<[Value<'s>; 6], Failed> {
    let none = env.undefined()?;
    let mut text = |bytes: &[u8]| env.string(bytes, scratch);
    Ok(match asked {
        OperationKind::Publish { audience, frame, exclude, epoch } => {
            let kind = match audience {
                Group::Room(_) => audience_kind::ROOM,
                Group::User(_) => audience_kind::USER,
                Group::Everybody => audience_kind::EVERYBODY,
            };
            let (name, frame) = (text(audience.name())?, text(frame)?);
            let exclude = env.array(exclude.iter().map(|id| text(id)))?;
            [env.int(operation::PUBLISH)?, name, frame, exclude, env.int(kind)?, env.double(*epoch as f64)?]
        }
        OperationKind::Send { client, frame } => {
            [env.int(operation::SEND)?, text(client)?, text(frame)?, none, none, none]
        }
        OperationKind::Join { client, room } => {
            [env.int(operation::JOIN)?, text(client)?, text(room)?, none, none, none]
        }
        OperationKind::Leave { client, room } => {
            [env.int(operation::LEAVE)?, text(client)?, text(room)?, none, none, none]
        }
        OperationKind::InputState { ready } => {
            [env.int(operation::INPUT_STATE)?, env.boolean(*ready)?, none, none, none, none]
        }
        OperationKind::TakeInput => [env.int(operation::TAKE_INPUT)?, none, none, none, none, none],
        OperationKind::ClientsLeft => [env.int(operation::CLIENTS_LEFT)?, none, none, none, none, none],
        OperationKind::Dropped => [env.int(operation::DROPPED)?, none, none, none, none, none],
    })
}

/// Up to 32 events that are handed over together.
pub(crate) struct Call<'s> {
    /// How many there are, then one value each.
    values: [Value<'s>; MAX_EVENTS + 1],
    taken: Taken,
    /// Bytes that the shared ArrayBuffer needs; `None` when nothing lies in one.
    shared: Option<usize>,
    /// Bytes of all payloads.
    bytes: usize,
}

/// Where the events of a call are.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    places: [(u32, Position); MAX_EVENTS],
    count: usize,
}

impl Taken {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The slot and the position of each, in order.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Position)> + '_ {
        self.places.iter().take(self.count).copied()
    }
}

impl<'s> Call<'s> {
    /// One without events.
    pub(crate) fn new(env: Env<'s>) -> Result<Self, Failed> {
        let taken = Taken { places: [Default::default(); MAX_EVENTS], count: 0 };
        Ok(Self { values: [env.undefined()?; MAX_EVENTS + 1], taken, shared: None, bytes: 0 })
    }

    /// Takes the next events, at most `room`, as far as there are slots. Returns those that could not be made into values. Fails when the
    /// environment is going down; then what was taken has not been handed over.
    pub(crate) fn fill(
        &mut self,
        env: Env<'s>,
        inbox: &mut Inbox,
        slots: &mut Slab<Place>,
        control: &ControlBlock,
        scratch: &mut Scratch,
        room: usize,
    ) -> Result<Vec<Position>, Failed> {
        let mut lost = Vec::new();
        while self.taken.count < room.min(MAX_EVENTS) && self.bytes < ENOUGH && !slots.is_full() {
            let Some(position) = inbox.advance() else { break };
            let Some((event, data)) = inbox.get(position) else { break };
            let mut numbers = EventNumbers {
                socket_id: event.socket.id().get() as i64 as f64,
                token_version: event.socket.token_version(),
                ..EventNumbers::default()
            };
            let Ok(value) = self.value(env, event, data, &mut numbers, scratch) else {
                if env.is_ending() {
                    // Not its fault: whoever takes over gets it.
                    inbox.go_back_to(position);
                    return Err(Failed);
                }
                lost.push(position);
                continue;
            };
            let index = self.taken.count;
            // There is one: it is not full.
            let Some(slot) = slots.insert(Place::Here(position)) else { break };
            numbers.slot = slot;
            control.reset(slot);
            control.describe(index, &numbers);
            if let (Some(cell), Some(place)) = (self.values.get_mut(index + 1), self.taken.places.get_mut(index)) {
                (*cell, *place) = (value, (slot, position));
            }
            self.taken.count += 1;
        }
        if let Some(length) = self.shared {
            self.share(env, length, inbox);
        }
        Ok(lost)
    }

    /// What to call with.
    pub(crate) fn arguments(&mut self, env: Env<'s>) -> Result<&[Value<'s>], Failed> {
        if let Some(first) = self.values.first_mut() {
            *first = env.int(self.taken.count as i32)?;
        }
        self.values.get(..=self.taken.count).ok_or(Failed)
    }

    /// Where its events are.
    pub(crate) fn taken(&self) -> Taken {
        self.taken
    }

    #[inline]
    fn value(
        &mut self,
        env: Env<'s>,
        event: &Event,
        data: &Bytes,
        numbers: &mut EventNumbers,
        scratch: &mut Scratch,
    ) -> Result<Value<'s>, Failed> {
        if let EventKind::Text(payload) | EventKind::Binary(payload) = &event.kind {
            self.bytes += payload.len();
        }
        match &event.kind {
            EventKind::Text(payload) => {
                numbers.kind = event_kind::TEXT;
                env.string(bytes_of(payload, data), scratch)
            }
            EventKind::Binary(payload) if payload.len() <= SHARED => {
                numbers.kind = event_kind::SHARED_BYTES;
                let offset = self.shared.unwrap_or(0);
                (numbers.number, numbers.length) = (offset as i32, payload.len() as i32);
                self.shared = Some(offset + payload.len().next_multiple_of(ALIGN));
                // The buffer itself is made when it is known how long it must be.
                env.undefined()
            }
            EventKind::Binary(payload) => {
                numbers.kind = event_kind::BYTES;
                env.array_buffer(payload.len(), |bytes| bytes.copy_from_slice(bytes_of(payload, data)))
            }
            EventKind::Close { code, reason } => {
                (numbers.kind, numbers.number) = (event_kind::CLOSE, i32::from(*code));
                env.string(reason.as_bytes(), scratch)
            }
            EventKind::Open(open) => {
                numbers.kind = event_kind::OPEN;
                convert::open_request(env, &open.request)
            }
            EventKind::Joined(ip) => {
                numbers.kind = event_kind::JOINED;
                env.text(ip)
            }
            EventKind::Drain => {
                numbers.kind = event_kind::DRAIN;
                env.undefined()
            }
        }
    }

    /// Puts the small payloads of this call into one ArrayBuffer, each into a part of its own, since handlers may change and keep theirs.
    ///
    /// If the engine has no memory for it, the dispatcher finds `undefined` in its place and reports that.
    fn share(&mut self, env: Env<'s>, length: usize, inbox: &Inbox) {
        let small = |position: Position| match inbox.get(position)? {
            (Event { kind: EventKind::Binary(payload), .. }, data) if payload.len() <= SHARED => {
                Some(bytes_of(payload, data))
            }
            _ => None,
        };
        let taken = self.taken;
        let buffer = env.array_buffer(length, |mut rest| {
            for bytes in taken.iter().filter_map(|(_, position)| small(position)) {
                let Some((part, behind)) = rest.split_at_mut_checked(bytes.len().next_multiple_of(ALIGN)) else {
                    break;
                };
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
        for (value, (_, position)) in self.values.iter_mut().skip(1).zip(taken.iter()) {
            if small(position).is_some() {
                *value = buffer;
            }
        }
    }
}
