//! Connections that are behind in a channel with history. What such a connection gets next is not
//! queued for it: it has a place in the channel's ring, and is refilled from there when it has
//! taken what waits. So a thousand slow readers cost a thousand places.
//!
//! A message reaches the connection on one of two ways, as a command or out of the ring, and never
//! on both: what has come out of the ring is skipped when its command is executed, and as long as
//! the connection is behind all commands are. See docs/design/history.md.

use std::{sync::Arc, vec::IntoIter};

use wsbroker_proto::CloseCode;

use super::{
    Shard, budget,
    budget::{UNFLUSHED_MAX, VISIT},
    command::{ConnectionKey, Recover},
    connection::Connection,
    context::ShardContext,
    cursors::{CursorState, Cursors},
    outbox::COPY_MAX,
    put_off::LongCommand,
};
use crate::{
    config::Overflow,
    counters::{CloseCause, payload_of},
    event::{EventKind, LostMessages},
    history::{HistoryEntry, HistoryPosition, HistoryRead, HistoryTotals},
    registry::{Channel, ChannelId},
    worker::Handlers,
};

/// Bytes that a connection is refilled with at once: other connections have their turns between.
const REFILL: usize = 64 << 10;
/// More than this does not wait for a connection, whatever its limit: the kernel has enough, and
/// what waits costs memory for each connection, what is in the ring costs it once for all.
const WAITING_MAX: usize = 2 * REFILL;
/// What a message costs of that at least.
const EACH: usize = 128;

/// The close code for a socket that has lost messages, when no handler is told.
const LOST: u16 = 4009;

impl Connection {
    /// Queues a message of a channel with history, unless it is excluded, has it, or is behind. If
    /// too much waits already, or more than `room`, it falls behind.
    #[inline]
    fn queue_numbered(&mut self, ctx: &mut ShardContext, channel: &Arc<Channel>, entry: &HistoryEntry, room: usize) {
        if let Some(cursors) = &mut self.cursors
            && !cursors.admits(channel.id(), entry.offset)
        {
            return;
        }
        if entry.excludes(self.id()) {
            return;
        }
        let room = room.min(self.room_beside_others());
        if self.outbox.len() >= room && self.takes_messages() {
            // What piled up within this turn is not the client's fault.
            self.flush_all(ctx);
            if self.outbox.len() >= room && self.takes_messages() {
                self.fall_behind(ctx, channel, entry.before());
                return;
            }
        }
        self.enqueue_entry(ctx, entry);
    }

    fn fall_behind(&mut self, ctx: &mut ShardContext, channel: &Arc<Channel>, since: HistoryPosition) {
        if self.takes_messages() && self.cursors.get_or_insert_default().fall_behind(channel, since) {
            self.mark_dirty(ctx);
        }
    }

    /// Bytes that may wait before it falls behind. The last quarter of its limit is for what else
    /// is sent to it: a reply must not find the outbox full because it reads a channel slowly.
    fn room_beside_others(&self) -> usize {
        let limit = self.endpoint.limits.max_backpressure;
        (limit - limit / 4).min(WAITING_MAX)
    }

    fn enqueue_entry(&mut self, ctx: &mut ShardContext, entry: &HistoryEntry) {
        let length = entry.frame.len();
        self.outbox.begin_entry(self.overflow_policy() == Overflow::DropOldest);
        if let Some(shared) = &entry.compressed
            && let Some((window, level)) = self.compression(entry.compress, payload_of(length))
            && self.takes_messages()
            && let Some(frame) = shared.frame(window, || {
                let frame = ctx.compress(&entry.frame, window, level);
                entry.count_compressed(frame.as_ref().map_or(0, |frame| frame.len()));
                frame
            })
        {
            self.enqueue_compressed(ctx, frame, length, false);
        } else {
            self.enqueue(ctx, &entry.frame, 0, length, false);
        }
        self.outbox.end_entry();
    }

