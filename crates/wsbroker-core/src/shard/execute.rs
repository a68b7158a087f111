//! What each command makes a shard do.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Shard, budget,
    codec::{Compress, Compressed},
    command::{Broadcast, Command, FrameRange},
    connection::Connection,
    connection_state::Pause,
    context::ShardContext,
    outbox::COPY_MAX,
    put_off::LongCommand,
};
use crate::{
    broker::BrokerState,
    counters::{CloseCause, DropCause},
    ids::SocketId,
    registry::Channel,
};

/// A message for many.
pub(super) struct Message<'a> {
    arena: &'a Bytes,
    start: usize,
    end: usize,
    compress: Compress,
    /// In order.
    exclude: &'a [SocketId],
    compressed: Option<&'a Compressed>,
    /// Bytes that may wait for each of them; `None` where that is its own business.
    reserve: Option<usize>,
}

impl<'a> Message<'a> {
    pub(super) fn new(
        inner: &BrokerState,
        arena: &'a Bytes,
        range: FrameRange,
        broadcast: Option<&'a Broadcast>,
    ) -> Self {
        let scarce = broadcast.is_some_and(|broadcast| broadcast.scarce);
        Self {
            arena,
            start: range.start as usize,
            end: range.end as usize,
            compress: range.compress,
            exclude: broadcast.map_or(&[], |broadcast| &broadcast.exclude),
            compressed: broadcast.and_then(|broadcast| broadcast.compressed.as_deref()),
            reserve: scarce.then(|| inner.memory.reserve(inner.sockets.open())),
        }
    }

    /// What it costs to queue it for one connection.
    pub(super) fn steps(&self) -> usize {
        let length = self.end - self.start;
        budget::delivery(if length <= COPY_MAX { length } else { 0 })
    }

    /// Queues it for one of them.
    #[inline]
    pub(super) fn queue(&self, ctx: &mut ShardContext, connection: &mut Connection) {
        if !self.exclude.is_empty() && self.exclude.binary_search(&connection.id()).is_ok() {
            return;
        }
        if let Some(reserve) = self.reserve
            && connection.takes_messages()
            && connection.outbox.len().saturating_add(self.end - self.start) > reserve
        {
            connection.count_drops(ctx, DropCause::MaxSendMemory, 1);
            return;
        }
        match self.compressed {
            Some(compressed) if connection.deflate.is_some() => {
                connection.enqueue_shared(ctx, self.arena, self.start, self.end, self.compress, compressed);
            }
            _ => connection.enqueue(ctx, self.arena, self.start, self.end, false),
        }
    }
}

