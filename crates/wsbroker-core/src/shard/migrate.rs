//! Workers come and go: connections move to another worker with the events that were not begun, and
//! no newer event overtakes these.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::{
    Shard,
    budget::VISIT,
    command::ConnectionKey,
    connection_state::{Pause, WithThe101},
    put_off::LongCommand,
};
use crate::{
    dispatch::WorkerEntry,
    event::{Event, EventKind},
    ids::{NamespaceId, SocketId},
    registry::WindowUse,
    worker::Handlers,
};

impl Shard {
    /// A worker has ended. `events` are those it had not begun; what it has refused since comes
    /// behind them.
    pub(super) fn worker_gone(&mut self, worker: Arc<WorkerEntry>, events: Vec<(Event, Bytes)>) {
        let next = self.take_over(&worker, events, 0);
        self.put_off.rest = next.map(|next| LongCommand::WorkerGone(worker, next));
    }

    /// Moves connections of a worker that has ended: all that have events, and of the others those
    /// from this slot on. Between two steps of this some of its connections are still its own. The
    /// worker refuses what they send, and in the next step they move and their new worker gets it,
    /// before anything newer is read of them.
    pub(super) fn take_over(
        &mut self,
        worker: &Arc<WorkerEntry>,
        mut events: Vec<(Event, Bytes)>,
        from: u32,
    ) -> Option<u32> {
        self.remove_ended();
        self.ctx.unflushed_moves.retain(|((own, _), _)| *own != worker.id);
        self.ctx.batches.deliver(&self.ctx.broker.dispatch);
        events.append(&mut self.ctx.batches.take_refused(worker.id));
        for (_, notice) in self.retiring.notices() {
            if notice.worker.as_ref().is_some_and(|own| own.id == worker.id) {
                let successor =
                    if worker.namespace.is_some() { None } else { self.ctx.broker.dispatch.assign(NamespaceId::RAW) };
                notice.move_to(successor);
            }
        }
        // Handed over to the old worker and counted there. Counted anew before that is taken back,
        // so that the count never reads zero between.
        let counted = events.len();
        if worker.namespace.is_none() {
            for (event, _) in &events {
                self.move_from(worker, event.socket.slot());
            }
            self.redispatch(events);
            self.ctx.batches.deliver(&self.ctx.broker.dispatch);
        }
        self.ctx.broker.dispatch.settled(counted);
        let next = self.each_from(from, VISIT, |shard, slot| shard.move_from(worker, slot));
        self.remove_ended();
        if next.is_none() {
            self.resume_reading(|_| true);
            if worker.let_go(self.ctx.broker.shard_count()) {
                self.ctx.broker.dispatch.free_index(worker.index);
            }
        }
        next
    }

    fn move_from(&mut self, worker: &WorkerEntry, slot: u32) {
        let Some(connection) = self.connections.at(slot) else { return };
        if connection.worker.as_ref().is_none_or(|own| own.id != worker.id) {
            return;
        }
        // No other worker takes over what a pinned one knew of its clients: they are closed. In a
        // namespace no handler is called; else another worker hears of the close. A connection
        // without a 101 goes to another worker; if this one was asked and did not give the question
        // back, it is closed with its 101, should it get one.
        let is_lost = worker.pinned && connection.is_attached();
        let successor = if is_lost && worker.namespace.is_some() {
            None
        } else {
            self.ctx.broker.dispatch.assign(worker.namespace_id())
        };
        connection.move_to(successor);
        if worker.pinned && !is_lost && worker.namespace.is_none() && worker.handlers.contains(Handlers::OPEN) {
            connection.with_the_101 = WithThe101::Close;
        }
        if is_lost {
            if connection.close_without_worker(&mut self.ctx) {
                worker.count_closed();
            }
        } else if connection.paused == Pause::Moving {
            connection.resume(&mut self.ctx);
        }
        // The handler that would have let it go on may have been running, and is not run again.
        connection.close_if_lost(&mut self.ctx);
    }