    /// Takes what it gets next out of the rings of the channels in which it is behind, once less
    /// than half of its limit waits.
    pub(super) fn refill(&mut self, ctx: &mut ShardContext) {
        if !self.takes_messages() {
            self.cursors = None;
            return;
        }
        let room = self.room_beside_others().min(ctx.broker.memory.room_beside_history());
        if self.outbox.len() > room / 2 {
            return;
        }
        let mut left = REFILL;
        while left > 0 && (self.outbox.len() < room || self.outbox.is_empty()) {
            let free = room.saturating_sub(self.outbox.len()).min(left);
            let Some(cursors) = &mut self.cursors else { return };
            let Some(cursor) = cursors.take_behind() else { break };
            let channel = Arc::clone(&cursor.channel);
            let Some(history) = channel.history() else { break };
            let read = history.lock().read(cursor.epoch, cursor.next, free);
            match read {
                HistoryRead::Entries(entries, is_all) => {
                    cursor.next += entries.len() as u64;
                    if is_all {
                        cursor.state = CursorState::CaughtUp;
                    } else {
                        cursors.behind.push_back(channel.id());
                    }
                    for entry in entries {
                        left = left.saturating_sub(entry.frame.len().max(EACH));
                        if !entry.excludes(self.id()) {
                            self.enqueue_entry(ctx, &entry);
                        }
                    }
                }
                HistoryRead::Lost(position) => self.lose(ctx, &channel, position),
            }
        }
        if self.cursors.as_ref().is_some_and(|cursors| !cursors.behind.is_empty()) {
            self.mark_dirty(ctx);
        }
    }

    /// What it had to get next is gone. It goes on behind this position, once it was told.
    fn lose(&mut self, ctx: &mut ShardContext, channel: &Arc<Channel>, position: HistoryPosition) {
        HistoryTotals::count(&ctx.broker.histories.totals.lost, 1);
        self.cursors.get_or_insert_default().put(channel, position, CursorState::Lost);
        match &self.worker {
            // Before the 101 no handler but `handleOpen` knows it.
            Some(worker) if self.is_attached() && worker.handlers.contains(Handlers::LOST) => {
                let lost = LostMessages { channel: channel.name().into(), position };
                self.socket.enter_other();
                ctx.batches.push(worker, &self.socket, EventKind::Lost(Box::new(lost)));
            }
            _ => self.close_lost(ctx),
        }
    }

    fn close_lost(&mut self, ctx: &mut ShardContext) {
        let code = CloseCode::new(LOST).unwrap_or(CloseCode::TRY_AGAIN);
        self.begin_close(ctx, CloseCause::HistoryLost, code, "history lost");
    }

    /// Closes it if it waits for a handler that nobody runs any more.
    pub(super) fn close_if_lost(&mut self, ctx: &mut ShardContext) {
        let is_lost = |cursors: &Cursors| cursors.by_channel.values().any(|cursor| cursor.state == CursorState::Lost);
        if self.cursors.as_deref().is_some_and(is_lost) {
            self.close_lost(ctx);
        }
    }

    /// A handler was told what it has lost of this channel.
    pub(super) fn continue_channel(&mut self, ctx: &mut ShardContext, channel: ChannelId) {
        let Some(cursors) = &mut self.cursors else { return };
        let Some(cursor) = cursors.by_channel.get_mut(&channel) else { return };
        if cursor.state == CursorState::Lost {
            cursor.state = CursorState::Behind;
            cursors.behind.push_back(channel);
            self.refill(ctx);
        }
    }

    /// It is no longer in this channel: what it has not read of it is dropped.
    pub(super) fn leave_behind(&mut self, channel: ChannelId) {
        if let Some(cursors) = &mut self.cursors {
            cursors.by_channel.remove(&channel);
            if cursors.by_channel.is_empty() {
                self.cursors = None;
            }
        }
    }

    fn epoch_changed(&mut self, ctx: &mut ShardContext, channel: &Arc<Channel>, position: HistoryPosition) {
        // It may have found out by itself.
        let knows = |cursors: &Cursors| {
            cursors.by_channel.get(&channel.id()).is_some_and(|cursor| cursor.epoch == position.epoch)
        };
        if self.takes_messages() && !self.cursors.as_deref().is_some_and(knows) {
            self.lose(ctx, channel, position);
        }
    }
}

