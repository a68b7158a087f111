//! Events on the JavaScript thread, from when they are fetched until they have settled.
//!
//! An event is large, and nearly all settle in the call that runs them. So events are not moved:
//! they stay in their batch until the call is over. Only those that have not settled soon
//! afterwards are taken out, so that they do not hold the memory of the whole batch.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bytes::Bytes;
use wsbroker_core::{Batch, Event, EventKind, EventPayload};

/// Batches that were fetched, in order. Some events of the first ones may have been run.
#[derive(Default)]
pub(crate) struct Inbox {
    batches: VecDeque<Batch>,
    next: Position,
}

/// An event among the batches. Valid until [`Inbox::forget_passed`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Position {
    batch: u32,
    event: u32,
}

/// See [`Inbox::lookup`].
pub(crate) struct Lookup<'a> {
    batches: &'a VecDeque<Batch>,
    /// The batch that was looked at last.
    batch: u32,
    events: &'a [Event],
}

impl<'a> Lookup<'a> {
    /// An event.
    #[inline]
    pub(crate) fn get(&mut self, position: Position) -> Option<&'a Event> {
        if position.batch != self.batch {
            self.batch = position.batch;
            self.events = self.batches.get(position.batch as usize).map_or(&[], |batch| &batch.events);
        }
        self.events.get(position.event as usize)
    }
}

impl Position {
    /// That of an event further behind in the same batch.
    #[inline]
    pub(crate) fn behind(self, events: usize) -> Self {
        Self { event: self.event + events as u32, ..self }
    }

    /// Whether both events came in one batch.
    pub(crate) fn shares_batch(self, other: Self) -> bool {
        self.batch == other.batch
    }

    /// A number by which events sort as they came, behind all that were kept from earlier calls.
    pub(crate) fn order(self) -> u64 {
        1 << 63 | u64::from(self.batch) << 32 | u64::from(self.event)
    }
}

impl Inbox {
    /// Adds what was fetched.
    pub(crate) fn refill(&mut self, batches: VecDeque<Batch>) {
        if self.batches.is_empty() {
            self.batches = batches;
        } else {
            self.batches.extend(batches);
        }
    }

    /// Whether there is an event that was not run.
    pub(crate) fn has_more(&self) -> bool {
        let Position { batch, event } = self.next;
        let mut left = self.batches.range((batch as usize).min(self.batches.len())..);
        left.next().is_some_and(|first| first.events.len() > event as usize)
            || left.any(|batch| !batch.events.is_empty())
    }

    /// The next events, those of one batch: the position of the first, and the bytes of the batch.
    pub(crate) fn ahead(&mut self) -> Option<(Position, &[Event], &Bytes)> {
        while self.batches.get(self.next.batch as usize)?.events.len() <= self.next.event as usize {
            self.next = Position { batch: self.next.batch + 1, event: 0 };
        }
        let batch = self.batches.get(self.next.batch as usize)?;
        Some((self.next, batch.events.get(self.next.event as usize..)?, &batch.data))
    }

    /// So many of them count as run from now on.
    pub(crate) fn pass(&mut self, events: usize) {
        self.next.event += events as u32;
    }

    /// Looks events up, which is quick for one behind the other.
    pub(crate) fn lookup(&self) -> Lookup<'_> {
        Lookup { batches: &self.batches, batch: u32::MAX, events: &[] }
    }

    /// An event and the bytes of its batch.
    #[inline]
    pub(crate) fn get(&self, position: Position) -> Option<(&Event, &Bytes)> {
        let batch = self.batches.get(position.batch as usize)?;
        Some((batch.events.get(position.event as usize)?, &batch.data))
    }

    /// When the shard found the socket of this event readable.
    #[inline]
    pub(crate) fn found(&self, position: Position) -> Option<Instant> {
        self.batches.get(position.batch as usize)?.found
    }

    /// An event, to be changed.
    pub(crate) fn get_mut(&mut self, position: Position) -> Option<&mut Event> {
        self.batches.get_mut(position.batch as usize)?.events.get_mut(position.event as usize)
    }

    /// Takes an event out of its batch, whose memory it no longer holds. What stays in its place is
    /// never looked at again.
    ///
    /// An event whose handler was `started` never goes to another worker, so only the length of its
    /// payload is kept, for settling.
    pub(crate) fn take(&mut self, position: Position, started: bool) -> Option<Event> {
        let Batch { events, data, .. } = self.batches.get_mut(position.batch as usize)?;
        let event = events.get_mut(position.event as usize)?;
        let keep = |payload: EventPayload| match payload {
            payload if started && u32::try_from(payload.len()).is_ok() => EventPayload::Shared(0..payload.len() as u32),
            EventPayload::Shared(_) => EventPayload::Owned(Bytes::copy_from_slice(bytes_of(&payload, data))),
            owned => owned,
        };
        let kind = match std::mem::replace(&mut event.kind, EventKind::Drain) {
            EventKind::Text(payload) => EventKind::Text(keep(payload)),
            EventKind::Binary(payload) => EventKind::Binary(keep(payload)),
            other => other,
        };
        Some(Event { socket: Arc::clone(&event.socket), kind })
    }

    /// Frees the batches whose events were all run. Their positions become invalid, and those of
    /// the other batches change.
    pub(crate) fn forget_passed(&mut self) {
        while self.next.batch > 0 {
            self.batches.pop_front();
            self.next.batch -= 1;
        }
        if self.batches.front().is_some_and(|batch| batch.events.len() <= self.next.event as usize) {
            self.batches.pop_front();
            self.next = Position::default();
        }
    }

    /// Puts events back to the front, in order.
    pub(crate) fn put_back(&mut self, events: Vec<Event>) {
        let batches = self.take_all().collect::<VecDeque<_>>();
        self.batches = std::iter::once(batch_of(events)).chain(batches).collect();
    }

    /// Everything that was not run, in order.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Batch> + use<> {
        let Position { batch, event } = std::mem::take(&mut self.next);
        let mut batches = std::mem::take(&mut self.batches);
        batches.drain(..(batch as usize).min(batches.len()));
        if let Some(first) = batches.front_mut() {
            first.events.drain(..(event as usize).min(first.events.len()));
        }
        batches.into_iter()
    }
}

/// The bytes of a payload.
#[inline]
pub(crate) fn bytes_of<'a>(payload: &'a EventPayload, data: &'a Bytes) -> &'a [u8] {
    match payload {
        EventPayload::Shared(range) => data.get(range.start as usize..range.end as usize).unwrap_or_default(),
        EventPayload::Owned(bytes) => bytes,
    }
}

/// A batch of events that were taken out of their own.
pub(crate) fn batch_of(events: Vec<Event>) -> Batch {
    Batch { events, ..Batch::default() }
}
