//! Events on the JavaScript thread, before and after they are handed over.

use std::{collections::VecDeque, rc::Rc, vec};

use bytes::Bytes;
use wsbroker_core::{Batch, Event, EventKind, Payload};

/// An event that was handed over.
pub(crate) struct InHand {
    pub(crate) event: Event,
    /// Where its small payload lies.
    pub(crate) data: Rc<Bytes>,
    /// When it was handed over, to give it back in order.
    pub(crate) order: u64,
}

/// Fetched and not handed over, in order.
#[derive(Default)]
pub(crate) struct Inbox {
    events: vec::IntoIter<Event>,
    data: Rc<Bytes>,
    batches: VecDeque<Batch>,
    order: u64,
}

impl Inbox {
    /// Adds what was fetched. Everything before it has been handed over.
    pub(crate) fn refill(&mut self, batches: VecDeque<Batch>) {
        debug_assert!(!self.has_more());
        self.batches = batches;
    }

    /// The next event, as the one that is handed over now.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<InHand> {
        loop {
            if let Some(event) = self.events.next() {
                self.order += 1;
                return Some(InHand { event, data: Rc::clone(&self.data), order: self.order });
            }
            let batch = self.batches.pop_front()?;
            self.events = batch.events.into_iter();
            self.data = Rc::new(batch.data);
        }
    }

    /// Whether something is left.
    pub(crate) fn has_more(&self) -> bool {
        self.events.len() > 0 || !self.batches.is_empty()
    }

    /// Puts events back to the front, in order.
    pub(crate) fn put_back(&mut self, events: Vec<InHand>) {
        if events.is_empty() {
            return;
        }
        let rest: Vec<Event> = std::mem::take(&mut self.events).collect();
        let data = std::mem::take(&mut self.data);
        self.batches.push_front(Batch { events: rest, data: Bytes::clone(&data) });
        for event in events.into_iter().rev() {
            self.batches.push_front(event.into_batch());
        }
    }

    /// Everything, in order.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Batch> {
        let data = std::mem::take(&mut self.data);
        let rest = Batch { events: std::mem::take(&mut self.events).collect(), data: Bytes::clone(&data) };
        std::iter::once(rest).chain(std::mem::take(&mut self.batches))
    }
}

impl InHand {
    /// A batch of its own.
    pub(crate) fn into_batch(self) -> Batch {
        Batch { data: Bytes::clone(&self.data), events: vec![self.event] }
    }

    /// The bytes of a payload of this event.
    #[inline]
    pub(crate) fn bytes<'a>(&'a self, payload: &'a Payload) -> &'a [u8] {
        match payload {
            Payload::Shared(range) => self.data.get(range.start as usize..range.end as usize).unwrap_or_default(),
            Payload::Owned(bytes) => bytes,
        }
    }

    /// Keeps what settling needs, the payload's length, and frees the payload: a handler may take long.
    pub(crate) fn let_go_of_bytes(&mut self) {
        self.data = Rc::default();
        if let EventKind::Text(payload) | EventKind::Binary(payload) = &mut self.event.kind {
            if let Ok(length) = u32::try_from(payload.len()) {
                *payload = Payload::Shared(0..length);
            }
        }
    }
}