impl Shard {
    pub(super) fn publish_numbered(&mut self, channel: Arc<Channel>, entry: Arc<HistoryEntry>) {
        let slots = self.lists.of(channel.id());
        if slots.len() > self.ctx.turn.bounds.at_once {
            let slots: Vec<u32> = slots.to_vec();
            return self.go_on(LongCommand::Numbered(channel, entry, slots.into_iter()));
        }
        let room = self.ctx.broker.memory.room_beside_history();
        for slot in slots {
            if let Some(connection) = self.connections.at(*slot) {
                connection.queue_numbered(&mut self.ctx, &channel, &entry, room);
            }
        }
        self.ctx.turn.spend(slots.len() * steps(&entry));
    }

    pub(super) fn numbered_on(
        &mut self,
        channel: Arc<Channel>,
        entry: Arc<HistoryEntry>,
        mut slots: IntoIter<u32>,
    ) -> Option<LongCommand> {
        let (room, steps) = (self.ctx.broker.memory.room_beside_history(), steps(&entry));
        for slot in slots.by_ref() {
            if let Some(connection) = self.connections.at(slot) {
                connection.queue_numbered(&mut self.ctx, &channel, &entry, room);
            }
            self.ctx.turn.spend(steps);
            if self.ctx.turn.is_spent() || self.ctx.unflushed > UNFLUSHED_MAX {
                break;
            }
        }
        (slots.len() > 0).then_some(LongCommand::Numbered(channel, entry, slots))
    }

    pub(super) fn recover(&mut self, key: ConnectionKey, recover: Recover) {
        let Recover { channel, since, announcement } = recover;
        self.ctx.turn.spend(budget::CHANGE);
        let Some(connection) = self.connections.find(key).filter(|connection| connection.takes_part()) else { return };
        let before = self.ctx.unflushed;
        if let Some(frame) = announcement {
            // It may close the connection, if that takes nothing.
            connection.enqueue(&mut self.ctx, &frame, 0, frame.len(), false);
        }
        self.lists.add(channel.id(), key.slot);
        connection.cursors.get_or_insert_default().put(&channel, since, CursorState::Behind);
        connection.refill(&mut self.ctx);
        self.ctx.turn.spend(budget::delivery(self.ctx.unflushed.saturating_sub(before)));
    }

    pub(super) fn fall_behind_on(
        &mut self,
        channel: Arc<Channel>,
        since: HistoryPosition,
        mut slots: IntoIter<u32>,
    ) -> Option<LongCommand> {
        for slot in slots.by_ref() {
            let before = self.ctx.unflushed;
            if let Some(connection) = self.connections.at(slot) {
                connection.fall_behind(&mut self.ctx, &channel, since);
                // One that keeps up gets it now, ahead of what is sent to it next.
                connection.refill(&mut self.ctx);
            }
            self.ctx.turn.spend(1 + budget::delivery(self.ctx.unflushed.saturating_sub(before)));
            if self.ctx.turn.is_spent() {
                break;
            }
        }
        (slots.len() > 0).then_some(LongCommand::FallBehind(channel, since, slots))
    }

    pub(super) fn epoch_changed_on(
        &mut self,
        channel: Arc<Channel>,
        position: HistoryPosition,
        mut slots: IntoIter<u32>,
    ) -> Option<LongCommand> {
        for slot in slots.by_ref() {
            if let Some(connection) = self.connections.at(slot) {
                connection.epoch_changed(&mut self.ctx, &channel, position);
            }
            self.ctx.turn.spend(VISIT);
            if self.ctx.turn.is_spent() {
                break;
            }
        }
        (slots.len() > 0).then_some(LongCommand::EpochChanged(channel, position, slots))
    }
}

/// What it costs to queue it for one connection.
fn steps(entry: &HistoryEntry) -> usize {
    let length = entry.frame.len();
    budget::delivery(if length <= COPY_MAX { length } else { 0 })
}
