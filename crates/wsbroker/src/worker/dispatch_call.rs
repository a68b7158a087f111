//! The events of one call into JavaScript, and the values that go with them.

use bytes::Bytes;
use wsbroker_core::{Event, EventKind, Group, OperationKind};

use crate::{
    api::history_functions::position_value,
    js::{
        convert,
        raw::{Env, Failed, StringScratch, Value},
    },
    worker::{
        control_block::{ControlBlock, EventNumbers},
        inbox::{Inbox, Position, bytes_of},
        runner::SlotEvent,
        shared_numbers::{audience_kind, control_layout::MAX_EVENTS, event_kind, operation},
        slab::Slab,
    },
};

/// Payloads up to this share one ArrayBuffer per call. A handler that keeps one keeps that buffer,
/// which has at most 64 KiB.
const SHARED: usize = 2 << 10;
/// Bytes of payload after which a call takes no more events: the first handler must not wait until
/// megabytes of others are converted.
const ENOUGH: usize = 128 << 10;
/// Shared payloads begin at multiples of this, as typed arrays of any kind need it.
const ALIGN: usize = 8;

/// The arguments of a helper's `receive`: an operation, and what it needs.
pub(crate) fn operation_arguments<'s>(
    env: Env<'s>,
    asked: &OperationKind,
    scratch: &mut StringScratch,
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

/// Up to 32 events that go into one call.
pub(crate) struct DispatchCall<'s> {
    /// How many there are, then one value each.
    values: [Value<'s>; MAX_EVENTS + 1],
    events: CallEvents,
    /// Bytes that the shared ArrayBuffer needs. `None`: the call needs none.
    shared: Option<usize>,
    /// Bytes of all payloads.
    bytes: usize,
}

/// The events of a call, by their slots and positions.
#[derive(Clone, Copy)]
pub(crate) struct CallEvents {
    list: [(u32, Position); MAX_EVENTS],
    count: usize,
}

impl CallEvents {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The slot and the position of each, in order.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Position)> + '_ {
        self.list.iter().take(self.count).copied()
    }
}

impl<'s> DispatchCall<'s> {
    /// One without events.
    pub(crate) fn new(env: Env<'s>) -> Result<Self, Failed> {
        let events = CallEvents { list: [Default::default(); MAX_EVENTS], count: 0 };
        Ok(Self { values: [env.undefined()?; MAX_EVENTS + 1], events, shared: None, bytes: 0 })
    }

    /// Takes the next events, at most `room`, as long as there are slots. Returns those that could
    /// not be made into values. Fails when the environment is ending: then no handler has seen what
    /// was taken.
    pub(crate) fn fill(
        &mut self,
        env: Env<'s>,
        inbox: &mut Inbox,
        slots: &mut Slab<SlotEvent>,
        control: &ControlBlock,
        scratch: &mut StringScratch,
        room: usize,
    ) -> Result<Vec<Position>, Failed> {
        let mut lost = Vec::new();
        let room = room.min(MAX_EVENTS);
        let descriptions = control.descriptions();
        while let Some((first, events, data)) = inbox.ahead() {
            let (mut passed, mut ends) = (0, false);
            for event in events {
                if self.events.count >= room || self.bytes >= ENOUGH || slots.is_full() {
                    break;
                }
                let position = first.behind(passed);
                let mut numbers = EventNumbers {
                    socket_id: event.socket.id().get() as i64 as f64,
                    token_version: event.socket.token_version(),
                    ..EventNumbers::default()
                };
                let Ok(value) = self.value(env, event, data, &mut numbers, scratch) else {
                    if env.is_ending() {
                        // The event is in order: the worker that takes over gets it.
                        ends = true;
                        break;
                    }
                    passed += 1;
                    lost.push(position);
                    continue;
                };
                let index = self.events.count;
                let content = SlotEvent::InBatch { position, asks: numbers.kind == event_kind::OPEN };
                // There is a slot: the slab is not full.
                let Some(slot) = slots.insert(content) else { break };
                passed += 1;
                numbers.slot = slot;
                descriptions.put(index, &numbers);
                if let (Some(cell), Some(entry)) = (self.values.get_mut(index + 1), self.events.list.get_mut(index)) {
                    (*cell, *entry) = (value, (slot, position));
                }
                self.events.count += 1;
            }
            let all = passed == events.len();
            inbox.pass(passed);
            if ends {
                return Err(Failed);
            }
            if !all {
                break;
            }
        }
        if let Some(length) = self.shared {
            self.share(env, length, inbox);
        }
        Ok(lost)
    }

    /// The arguments of the call.
    pub(crate) fn arguments(&mut self, env: Env<'s>) -> Result<&[Value<'s>], Failed> {
        if let Some(first) = self.values.first_mut() {
            *first = env.int(self.events.count as i32)?;
        }
        self.values.get(..=self.events.count).ok_or(Failed)
    }

    /// Its events.
    pub(crate) fn events(&self) -> CallEvents {
        self.events
    }

    #[inline]
    fn value(
        &mut self,
        env: Env<'s>,
        event: &Event,
        data: &Bytes,
        numbers: &mut EventNumbers,
        scratch: &mut StringScratch,
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
                // The buffer is made when its length is known, by `share`.
                env.undefined()
            }
            EventKind::Binary(payload) => {
                numbers.kind = event_kind::BYTES;
                env.buffer(bytes_of(payload, data))
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
            EventKind::Lost(lost) => {
                numbers.kind = event_kind::LOST;
                let object = env.object()?;
                let channel = match std::str::from_utf8(&lost.channel) {
                    Ok(text) => env.text(text)?,
                    Err(_) => env.buffer(&lost.channel)?,
                };
                env.set(object, "channel", channel)?;
                env.set(object, "position", position_value(env, lost.position)?)?;
                Ok(object)
            }
        }
    }

    /// Puts the small payloads of this call into one ArrayBuffer, each into a part of its own,
    /// since handlers may change and keep theirs.
    ///
    /// If the engine has no memory for it, the dispatcher finds `undefined` instead and reports
    /// that.
    fn share(&mut self, env: Env<'s>, length: usize, inbox: &Inbox) {
        let small = |position: Position| match inbox.get(position)? {
            (Event { kind: EventKind::Binary(payload), .. }, data) if payload.len() <= SHARED => {
                Some(bytes_of(payload, data))
            }
            _ => None,
        };
        let events = self.events;
        let buffer = env.array_buffer(length, |mut rest| {
            for bytes in events.iter().filter_map(|(_, position)| small(position)) {
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
        for (value, (_, position)) in self.values.iter_mut().skip(1).zip(events.iter()) {
            if small(position).is_some() {
                *value = buffer;
            }
        }
    }
}
