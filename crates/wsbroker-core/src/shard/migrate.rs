//! Workers that come and go: connections move, events that were not begun go along, and nothing newer overtakes them.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::{Place, Shard};
use crate::{
    dispatch::WorkerEntry,
    event::{Event, EventKind},
    ids::SocketId,
    realm::RealmId,
    worker::Handlers,
};

impl Shard {
    /// A worker has ended. `events` are those it had not begun; what it has refused since comes behind them.
    pub(super) fn worker_gone(&mut self, worker: &Arc<WorkerEntry>, mut events: Vec<(Event, Bytes)>) {
        self.ctx.batches.deliver(&self.ctx.inner.dispatch);
        events.append(&mut self.ctx.batches.take_refused(worker.id));
        if worker.realm.is_some() {
            return self.realm_worker_gone(worker, &events);
        }
        for connection in self.connections.all() {
            if connection.worker.as_ref().is_some_and(|own| own.id == worker.id) {
                connection.move_to(self.ctx.inner.dispatch.assign(RealmId::RAW));
            }
        }
        // Handed over to the old worker and counted there. Counted anew before that is taken back, so that nobody sees none between.
        let counted = events.len();
        self.redispatch(events);
        self.ctx.batches.deliver(&self.ctx.inner.dispatch);
        self.ctx.inner.dispatch.settled(counted);
        self.feed(|_| true);
        worker.let_go(&self.ctx.inner);
    }

    /// A worker of a realm has ended: nobody takes over what it knew of its clients. They are closed, and nobody is told.
    fn realm_worker_gone(&mut self, worker: &Arc<WorkerEntry>, events: &[(Event, Bytes)]) {
        for connection in self.connections.all() {
            if connection.worker.as_ref().is_some_and(|own| own.id == worker.id) {
                // Whoever has no 101 yet was told to nobody, and another one will do.
                let early = !connection.is_attached();
                connection.move_to(if early { self.ctx.inner.dispatch.assign(worker.realm_id()) } else { None });
                connection.orphan(&mut self.ctx);
            }
        }
        self.reap();
        self.ctx.inner.dispatch.settled(events.len());
        worker.let_go(&self.ctx.inner);
    }

    /// A worker is stuck, and has given these open events back. Those whose clients still wait are asked of others.
    pub(super) fn ask_another(&mut self, worker: &Arc<WorkerEntry>, events: Vec<Event>) {
        let counted = events.len();
        let mut asked = Vec::with_capacity(counted);
        for event in events {
            // Of one that was turned away the question is dropped, which undoes what was done for it.
            let Some(connection) = self.connections.find(Place::of(&event.socket)).filter(|own| !own.left) else {
                continue;
            };
            if connection.worker.as_ref().is_some_and(|own| own.id == worker.id) {
                connection.move_to(self.ctx.inner.dispatch.assign(worker.realm_id()));
            }
            asked.push((event, Bytes::new()));
        }
        self.redispatch(asked);
        self.ctx.batches.deliver(&self.ctx.inner.dispatch);
        // Counted anew before, as when a worker has gone.
        worker.take_back(counted, 0);
        self.ctx.inner.dispatch.settled(counted);
    }

    /// There is a worker: whoever has none gets one, and what has waited is dispatched.
    pub(super) fn worker_joined(&mut self) {
        for connection in self.connections.all() {
            if connection.worker.is_none() && connection.socket.realm().is_none() && connection.takes_part() {
                connection.move_to(self.ctx.inner.dispatch.assign(RealmId::RAW));
            }
        }
        let waiting = self.ctx.homeless.take();
        let counted = waiting.len();
        self.redispatch(waiting);
        self.ctx.batches.deliver(&self.ctx.inner.dispatch);
        self.ctx.inner.dispatch.housed(counted);
        self.feed(|_| true);
    }

    /// Dispatches events again, in order. Messages keep the room they hold in their socket's window.
    pub(super) fn redispatch(&mut self, events: impl IntoIterator<Item = (Event, Bytes)>) {
        let mut adopted: FxHashMap<SocketId, Option<Arc<WorkerEntry>>> = FxHashMap::default();
        for (event, data) in events {
            let worker = match self.connections.find(Place::of(&event.socket)) {
                Some(connection) if connection.takes_part() => connection.worker.clone(),
                // Its connection has ended: one worker for all that is left of it.
                _ => adopted
                    .entry(event.socket.id())
                    .or_insert_with(|| self.ctx.inner.dispatch.assign(RealmId::RAW).inspect(|worker| worker.release()))
                    .clone(),
            };
            let Some(worker) = worker else {
                self.ctx.keep(&event.socket, event.kind, data);
                continue;
            };
            match event.kind {
                EventKind::Open(open) if !worker.handlers.contains(Handlers::OPEN) => {
                    open.reply.let_in();
                }
                kind if !worker.handlers.contains(wanted(&kind)) => {
                    if let Some(cost) = kind.cost() {
                        // A pause that this ends is ended below, when everybody is fed.
                        if event.socket.leave_window(cost, &self.ctx.inner.config.in_flight)
                            && let Some(connection) = self.connections.find(Place::of(&event.socket))
                        {
                            connection.go_ahead(&mut self.ctx);
                        }
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
    }
}