    /// A worker is stuck, and has given these open events back. Those whose clients still wait are
    /// asked of others.
    pub(super) fn ask_another(&mut self, worker: &Arc<WorkerEntry>, events: Vec<Event>) {
        let counted = events.len();
        let mut asked = Vec::with_capacity(counted);
        for event in events {
            // If the client was turned away meanwhile, the question is dropped, which undoes what
            // was done for it.
            let Some(connection) = self.connections.find(ConnectionKey::of(&event.socket)).filter(|own| !own.uncounted)
            else {
                continue;
            };
            if connection.worker.as_ref().is_some_and(|own| own.id == worker.id) {
                connection.move_to(self.ctx.broker.dispatch.assign(worker.namespace_id()));
            }
            asked.push((event, Bytes::new()));
        }
        self.redispatch(asked);
        self.ctx.batches.deliver(&self.ctx.broker.dispatch);
        // Counted anew before, as when a worker has gone.
        worker.take_back(counted, 0);
        self.ctx.broker.dispatch.settled(counted);
    }

    /// There is a worker: gives one to connections without a worker, from this slot on, and to all
    /// for which events wait. These events are dispatched.
    pub(super) fn assign_workers(&mut self, from: u32) -> Option<u32> {
        self.remove_ended();
        for (socket, notice) in self.retiring.notices() {
            if notice.worker.is_none() && socket.namespace().is_none() {
                notice.move_to(self.ctx.broker.dispatch.assign(NamespaceId::RAW));
            }
        }
        let waiting = self.ctx.unassigned.take();
        let counted = waiting.len();
        for (event, _) in &waiting {
            self.assign_worker(event.socket.slot());
        }
        self.redispatch(waiting);
        self.ctx.batches.deliver(&self.ctx.broker.dispatch);
        self.ctx.broker.dispatch.assigned(counted);
        let next = self.each_from(from, VISIT, Self::assign_worker);
        if next.is_none() {
            self.resume_reading(|_| true);
        }
        next
    }

    fn assign_worker(&mut self, slot: u32) {
        let Some(connection) = self.connections.at(slot) else { return };
        if connection.worker.is_none() && connection.socket.namespace().is_none() && connection.takes_part() {
            connection.move_to(self.ctx.broker.dispatch.assign(NamespaceId::RAW));
        }
    }

    /// Dispatches events again, in order. Messages keep the room they hold in their socket's
    /// window.
    pub(super) fn redispatch(&mut self, events: impl IntoIterator<Item = (Event, Bytes)>) {
        let mut adopted: FxHashMap<SocketId, Option<Arc<WorkerEntry>>> = FxHashMap::default();
        for (event, data) in events {
            if let EventKind::Open(_) = event.kind
                && let Some(connection) = self.connections.find(ConnectionKey::of(&event.socket))
            {
                connection.with_the_101 = WithThe101::Nothing;
            }
            let worker = match self.connections.find(ConnectionKey::of(&event.socket)) {
                Some(connection) if connection.takes_part() => connection.worker.clone(),
                // Its end is still to be told, to this one.
                _ if let Some(worker) = self.retiring.worker_of(&event.socket) => Some(Arc::clone(worker)),
                // Its connection has ended: one worker for all that is left of it.
                _ => adopted
                    .entry(event.socket.id())
                    .or_insert_with(|| {
                        self.ctx.broker.dispatch.assign(NamespaceId::RAW).inspect(|worker| worker.release())
                    })
                    .clone(),
            };
            let Some(worker) = worker else {
                self.ctx.keep(&event.socket, event.kind, data);
                continue;
            };
            match event.kind {
                EventKind::Open(open) if !worker.handlers.contains(Handlers::OPEN) => {
                    event.socket.leave_other();
                    open.reply.accept_unasked();
                }
                kind if !worker.handlers.contains(wanted(&kind)) => {
                    let Some(cost) = kind.cost() else {
                        event.socket.leave_other();
                        continue;
                    };
                    // A pause that this could end is ended below, when all connections are read on.
                    if event.socket.leave_window(WindowUse::one(cost), &self.ctx.broker.config.in_flight)
                        && let Some(connection) = self.connections.find(ConnectionKey::of(&event.socket))
                    {
                        connection.go_ahead(&mut self.ctx);
                    }
                }
                kind => self.ctx.batches.push_again(&worker, Event { socket: event.socket, kind }, &data),
            }
        }
    }
}

fn wanted(kind: &EventKind) -> Handlers {
    match kind {
        EventKind::Open(_) => Handlers::OPEN,
        EventKind::Joined(_) => Handlers::default(),
        EventKind::Text(_) => Handlers::TEXT,
        EventKind::Binary(_) => Handlers::BINARY,
        EventKind::Close { .. } => Handlers::CLOSE,
        EventKind::Drain => Handlers::DRAIN,
        EventKind::Lost(_) => Handlers::LOST,
    }
}
