//! What each command makes a shard do.

use std::sync::Arc;

use bytes::Bytes;
use mio::Token;
use wsbroker_proto::CloseCode;

use super::{
    Attach, Command, Place, Reserve, Shard,
    connection::{Connection, Pause},
};
use crate::{
    event::{Event, EventKind},
    ids::SocketId,
    metrics::{CloseCause, DropCause},
};

/// Outgoing bytes that may pile up within a turn before connections are written.
const UNFLUSHED_MAX: usize = 4 << 20;

impl Shard {
    pub(super) fn carry_out(&mut self, command: Command) {
        match command {
            Command::Arena(arena) => self.arena = arena,
            Command::Send(place, range) => {
                match self.connections.find(place) {
                    Some(connection) => {
                        let (start, end) = (range.start as usize, range.end as usize);
                        if connection.deflate.is_none() {
                            connection.enqueue(&mut self.ctx, &self.arena, start, end, true);
                        } else {
                            connection.enqueue_own(&mut self.ctx, &self.arena, start, end, range.compress);
                        }
                    }
                    None => self.ctx.tally.count_drop(DropCause::Gone),
                }
                self.flush_if_much();
            }
            Command::Publish(channel, range, broadcast) => {
                let (start, end) = (range.start as usize, range.end as usize);
                let broadcast = broadcast.as_deref();
                let exclude: &[SocketId] = broadcast.map_or(&[], |broadcast| &broadcast.exclude);
                let compressed = broadcast.and_then(|broadcast| broadcast.compressed.as_deref());
                for slot in self.lists.of(channel.id()) {
                    let Some(connection) = self.connections.at(*slot) else { continue };
                    if !exclude.is_empty() && exclude.binary_search(&connection.id()).is_ok() {
                        continue;
                    }
                    match compressed {
                        Some(compressed) if connection.deflate.is_some() => {
                            let compress = range.compress;
                            connection.enqueue_shared(&mut self.ctx, &self.arena, start, end, compress, compressed);
                        }
                        _ => connection.enqueue(&mut self.ctx, &self.arena, start, end, false),
                    }
                }
                self.flush_if_much();
            }
            Command::Subscribe(place, channel) => {
                if self.connections.find(place).is_some_and(|connection| connection.takes_part()) {
                    self.lists.add(channel.id(), place.slot);
                }
            }
            // Also for a connection that has ended: its list entry may still be there.
            Command::Unsubscribe(place, channel) => self.lists.remove(channel.id(), place.slot),
            Command::Close(place, what) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.begin_close(&mut self.ctx, CloseCause::Application, what.0, &what.1);
                }
            }
            Command::LiftPayload(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.max_payload = connection.endpoint.limits.max_payload;
                }
            }
            Command::Terminate(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.cut(&mut self.ctx, CloseCause::Terminated);
                }
            }
            Command::CloseMany(places, what) => {
                for place in &places {
                    if let Some(connection) = self.connections.find(*place) {
                        connection.begin_close(&mut self.ctx, CloseCause::Application, what.0, &what.1);
                    }
                }
            }
            Command::Reserve(reserve) => self.reserve(*reserve),
            Command::Attach(place, attach) => self.attach(place, *attach),
            Command::Abandon(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.abandon(&mut self.ctx);
                }
            }
            Command::AcceptedLate(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.accepted_late(&mut self.ctx);
                }
            }
            Command::Unanswered(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.leave_endpoint(&mut self.ctx);
                }
            }
            Command::Resume(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.go_ahead(&mut self.ctx);
                }
            }
            Command::WorkerRoom(worker) => {
                self.feed(|connection| connection.worker.as_ref().is_some_and(|own| own.id == worker.id))
            }
            Command::WorkerFlushed(worker, flush) => self.worker_flushed(worker.id, flush),
            Command::WorkerJoined => self.worker_joined(),
            Command::WorkerGone(worker, events) => self.worker_gone(&worker, events),
            Command::CloseAll(endpoint, code) => {
                if endpoint.is_none() {
                    self.closing = Some(code);
                }
                for connection in self.connections.all() {
                    if connection.is_attached() && endpoint.is_none_or(|id| connection.endpoint.id == id) {
                        connection.begin_close(&mut self.ctx, CloseCause::Shutdown, code, "");
                    }
                }
            }
            Command::TerminateOf(worker) => {
                let id = worker.map(|worker| worker.id);
                let is_meant =
                    |own: &Connection| id.is_none_or(|id| own.worker.as_ref().is_some_and(|worker| worker.id == id));
                for connection in self.connections.all().filter(|own| is_meant(own)) {
                    connection.cut(&mut self.ctx, CloseCause::Shutdown);
                }
            }
            // The turn ends with it.
            Command::Relieve => {}
            Command::Stop => self.stopped = true,
        }
    }

    /// Many publishes in one turn must not pile up in outboxes that the kernel would take.
    fn flush_if_much(&mut self) {
        if self.ctx.unflushed > UNFLUSHED_MAX {
            self.flush_dirty();
        }
    }

    fn reserve(&mut self, reserve: Reserve) {
        let Reserve { socket, endpoint, worker, open, deflate, ip } = reserve;
        let realm = socket.realm_id();
        // Chosen before this command: by now the worker may have ended, and its end may have been dealt with here already.
        let worker = match worker {
            Some(worker) if worker.is_gone() => {
                worker.release();
                self.ctx.inner.dispatch.assign(realm)
            }
            // There was none when it was admitted, and who has joined since knows nothing of it.
            None => self.ctx.inner.dispatch.assign(realm),
            other => other,
        };
        socket.set_worker(worker.as_ref().map_or(0, |worker| worker.id.get()));
        let mut connection = Connection::new(Arc::clone(&socket), endpoint, worker, deflate);
        connection.ip = ip;
        self.connections.put(socket.slot(), connection);
        if let Some(open) = open {
            // The worker may be another than the one that was chosen, without a handler for this.
            self.redispatch([(Event { socket, kind: EventKind::Open(open) }, Bytes::new())]);
        }
    }

    fn attach(&mut self, place: Place, attach: Attach) {
        let Some(connection) = self.connections.find(place) else { return };
        let Attach { mut stream, head, rest, seat } = attach;
        let registered = stream.register(self.poll.registry(), Token(place.slot as usize));
        connection.attach(&mut self.ctx, stream, head, rest, seat);
        if let Err(error) = registered {
            tracing::warn!(%error, "cannot watch a connection");
            connection.cut(&mut self.ctx, CloseCause::Lost);
        } else if let Some(code) = self.closing {
            connection.begin_close(&mut self.ctx, CloseCause::Shutdown, code, "");
        } else if connection.endpoint.is_closed() {
            connection.begin_close(&mut self.ctx, CloseCause::Shutdown, CloseCode::GOING_AWAY, "");
        }
    }

    /// Reads on where reading stopped for want of room towards a worker.
    pub(super) fn feed(&mut self, whose: impl Fn(&Connection) -> bool) {
        let mut starved = std::mem::take(&mut self.ctx.starved);
        starved.retain(|slot| {
            let Some(connection) = self.connections.at(*slot) else { return false };
            if connection.paused != Pause::Worker {
                return false;
            }
            let mine = whose(connection);
            if mine {
                connection.resume(&mut self.ctx);
            }
            !mine
        });
        self.ctx.starved.append(&mut starved);
    }
}
