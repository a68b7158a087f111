//! Commands whose work grows with the number of channels, subscribers or connections. They go on
//! for as long as the turn has steps for them, and what is left waits at the head of the queue:
//! later commands wait behind it, so that all take effect in their order, and other sockets are
//! read and written.
//!
//! While one waits no new connection takes a slot, since a command does that as well. So a slot
//! still has the connection that it had.

use std::{sync::Arc, vec::IntoIter};

use wsbroker_proto::CloseCode;

use super::{
    Shard,
    budget::{CHANGE, UNFLUSHED_MAX, VISIT},
    command::{Broadcast, Change, ConnectionKey, FrameRange},
    execute::Message,
    put_off::LongCommand,
};
use crate::{counters::CloseCause, registry::ChannelId};

impl Shard {
    /// Does what the turn has steps for, at least one thing, and keeps the rest.
    pub(super) fn go_on(&mut self, rest: LongCommand) {
        self.put_off.rest = match rest {
            LongCommand::Publish(range, broadcast, slots) => self.publish_on(range, broadcast, slots),
            LongCommand::Numbered(channel, entry, slots) => self.numbered_on(channel, entry, slots),
            LongCommand::FallBehind(channel, since, slots) => self.fall_behind_on(channel, since, slots),
            LongCommand::EpochChanged(channel, position, slots) => self.epoch_changed_on(channel, position, slots),
            LongCommand::SendToAll(range, broadcast, from) => self.send_to_all_on(range, broadcast, from),
            LongCommand::Change(key, change, channels) => self.change_on(key, change, channels),
            LongCommand::CloseMany(keys, what) => self.close_on(keys, what),
            LongCommand::CloseAll(endpoint, code, from) => {
                let next = self.each_from(from, VISIT, |shard, slot| {
                    let Some(connection) = shard.connections.at(slot) else { return };
                    if connection.is_attached() && endpoint.is_none_or(|id| connection.endpoint.id == id) {
                        connection.begin_close(&mut shard.ctx, CloseCause::Shutdown, code, "");
                    }
                });
                next.map(|next| LongCommand::CloseAll(endpoint, code, next))
            }
            LongCommand::TerminateOf(worker, from) => {
                let next = self.each_from(from, VISIT, |shard, slot| {
                    let Some(connection) = shard.connections.at(slot) else { return };
                    if worker.is_none_or(|id| connection.worker.as_ref().is_some_and(|own| own.id == id)) {
                        connection.cut(&mut shard.ctx, CloseCause::Shutdown);
                    }
                });
                next.map(|next| LongCommand::TerminateOf(worker, next))
            }
            LongCommand::WorkerJoined(from) => self.assign_workers(from).map(LongCommand::WorkerJoined),
            LongCommand::WorkerSuperseded(worker, from) => {
                let next = self.each_from(from, VISIT, |shard, slot| {
                    if let Some(connection) = shard.connections.at(slot) {
                        connection.move_on(&mut shard.ctx);
                    }
                });
                next.map(|next| LongCommand::WorkerSuperseded(worker, next))
            }
            LongCommand::WorkerGone(worker, from) => {
                let next = self.take_over(&worker, Vec::new(), from);
                next.map(|next| LongCommand::WorkerGone(worker, next))
            }
        };
    }

    fn publish_on(
        &mut self,
        range: FrameRange,
        broadcast: Option<Arc<Broadcast>>,
        mut slots: IntoIter<u32>,
    ) -> Option<LongCommand> {
        let message = Message::new(&self.ctx.broker, &self.arena, range, broadcast.as_deref());
        let steps = message.steps();
        for slot in slots.by_ref() {
            // One that has ended meanwhile takes no messages, or is not there.
            if let Some(connection) = self.connections.at(slot) {
                message.queue(&mut self.ctx, connection);
            }
            self.ctx.turn.spend(steps);
            if self.ctx.turn.is_spent() || self.ctx.unflushed > UNFLUSHED_MAX {
                break;
            }
        }
        (slots.len() > 0).then_some(LongCommand::Publish(range, broadcast, slots))
    }

    fn send_to_all_on(
        &mut self,
        range: FrameRange,
        broadcast: Option<Arc<Broadcast>>,
        from: u32,
    ) -> Option<LongCommand> {
        let message = Message::new(&self.ctx.broker, &self.arena, range, broadcast.as_deref());
        let steps = message.steps();
        for slot in from..self.connections.0.len() as u32 {
            if let Some(connection) = self.connections.at(slot)
                && connection.socket.namespace().is_none()
            {
                message.queue(&mut self.ctx, connection);
            }
            self.ctx.turn.spend(steps);
            if self.ctx.turn.is_spent() || self.ctx.unflushed > UNFLUSHED_MAX {
                return Some(LongCommand::SendToAll(range, broadcast, slot + 1));
            }
        }
        None
    }

    fn change_on(
        &mut self,
        key: ConnectionKey,
        change: Change,
        mut channels: IntoIter<ChannelId>,
    ) -> Option<LongCommand> {
        let takes_part = self.connections.find(key).is_some_and(|connection| connection.takes_part());
        for channel in channels.by_ref() {
            match change {
                Change::Join if takes_part => self.lists.add(channel, key.slot),
                Change::Join => {}
                // Also for a connection that has ended: its list entry may still be there.
                Change::Leave => {
                    self.lists.remove(channel, key.slot);
                    if let Some(connection) = self.connections.find(key) {
                        connection.leave_behind(channel);
                    }
                }
            }
            self.ctx.turn.spend(CHANGE);
            if self.ctx.turn.is_spent() {
                break;
            }
        }
        (channels.len() > 0).then_some(LongCommand::Change(key, change, channels))
    }

    fn close_on(&mut self, mut keys: IntoIter<ConnectionKey>, what: Box<(CloseCode, Box<str>)>) -> Option<LongCommand> {
        for key in keys.by_ref() {
            if let Some(connection) = self.connections.find(key) {
                connection.begin_close(&mut self.ctx, CloseCause::Application, what.0, &what.1);
            }
            self.ctx.turn.spend(VISIT);
            if self.ctx.turn.is_spent() {
                break;
            }
        }
        (keys.len() > 0).then_some(LongCommand::CloseMany(keys, what))
    }

    /// Does something for each slot from this one on, at that many steps. The slot at which the
    /// turn was spent.
    pub(super) fn each_from(&mut self, from: u32, steps: usize, mut visit: impl FnMut(&mut Self, u32)) -> Option<u32> {
        for slot in from..self.connections.0.len() as u32 {
            visit(self, slot);
            self.ctx.turn.spend(steps);
            if self.ctx.turn.is_spent() {
                return Some(slot + 1);
            }
        }
        None
    }
}
