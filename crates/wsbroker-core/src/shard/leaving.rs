//! Sockets that have ended leave their channels: most at once, those that are in very many over several turns, while others are read and written.
//!
//! Handlers hear of an end only after that, so that they find the socket in no channel. Until then its slot is not reused: it is still in lists.

use std::{
    collections::{VecDeque, hash_map},
    sync::Arc,
};

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::{Shard, context::Context};
use crate::{
    dispatch::WorkerEntry,
    event::EventKind,
    front::Endpoint,
    realm::RealmId,
    registry::{Channel, ChannelId, Socket},
    worker::Handlers,
};

/// Channels that one socket leaves before the next has its share.
const SHARE: usize = 256;

/// A socket that has to leave its channels.
#[derive(Debug)]
pub(super) struct Retired {
    pub(super) socket: Arc<Socket>,
    /// `None` for one that handlers are not told of, or not yet.
    pub(super) farewell: Option<Farewell>,
}

/// The close event of a connection, and what it counts among until that is on its way.
#[derive(Debug)]
pub(super) struct Farewell {
    pub(super) worker: Option<Arc<WorkerEntry>>,
    pub(super) kind: EventKind,
    /// `None` when it no longer counts among the connections of its listener and of its worker.
    pub(super) endpoint: Option<Arc<Endpoint>>,
}

impl Farewell {
    /// This worker is told, or one that will be there. It counts there already.
    pub(super) fn move_to(&mut self, worker: Option<Arc<WorkerEntry>>) {
        let uncounted = if self.endpoint.is_some() { &self.worker } else { &worker };
        if let Some(worker) = uncounted {
            worker.release();
        }
        self.worker = worker;
    }
}

/// One that is on its way out.
#[derive(Debug)]
struct Departure {
    socket: Arc<Socket>,
    /// `None` while another thread changes its memberships.
    channels: Option<hash_map::IntoIter<ChannelId, Arc<Channel>>>,
    farewell: Option<Farewell>,
    /// Its connection is gone, and its slot can be given back.
    is_gone: bool,
}

/// Sockets that are on their way out, by slot, and in which order they have their share.
#[derive(Debug, Default)]
pub(super) struct Departures {
    by_slot: FxHashMap<u32, Departure>,
    order: VecDeque<u32>,
}

impl Departures {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether one of them can leave more channels.
    pub(super) fn can_go_on(&self) -> bool {
        self.by_slot.values().any(|departure| departure.channels.is_some())
    }

    /// The connection at this slot is gone. True when the slot is still needed.
    pub(super) fn keep_slot(&mut self, slot: u32) -> bool {
        let Some(departure) = self.by_slot.get_mut(&slot) else { return false };
        departure.is_gone = true;
        true
    }

    /// The worker that is to be told of the end of this socket, if none has been yet.
    pub(super) fn worker_of(&self, socket: &Socket) -> Option<&Arc<WorkerEntry>> {
        let departure = self.by_slot.get(&socket.slot()).filter(|departure| departure.socket.id() == socket.id())?;
        departure.farewell.as_ref()?.worker.as_ref()
    }

    pub(super) fn farewells(&mut self) -> impl Iterator<Item = (&Arc<Socket>, &mut Farewell)> {
        self.by_slot
            .values_mut()
            .filter_map(|Departure { socket, farewell, .. }| farewell.as_mut().map(|farewell| (&*socket, farewell)))
    }
}

impl Shard {
    /// Takes those out of their channels that have just ended, or lets them begin to leave.
    pub(super) fn retire_all(&mut self) {
        let mut retired = std::mem::take(&mut self.ctx.retired);
        for one in retired.drain(..) {
            self.retire(one);
        }
        self.ctx.retired = retired;
    }

    fn retire(&mut self, Retired { socket, farewell }: Retired) {
        let slot = socket.slot();
        self.ctx.inner.sockets.remove(socket.id());
        if let Some(departure) = self.departures.by_slot.get_mut(&slot) {
            // Its realm's worker had ended first.
            departure.farewell = departure.farewell.take().or(farewell);
            return;
        }
        let channels = self.ctx.inner.retire(&socket);
        if let Some(channels) = &channels
            && self.ctx.turn.take_leaves(channels.len())
        {
            for (id, channel) in channels {
                self.ctx.inner.leave(&socket, channel);
                self.lists.remove(*id, slot);
            }
            if let Some(farewell) = farewell {
                self.ctx.tell(&socket, farewell);
            }
            return;
        }
        let channels = channels.map(IntoIterator::into_iter);
        self.departures.by_slot.insert(slot, Departure { socket, channels, farewell, is_gone: false });
        self.departures.order.push_back(slot);
    }

    /// Lets those that are in very many channels leave some more.
    pub(super) fn depart(&mut self) {
        if self.departures.is_empty() {
            return;
        }
        let mut room = self.ctx.turn.remaining_leaves();
        let mut locked = 0;
        while room > 0
            && locked < self.departures.order.len()
            && let Some(slot) = self.departures.order.pop_front()
        {
            let Some(departure) = self.departures.by_slot.get_mut(&slot) else { continue };
            if departure.channels.is_none() {
                departure.channels = self.ctx.inner.retire(&departure.socket).map(IntoIterator::into_iter);
            }
            let Some(channels) = &mut departure.channels else {
                locked += 1;
                self.departures.order.push_back(slot);
                continue;
            };
            locked = 0;
            let share = room.min(SHARE);
            let mut left = 0;
            for (id, channel) in channels.by_ref().take(share) {
                self.ctx.inner.leave(&departure.socket, &channel);
                self.lists.remove(id, slot);
                left += 1;
            }
            room -= left;
            if left == share {
                self.departures.order.push_back(slot);
            } else if let Some(Departure { socket, farewell, is_gone, .. }) = self.departures.by_slot.remove(&slot) {
                if let Some(farewell) = farewell {
                    self.ctx.tell(&socket, farewell);
                }
                if is_gone {
                    self.handle().give_slot(slot);
                }
            }
        }
    }
}

impl Context {
    /// Hands the close event over. The socket is in no channel any more.
    fn tell(&mut self, socket: &Arc<Socket>, mut farewell: Farewell) {
        // It has had none since before its 101, so workers that have joined since were not told of it. But while events wait for a worker, its own may be among
        // them, and one that has joined gets those first.
        let of_realm = socket.realm().is_some();
        let waits = of_realm || !self.homeless.is_empty();
        if farewell.worker.is_none() && !waits {
            farewell.move_to(self.inner.dispatch.assign(RealmId::RAW));
        }
        let Farewell { worker, kind, endpoint } = farewell;
        match worker {
            Some(worker) => {
                if worker.handlers.contains(Handlers::CLOSE) {
                    self.batches.push(&worker, socket, kind);
                }
                if endpoint.is_some() {
                    worker.release();
                }
            }
            // What its worker knew of it went with that.
            None if of_realm => {}
            None => self.keep(socket, kind, Bytes::new()),
        }
        self.leaving.extend(endpoint);
    }
}
