//! What a shard's connections share while one of them is at work.

use std::{hash::RandomState, sync::Arc, time::Instant};

use bytes::Bytes;

use super::{
    batches::{Batches, UnassignedEvents},
    budget::TurnBudget,
    codec::Codec,
    command::ConnectionKey,
    found_room::FoundRoom,
    outbox::Spare,
    retiring::Retired,
    wheel::{Tick, Wheel},
};
use crate::{
    admission::Endpoint, broker::BrokerState, counters::Tally, dispatch::Flush, event::EventKind, ids::WorkerId,
    registry::Socket,
};

/// Everything of a shard but its connections and its poll handle.
pub(super) struct ShardContext {
    pub(super) broker: Arc<BrokerState>,
    pub(super) batches: Batches,
    /// Events that have no worker to go to.
    pub(super) unassigned: UnassignedEvents,
    pub(super) wheel: Wheel,
    /// When the shard began.
    pub(super) started: Instant,
    /// When this turn began to work.
    pub(super) time: Instant,
    /// Tells connections apart, in each process anew.
    pub(super) seed: RandomState,
    pub(super) spare: Spare,
    /// Connections with something to write.
    pub(super) dirty: Vec<u32>,
    /// Connections with something to read.
    pub(super) ready: Vec<u32>,
    /// Connections to remove at the end of the step.
    pub(super) to_remove: Vec<u32>,
    /// Sockets to take out of registry and lists at the end of the step.
    pub(super) retired: Vec<Retired>,
    /// Endpoints that have one connection less, told once the close events are handed over.
    pub(super) leaving: Vec<Arc<Endpoint>>,
    /// Connections that wait for their worker's window, or for a worker.
    pub(super) waiting_for_room: Vec<u32>,
    /// Connections that the peer has ended and whose handlers have settled: what the handlers have
    /// sent comes first.
    pub(super) ending: Vec<ConnectionKey>,
    /// Those of them that wait for this worker's flush.
    pub(super) unflushed_ends: Vec<((WorkerId, Flush), ConnectionKey)>,
    /// Connections that move once this worker's flush has come.
    pub(super) unflushed_moves: Vec<((WorkerId, Flush), ConnectionKey)>,
    /// Bytes in all outboxes.
    pub(super) outbox_bytes: usize,
    /// Bytes that were queued since connections were last flushed.
    pub(super) unflushed: usize,
    /// Bytes that unfinished inbound messages hold.
    pub(super) receive_bytes: usize,
    pub(super) tally: Tally,
    pub(super) turn: TurnBudget,
    pub(super) codec: Codec,
    /// What the connection that is being read may still cost before others are read.
    pub(super) allowance: usize,
    /// Room that it has for messages, as far as that was looked up.
    pub(super) room: FoundRoom,
}

impl ShardContext {
    pub(super) fn new(broker: Arc<BrokerState>) -> Self {
        let time = Instant::now();
        Self {
            broker,
            batches: Batches::default(),
            unassigned: UnassignedEvents::default(),
            wheel: Wheel::new(time),
            started: time,
            time,
            seed: RandomState::new(),
            spare: Spare::default(),
            dirty: Vec::new(),
            ready: Vec::new(),
            to_remove: Vec::new(),
            retired: Vec::new(),
            leaving: Vec::new(),
            waiting_for_room: Vec::new(),
            ending: Vec::new(),
            unflushed_ends: Vec::new(),
            unflushed_moves: Vec::new(),
            outbox_bytes: 0,
            unflushed: 0,
            receive_bytes: 0,
            tally: Tally::default(),
            turn: TurnBudget::default(),
            codec: Codec::default(),
            allowance: 0,
            room: FoundRoom::default(),
        }
    }

    pub(super) fn now(&self) -> Tick {
        self.wheel.now()
    }

    /// Keeps an event for the next worker.
    pub(super) fn keep(&mut self, socket: &Arc<Socket>, kind: EventKind, data: Bytes) {
        self.broker.dispatch.kept();
        self.unassigned.push(Arc::clone(socket), kind, data);
    }

    pub(super) fn remove_later(&mut self, slot: u32) {
        self.to_remove.push(slot);
    }

    /// Counts a change of one outbox, in the socket and in all.
    pub(super) fn settle_outbox(&mut self, socket: &Socket, before: usize, after: usize) {
        if after > before {
            socket.add_queued(after - before);
        } else if before > after {
            socket.sub_queued(before - after);
        }
        self.outbox_bytes = (self.outbox_bytes + after).saturating_sub(before);
    }
}
