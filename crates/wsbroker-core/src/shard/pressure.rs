//! What happens when memory is used up: the connections that hold most are closed first.

use std::sync::atomic::Ordering;

use wsbroker_proto::CloseCode;

use super::{
    Shard,
    command::Command,
    connection_state::{ConnectionPhase, WriteState},
};
use crate::counters::CloseCause;

/// A frame that was begun and is longer than this is not finished for the sake of a close frame.
const FINISH_MAX: usize = 64 << 10;

impl Shard {
    /// Reports this shard's share of the memory, and closes connections while the whole is above a
    /// limit.
    pub(super) fn relieve(&mut self) {
        let memory = &self.ctx.broker.memory;
        memory.send_changed(self.reported_send, self.ctx.outbox_bytes);
        memory.receive_changed(self.reported_receive, self.ctx.receive_bytes);
        self.reported_send = self.ctx.outbox_bytes;
        self.reported_receive = self.ctx.receive_bytes;
        self.handle().send.store(self.ctx.outbox_bytes, Ordering::Relaxed);
        self.handle().receive.store(self.ctx.receive_bytes, Ordering::Relaxed);
        if !memory.send_is_full() && !memory.receive_is_full() {
            return;
        }
        self.close_slowest();
        self.close_largest();
        self.wake_the_others();
    }

    fn must_free_send(&self) -> bool {
        if !self.late.is_empty() {
            // Which sockets are slow is known when all have been written to.
            return false;
        }
        let inner = &self.ctx.broker;
        inner.memory.send_is_full_through(self.ctx.outbox_bytes, inner.shard_count())
    }

    fn must_free_receive(&self) -> bool {
        let inner = &self.ctx.broker;
        inner.memory.receive_is_full_through(self.ctx.receive_bytes, inner.shard_count())
    }

    /// A shard all of whose peers are silent sleeps, however much it holds.
    fn wake_the_others(&self) {
        let (inner, count) = (&self.ctx.broker, self.ctx.broker.shard_count());
        for other in (0..count).filter(|index| *index != self.index).map(|index| inner.shard(index)) {
            let (send, receive) = (other.send.load(Ordering::Relaxed), other.receive.load(Ordering::Relaxed));
            if inner.memory.send_is_full_through(send, count) || inner.memory.receive_is_full_through(receive, count) {
                other.push(Command::Relieve);
            }
        }
    }

    fn close_slowest(&mut self) {
        if !self.must_free_send() {
            return;
        }
        let mut slow: Vec<_> = self
            .connections
            .all()
            .filter(|connection| connection.phase != ConnectionPhase::Dead && !connection.outbox.is_empty())
            .map(|connection| (connection.outbox.len(), connection.socket.slot()))
            .collect();
        slow.sort_unstable_by(|a, b| b.cmp(a));
        for (_, slot) in slow {
            if !self.must_free_send() {
                return;
            }
            let Some(connection) = self.connections.at(slot) else { continue };
            if connection.write_state != WriteState::Blocked && connection.stream.is_some() {
                // It takes what it is sent, and had its turn: the rest of a long outbox waits for
                // the next.
                let before = connection.outbox.len();
                connection.flush_all(&mut self.ctx);
                if connection.outbox.len() < before {
                    continue;
                }
            }
            let lingering = connection.phase == ConnectionPhase::Lingering;
            tracing::warn!(
                socket = connection.id().get(),
                bytes = connection.outbox.len(),
                "send memory is used up: closing the slowest socket"
            );
            connection.overflow(&mut self.ctx, CloseCause::MaxSendMemory);
            if lingering || connection.outbox.len() > FINISH_MAX {
                connection.cut(&mut self.ctx, CloseCause::MaxSendMemory);
            }
            self.remove_ended();
            self.ctx.broker.memory.send_changed(self.reported_send, self.ctx.outbox_bytes);
            self.reported_send = self.ctx.outbox_bytes;
        }
    }

    fn close_largest(&mut self) {
        if !self.must_free_receive() {
            return;
        }
        let mut large: Vec<_> = self
            .connections
            .all()
            .filter(|connection| connection.receive_held > 0)
            .map(|connection| (connection.receive_held, connection.socket.slot()))
            .collect();
        large.sort_unstable_by(|a, b| b.cmp(a));
        for (_, slot) in large {
            if !self.must_free_receive() {
                return;
            }
            let Some(connection) = self.connections.at(slot) else { continue };
            tracing::warn!(
                socket = connection.id().get(),
                bytes = connection.receive_held,
                "receive memory is used up: closing the largest message"
            );
            connection.fail(&mut self.ctx, CloseCause::MaxReceiveMemory, CloseCode::TRY_AGAIN);
            connection.count_receive(&mut self.ctx);
            self.remove_ended();
            self.ctx.broker.memory.receive_changed(self.reported_receive, self.ctx.receive_bytes);
            self.reported_receive = self.ctx.receive_bytes;
        }
    }
}