impl Shard {
    pub(super) fn execute(&mut self, command: Command) {
        self.ctx.turn.spend(1);
        match command {
            Command::Arena(arena) => self.arena = arena,
            Command::Send(key, range) => match self.connections.find(key) {
                Some(connection) => {
                    let (start, end) = (range.start as usize, range.end as usize);
                    if connection.deflate.is_none() {
                        connection.enqueue(&mut self.ctx, &self.arena, start, end, true);
                    } else {
                        connection.enqueue_own(&mut self.ctx, &self.arena, start, end, range.compress);
                    }
                }
                None => self.ctx.tally.count_drop(DropCause::Gone),
            },
            Command::Publish(channel, range, broadcast) => self.publish(&channel, range, broadcast),
            Command::Numbered(channel, entry) => self.publish_numbered(channel, entry),
            Command::Recover(key, what) => self.recover(key, *what),
            Command::FallBehind(channel, since) => {
                let slots = self.lists.of(channel.id()).to_vec();
                self.go_on(LongCommand::FallBehind(channel, since, slots.into_iter()));
            }
            Command::EpochChanged(channel, position) => {
                let slots = self.lists.of(channel.id()).to_vec();
                self.go_on(LongCommand::EpochChanged(channel, position, slots.into_iter()));
            }
            Command::Continue(key, channel) => {
                if let Some(connection) = self.connections.find(key) {
                    connection.continue_channel(&mut self.ctx, channel);
                }
            }
            Command::SendToAll(range, broadcast) => self.go_on(LongCommand::SendToAll(range, broadcast, 0)),
            Command::Subscribe(key, channel) => {
                self.ctx.turn.spend(budget::CHANGE);
                if self.connections.find(key).is_some_and(|connection| connection.takes_part()) {
                    self.lists.add(channel.id(), key.slot);
                }
            }
            // Also for a connection that has ended: its list entry may still be there.
            Command::Unsubscribe(key, channel) => {
                self.ctx.turn.spend(budget::CHANGE);
                self.lists.remove(channel.id(), key.slot);
                if let Some(connection) = self.connections.find(key) {
                    connection.leave_behind(channel.id());
                }
            }
            Command::Change(key, change, channels) => {
                self.go_on(LongCommand::Change(key, change, channels.into_iter()));
            }
            Command::Close(key, what) => {
                if let Some(connection) = self.connections.find(key) {
                    connection.begin_close(&mut self.ctx, CloseCause::Application, what.0, &what.1);
                }
            }
            Command::LiftPayload(key) => {
                if let Some(connection) = self.connections.find(key) {
                    connection.max_payload = connection.endpoint.limits.max_payload;
                }
            }
            Command::Terminate(key) => {
                if let Some(connection) = self.connections.find(key) {
                    connection.cut(&mut self.ctx, CloseCause::Terminated);
                }
            }
            Command::CloseMany(keys, what) => self.go_on(LongCommand::CloseMany(keys.into_iter(), what)),
            Command::Reserve(reserve) => self.reserve(*reserve),
            Command::Attach(key, attach) => self.attach(key, *attach),
            Command::Abandon(key) => {
                if let Some(connection) = self.connections.find(key) {
                    connection.abandon(&mut self.ctx);
                }
            }
            Command::AcceptedLate(key) => {
                if let Some(connection) = self.connections.find(key) {
                    connection.accepted_late(&mut self.ctx);
                }
            }
            Command::Unanswered(key) => {
                if let Some(connection) = self.connections.find(key) {
                    connection.unanswered(&mut self.ctx);
                }
            }
            Command::Resume(key) => {
                if let Some(connection) = self.connections.find(key) {
                    connection.go_ahead(&mut self.ctx);
                }
            }
            Command::WorkerRoom(worker) => {
                self.resume_reading(|connection| connection.worker.as_ref().is_some_and(|own| own.id == worker.id))
            }
            Command::WorkerFlushed(worker, flush) => self.worker_flushed(worker.id, flush),
            Command::WorkerJoined => self.go_on(LongCommand::WorkerJoined(0)),
            Command::WorkerSuperseded(worker) => self.go_on(LongCommand::WorkerSuperseded(worker, 0)),
            Command::WorkerGone(worker, events) => self.worker_gone(worker, events),
            Command::AskAnother(worker, events) => self.ask_another(&worker, events),
            Command::CloseAll(endpoint, code) => {
                if endpoint.is_none() {
                    self.closing = Some(code);
                }
                self.go_on(LongCommand::CloseAll(endpoint, code, 0));
            }
            Command::Drain(order) => self.drain(order),
            Command::TerminateOf(worker) => self.go_on(LongCommand::TerminateOf(worker.map(|worker| worker.id), 0)),
            // The turn ends with it.
            Command::Relieve => {}
            Command::Stop => self.stopped = true,
        }
    }

    fn publish(&mut self, channel: &Channel, range: FrameRange, broadcast: Option<Arc<Broadcast>>) {
        let slots = self.lists.of(channel.id());
        if slots.len() > self.ctx.turn.bounds.at_once {
            let slots: Vec<u32> = slots.to_vec();
            return self.go_on(LongCommand::Publish(range, broadcast, slots.into_iter()));
        }
        let message = Message::new(&self.ctx.broker, &self.arena, range, broadcast.as_deref());
        for slot in slots {
            if let Some(connection) = self.connections.at(*slot) {
                message.queue(&mut self.ctx, connection);
            }
        }
        self.ctx.turn.spend(slots.len() * message.steps());
    }

    /// Reads on where reading stopped for want of room towards a worker.
    pub(super) fn resume_reading(&mut self, whose: impl Fn(&Connection) -> bool) {
        let mut starved = std::mem::take(&mut self.ctx.waiting_for_room);
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
        self.ctx.waiting_for_room.append(&mut starved);
    }
}
