//! The events of a loop turn, gathered for each worker and handed over in batches: one for each
//! worker, more when there are very many.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;

use super::message_memory::{LONG, MessageMemory};
use crate::{
    arena::Arenas,
    dispatch::{Dispatch, WorkerEntry},
    event::{Batch, Event, EventKind, EventPayload},
    ids::WorkerId,
    registry::Socket,
    worker::DeliverError,
};

/// Payloads up to this size share a buffer with the rest of their batch.
pub(super) const SHARE_MAX: usize = 64 << 10;
/// Copied at a time. Behind a frame header the source and the target of a copy are a few bytes
/// apart, and then the string instructions that a C library uses for long copies are several times
/// slower than those for short ones.
const COPY_BLOCK: usize = 1 << 10;
/// A batch is handed over early at this many events, or
const EVENTS_MAX: usize = 1024;
/// this many shared bytes.
const DATA_MAX: usize = 256 << 10;

/// The batches of a turn, by the worker's index.
#[derive(Debug, Default)]
pub(super) struct Batches {
    building: Vec<Option<Building>>,
    arenas: Arenas,
    pub(super) memory: MessageMemory,
    /// When this turn found sockets readable.
    pub(super) found: Option<Instant>,
    /// Events that a worker refused because it has ended, until the shard is told what it had not
    /// begun.
    refused: FxHashMap<WorkerId, Vec<(Event, Bytes)>>,
}

#[derive(Debug)]
struct Building {
    worker: Arc<WorkerEntry>,
    events: Vec<Event>,
    data: BytesMut,
    cost: usize,
}

impl Building {
    #[inline]
    fn of<'a>(all: &'a mut Vec<Option<Self>>, worker: &Arc<WorkerEntry>) -> &'a mut Self {
        if all.len() <= worker.index {
            all.resize_with(worker.index + 1, || None);
        }
        all[worker.index].get_or_insert_with(|| Self {
            worker: Arc::clone(worker),
            events: Vec::with_capacity(16),
            data: BytesMut::new(),
            cost: 0,
        })
    }

    #[inline]
    fn push(&mut self, socket: &Arc<Socket>, kind: EventKind) {
        self.cost += kind.cost().unwrap_or(0);
        self.events.push(Event { socket: Arc::clone(socket), kind });
    }
}

impl Batches {
    /// Bytes gathered for this worker that are not counted as under way yet.
    pub(super) fn cost(&self, worker: &WorkerEntry) -> usize {
        match self.building.get(worker.index) {
            Some(Some(building)) if building.worker.id == worker.id => building.cost,
            _ => 0,
        }
    }

    pub(super) fn push(&mut self, worker: &Arc<WorkerEntry>, socket: &Arc<Socket>, kind: EventKind) {
        Building::of(&mut self.building, worker).push(socket, kind);
    }

    /// A message: its bytes are copied next to the others of the batch if they are few. True when
    /// the batch is large enough to be handed over before the turn ends.
    pub(super) fn push_message(
        &mut self,
        worker: &Arc<WorkerEntry>,
        socket: &Arc<Socket>,
        text: bool,
        bytes: MessageBytes<'_>,
    ) -> bool {
        let building = Building::of(&mut self.building, worker);
        let payload = match bytes {
            MessageBytes::Borrowed(bytes) if bytes.len() > SHARE_MAX => {
                EventPayload::Owned(Bytes::copy_from_slice(bytes))
            }
            MessageBytes::Shared(bytes) => EventPayload::Owned(bytes),
            MessageBytes::Owned(bytes) if bytes.len() >= LONG => EventPayload::Owned(self.memory.lend(bytes)),
            small => {
                let bytes = small.as_ref();
                let data = &mut building.data;
                if data.capacity() == 0 {
                    self.memory.batch();
                    *data = self.arenas.take(bytes.len());
                }
                let start = data.len() as u32;
                for block in bytes.chunks(COPY_BLOCK) {
                    data.extend_from_slice(block);
                }
                EventPayload::Shared(start..data.len() as u32)
            }
        };
        building.push(socket, if text { EventKind::Text(payload) } else { EventKind::Binary(payload) });
        building.events.len() >= EVENTS_MAX || building.data.len() >= DATA_MAX
    }

    /// An event that comes from another batch, with that batch's data.
    pub(super) fn push_again(&mut self, worker: &Arc<WorkerEntry>, event: Event, data: &Bytes) {
        let Event { socket, kind } = event;
        match kind {
            EventKind::Text(payload @ EventPayload::Shared(_)) => {
                self.push_message(worker, &socket, true, MessageBytes::Borrowed(payload.of(data)));
            }
            EventKind::Binary(payload @ EventPayload::Shared(_)) => {
                self.push_message(worker, &socket, false, MessageBytes::Borrowed(payload.of(data)));
            }
            kind => self.push(worker, &socket, kind),
        }
    }

    /// Hands over what has been gathered.
    pub(super) fn deliver(&mut self, dispatch: &Dispatch) {
        for slot in &mut self.building {
            let Some(building) = slot.as_mut() else { continue };
            if building.events.is_empty() {
                continue;
            }
            let Some(Building { worker, events, mut data, cost }) = slot.take() else { continue };
            let filled = data.split().freeze();
            if data.capacity() > 0 || !filled.is_empty() {
                self.arenas.give(data);
            }
            let count = events.len();
            dispatch.handed_over(count);
            worker.hand_over(count, cost);
            let Err(DeliverError::Gone(batch)) = worker.sink.deliver(Batch { events, data: filled, found: self.found })
            else {
                continue;
            };
            worker.take_back(count, cost);
            // Still counted as handed over, so that a shutdown waits for the next worker: see
            // `Shard::take_over`.
            let Batch { events, data, .. } = batch;
            let refused = self.refused.entry(worker.id).or_default();
            refused.extend(events.into_iter().map(|event| (event, data.clone())));
        }
    }

    /// What an ended worker refused, in order.
    pub(super) fn take_refused(&mut self, worker: WorkerId) -> Vec<(Event, Bytes)> {
        self.refused.remove(&worker).unwrap_or_default()
    }
}

/// The bytes of a message, kept or copied.
#[derive(Debug)]
pub(super) enum MessageBytes<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    /// In memory that other messages share.
    Shared(Bytes),
}

impl AsRef<[u8]> for MessageBytes<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Events while there is no worker at all: they wait, within the window of one worker.
#[derive(Debug, Default)]
pub(super) struct UnassignedEvents {
    events: VecDeque<(Event, Bytes)>,
    cost: usize,
}

impl UnassignedEvents {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    pub(super) fn push(&mut self, socket: Arc<Socket>, kind: EventKind, data: Bytes) {
        self.cost += kind.cost().unwrap_or(0);
        self.events.push_back((Event { socket, kind }, data));
    }

    pub(super) fn take(&mut self) -> VecDeque<(Event, Bytes)> {
        self.cost = 0;
        std::mem::take(&mut self.events)
    }
}
